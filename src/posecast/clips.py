"""The values that travel between the stages.

Axes, as written in array annotations: `b` batch, `s` sample (one of several futures), `t` time,
`j` joint, `c h w` image; `n` any count.

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
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float, UInt8
from numpy.typing import ArrayLike
from torch import Tensor

from posecast.errors import PosecastError
from posecast.geometry import Crop, Resize, crop_of_joints, cut_crop
from posecast.records.brief import Brief
from posecast.skeletons import Skeleton

UNLESS_DEFAULT = {"noted": "unless default"}
"""Metadata of a field of a `ClipSource` that stores note only where it is not the default: those
made before the field was there go on."""


class ClipError(PosecastError):
    """One clip cannot be used; the message names it and says what to do."""

    def __init__(self, clip_id: str, problem: str) -> None:
        super().__init__(f"clip {clip_id}: {problem}")
        self.clip_id = clip_id
        self.problem = problem

    def __reduce__(self) -> tuple[type, tuple[str, str]]:
        return type(self), (self.clip_id, self.problem)


@contextmanager
def problems_of(clip_id: str) -> Iterator[None]:
    """What is wrong in the block is wrong with this clip: a ClipError."""
    try:
        yield
    except ClipError:
        raise
    except ValueError as error:
        raise ClipError(clip_id, str(error)) from error


@dataclass(frozen=True, repr=False)
class PoseClip(Brief):
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


@runtime_checkable
class ChangingSource(ClipSource, Protocol):
    """One whose files people mend."""

    def changed_at(self) -> dict[str, float]:
        """When what clips are made of was changed last, in seconds as of `time.time`."""
        ...


@dataclass(frozen=True, repr=False)
class PoseBatch(Brief):
    """Pose sequences for the pose model; frames that do not exist are invisible."""

    joints_norm: Float[Tensor, "b t j 2"]
    visible: Bool[Tensor, "b t j"]
    num_past: int
    """How many of the t frames are seen."""


@dataclass(frozen=True, repr=False)
class ImageBatch(Brief):
    """Frames of one clip a row: the image model draws the target from the source frames."""

    source_images: UInt8[Tensor, "b n h w 3"]
    """One or more seen frames, the last one the nearest to the target (the paper's only one)."""
    target_images: UInt8[Tensor, "b h w 3"]
    source_joints_crop: Float[Tensor, "b n j 2"]
    source_visible: Bool[Tensor, "b n j"]
    target_joints_crop: Float[Tensor, "b j 2"]
    target_visible: Bool[Tensor, "b j"]
    crop_hw: Float[Tensor, "b 2"]
    """Height and width of each crop in source pixels (heatmap widths are stated in those)."""


@dataclass(frozen=True, eq=False, repr=False)
class EarlierPictures(Brief):
    """Pictures of single seen frames: there, too, the person and the room can be seen."""

    numbers: tuple[int, ...]
    """Of the seen frames, ascending."""
    frames: UInt8[np.ndarray, "n h w 3"]


@dataclass(frozen=True, eq=False, repr=False)
class SeenVideo(Brief):
    """What was seen of one person: the one argument of every forecast and every drawing.

    As many frames as were seen, evenly spaced in time, the last one the newest; a forecast goes on
    at their rate.
    """

    joints_px: Float[np.ndarray, "t j 2"]
    """Pixels of the whole source image; where a joint is not visible they mean nothing."""
    visible: Bool[np.ndarray, "t j"]
    fps: float
    """Frames a second of what was seen, and so of what is forecast."""
    image_hw: tuple[int, int]
    """Height and width of the source image in pixels."""
    frames: UInt8[np.ndarray, "n h w 3"] | None = None
    """Pictures of the last n seen frames, RGB: of all (n = t) unless a long video of one's own
    would not fit into memory; at least of the last. None where poses alone are known."""
    crop: Crop | None = None
    """The part of the source that was chosen as the person's and that `frames` show, at any size
    (a prepared store). None: nobody has chosen one yet, `frames` show the whole image."""
    confidence: Float[np.ndarray, "t j"] | None = None
    """How sure an estimator was of each joint, from 0; None where nobody said."""
    earlier: EarlierPictures | None = None
    """Of a video of one's own, some from before `frames` begin."""
    trimmed: bool | None = None
    """Whether the video is cut to one action, as the clips of action data sets are: then the motion
    goes on; who is filmed for longer rests now and then. None where nobody said."""

    def __len__(self) -> int:
        return len(self.joints_px)

    def last(self, num_frames: int) -> "SeenVideo":
        """The last frames alone, as many as asked for or as there are."""
        frames = None if self.frames is None else self.frames[-num_frames:]
        return self.take(range(len(self))[-num_frames:], self.fps, frames)

    def take(
        self, numbers: Sequence[int], fps: float, frames: UInt8[np.ndarray, "n h w 3"] | None
    ) -> "SeenVideo":
        """Poses of these frames alone, `fps` a second, with pictures of the last n of them; none
        are earlier."""
        rows = list(numbers)
        sure = None if self.confidence is None else self.confidence[rows]
        joints, visible = self.joints_px[rows], self.visible[rows]
        values = {"joints_px": joints, "visible": visible, "confidence": sure}
        return replace(self, **values, fps=fps, frames=frames, earlier=None)

    @property
    def shown(self) -> Crop:
        """The part of the source image that `frames` show."""
        height, width = self.image_hw
        return self.crop or Crop(0, 0, width, height)

    @property
    def person_crop(self) -> Crop:
        """The crop that was chosen, else a square around the seen joints (`geometry`).

        PosecastError where no joint is visible.
        """
        return self.crop or crop_of_joints(self.joints_px, self.visible, self.image_hw)

    @property
    def pictures(self) -> UInt8[np.ndarray, "n h w 3"]:
        """`frames`; PosecastError where there are none."""
        if self.frames is None:
            raise PosecastError("there are poses but no frames: forecast poses only")
        return self.frames

    def cut(
        self, crop: Crop, size: int, resize: Resize = "area"
    ) -> UInt8[np.ndarray, "n {size} {size} 3"]:
        """`frames`, cut to a crop of the source and scaled to size x size pixels.

        Large crops are averaged, else what is drawn from them flickers. Frames that were cut and
        scaled already are taken as they are; PosecastError where they show something else.
        """
        frames = self.pictures
        if self.crop is None:
            return np.stack([cut_crop(frame, crop, size, resize) for frame in frames])
        if self.crop != crop or frames.shape[1:3] != (size, size):
            raise PosecastError(
                f"seen frames are {frames.shape[1:3]} and show {self.crop}, the image model "
                f"draws {(size, size)} of {crop}: prepare the store at its size",
                f" (--size {size})",
            )
        return frames


@dataclass(frozen=True, eq=False, repr=False)
class PoseForecast(Brief):
    """Futures of one person's poses; index 0 in time is the first frame after the seen ones."""

    joints_px: Float[np.ndarray, "s t j 2"]
    """One or more futures, the likeliest first, in pixels of the source image."""
    visible: Bool[np.ndarray, "t j"]
    """Joints that can be trusted: a joint never seen is forecast, but nothing is known of it."""
    weights: Float[np.ndarray, " s"]
    """How likely each future is beside the others; their sum is 1."""
    fps: float
    """Frames a second."""

    @classmethod
    def of(
        cls, seen: SeenVideo, joints_px: ArrayLike, weights: ArrayLike | None = None
    ) -> "PoseForecast":
        """Futures `(s, t, j, 2)` (equally likely, unless weights `(s,)` say otherwise) that go on
        from what was seen; tensors, too.

        Joints are visible that were seen at least once.
        """
        joints_px = np.asarray(joints_px)
        samples, steps = joints_px.shape[:2]
        visible = np.repeat(np.any(seen.visible, axis=0)[None], steps, axis=0)
        likely = np.full(samples, 1 / samples) if weights is None else np.asarray(weights)
        return cls(joints_px, visible, likely, seen.fps)


@dataclass(frozen=True, eq=False, repr=False)
class Forecast(PoseForecast):
    """Futures of one person: poses, and frames of the first of them."""

    frames: UInt8[np.ndarray, "n t h w 3"] | None
    """Of the first n futures; None when only poses were asked for."""
    crop: Crop
    """The part of the source image, around the person, that the frames show."""
