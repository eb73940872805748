"""A clip of a store to what a forecast may look at, and what came: nothing random in it."""

from dataclasses import dataclass, replace
from numbers import Integral
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float, Int, UInt8

from posecast.clips import ClipError, SeenVideo
from posecast.records.brief import Brief
from posecast.store.reading import Store, StoredClip

Start = Literal["first", "middle"] | int
"""Where a window starts: at the first frame, at frame num_frames // 2, or at a given frame."""


@dataclass(frozen=True, eq=False, repr=False)
class ClipWindow(Brief):
    """The seen frames of one clip and those that came after them."""

    past: SeenVideo
    """What a forecast may look at: poses; `read_window` adds the frames."""
    past_frames: Int[np.ndarray, " p"]
    """Frame numbers in the clip; all exist."""
    future_frames: Int[np.ndarray, " f"]
    """Frame numbers in the clip, counted on where the clip has ended."""
    future_exists: Bool[np.ndarray, " f"]
    """False where the clip has ended; joints are 0 and invisible there."""
    future_joints_px: Float[np.ndarray, "f j 2"]
    future_visible: Bool[np.ndarray, "f j"]

    @property
    def num_truth(self) -> int:
        """Future frames that the clip has."""
        return int(self.future_exists.sum())


def seen_and_future(
    clip: StoredClip, num_past: int, num_future: int, start: Start = "first", stride: int = 1
) -> ClipWindow:
    """The window of a clip that a forecast is made from and judged on.

    The 2017 tests saw the first frames of Penn Action clips, and those from the middle on of
    Human3.6M. Where fewer than `num_past` frames follow the middle, the window starts earlier.
    ClipError for a clip that is too short, or a start without enough frames after it.
    """
    first = _first_frame(clip, 1 + (num_past - 1) * stride, start)
    frames = first + stride * np.arange(num_past + num_future)
    exists = frames < clip.num_frames
    inside = np.minimum(frames, clip.num_frames - 1)
    visible = clip.visible[inside] & exists[:, None]
    joints = np.where(exists[:, None, None], clip.joints_px[inside], 0)
    past, future = slice(num_past), slice(num_past, None)
    facts = {"crop": clip.crop, "trimmed": clip.trimmed}
    return ClipWindow(
        SeenVideo(joints[past], visible[past], clip.fps / stride, clip.image_hw, **facts),
        past_frames=frames[past],
        future_frames=frames[future],
        future_exists=exists[future],
        future_joints_px=joints[future],
        future_visible=visible[future],
    )


def seen_window(
    clip: StoredClip, num_past: int, steps: int, start: Start = "first", stride: int = 1
) -> ClipWindow:
    """The seen frames of a clip and the truth after them.

    Raises ClipError where there is nothing to forecast or to compare with: the clip ends with
    the seen frames, or not one joint is visible in them.
    """
    window = seen_and_future(clip, num_past, steps, start, stride)
    if not window.future_exists[0]:
        raise ClipError(
            clip.clip_id,
            f"has {clip.num_frames} frames, the {num_past} seen ones leave nothing to forecast; "
            "leave it out or see fewer",
        )
    if not np.any(window.past.visible):
        raise ClipError(clip.clip_id, "has no visible joint in its seen frames; leave it out")
    return window


def read_window(
    store: Store, clip: StoredClip, window: ClipWindow
) -> tuple[SeenVideo, UInt8[np.ndarray, "n h w 3"]]:
    """What was seen, with all its frames, and the true future frames that the clip has.

    ClipError for a clip without frames.
    """
    if not clip.has_frames:
        raise ClipError(clip.clip_id, "has poses but no frames; forecast its poses only")
    num_past = len(window.past)
    numbers = np.concatenate([window.past_frames, window.future_frames[: window.num_truth]])
    frames = store.read_frames(clip, numbers)
    return replace(window.past, frames=frames[:num_past]), frames[num_past:]


def _first_frame(clip: StoredClip, needed: int, start: Start) -> int:
    latest = clip.num_frames - needed
    if latest < 0:
        problem = f"has {clip.num_frames} frames, expected at least {needed}"
        raise ClipError(clip.clip_id, f"{problem}: leave it out, or see fewer frames")
    if start == "first":
        return 0
    if start == "middle":
        return min(clip.num_frames // 2, latest)
    if not isinstance(start, Integral) or not 0 <= start <= latest:
        problem = f"cannot be seen from frame {start} on, expected a frame of 0 to {latest}"
        raise ClipError(clip.clip_id, f"{problem}: start earlier, or see fewer frames")
    return start
