"""Varied poses for training the pose model: mirrored, turned, scaled, shifted, noisy, hidden.

All draws of a batch come from (seed, step), and of several processes each takes its rows of the
whole batch's draws, so that resuming and sharing change nothing.
"""

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from posecast.clips import PoseBatch
from posecast.geometry import swap_sides
from posecast.records.configs import check_at_least, check_below_one
from posecast.skeletons import Skeleton
from posecast.windows import WHOLE

_AUGMENTATION = 2
"""Stream of random numbers beside the two of `windows`."""


@dataclass(frozen=True)
class PoseAugmentation:
    """How much training poses are varied; the paper does not vary them."""

    mirror: bool = False
    """Mirror half of the windows, left joints becoming right ones."""
    scale: float = 0.0
    """Scale the person about the crop's middle by exp(normal of this standard deviation)."""
    shift: float = 0.0
    """Standard deviation of a shift, as a share of half the crop's side."""
    rotation_degrees: float = 0.0
    """Standard deviation of a rotation about the crop's middle."""
    noise: float = 0.0
    """Standard deviation of noise on seen joints, as a share of half the crop's side; the
    forecast is held to the clean future."""
    hide: float = 0.0
    """Share of seen joints that are hidden, each frame by itself."""

    def __post_init__(self) -> None:
        check_at_least(0, self, "scale", "shift", "rotation_degrees", "noise")
        check_below_one(self, "hide")


class PoseDraws(NamedTuple):
    """How the windows of a batch are varied."""

    mirrored: Bool[Tensor, " b"]
    matrices: Float[Tensor, "b 2 2"]
    shifts: Float[Tensor, "b 1 1 2"]
    noise: Float[Tensor, "b p j 2"] | None
    kept: Bool[Tensor, "b p j"] | None
    """False for seen joints that are hidden."""


@dataclass(frozen=True)
class PoseAugmenter:
    """Applies a `PoseAugmentation` to the batches of one process."""

    config: PoseAugmentation
    skeleton: Skeleton
    batch_size: int
    """Rows of the whole batch, over all processes."""
    share: slice = field(default_factory=lambda: WHOLE)
    """Those of this process."""

    def draw(self, seed: int, step: int, num_past: int) -> PoseDraws | None:
        """For batch number `step`, on the CPU; None where nothing is varied."""
        config = self.config
        if config == PoseAugmentation():
            return None
        rng = np.random.default_rng((seed, _AUGMENTATION, step))
        mirrored = self._rows(rng.random(self.batch_size) < 0.5)
        matrices = self._rows(self._matrices(rng))
        shifts = config.shift * rng.standard_normal((self.batch_size, 1, 1, 2), dtype=np.float32)
        shape, noise, kept = (self.batch_size, num_past, self.skeleton.num_joints), None, None
        if config.noise:
            drawn = rng.standard_normal((*shape, 2), dtype=np.float32)
            noise = self._rows(np.float32(config.noise) * drawn)
        if config.hide:
            kept = self._rows(rng.random(shape) >= config.hide)
        return PoseDraws(mirrored & config.mirror, matrices, self._rows(shifts), noise, kept)

    def vary(self, batch: PoseBatch, draws: PoseDraws | None) -> PoseBatch:
        """A batch as it was drawn, on the device that holds both; invisible joints stay at 0."""
        if draws is None:
            return batch
        joints, visible, past = batch.joints_norm, batch.visible, batch.num_past
        if self.config.mirror:
            joints, visible = _mirror_rows(joints, visible, draws.mirrored, self.skeleton)
        columns = draws.matrices[:, None, None].unbind(-1)
        joints = joints[..., :1] * columns[0] + joints[..., 1:] * columns[1] + draws.shifts
        if draws.noise is not None:
            joints = torch.cat([joints[:, :past] + draws.noise, joints[:, past:]], dim=1)
        if draws.kept is not None:
            visible = torch.cat([visible[:, :past] & draws.kept, visible[:, past:]], dim=1)
        return PoseBatch(joints * visible[..., None], visible, past)

    def _rows(self, drawn: np.ndarray) -> Tensor:
        """This process's rows of what was drawn for the whole batch."""
        return torch.from_numpy(drawn[self.share])

    def _matrices(self, rng: np.random.Generator) -> Float[np.ndarray, "b 2 2"]:
        scales = np.exp(self.config.scale * rng.standard_normal(self.batch_size))
        angles = np.radians(self.config.rotation_degrees) * rng.standard_normal(self.batch_size)
        cos, sin = scales * np.cos(angles), scales * np.sin(angles)
        return np.array([[cos, -sin], [sin, cos]], np.float32).transpose(2, 0, 1)


def _mirror_rows(
    joints: Tensor, visible: Tensor, rows: Tensor, skeleton: Skeleton
) -> tuple[Tensor, Tensor]:
    """The rows where `rows` is True as in a mirror; in [-1, 1] that is x to -x."""
    x, y = swap_sides(joints, skeleton, dim=2).unbind(-1)
    return (
        torch.where(rows[:, None, None, None], torch.stack([-x, y], dim=-1), joints),
        torch.where(rows[:, None, None], swap_sides(visible, skeleton, dim=2), visible),
    )
