"""Samples of the carrying networks, made by other processes while the networks learn from them.

All samples stay on the device as bytes. Batch n draws from the first `first + n * per_step` of
them, waiting until they are there: which samples it holds depends on (seed, n) alone, not on how
fast they were made.
"""

import multiprocessing
import queue
from dataclasses import dataclass, fields
from types import TracebackType
from typing import Any

import cv2
import numpy as np
import torch
from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor

from posecast.networks.carrying import NUM_LAYERS, LayerBatch
from posecast.skeletons import Skeleton
from posecast.training.carrying_samples import DISTANCE_STEPS, MixedMaker, Samples
from posecast.training.fitting import FitConfig

_AHEAD = 8
"""Windows that each process makes ahead."""
_PATIENCE_SECONDS = 5.0


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
    def of(cls, samples: "StoredSamples") -> "CarryingBatch":
        """Bytes to numbers."""
        pictures = samples.pictures.float() / 127.5 - 1
        marks = samples.marks.float() / 255
        shares = samples.shares.float()
        split = 3 * NUM_LAYERS
        layers = LayerBatch(
            pictures[:, :split],
            shares / shares.sum(dim=1, keepdim=True).clamp(min=1),
            marks[:, :1] * (255 / DISTANCE_STEPS),
            marks[:, 1:2],
        )
        true = pictures[:, split:]
        size = samples.size[:, None, None]
        return cls(layers, true, marks[:, 2:], samples.joints, samples.visible, size)

    def varied(self, rng: np.random.Generator, skeleton: Skeleton) -> "CarryingBatch":
        """Pairs in other light and colours, half of them with channels permuted, half mirrored."""
        look = Look.drawn(rng, len(self.true) // 2, self.true.device, repeated=2)
        kept = self.layers
        layers = LayerBatch(
            look.changed(kept.pictures),
            *map(look.mirrored, (kept.shares, kept.distance, kept.holes)),
        )
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
        """The mirrored ones mirrored."""
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


@dataclass(frozen=True, eq=False)
class StoredSamples:
    """`Samples` as tensors, channels first."""

    pictures: UInt8[Tensor, "n 15 s s"]
    shares: UInt8[Tensor, "n 4 s s"]
    marks: UInt8[Tensor, "n 3 s s"]
    joints: Float[Tensor, "n j 2"]
    visible: Bool[Tensor, "n j"]
    size: Float[Tensor, " n"]

    @classmethod
    def of(cls, samples: Samples, device: torch.device) -> "StoredSamples":
        """On the device."""
        values = []
        for each in fields(samples):
            value = torch.from_numpy(getattr(samples, each.name)).to(device)
            values.append(value.movedim(-1, 1) if value.ndim == 4 else value)
        return cls(*values)

    @classmethod
    def empty(cls, num_samples: int, like: "StoredSamples") -> "StoredSamples":
        """Room for so many."""
        values = (getattr(like, each.name) for each in fields(like))
        return cls(*(value.new_empty((num_samples, *value.shape[1:])) for value in values))

    def put(self, first: int, others: "StoredSamples") -> None:
        """Others in place of those from `first` on."""
        for each in fields(self):
            values = getattr(others, each.name)
            getattr(self, each.name)[first : first + len(values)] = values

    def take(self, rows: Tensor) -> "StoredSamples":
        """Some of them."""
        return StoredSamples(*(getattr(self, each.name)[rows] for each in fields(self)))


class SampleStream:
    """Number -> batch; a context in which samples are made."""

    def __init__(
        self,
        maker: MixedMaker,
        group: int,
        config: StreamConfig,
        fit: FitConfig,
        device: torch.device,
    ) -> None:
        """`group` is how many samples the maker makes at a time."""
        self._maker, self._config, self._device = maker, config, device
        self._batch_size, self._seed = fit.batch_size, fit.seed
        self._group = group
        self._windows = -(-config.samples // group)
        self._made = 0
        self._stored: StoredSamples | None = None
        self._queues: list[Any] = []
        self._makers: list[Any] = []

    def __enter__(self) -> "SampleStream":
        context, num = multiprocessing.get_context("spawn"), self._config.makers
        self._threads = cv2.getNumThreads()
        if num:
            cv2.setNumThreads(1)  # the cores are the makers'
        for first in range(num):
            self._queues.append(context.Queue(_AHEAD))
            places = range(first, self._windows, num)
            work = (self._maker, places, self._queues[-1])
            self._makers.append(context.Process(target=_make_all, args=work, daemon=True))
            self._makers[-1].start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        cv2.setNumThreads(self._threads)
        for maker in self._makers:
            maker.kill()  # it may wait for room in its queue
            maker.join()

    def __call__(self, number: int) -> CarryingBatch:
        """Batch number `number`."""
        config = self._config
        self._fill(-(-min(config.first + number * config.per_step, config.samples) // self._group))
        assert self._stored is not None
        rng = np.random.default_rng([self._seed, number])
        pairs = rng.integers(0, self._made * self._group // 2, self._batch_size // 2)
        rows = torch.from_numpy(np.stack([2 * pairs, 2 * pairs + 1], axis=1).ravel())
        batch = CarryingBatch.of(self._stored.take(rows.to(self._device)))
        return batch.varied(rng, self._maker.makers[0].store.skeleton)

    def _fill(self, windows: int) -> None:
        """Take in the samples of so many windows, in their order."""
        while self._made < windows:
            samples = StoredSamples.of(self._next(), self._device)
            if self._stored is None:
                self._stored = StoredSamples.empty(self._windows * self._group, samples)
            self._stored.put(self._made * self._group, samples)
            self._made += 1

    def _next(self) -> Samples:
        if not self._makers:
            return self._maker(self._made)
        place = self._made % len(self._makers)
        while True:
            try:
                return self._queues[place].get(timeout=_PATIENCE_SECONDS)
            except queue.Empty:
                if not self._makers[place].is_alive():
                    raise RuntimeError("a process that makes samples has ended") from None


def _make_all(maker: MixedMaker, numbers: range, made: Any) -> None:
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    for number in numbers:
        made.put(maker(number))
