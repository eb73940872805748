"""Crops of a clip, and joints in the coordinate frames that `clips` defines.

A crop is a box of whole source pixels, one per clip, so that the camera of a crop never moves.
Boxes and crops are numpy; what only rescales joints takes numpy arrays and tensors alike.
"""

from dataclasses import dataclass
from typing import Literal, TypeVar

import cv2
import numpy as np
import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor

from posecast.errors import PosecastError
from posecast.skeletons import Skeleton

JointArray = TypeVar("JointArray", np.ndarray, Tensor)
"""Joints of any leading shape, as a numpy array or a tensor; results are of the same kind."""

Resize = Literal["linear", "area"]
"""How a crop is brought to the size of the network, see `cut_crop`."""


@dataclass(frozen=True)
class Crop:
    """Half-open box of whole source pixels: columns x1 to x2 - 1, rows y1 to y2 - 1.

    In `joints_px` it spans [x1, x2] x [y1, y2]. Only `seen_crop` gives boxes that reach outside
    the image.
    """

    x1: int
    y1: int
    x2: int
    y2: int

    def __post_init__(self) -> None:
        if self.x2 <= self.x1 or self.y2 <= self.y1:
            raise PosecastError(
                f"empty crop x {self.x1}..{self.x2}, y {self.y1}..{self.y2}: "
                "the person's box must lie at least partly inside the image; check the boxes"
            )

    @property
    def width(self) -> int:
        return self.x2 - self.x1

    @property
    def height(self) -> int:
        return self.y2 - self.y1

    @property
    def hw(self) -> tuple[int, int]:
        """Height and width, in this order."""
        return self.height, self.width


def px_to_crop(joints_px: Float[np.ndarray, "*n 2"], crop: Crop) -> Float[np.ndarray, "*n 2"]:
    """Points of the source image as shares of the crop: x of its width, y of its height."""
    corner = np.array([crop.x1, crop.y1], joints_px.dtype)
    return (joints_px - corner) / np.array([crop.width, crop.height], joints_px.dtype)


def crop_to_px(joints_crop: Float[np.ndarray, "*n 2"], crop: Crop) -> Float[np.ndarray, "*n 2"]:
    """Inverse of `px_to_crop`."""
    corner = np.array([crop.x1, crop.y1], joints_crop.dtype)
    return joints_crop * np.array([crop.width, crop.height], joints_crop.dtype) + corner


def crop_to_norm(joints_crop: JointArray) -> JointArray:
    """Shares of the crop, [0, 1] inside, to what networks read, [-1, 1] inside."""
    return 2 * joints_crop - 1


def norm_to_crop(joints_norm: JointArray) -> JointArray:
    """Inverse of `crop_to_norm`."""
    return (joints_norm + 1) / 2


def flatten_joints(joints: JointArray) -> JointArray:
    """(..., j, 2) to (..., 2j): all x, then all y (the 2017 order; 2017 conventions, LSTM)."""
    _expect(joints.shape[-1] == 2, f"joints (..., j, 2), got shape {tuple(joints.shape)}")
    swapped = joints.swapaxes(-1, -2)
    return swapped.reshape(*joints.shape[:-2], 2 * joints.shape[-2])


def unflatten_joints(features: JointArray) -> JointArray:
    """(..., 2j), all x then all y, to (..., j, 2): inverse of `flatten_joints`."""
    width = features.shape[-1]
    _expect(width % 2 == 0, f"features (..., 2j), got shape {tuple(features.shape)}")
    return features.reshape(*features.shape[:-1], 2, width // 2).swapaxes(-1, -2)


def mirror_joints(
    joints_crop: JointArray, visible: JointArray, skeleton: Skeleton
) -> tuple[JointArray, JointArray]:
    """The pose as seen in a mirror: x becomes 1 - x, left joints become right ones.

    joints_crop (..., j, 2) and visible (..., j), both as shares of the crop.
    """
    order = list(skeleton.mirror)
    mirrored = joints_crop[..., order, :]  # indexing by a list copies
    mirrored[..., 0] = 1 - mirrored[..., 0]  # pyright: ignore[reportArgumentType]
    return mirrored, visible[..., order]


def swap_sides(values: Tensor, skeleton: Skeleton, dim: int) -> Tensor:
    """Left joints' values for right ones and the other way round; a GPU need not wait for it."""
    return torch.stack([values.select(dim, joint) for joint in skeleton.mirror], dim)


def union_crop(
    boxes_px: Float[np.ndarray, "t 4"], image_hw: tuple[int, int], margin_px: int = 5
) -> Crop:
    """The 2017 crop of Penn Action: union of all boxes and a margin, square where the image allows.

    Looks at every frame of the clip, so it knows something of the future: it is there to
    reproduce the paper. The 2017 code used the data set's 1-based numbers, rounded, as 0-based
    bounds; the half pixel that `boxes_px` lacks against those is added back, so the crops are
    the same to the pixel. What it stored beyond the image (deviations.md 20) is cut off here.
    """
    labels = np.round(_finite(boxes_px, "boxes_px") + 0.5).astype(int)
    x1, y1 = (labels[:, :2].min(axis=0) - margin_px).tolist()
    x2, y2 = (labels[:, 2:].max(axis=0) + margin_px).tolist()
    surplus = (y2 - y1) - (x2 - x1)
    if surplus > 0:
        x1, x2 = x1 - surplus // 2, x2 + surplus - surplus // 2
    else:
        y1, y2 = y1 - -surplus // 2, y2 - surplus - -surplus // 2
    return _clipped(x1, y1, x2, y2, image_hw)


def tube_crop(
    joints_px: Float[np.ndarray, "t j 2"], image_hw: tuple[int, int], margin_px: int = 20
) -> Crop:
    """The 2017 crop of Human3.6M (`get_tube`): extent of all joints and a margin, about square.

    Like `union_crop` it looks at the whole clip. The 2017 formula for whole numbers was run on
    fractions there, so the widened side may be up to 2 px longer than the other.
    """
    joints = _finite(joints_px, "joints_px")
    x1, y1 = (joints.min(axis=(0, 1)) - margin_px).tolist()
    x2, y2 = (joints.max(axis=(0, 1)) + margin_px).tolist()
    surplus = (y2 - y1) - (x2 - x1)
    if surplus > 0:
        x1, x2 = x1 - surplus / 2, x2 + surplus / 2 + surplus % 2
    else:
        y1, y2 = y1 + surplus / 2, y2 - surplus / 2 + -surplus % 2
    return _clipped(int(x1), int(y1), int(x2), int(y2), image_hw)


def seen_crop(
    boxes_px: Float[np.ndarray, "t 4"], image_hw: tuple[int, int], scale: float = 1.5
) -> Crop:
    """A square around the boxes of the seen frames alone, with room for what comes after them.

    Its side is `scale` times the longer side of the boxes' union, but no more than the image's
    longer side (unless the boxes need more). It is centred on the boxes, then moved as far into
    the image as it fits; what still lies outside is filled in by `cut_crop`. Frames whose box is
    NaN (nobody found) are passed over.

    The default was measured on the 1,100 Penn Action clips of the paper's actions: 10 seen frames
    and 1.5 hold 99.3 % of the visible joints of the 64 frames after them (1.2: 98.0 %, 2: 99.8 %).
    """
    boxes = _finite(boxes_px[np.isfinite(boxes_px).all(axis=1)], "boxes_px")
    low, high = boxes[:, :2].min(axis=0), boxes[:, 2:].max(axis=0)
    need = float((high - low).max())
    side = max(int(np.ceil(min(scale * need, max(image_hw)))), int(np.ceil(need)), 1)
    corner = np.round((low + high - side) / 2).astype(int)
    x1, y1 = (
        _moved_inside(int(start), side, length)
        for start, length in zip(corner, reversed(image_hw), strict=True)
    )
    return Crop(x1, y1, x1 + side, y1 + side)


def crop_of_joints(
    joints_px: Float[np.ndarray, "t j 2"],
    visible: Bool[np.ndarray, "t j"],
    image_hw: tuple[int, int],
    scale: float = 1.5,
) -> Crop:
    """The crop of a video of one's own: `seen_crop` of boxes around the visible joints.

    PosecastError where no joint is visible.
    """
    seen = visible.any(axis=1)
    if not seen.any():
        raise PosecastError("no joint is visible in the seen frames: nothing to forecast from")
    hidden = ~visible[seen][..., None]
    low = np.where(hidden, np.inf, joints_px[seen]).min(axis=1)
    high = np.where(hidden, -np.inf, joints_px[seen]).max(axis=1)
    return seen_crop(np.concatenate([low, high], axis=1), image_hw, scale)


def sides_of(
    joints_px: Float[np.ndarray, "t j 2"], visible: Bool[np.ndarray, "t j"]
) -> list[float]:
    """Longer side of the box around the visible joints, of each frame that shows any."""
    poses = zip(joints_px, visible, strict=True)
    return [float(np.ptp(joints[shown], axis=0).max()) for joints, shown in poses if shown.any()]


def cut_crop(
    image: UInt8[np.ndarray, "h w 3"], crop: Crop, size: int, resize: Resize = "linear"
) -> UInt8[np.ndarray, "{size} {size} 3"]:
    """Cut the crop out of a frame and bring it to size x size pixels.

    What lies outside the image repeats the image's edge. "linear" samples bilinearly without
    smoothing, as the 2017 code did (pixels are skipped when the crop is more than twice `size`);
    "area" averages when it shrinks, which keeps fine detail from flickering.
    """
    height, width = image.shape[:2]
    patch = image[max(crop.y1, 0) : max(crop.y2, 0), max(crop.x1, 0) : max(crop.x2, 0)]
    if patch.shape[:2] != crop.hw:
        rows = np.clip(np.arange(crop.y1, crop.y2), 0, height - 1)
        columns = np.clip(np.arange(crop.x1, crop.x2), 0, width - 1)
        patch = image[rows[:, None], columns]
    shrinks = max(crop.hw) > size
    how = cv2.INTER_AREA if resize == "area" and shrinks else cv2.INTER_LINEAR
    return cv2.resize(patch, (size, size), interpolation=how)


def _clipped(x1: int, y1: int, x2: int, y2: int, image_hw: tuple[int, int]) -> Crop:
    height, width = image_hw
    return Crop(max(x1, 0), max(y1, 0), min(x2, width), min(y2, height))


def _moved_inside(start: int, side: int, length: int) -> int:
    """Where a stretch of `side` starts so that least of it is outside [0, length]."""
    low, high = sorted((0, length - side))
    return min(max(start, low), high)


def _finite(values: np.ndarray, name: str) -> np.ndarray:
    """The values as float64; no frame or no number at all is an error."""
    _expect(len(values) > 0, f"{name} of at least one frame, got none")
    _expect(bool(np.isfinite(values).all()), f"finite {name}, got NaN or infinite values")
    return values.astype(np.float64)


def _expect(condition: bool, expectation: str) -> None:
    if not condition:
        raise PosecastError(f"expected {expectation}")
