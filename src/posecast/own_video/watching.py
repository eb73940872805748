"""The part of a video of one's own that is looked at, and its frames on their way."""

import itertools
import math
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from posecast.computing.ahead import ahead
from posecast.computing.stages import Stages
from posecast.errors import PosecastError
from posecast.forecasting.frame_rates import frames_before
from posecast.forecasting.protocols import MOST_EARLIER, MOST_PICTURES
from posecast.media.frame_folders import FrameFolder
from posecast.media.shots import Shots
from posecast.media.videos import read_video
from posecast.records.arguments import as_positive

_MOST_KEPT_BYTES = 2**28
_FEW = 8
_FARTHEST_APART = 32
"""Of single pictures that are kept: spread over all of a long video, they were from before what is
looked at."""


class NotSeenError(PosecastError):
    """Nobody is seen well where the video was looked at."""


@dataclass(frozen=True)
class Past:
    """What of a video is looked at: up to the second to forecast from, if one is given."""

    video: Path | FrameFolder
    fps: float
    """At which it is looked at."""
    from_s: float | None = None
    first: int = 0
    """What is before this frame is not looked at."""
    duration_s: float = 0.0
    """As the file says; 0: it does not."""

    @property
    def count(self) -> int:
        """About so many frames; 0: not known."""
        return max(self._end - self.first, 0)

    @property
    def _end(self) -> int:
        count = self.num_frames
        return round(self.duration_s * self.fps) if count is None else count

    def late(self, lead_s: float, end: int | None = None) -> "Past":
        """From so many seconds before its end, or before a frame, on."""
        end = self._end if end is None else end
        return replace(self, first=max(end - math.ceil(lead_s * self.fps), 0))

    @property
    def num_frames(self) -> int | None:
        """None: as many as the video has."""
        if self.from_s is None:
            return None
        from_s = as_positive(self.from_s, "the second to forecast from")
        return frames_before(from_s, self.fps)

    def frames(self) -> Iterator[UInt8[np.ndarray, "h w 3"]]:
        """Streaming; NotSeenError where the video ends before."""
        count = None if self.num_frames is None else max(self.num_frames - self.first, 0)
        frames = itertools.islice(read_video(self.video, self.fps, first=self.first), count)
        if self.first and (frame := next(frames, None)) is not None:
            yield frame
        elif self.first:
            wanted = "" if self.from_s is None else f"; cannot forecast from {self.from_s} s on"
            begins_s = self.first / self.fps
            known = 0 < self.duration_s < begins_s
            lasts = f"{self.duration_s:.2f}" if known else f"less than {begins_s:.2f}"
            raise NotSeenError(f"{self.video}: lasts {lasts} s{wanted}")
        yield from frames

    def frames_back(
        self, stop: int, held: Sequence[UInt8[np.ndarray, "h w 3"]], end: int
    ) -> Iterator[UInt8[np.ndarray, "h w 3"]]:
        """Those before frame `stop`, the last first; those `held`, before `end`, are not read."""
        read_to = min(stop, end - len(held))
        yield from reversed(held[: stop - read_to])
        at_once = len(held) or _FEW  # of large ones
        for start in range(read_to - at_once, self.first - at_once, -at_once):
            first, stop = max(start, self.first), start + at_once
            frames = read_video(self.video, self.fps, first=first)
            yield from reversed(list(itertools.islice(frames, stop - first)))


class Watched:
    """Frames on their way to be looked at: the last are kept, cuts and fades are looked for."""

    def __init__(self, past: Past, stages: Stages) -> None:
        self.past = past
        self._kept: deque[UInt8[np.ndarray, "h w 3"]] = deque(maxlen=MOST_PICTURES)
        self._spread: list[tuple[int, UInt8[np.ndarray, "h w 3"]]] = []
        self._shots = Shots()
        self.starts = self._shots.starts
        self.frames = self._shots.watch(self._keeping(stages.each("reading", ahead(past.frames()))))

    def _keeping(
        self, frames: Iterable[UInt8[np.ndarray, "h w 3"]]
    ) -> Iterator[UInt8[np.ndarray, "h w 3"]]:
        apart = 1
        for number, frame in enumerate(frames, start=self.past.first):
            if MOST_PICTURES * frame.nbytes <= _MOST_KEPT_BYTES:
                self._kept.append(frame)
                if (number - self.past.first) % apart == 0:
                    self._spread.append((number, frame))
                if len(self._spread) > 2 * MOST_EARLIER:
                    thinned = apart < _FARTHEST_APART
                    self._spread = self._spread[::2] if thinned else self._spread[1:]
                    apart = 2 * apart if thinned else apart
            yield frame

    @property
    def pictures(self) -> tuple[UInt8[np.ndarray, "h w 3"], ...]:
        """The last frames, MOST_PICTURES; none of large ones."""
        return tuple(self._kept)

    @property
    def earlier(self) -> tuple[tuple[int, UInt8[np.ndarray, "h w 3"]], ...]:
        """Single ones of the last thousand frames, evenly spread, with their numbers."""
        return tuple(self._spread)

    @property
    def num_faded(self) -> int:
        """Frames at the end that fade away; none where the video goes on."""
        return self._shots.num_faded(self.past.fps) if self.past.from_s is None else 0
