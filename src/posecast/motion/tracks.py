"""Tracks of poses at one frame rate, whatever they were read from."""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float

from posecast.motion.basis import FPS
from posecast.motion.seen import resample


def as_told(trimmed: bool | None) -> float:
    """Whether a video is cut to one action, as networks read it: 1, -1, or 0 where nobody said."""
    return 0.0 if trimmed is None else 2.0 * trimmed - 1


@dataclass(frozen=True, eq=False)
class MotionTrack:
    """The poses of one person, without a cut, at `basis.FPS` frames a second."""

    name: str
    group: str
    """People and place: tracks of one group never stand on both sides of a split."""
    action: str
    """What the person does; "" where nobody said."""
    joints_px: Float[np.ndarray, "t j 2"]
    visible: Bool[np.ndarray, "t j"]
    box_side_px: float = 0.0
    """Longer side of the box around all that happens, which errors are divided by; 0: the box
    around each window."""
    is_clip: bool = False
    """Whether the track begins where an action begins, as clips of data sets do."""
    trimmed: bool | None = None
    """Whether it is cut to one action, as `clips.SeenVideo` has it."""

    def __len__(self) -> int:
        return len(self.joints_px)

    @classmethod
    def at_rate(
        cls,
        name: str,
        joints_px: Float[np.ndarray, "t j 2"],
        visible: Bool[np.ndarray, "t j"],
        fps: float,
        **facts: object,
    ) -> "MotionTrack":
        """A track of poses at any frame rate; coordinates of hidden joints are not looked at."""
        joints = np.where(visible[..., None], joints_px, 0).astype(np.float32)
        joints, visible = resample(joints, visible, fps / FPS)
        group = str(facts.pop("group", name))
        return cls(name, group, str(facts.pop("action", "")), joints, visible, **facts)  # pyright: ignore[reportArgumentType]

    def faster(self, factor: float) -> "MotionTrack":
        """The same motion at another speed."""
        joints, visible = resample(self.joints_px, self.visible, factor)
        return replace(self, joints_px=joints, visible=visible)

    def window_side_px(self, end: int, before: int, after: int) -> float:
        """Longer side of the box around the visible joints of some frames; 0 without any."""
        if self.box_side_px:
            return self.box_side_px
        frames = slice(max(end + 1 - before, 0), end + 1 + after)
        shown = self.joints_px[frames][self.visible[frames]]
        return float((shown.max(axis=0) - shown.min(axis=0)).max()) if len(shown) else 0.0
