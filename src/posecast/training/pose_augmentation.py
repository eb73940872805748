"""Varied poses for training the pose model: mirrored, turned, scaled, shifted, noisy, hidden.

All draws of a batch come from (seed, step), and of several processes each takes its rows of the
whole batch's draws, so that resuming and sharing change nothing.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float

from posecast.clips import PoseBatch
from posecast.errors import PosecastError
from posecast.skeletons import Skeleton

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
        for name in ("scale", "shift", "rotation_degrees", "noise"):
            if getattr(self, name) < 0:
                raise PosecastError(f"{name} is {getattr(self, name)}; it must be 0 (off) or more")
        if not 0 <= self.hide < 1:
            raise PosecastError(f"hide is {self.hide}; it must be at least 0 and below 1")


@dataclass(frozen=True)
class PoseAugmenter:
    """Applies a `PoseAugmentation` to the batches of one process."""

    config: PoseAugmentation
    skeleton: Skeleton
    batch_size: int
    """Rows of the whole batch, over all processes."""
    rank: int = 0
    num_ranks: int = 1

    def __call__(self, batch: PoseBatch, seed: int, step: int) -> PoseBatch:
        """The varied batch number `step`; invisible joints stay at 0."""
        config = self.config
        if config == PoseAugmentation():
            return batch
        rng = np.random.default_rng((seed, _AUGMENTATION, step))
        joints, visible = batch.joints_norm, batch.visible
        mirrored = self._rows(rng.random(self.batch_size) < 0.5)
        matrices, shifts = self._rows(self._matrices(rng)), self._rows(self._shifts(rng))
        if config.mirror:
            joints, visible = _mirror_rows(joints, visible, mirrored, self.skeleton)
        joints = torch.einsum("bxy,btjy->btjx", matrices, joints) + shifts
        past = (slice(None), slice(batch.num_past))
        shape = (self.batch_size, *joints[past].shape[1:])
        if config.noise:
            noise = self._rows(rng.standard_normal(shape, dtype=np.float32))
            joints[past] += config.noise * noise
        if config.hide:
            visible = visible.clone()
            visible[past] &= self._rows(rng.random(shape[:-1]) >= config.hide)
        return PoseBatch(joints * visible[..., None], visible, batch.num_past)

    def _rows(self, drawn: np.ndarray) -> torch.Tensor:
        """This process's rows of what was drawn for the whole batch."""
        return torch.from_numpy(drawn[self.rank :: self.num_ranks])

    def _matrices(self, rng: np.random.Generator) -> Float[np.ndarray, "b 2 2"]:
        scales = np.exp(self.config.scale * rng.standard_normal(self.batch_size))
        angles = np.radians(self.config.rotation_degrees) * rng.standard_normal(self.batch_size)
        cos, sin = scales * np.cos(angles), scales * np.sin(angles)
        return np.array([[cos, -sin], [sin, cos]], np.float32).transpose(2, 0, 1)

    def _shifts(self, rng: np.random.Generator) -> Float[np.ndarray, "b 1 1 2"]:
        return self.config.shift * rng.standard_normal((self.batch_size, 1, 1, 2), dtype=np.float32)


def _mirror_rows(
    joints: torch.Tensor, visible: torch.Tensor, rows: torch.Tensor, skeleton: Skeleton
) -> tuple[torch.Tensor, torch.Tensor]:
    """The rows where `rows` is True as in a mirror; in [-1, 1] that is x to -x."""
    order = list(skeleton.mirror)
    flipped = joints[:, :, order] * torch.tensor([-1.0, 1.0])
    return (
        torch.where(rows[:, None, None, None], flipped, joints),
        torch.where(rows[:, None, None], visible[:, :, order], visible),
    )
