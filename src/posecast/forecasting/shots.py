"""Shots of a video: where it cuts to another one, and whether it fades to nothing at its end.

A cut is a picture that changes at once while the person is lost or leaps: titles that appear are
none, nor is a camera that shakes. Of 213 clips of strangers, by which the limits were set, 9 have
one (leaps of 0.067 and more; elsewhere, where pictures change as much, 0.04 and less). Shots that
dissolve into each other are not told apart.
"""

import math
from collections.abc import Iterable, Iterator

import cv2
import numpy as np
from jaxtyping import Bool, Float, UInt8

_SMALL = (32, 18)
_CHANGE, _SUDDEN = 12.0, 3.0
"""Mean difference of grey levels to the frame before that may be a cut; and how many times the
usual one of the frames around."""
_AROUND, _HELD = 6, 0.5
"""Frames before and after; difference at most of a frame that shows the picture before once more:
where most do, the usual difference is that of the others."""
_LEAP = 0.06
"""Median movement of the joints from frame to frame in a cut, as a share of the person's size."""
_FEWEST_JOINTS = 3
_MOMENT_S = 1.0
"""So short may be what is shown between two parts of one shot (black, a flash)."""
_BLANK, _CLEAR, _LONGEST_FADE_S = 4.0, 0.9, 3.0
"""Contrast (standard deviation of grey levels) of a blank picture at most; share of the contrast
before a fade that a picture must have that is not part of it."""


class Shots:
    """Watches the frames of a video go by; asked when all are through."""

    def __init__(self) -> None:
        self._small: list[UInt8[np.ndarray, "18 32"]] = []
        """Half a kilobyte a frame: videos may last for hours."""

    def watch(
        self, frames: Iterable[UInt8[np.ndarray, "h w 3"]]
    ) -> Iterator[UInt8[np.ndarray, "h w 3"]]:
        """The same frames."""
        for frame in frames:
            small = cv2.resize(frame, _SMALL, interpolation=cv2.INTER_AREA)
            self._small.append(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY))
            yield frame

    def starts(
        self, joints_px: Float[np.ndarray, "t j 2"], visible: Bool[np.ndarray, "t j"], fps: float
    ) -> list[int]:
        """For each frame the first one of its shot, by the pictures and the person's joints."""
        starts = [0]
        for cut in range(1, len(self._small)):
            if not (self._changes(cut) and _leaps(joints_px, visible, cut)):
                continue
            is_short = cut - starts[-1] <= _MOMENT_S * fps
            if starts[-1] and is_short and self._differ(starts[-1] - 1, cut) < _CHANGE:
                starts.pop()
            else:
                starts.append(cut)
        return np.repeat(starts, np.diff([*starts, len(self._small)])).tolist()

    def num_faded(self, fps: float) -> int:
        """Frames at the end that fade to a blank picture: a person may be found in them, but what
        is drawn from there is dark."""
        contrasts = np.array([small.std() for small in self._small])
        shown = np.flatnonzero(contrasts > _BLANK)
        if not len(shown) or shown[-1] + 1 == len(contrasts):
            return 0
        before = contrasts[: shown[-1] + 1]
        clear = _CLEAR * before[-math.ceil(_LONGEST_FADE_S * fps) :].max()
        return len(contrasts) - 1 - int(np.flatnonzero(before >= clear)[-1])

    def _differ(self, one: int, other: int) -> float:
        return float(cv2.absdiff(self._small[one], self._small[other]).mean())

    def _changes(self, number: int) -> bool:
        change = self._differ(number - 1, number)
        if change < _CHANGE:
            return False
        around = range(max(number - _AROUND, 1), min(number + _AROUND + 1, len(self._small)))
        changes = {each: self._differ(each - 1, each) for each in around}
        usual = np.median([*changes.values()])
        if usual <= _HELD:
            apart = [each for each in around if abs(each - number) > 1 and changes[each] > _HELD]
            usual = np.median([changes[each] for each in apart] or [0])
        return bool(change > _SUDDEN * usual)


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
