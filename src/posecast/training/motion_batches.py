"""Training windows to varied batches: which windows, of whom, how often.

A batch is a pure function of (seed, number).
"""

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass, fields, replace
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from posecast.computing.recording import on_device
from posecast.motion.tracks import MotionTrack
from posecast.networks.motion_values import MotionInputs
from posecast.training.motion_augmentation import MotionAugmentation, MotionAugmenter
from posecast.training.motion_windows import KIND_CLIP, KIND_FIRST, KIND_VIDEO, MotionWindows
from posecast.training.settings import FitConfig

_INPUTS = tuple(each.name for each in fields(MotionInputs))
_UNKNOWN_CLIPS_EVERY, _UNKNOWN_GROUPS_EVERY = 7, 4


@dataclass(frozen=True)
class MotionMix:
    """What a batch is made of."""

    first: float = 0.28
    """Share of windows of the first frames of a clip."""
    clip: float = 0.3
    """Share of windows anywhere in a clip; the rest are of videos, as far as there are any."""
    unknown: float = 0.3
    """Share of a batch of people whom the bold forecast is not trained on."""
    preferred: float = 2.0
    """How much likelier a clip of a preferred action is."""
    together: float = 0.75
    """From this share of the steps on the bold forecast is trained on everybody, and trust stays as
    it is."""


@dataclass(frozen=True)
class MotionBatch:
    """Windows, those of people unknown to the bold forecast last."""

    inputs: MotionInputs
    future: Float[Tensor, "b f j 2"]
    future_visible: Float[Tensor, "b f j"]
    scale: Float[Tensor, " b"]
    action: Int[Tensor, " b"]
    """-1 where nobody said."""
    video: Float[Tensor, " b"]
    """1 for windows of videos, 0 for those of clips."""
    known: Float[Tensor, " b"]
    """1 for people whom the bold forecast is trained on."""


@dataclass(frozen=True)
class TrackFacts:
    """What is known of each track."""

    action: Int[np.ndarray, " tracks"]
    """-1 where nobody said."""
    group: Int[np.ndarray, " tracks"]
    unknown: Bool[np.ndarray, " tracks"]
    """Whether the bold forecast is not trained on it at first."""
    preferred: Bool[np.ndarray, " tracks"]
    """Whether it is drawn more often."""

    @classmethod
    def of(
        cls, tracks: Sequence[MotionTrack], actions: Sequence[str], preferred: Sequence[str]
    ) -> "TrackFacts":
        """With the numbers of these actions, those that are preferred among them, and the people
        unknown whom `unknown_tracks` says."""
        return cls(
            np.array([actions.index(each.action) if each.action else -1 for each in tracks]),
            np.unique([each.group for each in tracks], return_inverse=True)[1],
            unknown_tracks(tracks),
            np.array([each.action in preferred for each in tracks]),
        )


def unknown_tracks(tracks: Sequence[MotionTrack]) -> Bool[np.ndarray, " tracks"]:
    """Tracks that the bold forecast is not trained on, to train how far it is trusted: every
    seventh clip, and videos of every fourth group."""
    groups = sorted({track.group for track in tracks if not track.is_clip})
    kept = set(groups[1::_UNKNOWN_GROUPS_EVERY])
    clips = [number for number, track in enumerate(tracks) if track.is_clip]
    marks = np.array([track.group in kept and not track.is_clip for track in tracks])
    marks[clips[::_UNKNOWN_CLIPS_EVERY]] = True
    return marks


class _Draw(NamedTuple):
    """Windows of one kind, their cumulative chances, and whether each one that is drawn is of
    people whom the bold forecast knows."""

    pool: Int[Tensor, " k"]
    cumulative: Float[Tensor, " k"]
    known: Float[Tensor, " n"]


class MotionBatches:
    """Number -> batch."""

    def __init__(
        self,
        windows: MotionWindows,
        tracks: TrackFacts,
        mirror: Sequence[int],
        mix: MotionMix,
        augmentation: MotionAugmentation,
        fit: FitConfig,
        device: torch.device | None = None,
    ) -> None:
        self._device = device or torch.device("cpu")
        values = {name: torch.from_numpy(value) for name, value in vars(windows).items()}
        self._values = on_device(values, self._device)
        self._action = torch.from_numpy(tracks.action[windows.track]).to(self._device)
        self._augmenter = MotionAugmenter(augmentation, mirror, self._device)
        self._seed = fit.seed
        self._together_from = round(fit.steps * mix.together)
        self._batch_size = fit.batch_size
        self._usable, self._kind = _usable(windows), windows.kind
        self._tracks, self._track = tracks, windows.track
        self._draws = self._draws_of(mix, np.ones(len(windows), bool))

    def among(self, mix: MotionMix, rows: Bool[np.ndarray, " n"]) -> "MotionBatches":
        """Batches of some of the same windows, which are not copied."""
        other = copy(self)
        other._draws = self._draws_of(mix, rows)  # noqa: SLF001
        return other

    def _draws_of(self, mix: MotionMix, rows: Bool[np.ndarray, " n"]) -> list[_Draw]:
        """What to draw: of people whom the bold forecast knows, then of the others."""
        unknown = self._tracks.unknown
        hidden = round(self._batch_size * mix.unknown) if unknown.any() else 0
        draws = []
        for held, size in ((False, self._batch_size - hidden), (True, hidden)):
            usable = (unknown[self._track] == held) & self._usable & rows
            for pool, cumulative, count in self._plan(usable, size, mix):
                known = torch.full((count,), float(not held))
                values = (torch.from_numpy(pool), torch.from_numpy(cumulative), known)
                draws.append(_Draw._make(value.to(self._device) for value in values))
        return draws

    def _plan(
        self, usable: Bool[np.ndarray, " n"], size: int, mix: MotionMix
    ) -> list[tuple[Int[np.ndarray, " k"], Float[np.ndarray, " k"], int]]:
        """Windows of each kind, their cumulative chances, and how many are drawn."""
        shares = {KIND_FIRST: mix.first, KIND_CLIP: mix.clip}
        shares[KIND_VIDEO] = 1 - sum(shares.values())
        pools = {kind: np.flatnonzero(usable & (self._kind == kind)) for kind in shares}
        pools = {kind: pool for kind, pool in pools.items() if len(pool)}
        total = sum(shares[kind] for kind in pools)
        plan, left = [], size
        for place, (kind, pool) in enumerate(pools.items()):
            last = place == len(pools) - 1
            count = left if last else round(size * shares[kind] / total)
            left -= count
            track = self._track[pool]
            chance = np.where(self._tracks.preferred[track], mix.preferred, 1.0)
            if kind == KIND_VIDEO:  # a group of many videos does not drown the others
                group = self._tracks.group[track]
                chance = 1 / np.sqrt(np.bincount(group)[group])
            cumulative = np.cumsum(chance / chance.sum())
            cumulative[-1] = 1.0
            plan.append((pool, cumulative, count))
        return plan

    def __call__(self, number: int) -> MotionBatch:
        generator = torch.Generator(self._device)
        generator.manual_seed(int(np.random.default_rng([self._seed, number]).integers(2**62)))
        batch = self.draw(1, generator)
        if number >= self._together_from:
            batch = replace(batch, known=torch.ones_like(batch.known))
        return batch

    def draw(self, batches: int, generator: torch.Generator | None = None) -> MotionBatch:
        """Random batches, one after the other."""
        chosen, known = self.choose(batches, generator)
        return self.batch_of(chosen, known, generator)

    def choose(
        self, batches: int, generator: torch.Generator | None = None
    ) -> tuple[Int[Tensor, " b"], Float[Tensor, " b"]]:
        """Windows of random batches, one batch after the other, and which of them are of people
        whom the bold forecast knows."""
        rows = []
        for draw in self._draws:
            shape = (batches, len(draw.known))
            luck = torch.rand(shape, generator=generator, dtype=torch.float64, device=self._device)
            place = torch.searchsorted(draw.cumulative, luck).clamp(max=len(draw.pool) - 1)
            rows.append(draw.pool[place])
        known = torch.cat([draw.known for draw in self._draws])
        return torch.cat(rows, dim=1).flatten(), known.repeat(batches)

    def batch_of(
        self,
        chosen: Int[Tensor, " b"],
        known: Float[Tensor, " b"],
        generator: torch.Generator | None = None,
        strength: Float[Tensor, " b"] | None = None,
    ) -> MotionBatch:
        """Some windows, varied; each `strength` times as strongly as usual."""
        if strength is None:
            strength = torch.ones_like(known)
        values = {name: value[chosen] for name, value in self._values.items()}
        values |= {name: each.float() for name, each in values.items() if each.dtype != torch.int64}
        values = self._augmenter.vary(values, generator, strength)
        return MotionBatch(
            MotionInputs(**{name: values[name] for name in _INPUTS}),
            values["future"],
            values["future_visible"],
            values["scale"].clamp(max=1),
            self._action[chosen],
            (values["kind"] == KIND_VIDEO).float(),
            known,
        )


def _usable(windows: MotionWindows) -> Bool[np.ndarray, " n"]:
    shown = windows.future_visible.mean(axis=(1, 2)) > 0.02
    return shown & (windows.never.mean(axis=1) < 0.5) & (windows.scale > 0.15)
