"""The values that travel between the stages.

Axes, as written in array annotations: `b` batch, `t` time, `j` joint, `c h w` image; `n` any count.

Coordinate frames, named in every field and argument:

- `joints_px`: continuous pixel coordinates of the source image, x right, y down. The image spans
  [0, width] x [0, height]; the centre of its top-left pixel is (0.5, 0.5).
- `joints_crop`: the same point as a share of the crop, x by its width and y by its height:
  (0, 0) is the crop's top-left corner, (1, 1) its bottom-right corner.
- `joints_norm`: 2 * joints_crop - 1, what networks read and write.

Visibility is a boolean beside the joints; where it is False the coordinates mean nothing.
Images are uint8 RGB `(t, h, w, 3)` at the edges and float [-1, 1] `(b, c, h, w)` in networks.
`past_*` was observed, `future_*` really came, `predicted_*` is what a model says.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor

from posecast.errors import PosecastError
from posecast.skeletons import Skeleton


class ClipError(PosecastError):
    """One clip cannot be used; the message names it and says what to do."""

    def __init__(self, clip_id: str, problem: str) -> None:
        super().__init__(f"clip {clip_id}: {problem}")
        self.clip_id = clip_id
        self.problem = problem

    def __reduce__(self) -> tuple[type, tuple[str, str]]:
        return type(self), (self.clip_id, self.problem)


@dataclass(frozen=True)
class PoseClip:
    """What a data set says of one clip, before any cropping."""

    clip_id: str
    """Name of the clip inside its data set, also the stem of files made from it."""
    action: str
    """What the person does; "" where nobody said."""
    split: str
    """The data set's own split: "train" or "test"."""
    fps: float
    """Frames a second, of the frames listed here."""
    image_hw: tuple[int, int]
    """Height and width of the source frames in pixels."""
    joints_px: Float[np.ndarray, "t j 2"]
    visible: Bool[np.ndarray, "t j"]
    boxes_px: Float[np.ndarray, "t 4"]
    """Annotated person boxes x1, y1, x2, y2; may reach outside the image."""
    note: str = ""
    """What had to be mended to use the clip, for people; "" where nothing."""

    @property
    def num_frames(self) -> int:
        return len(self.joints_px)


@runtime_checkable
class ClipSource(Protocol):
    """A data set on disk, one clip at a time; bad clips raise ClipError."""

    @property
    def name(self) -> str:
        """Data set name, as stored in prepared stores."""
        ...

    @property
    def skeleton(self) -> Skeleton: ...

    def clip_ids(self) -> list[str]:
        """All clips, sorted."""
        ...

    def read_poses(self, clip_id: str) -> PoseClip: ...

    def read_frames(self, clip_id: str) -> Iterator[UInt8[np.ndarray, "h w 3"]] | None:
        """Frames in order, RGB, streaming; None where the data set has no pictures of the clip."""
        ...


@dataclass(frozen=True)
class PoseBatch:
    """Pose sequences for the pose model; frames that do not exist are invisible."""

    joints_norm: Float[Tensor, "b t j 2"]
    visible: Bool[Tensor, "b t j"]
    num_past: int
    """How many of the t frames are seen."""

    def to(self, device: torch.device) -> "PoseBatch":
        return PoseBatch(self.joints_norm.to(device), self.visible.to(device), self.num_past)


@dataclass(frozen=True)
class ImageBatch:
    """Pairs of frames of one clip: the image model draws the target from the source."""

    source_images: UInt8[Tensor, "b h w 3"]
    target_images: UInt8[Tensor, "b h w 3"]
    source_joints_crop: Float[Tensor, "b j 2"]
    source_visible: Bool[Tensor, "b j"]
    target_joints_crop: Float[Tensor, "b j 2"]
    target_visible: Bool[Tensor, "b j"]
    crop_hw: Float[Tensor, "b 2"]
    """Height and width of each crop in source pixels (heatmap widths are stated in those)."""

    def to(self, device: torch.device) -> "ImageBatch":
        return ImageBatch(*(getattr(self, name).to(device) for name in self.__dataclass_fields__))


@dataclass(frozen=True)
class Forecast:
    """Predicted poses and frames of one clip; index 0 is the first frame after the seen ones."""

    joints_crop: Float[np.ndarray, "t j 2"]
    joints_px: Float[np.ndarray, "t j 2"]
    visible: Bool[np.ndarray, "t j"]
    """Joints that were seen at least once; a joint never seen is predicted, but not trusted."""
    frames: UInt8[np.ndarray, "t h w 3"] | None
    """None when only poses were asked for."""


def check_seen_video(
    frames: Sequence[np.ndarray] | np.ndarray,
    joints: np.ndarray,
    visible: np.ndarray,
    skeleton: Skeleton,
) -> None:
    """PosecastError where a user's arrays are no frames with a pose each.

    Expected: frames uint8 (h, w, 3), joints (t, j, 2) and visible (t, j).
    """
    shape = (len(frames), skeleton.num_joints)
    if joints.shape != (*shape, 2) or visible.shape != shape:
        raise PosecastError(
            f"joints {joints.shape} and visible {visible.shape} do not fit {len(frames)} frames "
            f"of skeleton {skeleton.name}: expected {(*shape, 2)} and {shape}"
        )
    if len(frames) and (frames[0].dtype != np.uint8 or frames[0].shape[2:] != (3,)):
        raise PosecastError(
            f"frames are {frames[0].dtype} {frames[0].shape}; expected uint8 (h, w, 3), RGB"
        )
