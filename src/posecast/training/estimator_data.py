"""Single frames with their joints, varied, to train the pose estimator on.

A batch is a pure function of (seed, step): the frames are the two of each pair that
`ImagePairSampler` draws, the variations are drawn beside them. Of several processes each takes its
rows of the whole batch's draws.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional

from posecast.clips import ImageBatch
from posecast.geometry import crop_to_norm, norm_to_crop, swap_sides
from posecast.media.grey_levels import to_network
from posecast.records.configs import check_at_least
from posecast.skeletons import Skeleton
from posecast.store.reading import Store, StoredClip
from posecast.windows import ImagePairs, ImagePairSampler

_VARIATION = 3
"""Stream of random numbers beside those of `windows` and `pose_augmentation`."""


@dataclass(frozen=True)
class FrameAugmentation:
    """How much training frames are varied."""

    mirror: bool = True
    """Mirror half of the frames, left joints becoming right ones."""
    scale: float = 0.2
    """Scale about the crop's middle by exp(normal of this standard deviation)."""
    shift: float = 0.05
    """Standard deviation of a shift, as a share of the crop's side."""
    rotation_degrees: float = 15.0
    """Standard deviation of a rotation about the crop's middle."""
    colour: float = 0.15
    """Standard deviation of changes of contrast, brightness and the strength of each colour."""
    window: float = 0.15
    """Share of frames of which only a window is shown, with what joints are in it: that is what a
    search through a video looks at, and pictures without a person teach what nobody looks like."""

    def __post_init__(self) -> None:
        check_at_least(0, self, "window", most=1)
        check_at_least(0, self, "scale", "shift", "rotation_degrees", "colour")


@dataclass(frozen=True)
class EstimatorBatch:
    """Pictures and where their joints are."""

    images: Float[Tensor, "b 3 h w"]
    """RGB in [-1, 1]."""
    joints_crop: Float[Tensor, "b j 2"]
    visible: Bool[Tensor, "b j"]


def estimator_batches(
    store: Store, clips: Sequence[StoredClip], batch_size: int, seed: int, share: slice
) -> "Callable[[int], FramesToVary]":
    """Batches by number, on the CPU; one of n frames holds n / 2 clips, `share` of them here."""
    num_pairs = batch_size // 2
    pairs = ImagePairSampler(store, clips, ImagePairs(), num_pairs, share)

    def batch(number: int) -> FramesToVary:
        rng = np.random.default_rng((seed, _VARIATION, number))
        # Drawn for whole pairs, so that processes can share them, then in the order of the frames.
        return FramesToVary(pairs.batch(seed, number), Draws.of(rng, num_pairs, share))

    return batch


class FramesToVary(NamedTuple):
    """A batch before its frames are varied, which a GPU does sooner."""

    pairs: ImageBatch
    draws: "Draws"

    def vary(self, config: FrameAugmentation, skeleton: Skeleton) -> EstimatorBatch:
        """In full precision; a joint that was moved out of the picture is invisible."""
        pairs = self.pairs
        with torch.autocast(pairs.source_images.device.type, enabled=False):
            frames = EstimatorBatch(  # the (last) sources, then the targets
                to_network(torch.cat([pairs.source_images[:, -1], pairs.target_images])),
                torch.cat([pairs.source_joints_crop[:, -1], pairs.target_joints_crop]),
                torch.cat([pairs.source_visible[:, -1], pairs.target_visible]),
            )
            return vary(frames, self.draws, config, skeleton)


@dataclass(frozen=True)
class Draws:
    """Random numbers behind the variations of a batch, before they are scaled."""

    mirrored: Bool[Tensor, " b"]
    scale: Float[Tensor, " b"]
    angle: Float[Tensor, " b"]
    shift: Float[Tensor, "b 2"]
    colour: Float[Tensor, "b 5"]
    """Of contrast, brightness, red, green and blue."""
    window: Float[Tensor, "b 4"]
    """Whether only a window is shown, its size and its place, all uniform from 0 to 1."""

    @classmethod
    def of(cls, rng: np.random.Generator, num_pairs: int, share: slice) -> "Draws":
        """Numbers for both frames of the pairs that `share` takes."""
        normal = _rows(rng.standard_normal((num_pairs, 2, 9), dtype=np.float32)[share])
        mirrored = _rows(rng.random((num_pairs, 2, 1))[share] < 0.5)
        window = _rows(rng.random((num_pairs, 2, 4), dtype=np.float32)[share])
        return cls(
            mirrored[:, 0], normal[:, 0], normal[:, 1], normal[:, 2:4], normal[:, 4:], window
        )


def _rows(of_pairs: np.ndarray) -> Tensor:
    """Sources' rows, then the targets'."""
    return torch.from_numpy(of_pairs.swapaxes(0, 1).reshape(-1, of_pairs.shape[-1]))


def vary(
    batch: EstimatorBatch, draws: Draws, config: FrameAugmentation, skeleton: Skeleton
) -> EstimatorBatch:
    """Mirror, turn, scale, shift and recolour, and show windows of some frames only; what comes in
    from outside repeats the border."""
    mirrored = draws.mirrored & config.mirror
    matrices, shifts = _placement(draws, config, mirrored)
    images = _move(batch.images, matrices, shifts)
    if config.colour:
        change = config.colour * draws.colour[..., None, None]
        gain = torch.exp(change[:, :1] + change[:, 2:])
        images = (gain * images + change[:, 1:2]).clamp(-1, 1)
    joints, visible = batch.joints_crop, batch.visible
    other, other_visible = (swap_sides(each, skeleton, dim=1) for each in (joints, visible))
    joints = torch.where(mirrored[:, None, None], other, joints)
    visible = torch.where(mirrored[:, None], other_visible, visible)
    moved = (matrices[:, None] @ crop_to_norm(joints)[..., None]).squeeze(-1) + shifts[:, None]
    joints = norm_to_crop(moved)
    inside = ((joints >= 0) & (joints <= 1)).all(dim=-1)
    return EstimatorBatch(images, joints, visible & inside)


def _placement(
    draws: Draws, config: FrameAugmentation, mirrored: Bool[Tensor, " b"]
) -> tuple[Float[Tensor, "b 2 2"], Float[Tensor, "b 2"]]:
    """Where a point p of the frame, in [-1, 1], goes: matrix p + shift."""
    scale = torch.exp(config.scale * draws.scale)
    angle = float(np.radians(config.rotation_degrees)) * draws.angle
    cos, sin = scale * angle.cos(), scale * angle.sin()
    side = 1 - 2 * mirrored.to(scale.dtype)
    matrices = torch.stack([side * cos, -sin, side * sin, cos], dim=-1).view(-1, 2, 2)
    # Half the side and the middle of what is shown: half to an eighth of the picture in a window.
    is_window = draws.window[:, :1] < config.window
    half = torch.where(is_window, 0.5 * 0.25 ** draws.window[:, 1:2], 1.0)
    middle = (2 * draws.window[:, 2:] - 1) * (1 - half)
    return matrices / half[..., None], (2 * config.shift * draws.shift - middle) / half


def _move(
    images: Float[Tensor, "b 3 h w"], matrices: Float[Tensor, "b 2 2"], shifts: Float[Tensor, "b 2"]
) -> Float[Tensor, "b 3 h w"]:
    """Each pixel of the result looks up where it came from."""
    back = _inverse(matrices)
    theta = torch.cat([back, -back @ shifts[..., None]], dim=-1)
    grid = functional.affine_grid(theta, list(images.shape), align_corners=False)
    return functional.grid_sample(images, grid, padding_mode="border", align_corners=False)


def _inverse(matrices: Float[Tensor, "b 2 2"]) -> Float[Tensor, "b 2 2"]:
    """Without waiting for a GPU's word that there is one."""
    a, b, c, d = matrices.flatten(1).unbind(1)
    turned = torch.stack([d, -b, -c, a], dim=1).view(-1, 2, 2)
    return turned / (a * d - b * c)[:, None, None]
