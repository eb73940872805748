"""Samples of the carrying networks, made by other processes while the networks learn from them.

All samples stay on the device as bytes. Batch n draws from the first `first + n * per_step` of
them, waiting until they are there: which samples it holds depends on (seed, n) alone, not on how
fast they were made.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from posecast.computing.feeding import prepared
from posecast.computing.recording import map_tensors, tensors_in
from posecast.networks.carrying import NUM_LAYERS, LayerBatch
from posecast.skeletons import Skeleton
from posecast.training.carrying_samples import DISTANCE_STEPS, MixedMaker, Samples
from posecast.training.settings import FitConfig

_AHEAD = 8
"""Windows that each process makes ahead: some take long."""


@dataclass(frozen=True)
class StreamConfig:
    """How many samples there are, and how they are made."""

    samples: int = 72_000
    """Samples in all, 360 kB each in the device's memory: 26 GB. Give less on a smaller one."""
    first: int = 24_000
    """Samples that training begins with."""
    per_step: int = 4
    """Samples that each step adds."""
    makers: int = 0
    """Processes that make samples beside the training; 0: it makes them itself."""


@dataclass(frozen=True, eq=False)
class CarryingBatch:
    """Layers of frames and the true frames; neighbours in time one after the other."""

    layers: LayerBatch
    true: Float[Tensor, "b 3 h w"]
    inside: Float[Tensor, "b 1 h w"]
    """1 where the video shows something."""
    joints: Float[Tensor, "b j 2"]
    visible: Bool[Tensor, "b j"]
    size: Float[Tensor, "b 1 1"]

    @classmethod
    def of(cls, samples: Mapping[str, Tensor]) -> "CarryingBatch":
        """Bytes, as `stored` has them, to numbers."""
        pictures = samples["pictures"].float() / 127.5 - 1
        marks = samples["marks"].float() / 255
        shares = samples["shares"].float()
        shares = shares / shares.sum(dim=1, keepdim=True).clamp(min=1)
        split, distance = 3 * NUM_LAYERS, marks[:, :1] * (255 / DISTANCE_STEPS)
        layers = LayerBatch(pictures[:, :split], shares, distance, marks[:, 1:2])
        true = pictures[:, split:]
        poses = (samples["joints"], samples["visible"], samples["size"][:, None, None])
        return cls(layers, true, marks[:, 2:], *poses)

    def varied(self, rng: np.random.Generator, skeleton: Skeleton) -> "CarryingBatch":
        """Pairs in other light and colours, half of them with channels permuted, half mirrored."""
        look = Look.drawn(rng, len(self.true) // 2, self.true.device, repeated=2)
        kept = self.layers
        rest = map(look.mirrored, (kept.shares, kept.distance, kept.holes))
        layers = LayerBatch(look.changed(kept.pictures), *rest)
        poses = look.poses(self.joints, self.visible, skeleton)
        true, shown = look.changed(self.true), look.mirrored(self.inside)
        return CarryingBatch(layers, true, shown, *poses, self.size)


@dataclass(frozen=True, eq=False)
class Look:
    """Another light, other colours, and a mirror."""

    channels: Int[Tensor, "b 3"]
    gain: Float[Tensor, "b 3"]
    offset: Float[Tensor, "b 3"]
    turned: Bool[Tensor, " b"]

    @classmethod
    def drawn(
        cls,
        rng: np.random.Generator,
        count: int,
        device: torch.device,
        repeated: int = 1,
        permuted: float = 0.5,
    ) -> "Look":
        """Of `count` pictures, or of so many times as many that look alike; half are mirrored, a
        share `permuted` of them gets channels permuted."""
        order = np.tile(np.arange(3), (count, 1))
        order = np.where(rng.random((count, 1)) < permuted, rng.permuted(order, axis=1), order)
        light = np.stack([rng.uniform(0.7, 1.1, (count, 1)), rng.uniform(-0.1, 0.1, (count, 1))])
        light = (light + rng.normal(scale=0.05, size=(2, count, 3))).astype(np.float32)
        drawn = (order, *light, rng.random(count) < 0.5)
        return cls(*(torch.from_numpy(np.repeat(e, repeated, axis=0)).to(device) for e in drawn))

    def mirrored(self, values: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        return torch.where(self.turned[:, None, None, None], values.flip(-1), values)

    def changed(self, pictures: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """Pictures of three channels each, one after the other."""
        rows = torch.arange(len(pictures), device=pictures.device)[:, None]
        picked = pictures.unflatten(1, (-1, 3)).movedim(2, 1)[rows, self.channels]
        lit = picked * self.gain[..., None, None, None] + self.offset[..., None, None, None]
        return self.mirrored(lit.movedim(1, 2).flatten(1, 2))

    def poses(
        self, joints: Float[Tensor, "b j 2"], visible: Bool[Tensor, "b j"], skeleton: Skeleton
    ) -> tuple[Float[Tensor, "b j 2"], Bool[Tensor, "b j"]]:
        """As shares of the pictures."""
        sides, turned = list(skeleton.mirror), self.turned[:, None]
        other = torch.stack([1 - joints[..., 0], joints[..., 1]], -1)[:, sides]
        joints = torch.where(turned[..., None], other, joints)
        return joints, torch.where(turned, visible[:, sides], visible)


def stored(samples: Samples, device: torch.device) -> dict[str, Tensor]:
    """Their fields as tensors, channels first."""
    values = {name: torch.from_numpy(each).to(device) for name, each in vars(samples).items()}
    return {name: v.movedim(-1, 1) if v.ndim == 4 else v for name, v in values.items()}


class SampleStream:
    """Number -> batch; samples are made from its beginning on."""

    def __init__(
        self, maker: MixedMaker, config: StreamConfig, fit: FitConfig, device: torch.device
    ) -> None:
        one = maker.makers[0]
        self._skeleton, self._group = one.source.store.skeleton, one.config.targets
        self._config, self._fit, self._device = config, fit, device
        windows = -(-config.samples // self._group)
        self._room = windows * self._group
        self._coming = iter(prepared(maker, range(windows), config.makers, _AHEAD))
        self._stored: dict[str, Tensor] | None = None
        self._count = 0

    def __call__(self, number: int) -> CarryingBatch:
        config, fit = self._config, self._fit
        self._fill(min(config.first + number * config.per_step, config.samples))
        rng = np.random.default_rng([fit.seed, number])
        pairs = rng.integers(0, self._count // 2, fit.batch_size // 2)
        rows = torch.from_numpy(np.stack([2 * pairs, 2 * pairs + 1], axis=1).ravel())
        rows = rows.to(self._device)
        batch = CarryingBatch.of(map_tensors(lambda each: each[rows], self._stored))
        return batch.varied(rng, self._skeleton)

    def _fill(self, wanted: int) -> None:
        """Take in windows until there are so many samples."""
        while self._count < wanted:
            samples = stored(next(self._coming), self._device)
            if self._stored is None:
                self._stored = map_tensors(self._empty, samples)
            for place, values in zip(tensors_in(self._stored), tensors_in(samples), strict=True):
                place[self._count : self._count + self._group] = values
            self._count += self._group

    def _empty(self, like: Tensor) -> Tensor:
        return like.new_empty((self._room, *like.shape[1:]))
