"""Prepared clips to training batches.

A batch is a pure function of (seed, step), so a stopped run goes on from its step number alone.
Clips come in shuffled passes over all of them, one pass after the other: batch `step` holds the
places step * batch_size ... of that endless list. Of several processes each takes its `share` of
the rows, and together they hold the batch of a single process.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from posecast.clips import ImageBatch, PoseBatch
from posecast.errors import PosecastError
from posecast.geometry import crop_to_norm
from posecast.records.configs import check_at_least
from posecast.store.reading import Store, StoredClip

_ORDER, _CHOICE = 0, 1
"""Independent streams of random numbers: the order of clips, and the choices inside them."""

WHOLE = slice(None)
"""The share of a batch that a single process takes."""


@dataclass(frozen=True)
class PoseWindows:
    """Which stretches of a clip the pose model is trained on."""

    num_past: int = 10
    """Frames that are seen."""
    num_future: int = 32
    """Frames that are forecast in training."""
    stride: int = 1
    """Take every n-th stored frame (4 for Human3.6M kept at its full 50 frames a second)."""
    short_clips: Literal["mask", "repeat"] = "mask"
    """What stands for the missing frames of a clip shorter than a window: "mask" makes them
    invisible, "repeat" repeats the last frame (2017 code)."""

    def __post_init__(self) -> None:
        check_at_least(1, self, "num_past", "num_future", "stride")

    @property
    def length(self) -> int:
        return self.num_past + self.num_future


@dataclass(frozen=True)
class ImagePairs:
    """Which pairs of frames of a clip the image model is trained on."""

    max_gap: int = 29
    """Largest number of frames between source and target (2017 code: its `steps` - 1)."""

    def __post_init__(self) -> None:
        check_at_least(1, self, "max_gap")


class WindowChoice(NamedTuple):
    """Windows before they are cut."""

    frames: Int[Tensor, "b t"]
    """Rows of the sampler's `poses`."""
    exists: Bool[Tensor, "b t"]
    """False past the end of a clip, where that counts as invisible."""


class PoseTensors(NamedTuple):
    """Poses of all clips, one after the other, 0 where invisible."""

    joints_norm: Float[Tensor, "n j 2"]
    visible: Bool[Tensor, "n j"]

    def cut(self, choice: WindowChoice, num_past: int) -> PoseBatch:
        """The windows, on the device that holds both."""
        visible = self.visible[choice.frames] & choice.exists[..., None]
        joints = self.joints_norm[choice.frames] * choice.exists[..., None, None]
        return PoseBatch(joints, visible, num_past)


class PoseWindowSampler:
    """Batches of pose windows, cut from the poses of all clips, which are held in memory."""

    def __init__(
        self,
        clips: Sequence[StoredClip],
        config: PoseWindows,
        batch_size: int,
        share: slice = WHOLE,
    ) -> None:
        self._poses = _Poses.of(clips)
        norm = np.where(self._poses.visible[..., None], crop_to_norm(self._poses.joints_crop), 0)
        self.poses = PoseTensors(
            torch.from_numpy(norm.astype(np.float32)), torch.from_numpy(self._poses.visible)
        )
        self.config = config
        self._batch_size, self._share = batch_size, share

    def choose(self, seed: int, step: int) -> WindowChoice:
        """The windows of batch number `step`.

        A window starts at any frame from which stride * length frames follow; shorter clips
        start at frame 0 (deviations.md 3).
        """
        clips, rng = _drawn_clips(len(self._poses.lengths), self._batch_size, seed, step)
        span = self.config.stride * self.config.length
        starts = rng.integers(0, np.maximum(self._poses.lengths[clips] - span, 0) + 1)
        clips, starts = clips[self._share], starts[self._share]
        frames = starts[:, None] + self.config.stride * np.arange(self.config.length)
        exists = frames < self._poses.lengths[clips, None]
        if self.config.short_clips == "repeat":
            exists = np.ones_like(exists)
        rows = torch.from_numpy(self._poses.rows(clips, frames))
        return WindowChoice(rows, torch.from_numpy(exists))

    def batch(self, seed: int, step: int) -> PoseBatch:
        """Batch number `step`; coordinates of invisible joints are 0."""
        return self.poses.cut(self.choose(seed, step), self.config.num_past)


class ImagePairSampler:
    """Batches of frame pairs, read from the store as they are asked for."""

    def __init__(
        self,
        store: Store,
        clips: Sequence[StoredClip],
        config: ImagePairs,
        batch_size: int,
        share: slice = WHOLE,
    ) -> None:
        missing = [clip.clip_id for clip in clips if not clip.has_frames]
        if missing:
            raise PosecastError(
                f"clips {missing[:5]} have poses but no frames: the image model needs frames, "
                "choose clips that have them"
            )
        self._store = store
        self._clips = list(clips)
        self._poses = _Poses.of(clips)
        self._hw = np.array([clip.crop.hw for clip in clips], np.float32)
        self._config, self._batch_size, self._share = config, batch_size, share

    def batch(self, seed: int, step: int) -> ImageBatch:
        """Batch number `step`; coordinates of invisible joints are 0 (the crop's corner)."""
        clips, rng = _drawn_clips(len(self._clips), self._batch_size, seed, step)
        gaps = rng.integers(1, self._config.max_gap + 1, len(clips))
        gaps, num_starts = fit_gaps(self._poses.lengths[clips], gaps)
        sources = rng.integers(0, num_starts)
        clips, sources, gaps = (rows[self._share] for rows in (clips, sources, gaps))
        pairs = np.stack([sources, sources + gaps], axis=1)
        places = self._poses.rows(clips, pairs)
        joints = torch.from_numpy(self._poses.joints_crop[places])
        visible = torch.from_numpy(self._poses.visible[places])
        rows = zip(clips, pairs, strict=True)
        read = [self._store.read_frames(self._clips[clip], pair) for clip, pair in rows]
        images = torch.from_numpy(np.stack(read))
        return ImageBatch(
            source_images=images[:, :-1],
            target_images=images[:, -1],
            source_joints_crop=joints[:, :-1],
            source_visible=visible[:, :-1],
            target_joints_crop=joints[:, -1],
            target_visible=visible[:, -1],
            crop_hw=torch.from_numpy(self._hw[clips]),
        )


def fit_gaps(
    num_frames: Int[np.ndarray, " b"], gaps: Int[np.ndarray, " b"]
) -> tuple[Int[np.ndarray, " b"], Int[np.ndarray, " b"]]:
    """Gaps that fit into the clips, and from how many first frames a source can be chosen.

    The rule of the 2017 code (deviations.md 27): the last frame is never a target, except of a clip
    that the gap does not fit into; that one gives its first and last frame.
    """
    num_starts = num_frames - gaps - 1
    fits = num_starts >= 1
    return np.where(fits, gaps, num_frames - 1), np.where(fits, num_starts, 1)


@dataclass(frozen=True, eq=False)
class _Poses:
    """Poses of all clips, one after the other; a clip's frames begin at its offset."""

    joints_crop: Float[np.ndarray, "n j 2"]
    """float32, 0 where invisible."""
    visible: Bool[np.ndarray, "n j"]
    offsets: Int[np.ndarray, " c"]
    lengths: Int[np.ndarray, " c"]

    @classmethod
    def of(cls, clips: Sequence[StoredClip]) -> "_Poses":
        if not clips:
            raise PosecastError("expected at least one clip to train on, got none")
        visible = np.concatenate([clip.visible for clip in clips])
        joints = np.concatenate([clip.joints_crop for clip in clips]).astype(np.float32)
        lengths = np.array([clip.num_frames for clip in clips])
        offsets = np.cumsum(lengths) - lengths
        return cls(np.where(visible[..., None], joints, np.float32(0)), visible, offsets, lengths)

    def rows(
        self, clips: Int[np.ndarray, " b"], frames: Int[np.ndarray, "b t"]
    ) -> Int[np.ndarray, "b t"]:
        """Where frames of clips lie; past its end a clip repeats its last frame."""
        inside = np.minimum(frames, self.lengths[clips, None] - 1)
        return self.offsets[clips, None] + inside


def _drawn_clips(
    num_clips: int, batch_size: int, seed: int, step: int
) -> tuple[Int[np.ndarray, " b"], np.random.Generator]:
    """Clip numbers of the whole batch, and the generator for what is chosen inside them."""
    places = step * batch_size + np.arange(batch_size)
    passes, inside = np.divmod(places, num_clips)
    orders = [
        np.random.default_rng((seed, _ORDER, number)).permutation(num_clips)
        for number in range(passes[0], passes[-1] + 1)
    ]
    clips = np.stack(orders)[passes - passes[0], inside]
    return clips, np.random.default_rng((seed, _CHOICE, step))
