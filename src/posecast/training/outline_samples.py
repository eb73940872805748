"""Stored frames to samples of the outline network: a picture, a pose, and where the person is.

What is learned are masks, where the store has some (`Store.read_masks`): near the body, the middle
of a limb being the person anyhow. Elsewhere it is what the limbs say and, where the camera stands
still, what differs from the clip's own room. A batch is a pure function of (seed, number).
"""

from dataclasses import dataclass, field
from typing import NamedTuple

import cv2
import numpy as np
import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor

from posecast.carrying.body_parts import body_size, part_distances, pose_of
from posecast.carrying.layers import COARSE, person_mask
from posecast.carrying.plate import background_plate
from posecast.media.grey_levels import to_network
from posecast.store.reading import Store, StoredClip
from posecast.training.carrying_samples import FEWEST_JOINTS, View, disturbed
from posecast.training.carrying_stream import Look
from posecast.training.groups import ClipSource

_ROOM_FRAMES, _ROOM_RADII = 12, 1.8
"""Frames that show a clip's room, farther than so many radii from the body."""
_STILL, _DIFFERS = 6.0, 14.0
"""Mean differences in grey levels: below the first a room stays, from the second it is hidden."""
_SIZE_FRAMES = 10


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


class Room(NamedTuple):
    """What a still camera shows of a clip's room."""

    picture: UInt8[np.ndarray, "s s 3"]
    shown: UInt8[np.ndarray, "s s"]
    """255 where some frame shows it."""


@dataclass(frozen=True, eq=False)
class OutlineMaker:
    """Frames of one store and where the person is in them. Can be pickled."""

    source: ClipSource
    config: FrameConfig
    _rooms: dict[str, Room | None] = field(default_factory=dict, init=False)

    def drawn(self, rng: np.random.Generator) -> Frame:
        """Any frame, in a view that at times holds the person's way through the clip, its pose as
        an estimator or a forecaster errs."""
        clips = self.source.clips
        for _ in range(100):
            clip = clips[int(rng.choice(len(clips), p=self.source.chances))]
            number = int(rng.integers(clip.num_frames))
            others = rng.integers(0, clip.num_frames, rng.choice([0, 3, 30]))
            made = self.frame(clip, number, np.append(others, number), rng)
            if made is not None:
                return made
        raise RuntimeError(f"no usable frame in 100 draws from {len(clips)} clips")

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
        recent = np.arange(max(number + 1 - _SIZE_FRAMES, 0), number + 1)
        joints, visible = view.place(clip, recent)
        size = body_size(joints, visible, store.skeleton)
        if size < 1:
            return None
        picture = view.cut(clip.crop, store.read_frames(clip, [number]))[0]
        outline = self._outline(clip, number, view, picture, (joints[-1:], visible[-1:], size))
        joints, visible = joints[-1:], visible[-1:]
        if rng is not None:
            joints, visible = disturbed(joints, visible, size, rng)
        return Frame(picture, outline, joints[0] / COARSE, visible[0], size / COARSE)

    def _outline(
        self,
        clip: StoredClip,
        number: int,
        view: View,
        picture: UInt8[np.ndarray, "c c 3"],
        pose: tuple[np.ndarray, np.ndarray, float],
    ) -> Float[np.ndarray, "c c"]:
        nearest = _nearest(*pose, self.source.store, COARSE)
        masks = self.source.store.read_masks(clip, [number])
        if masks is not None:
            mask = view.cut(clip.crop, masks)[0] / np.float32(255)
            return person_mask(nearest[None], mask[None])[0]
        if clip.clip_id not in self._rooms:
            self._rooms[clip.clip_id] = room_of(self.source.store, clip)
        room = self._rooms[clip.clip_id]
        differs = None
        if room is not None:
            there, shown = (view.cut(clip.crop, each[None])[0] for each in room)
            differs = cv2.blur(np.abs(picture.astype(np.float32) - there).mean(axis=-1), (3, 3))
            differs[shown < 255] = np.nan
        return outline_of(nearest, differs)


def has_outline(store: Store, clip: StoredClip) -> bool:
    """Whether more than its limbs says where the person is."""
    return clip.num_frames >= _ROOM_FRAMES or store.read_masks(clip, []) is not None


def outline_of(
    nearest: Float[np.ndarray, "c c"], differs: Float[np.ndarray, "c c"] | None = None
) -> Float[np.ndarray, "c c"]:
    """How much the person covers, as far as limbs and a room tell.

    Args:
        nearest: distance to the nearest part of the body, in radii.
        differs: difference to the room in grey levels, NaN where that is not known.
    """
    logits = 5 * (1.1 - nearest)
    if differs is not None:
        says = np.clip(1.5 * (differs / _DIFFERS - 1), -1.5, 2.5)
        logits = logits + np.where((nearest < _ROOM_RADII) & ~np.isnan(differs), says, 0)
    said = 1 / (1 + np.exp(-logits))
    return person_mask(nearest[None], said[None].astype(np.float32))[0]


def room_of(store: Store, clip: StoredClip) -> Room | None:
    """The median of what some frames show without the person; None where the camera moves."""
    if clip.num_frames < _ROOM_FRAMES:
        return None
    numbers = np.linspace(0, clip.num_frames - 1, _ROOM_FRAMES).round().astype(int)
    joints = (clip.joints_crop[numbers] * store.size).astype(np.float32)
    visible = clip.visible[numbers]
    size = body_size(joints, visible, store.skeleton)
    if size < 1:
        return None
    each = ((joints[t : t + 1], visible[t : t + 1]) for t in range(_ROOM_FRAMES))
    nearest = np.stack([_nearest(*pose, size, store, store.size) for pose in each])
    covered = np.clip((_ROOM_RADII - nearest) / 0.5, 0, 1)
    covered[visible.sum(axis=1) < FEWEST_JOINTS] = 1
    frames = store.read_frames(clip, numbers)
    # As a further frame sees the room that is all person: everything is of other frames.
    frames, covered = (np.concatenate([v, v[-1:]]) for v in (frames, covered))
    covered[-1] = 1
    still = np.stack([np.eye(2, 3)] * len(frames))
    picture, holes = background_plate(frames, covered.astype(np.float32), still)
    changes = np.abs(frames[:-1].astype(np.float32) - picture).mean(axis=-1)[covered[:-1] < 0.25]
    if not len(changes) or np.percentile(changes, 75) > _STILL:
        return None
    return Room(picture, np.uint8(255) * ~holes)


def _nearest(
    joints: Float[np.ndarray, "1 j 2"],
    visible: Bool[np.ndarray, "1 j"],
    size: float,
    store: Store,
    side: int,
) -> Float[np.ndarray, "{side} {side}"]:
    pose = pose_of(joints, visible, store.skeleton, size)
    return part_distances(pose[0], side, size).min(axis=0)


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
