"""Which frames of a video of one's own, or of keypoints, are the seen ones; their pictures."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import UInt8

from posecast.clips import EarlierPictures, SeenVideo
from posecast.computing.ahead import ahead
from posecast.errors import PosecastError
from posecast.forecasting.frame_rates import FrameRates, frames_before
from posecast.forecasting.protocols import MOST_EARLIER, MOST_PICTURES, Needs, evenly
from posecast.media.videos import VideoSource
from posecast.own_video.pictures import read_pictures
from posecast.own_video.poses import FoundPoses, OwnVideoConfig
from posecast.own_video.watching import NotSeenError


def choose_frames(
    seen: SeenVideo,
    needs: Needs,
    rates: FrameRates,
    config: OwnVideoConfig,
    name: str,
    from_s: float | None = None,
    shots: Sequence[int] = (),
    or_earlier: bool = False,
) -> tuple[int, ...]:
    """The last frames that the pose model can see, well-seen ones; with `from_s` the very last,
    unless earlier ones will do.

    All frames of the stretch, which may be shorter where the pose model takes fewer; of one that
    looks further back than it needs, as many before those as are of use to it. None from before
    the shot (`FoundPoses.shots`) of the last one. PosecastError says what is missing.
    """
    num_frames, span = len(seen), rates.span(needs.num_past)
    looked_at = np.rint(rates.places(span, needs.num_past)).astype(int)
    least = 1 if num_frames < span and not needs.is_strict else span
    if from_s is not None and num_frames < frames_before(from_s, rates.video):
        raise PosecastError(
            f"{name}: lasts {num_frames / rates.video:.2f} s; cannot forecast from {from_s} s on"
        )
    well = seen.visible.mean(axis=1) >= config.well_seen_joints
    firsts = shots or (0,) * num_frames

    def is_seen(last: int) -> bool:
        is_whole = last + 1 - firsts[last] >= span
        frames = last + 1 - span + looked_at if is_whole else np.arange(firsts[last], last + 1)
        takes = is_whole or not needs.is_strict
        return bool(takes and well[last] and well[frames].mean() >= config.well_seen_frames)

    last = next(filter(is_seen, range(num_frames - 1, least - 2, -1)), None)
    if last is not None and (from_s is None or or_earlier or last + 1 == num_frames):
        first = max(last + 1 - rates.span(needs.max_past), firsts[last])
        return tuple(range(first, last + 1))
    _check_lengths(num_frames, least, shots, rates.video, name)
    where = f"before second {from_s:.4g}" if from_s is not None else "anywhere"
    span = min(span, num_frames)
    joints, frames = 100 * config.well_seen_joints, 100 * config.well_seen_frames
    until = "" if last is None else f"{math.floor(100 * (last + 1) / rates.video) / 100:.2f}"
    raise NotSeenError(
        f"{name}: the person is not seen well enough {where}: the pose model sees {span} frames "
        f"({span / rates.video:.2f} s) in a row{', of one shot' * any(shots)}, {frames:.0f} % of "
        f"them and the last with {joints:.0f} % of the joints; {int(well.sum())} of {num_frames} "
        f"frames have so many{f'; the last good second to forecast from is {until}' * bool(until)}",
        f" ({f'--from {until}, ' * bool(until)}--well-seen-joints, --well-seen-frames)",
    )


def _check_lengths(
    num_frames: int, least: int, shots: Sequence[int], fps: float, name: str
) -> None:
    """PosecastError where the video, or each shot of it, is shorter than the pose model needs."""
    if num_frames < least:
        raise PosecastError(
            f"{name}: {num_frames} frames at {fps:g} a second before the forecast, the pose model "
            f"needs {least}: give a longer video, or forecast from a later second"
        )
    longest = max(last + 1 - first for last, first in enumerate(shots)) if shots else num_frames
    if longest < least:
        raise NotSeenError(
            f"{name}: its longest shot, between two cuts, has {longest} frames at {fps:g} a "
            f"second, the pose model needs {least}: give a longer shot, or another pose model"
        )


@dataclass(frozen=True, eq=False)
class SeenPictures:
    """What a drawer is shown of a video: held once, however many people are drawn."""

    last: UInt8[np.ndarray, "n h w 3"]
    """Up to the last seen frame."""
    spread: tuple[int, ...]
    """Frames from before, of which some are taken of each person."""
    numbers: tuple[int, ...]
    """Those of them that are in `earlier`."""
    earlier: UInt8[np.ndarray, "m h w 3"]

    @classmethod
    def of(
        cls, video: VideoSource, found: FoundPoses, chosen: Sequence[tuple[int, ...]]
    ) -> "SeenPictures":
        """Of people whose seen frames are `chosen` and have one end. A file that was looked at to
        its end is not read again."""
        longest = max(min(len(frames), MOST_PICTURES) for frames in chosen)
        stop, kept_from = chosen[0][-1] + 1, len(found.seen) - len(found.pictures)
        if stop - longest >= kept_from:
            last = found.pictures[stop - longest - kept_from : stop - kept_from]
        else:
            frames = tuple(range(stop - longest, stop))
            last = ahead(read_pictures(video, frames, found.seen.fps))
        spread = tuple(number for number, _ in found.earlier)
        numbers = {number for frames in chosen for number in _before(spread, frames)}
        earlier = (each for number, each in found.earlier if number in numbers)
        hw = found.seen.image_hw
        held = _together(earlier, len(numbers), hw)
        return cls(_together(last, longest, hw), spread, tuple(sorted(numbers)), held)

    def shown(self, found: FoundPoses, frames: tuple[int, ...]) -> SeenVideo:
        """One person's seen frames, with pictures."""
        seen = found.seen.take(frames, found.seen.fps, self.last[-len(frames) :])
        places = [self.numbers.index(number) for number in _before(self.spread, frames)]
        if not places:
            return seen
        held = self.earlier if len(places) == len(self.numbers) else self.earlier[places]
        numbers = tuple(self.numbers[place] - frames[0] for place in places)
        return replace(seen, earlier=EarlierPictures(numbers, held))


def _together(
    frames: Iterable[UInt8[np.ndarray, "h w 3"]], count: int, hw: tuple[int, int]
) -> UInt8[np.ndarray, "n h w 3"]:
    """So many frames in one piece, never held twice: of 4K 32 are 0.8 GB."""
    together = np.empty((count, *hw, 3), np.uint8)
    for place, frame in zip(together, frames, strict=True):
        place[:] = frame
    return together


def _before(spread: Sequence[int], frames: tuple[int, ...]) -> list[int]:
    """Some of them that are among these frames, before the last ones."""
    stop = frames[-MOST_PICTURES:][0]
    before = [number for number in spread if frames[0] <= number < stop]
    return [before[place] for place in evenly(len(before), MOST_EARLIER)]
