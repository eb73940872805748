"""Shots of a video: where it goes over to another one, and whether it fades at its end.

A cut is a picture that changes at once, a dissolve one that is a mixture of those before and after
it, while the person is lost or leaps: titles that appear are none, nor is a camera that shakes, nor
what is back within a second. Of 213 clips of strangers, by which the limits were set, 9 have a cut
(leaps of 0.067 and more; elsewhere, where pictures change as much, 0.04 and less) and one a
dissolve; in the others nothing is found.
"""

import itertools
import math
from collections.abc import Iterable, Iterator

import cv2
import numpy as np
from jaxtyping import Bool, Float, UInt8

_SMALL, _ENOUGH = (32, 18), (640, 360)
"""Size at which frames are compared, and that up to which all pixels count: of 4K that alone would
take a fifth of finding."""
_CHANGE, _SUDDEN = 12.0, 3.0
"""Mean difference of grey levels to the frame before that may be a cut; and how many times the
usual one of the frames around."""
_AROUND, _HELD = 6, 0.5
"""Frames before and after; difference at most of a frame that shows the picture before once more:
the usual difference is that of the others."""
_MIXING_S, _MIXED = 0.2, 0.3
"""Seconds before and after a frame of two shots that dissolve into each other; how far it is at
most from halfway between the pictures there, as a share of their difference."""
_LEAP = 0.06
"""Median movement of the joints from frame to frame in a cut, as a share of the person's size."""
_FEWEST_JOINTS = 3
_MOMENT_S = 1.0
"""So short may be what is shown between two parts of one shot (black, a flash, a passer-by)."""
_BLANK = 4.0
"""Contrast (standard deviation of grey levels) up to which a picture is blank."""
_FALL_S = 0.3
"""Seconds before a frame that are lately."""
_SAME = 0.9
"""Correlation over which two pictures show the same."""
_CLEAR = 0.9
"""Share of the greatest contrast lately from which on a frame is no part of a fade."""
_FADING = 0.7
"""Share of it under which the last frame of a fade lies."""


class Shots:
    """Watches the frames of a video go by; asked when all are through."""

    def __init__(self) -> None:
        self._small: list[UInt8[np.ndarray, "18 32"]] = []
        """Half a kilobyte a frame: videos may last for hours."""

    @property
    def num_frames(self) -> int:
        """So many went by."""
        return len(self._small)

    def watch(
        self, frames: Iterable[UInt8[np.ndarray, "h w 3"]]
    ) -> Iterator[UInt8[np.ndarray, "h w 3"]]:
        """The same frames."""
        for frame in frames:
            few = frame
            if frame.size > 3 * math.prod(_ENOUGH):
                few = cv2.resize(frame, _ENOUGH, interpolation=cv2.INTER_NEAREST)
            small = cv2.resize(few, _SMALL, interpolation=cv2.INTER_AREA)
            self._small.append(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY))
            yield frame

    def starts(
        self, joints_px: Float[np.ndarray, "t j 2"], visible: Bool[np.ndarray, "t j"], fps: float
    ) -> list[int]:
        """For each frame the first one of its shot, by the pictures and the person's joints."""
        cuts, mixing = set(self._cuts()), math.ceil(_MIXING_S * fps)
        starts, count = [0], len(self._small)
        for number in range(1, count):
            near = visible[max(number - mixing, 0) : number + mixing + 1]
            gap = 1 if number in cuts else min(mixing, number, count - 1 - number)
            another = number in cuts or (near.any() and self._dissolves(number, gap, mixing))
            if another and _leaps(joints_px, visible, number):
                starts += [] if self._goes_on(number, gap, math.ceil(_MOMENT_S * fps)) else [number]
        return np.repeat(starts, np.diff([*starts, count])).tolist()

    def num_faded(self, fps: float) -> int:
        """Frames at the end that fade away, to a blank picture or on the way there: a person may
        be found in them, but what is drawn from there is dark."""
        length, count = math.ceil(_FALL_S * fps), len(self._small)
        if not count or self._clearness(count - 1, length) >= _FADING:
            return 0
        back = (at for at in range(count) if self._clearness(count - 1 - at, length) >= _CLEAR)
        return next(back, 0)

    def _clearness(self, number: int, length: int) -> float:
        """Its contrast as a share of the greatest lately of the same picture; 0 if it is blank."""
        last = self._small[max(number - length, 0) : number + 1]
        shown = [small.ravel() for small in last if small.std() > _BLANK]
        if not shown or self._small[number].std() <= _BLANK:
            return 0.0
        same = np.corrcoef(shown).reshape(len(shown), -1)[-1] > _SAME
        return float(shown[-1].std() / max(np.std(shown, axis=1)[same]))

    def _differ(self, one: int, other: int) -> float:
        return float(cv2.absdiff(self._small[one], self._small[other]).mean())

    def _cuts(self) -> list[int]:
        """Frames whose picture changes at once."""
        count = len(self._small)
        changes = np.array([0.0, *(self._differ(each - 1, each) for each in range(1, count))])
        cuts = []
        for number in np.flatnonzero(changes >= _CHANGE).tolist():
            around = np.arange(max(number - _AROUND, 1), min(number + _AROUND + 1, count))
            apart = changes[around[abs(around - number) > 1]]
            if changes[number] > _SUDDEN * np.median([*apart[apart > _HELD]] or [0]):
                cuts.append(number)
        return cuts

    def _dissolves(self, number: int, gap: int, mixing: int) -> bool:
        """Whether the picture is a mixture of those so many frames before and after it."""
        if 2 * gap < mixing:  # any movement is one of pictures that are next to each other
            return False
        places = (number - gap, number, number + gap)
        before, now, after = (self._small[each].astype(int) for each in places)
        apart = np.abs(after - before).mean()
        return bool(apart > _CHANGE and np.abs(now - (before + after) / 2).mean() < _MIXED * apart)

    def _goes_on(self, number: int, gap: int, moment: int) -> bool:
        """Whether a picture after it is like one before it, `gap` frames away at least: those
        within a dissolve are alike."""
        before = self._small[max(number - moment, 0) : number - gap + 1]
        after = self._small[number + gap : number + 1 + moment]
        pairs = itertools.product(before, after)
        return any(cv2.absdiff(*pair).mean() < _CHANGE / 2 for pair in pairs)


def _leaps(
    joints_px: Float[np.ndarray, "t j 2"], visible: Bool[np.ndarray, "t j"], number: int
) -> bool:
    """Whether the person of the frame before is lost, or somewhere else."""
    both = visible[number - 1] & visible[number]
    if both.sum() < _FEWEST_JOINTS:
        return True
    before, now = joints_px[number - 1][both], joints_px[number][both]
    moved = np.median(np.linalg.norm(now - before, axis=-1))
    return bool(moved > _LEAP * np.ptp(before, axis=0).max())
