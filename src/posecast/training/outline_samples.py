"""Stored frames to samples of the outline network: a picture, a pose, and where the person is.

The masks are a store's (`Store.read_masks`). They are believed near the body alone, and the middle
of a limb is the person anyhow, as where frames are drawn. A batch is a pure function of (seed,
number).
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor

from posecast.carrying.body_parts import body_size, part_distances, pose_of
from posecast.carrying.layers import COARSE
from posecast.carrying.smoothing import without_gaps
from posecast.carrying.sources import person_mask
from posecast.media.grey_levels import to_network
from posecast.store.reading import StoredClip
from posecast.training.carrying_samples import FEWEST_JOINTS, View, disturbed
from posecast.training.carrying_stream import Look
from posecast.training.groups import ClipPool

_RECENT = 10
"""Frames that tell how large the body is, and where hidden shoulders and hips are."""


@dataclass(frozen=True)
class FrameConfig:
    """How frames are varied, besides their light and colours and a mirror."""

    zoom: float = 0.25
    """Largest logarithm of the zoom."""
    turn_degrees: float = 15.0
    """Largest turn in the image."""
    permuted: float = 0.0
    """Share of the frames whose colour channels are permuted."""


class Frame(NamedTuple):
    """One sample."""

    picture: UInt8[np.ndarray, "c c 3"]
    outline: Float[np.ndarray, "c c"]
    """How much of each pixel the person covers."""
    joints: Float[np.ndarray, "j 2"]
    """As shares of the picture."""
    visible: Bool[np.ndarray, " j"]
    size: float
    """Of the body, as a share of the picture."""


@dataclass(frozen=True, eq=False)
class OutlineBatch:
    """Samples as tensors."""

    pictures: Float[Tensor, "b 3 c c"]
    """In [-1, 1]."""
    outlines: Float[Tensor, "b 1 c c"]
    joints: Float[Tensor, "b j 2"]
    visible: Bool[Tensor, "b j"]
    size: Float[Tensor, "b 1 1"]

    @classmethod
    def of(cls, frames: list[Frame]) -> "OutlineBatch":
        """On the CPU."""
        pictures, outlines, joints, visible, sizes = (
            torch.from_numpy(np.stack(each)) for each in zip(*frames, strict=True)
        )
        rest = (outlines[:, None].float(), joints.float(), visible)
        return cls(to_network(pictures), *rest, sizes.float()[:, None, None])


@dataclass(frozen=True, eq=False)
class OutlineMaker:
    """Frames of one store and where the person is in them. Can be pickled."""

    source: ClipPool
    config: FrameConfig

    def drawn(self, rng: np.random.Generator) -> Frame:
        """Any frame, in a view that at times holds the person's way through the clip, its pose as
        an estimator or a forecaster errs."""
        for _ in range(100):
            clip = self.source.drawn(rng)
            number = int(rng.integers(clip.num_frames))
            others = rng.integers(0, clip.num_frames, rng.choice([0, 3, 30]))
            made = self.frame(clip, number, np.append(others, number), rng)
            if made is not None:
                return made
        raise RuntimeError(f"no usable frame in 100 draws from {len(self.source.clips)} clips")

    def frame(
        self,
        clip: StoredClip,
        number: int,
        around: np.ndarray,
        rng: np.random.Generator | None = None,
    ) -> Frame | None:
        """One frame, in a view of the person in these frames; varied unless `rng` is None.

        None where too little of the person is seen.
        """
        store, shown = self.source.store, clip.visible[around].sum(axis=1) >= FEWEST_JOINTS
        if not shown[-1]:
            return None
        view = View.around(clip, around[shown])
        if rng is not None:
            view = view.varied(self.config.zoom, self.config.turn_degrees, rng)
        recent = np.arange(max(number + 1 - _RECENT, 0), number + 1)
        joints, visible = without_gaps(*view.place(clip, recent), store.skeleton)
        size = body_size(joints, visible, store.skeleton)
        if size < 1:
            return None
        picture = view.cut(clip.crop, store.read_frames(clip, [number]))[0]
        mask = view.cut(clip.crop, store.read_masks(clip, [number])) / np.float32(255)
        joints, visible = joints[-1:], visible[-1:]
        pose = pose_of(joints, visible, store.skeleton, size)[0]
        outline = person_mask(part_distances(pose, COARSE, size).min(axis=0)[None], mask)[0]
        if rng is not None:
            joints, visible = disturbed(joints, visible, size, rng)
        return Frame(picture, outline, joints[0] / COARSE, visible[0], size / COARSE)


@dataclass(frozen=True, eq=False)
class OutlineBatches:
    """Number -> batch, on the CPU. Can be pickled."""

    makers: tuple[OutlineMaker, ...]
    shares: tuple[float, ...]
    """How often each is asked; they sum to 1."""
    batch_size: int
    seed: int

    def __call__(self, number: int) -> OutlineBatch:
        """Frames in other light and colours, half of them mirrored."""
        rng = np.random.default_rng([self.seed, number])
        chosen = rng.choice(len(self.makers), self.batch_size, p=self.shares)
        batch = OutlineBatch.of([self.makers[each].drawn(rng) for each in chosen])
        maker = self.makers[0]
        permuted = maker.config.permuted
        look = Look.drawn(rng, self.batch_size, torch.device("cpu"), permuted=permuted)
        poses = look.poses(batch.joints, batch.visible, maker.source.store.skeleton)
        pictures, outlines = look.changed(batch.pictures), look.mirrored(batch.outlines)
        return OutlineBatch(pictures, outlines, *poses, batch.size)
