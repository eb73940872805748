"""Frames at a constant rate, by the seconds at which they are shown."""

from collections import deque
from collections.abc import Generator, Iterable
from typing import TypeVar

from posecast.errors import PosecastError

T = TypeVar("T")
MOST_FPS = 1000
"""Frames a second that a video is brought to at most: more would repeat each many times over."""

_LATELY_S = 1.0


def check_rate(fps: float) -> None:
    """PosecastError for a rate that is not over 0, or over MOST_FPS."""
    if not 0 < fps <= MOST_FPS:
        raise PosecastError(f"fps is {fps:g}; expected over 0 and at most {MOST_FPS}")


def nearest_frames(times: Iterable[float], fps: float) -> list[int]:
    """Numbers of the frames that `resample` takes of a video with these times."""
    return list(resample(((seconds, number) for number, seconds in enumerate(times)), fps))


def resample(
    timed_frames: Iterable[tuple[float, T]], fps: float, first: int = 0
) -> Generator[T, None, None]:
    """Frames at a constant rate: for each tick k / fps, the frame whose time is nearest.

    Frames are repeated or left out, never blended. Times rise. Ticks before `first` are left out;
    frames from a second before it on are enough to know what is shown then. The last frame is
    shown as long as those of the last second were on the mean. Works for variable frame rates.
    PosecastError: as `check_rate`.
    """
    check_rate(fps)
    tick, previous, lately = first, None, deque[float]()
    for seconds, frame in timed_frames:
        if previous is not None:
            while tick / fps < (lately[-1] + seconds) / 2:
                yield previous
                tick += 1
        previous = frame
        lately.append(seconds)
        while len(lately) > 2 and lately[0] < seconds - _LATELY_S:
            lately.popleft()
    if previous is None:
        return
    # A hair less, so that a tick at the end does not depend on rounding (Matroska's: to 1 ms).
    end = lately[-1] + (lately[-1] - lately[0]) / max(len(lately) - 1, 1) - 1e-3
    # Less than half a tick more is none: else all of 29.97 a second would stand still at the end.
    while tick / fps <= lately[-1] or (tick + 0.5) / fps < end:
        yield previous
        tick += 1
