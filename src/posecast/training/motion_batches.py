"""Training windows to varied batches: mirrored, turned, stretched, shaken, with hidden joints.

The guesses are moved along with the poses, and at times left out, so that the network learns to do
without. A batch is a pure function of (seed, number).
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from posecast.motion import own_past
from posecast.motion.seen import BACK, RECENT
from posecast.networks.motion_residual import MotionInputs
from posecast.training.fitting import FitConfig
from posecast.training.motion_windows import KIND_CLIP, KIND_FIRST, KIND_VIDEO, MotionWindows

_NO_MOMENT = (0.0, 3.0, 3.0, *[0.0] * (own_past.NUM_FACTS - 3))
_INPUTS = tuple(each.name for each in fields(MotionInputs))
_POINTS = ("pose", "was", "own", "own_best", "others", "future")
_MARKS = ("visible", "unseen", "never", "future_visible")


@dataclass(frozen=True)
class MotionAugmentation:
    """How windows are varied."""

    rotation_degrees: float = 12.0
    """Largest turn in the image."""
    stretch: float = 0.12
    """Deviation of the logarithm of the stretch along each axis."""
    shaken: float = 0.3
    """Share of the windows whose seen joints are shaken."""
    largest_shake: float = 0.008
    """Deviation in sizes of the body."""
    hidden: float = 0.3
    """Share of the windows in which some joints are hidden in the last frames."""
    no_guess: float = 0.1
    """Share of the windows in which each guess is left out."""


@dataclass(frozen=True)
class MotionMix:
    """What a batch is made of."""

    first: float = 0.22
    """Share of windows of the first frames of a clip."""
    clip: float = 0.35
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
    num_known: int
    """How many rows are of people whom the bold forecast is trained on."""

    def to(self, device: torch.device) -> "MotionBatch":
        names = ("inputs", "future", "future_visible", "scale", "action", "video")
        return replace(self, **{name: getattr(self, name).to(device) for name in names})


class MotionBatches:
    """Number -> batch."""

    def __init__(
        self,
        windows: MotionWindows,
        actions: Int[np.ndarray, " tracks"],
        groups: Int[np.ndarray, " tracks"],
        unknown: Bool[np.ndarray, " tracks"],
        preferred: Bool[np.ndarray, " tracks"],
        mirror: Sequence[int],
        mix: MotionMix,
        augmentation: MotionAugmentation,
        fit: FitConfig,
    ) -> None:
        """`actions`, `groups`, `unknown` and `preferred` are facts of the tracks."""
        self._values = {
            each.name: torch.from_numpy(getattr(windows, each.name)) for each in fields(windows)
        }
        self._action = torch.from_numpy(actions[windows.track])
        self._mirror = torch.tensor(mirror)
        self._augmentation, self._seed = augmentation, fit.seed
        self._together_from = round(fit.steps * mix.together)
        hidden = round(fit.batch_size * mix.unknown) if unknown.any() else 0
        sizes = {False: fit.batch_size - hidden, True: hidden}
        self._draws, self._num_known = [], sizes[False]
        for held, size in sizes.items():
            rows = (unknown[windows.track] == held) & _usable(windows)
            self._draws += _plan(windows, rows, size, mix, groups, preferred)

    def __call__(self, number: int) -> MotionBatch:
        """Batch number `number`."""
        rng = np.random.default_rng([self._seed, number])
        rows = [
            pool[np.searchsorted(cumulative, rng.random(count))]
            for pool, cumulative, count in self._draws
        ]
        chosen = torch.from_numpy(np.concatenate(rows))
        values = {name: _single(value[chosen]) for name, value in self._values.items()}
        generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
        values = self._vary(values, generator)
        return MotionBatch(
            MotionInputs(**{name: values[name] for name in _INPUTS}),
            values["future"],
            values["future_visible"],
            values["scale"].clamp(max=1),
            self._action[chosen],
            (values["kind"] == KIND_VIDEO).float(),
            len(chosen) if number >= self._together_from else self._num_known,
        )

    def _vary(self, values: dict[str, Tensor], generator: torch.Generator) -> dict[str, Tensor]:
        settings, count = self._augmentation, len(values["pose"])

        def luck(*shape: int) -> Tensor:
            return torch.rand(count, *shape, generator=generator)

        values |= _hide(
            values,
            (luck(1) < settings.hidden) & (luck(values["pose"].shape[1]) < 0.25),
            luck(values["pose"].shape[1]),
        )
        deviation = (luck(1, 1, 1) < settings.shaken) * luck(1, 1, 1) * settings.largest_shake
        shape = (count, 1 + len(BACK), *values["pose"].shape[1:])
        values |= _shake(values, torch.randn(shape, generator=generator) * deviation)
        values |= _leave_out(values, luck() < settings.no_guess, luck() < settings.no_guess)
        turn = (luck() * 2 - 1) * settings.rotation_degrees * torch.pi / 180
        stretch = torch.randn(count, 2, generator=generator) * settings.stretch
        return values | self._turn(values, _matrices(turn, stretch.exp()), luck() < 0.5)

    def _turn(
        self,
        values: dict[str, Tensor],
        matrix: Float[Tensor, "b 2 2"],
        mirrored: Bool[Tensor, " b"],
    ) -> dict[str, Tensor]:
        turned = {}
        for name in (*_POINTS, *_MARKS):
            value, joint_axis = values[name], -2 if name in _POINTS else -1
            other = value.index_select(joint_axis, self._mirror)
            where = mirrored.reshape(-1, *[1] * (value.ndim - 1))
            turned[name] = torch.where(where, other, value)
        sign = torch.where(mirrored[:, None, None], torch.tensor([-1.0, 1.0]), torch.ones(2))
        for name in _POINTS:
            points = turned[name]
            turned[name] = (points.flatten(1, -2) @ (matrix * sign).mT).reshape(points.shape)
        return turned


def _usable(windows: MotionWindows) -> Bool[np.ndarray, " n"]:
    shown = windows.future_visible.mean(axis=(1, 2)) > 0.02
    return shown & (windows.never.mean(axis=1) < 0.5) & (windows.scale > 0.15)


def _plan(
    windows: MotionWindows,
    usable: Bool[np.ndarray, " n"],
    size: int,
    mix: MotionMix,
    groups: Int[np.ndarray, " tracks"],
    preferred: Bool[np.ndarray, " tracks"],
) -> list[tuple[Int[np.ndarray, " k"], Float[np.ndarray, " k"], int]]:
    """Windows of each kind, their cumulative chances, and how many are drawn."""
    shares = {KIND_FIRST: mix.first, KIND_CLIP: mix.clip}
    shares[KIND_VIDEO] = 1 - sum(shares.values())
    pools = {kind: np.flatnonzero(usable & (windows.kind == kind)) for kind in shares}
    pools = {kind: pool for kind, pool in pools.items() if len(pool)}
    total = sum(shares[kind] for kind in pools)
    plan, left = [], size
    for place, (kind, pool) in enumerate(pools.items()):
        last = place == len(pools) - 1
        count = left if last else round(size * shares[kind] / total)
        left -= count
        track = windows.track[pool]
        chance = np.where(preferred[track], mix.preferred, 1.0)
        if kind == KIND_VIDEO:  # a group of many videos does not drown the others
            chance = 1 / np.sqrt(np.bincount(groups[track])[groups[track]])
        cumulative = np.cumsum(chance / chance.sum())
        cumulative[-1] = 1.0
        plan.append((pool, cumulative, count))
    return plan


def _single(value: Tensor) -> Tensor:
    """What networks read."""
    return value if value.dtype == torch.int64 else value.float()


def _hide(
    values: dict[str, Tensor], hidden: Bool[Tensor, "b j"], luck: Float[Tensor, "b j"]
) -> dict[str, Tensor]:
    """Joints hidden in the last 1 to 9 frames: the last seen place stands in."""
    frames = (luck * (RECENT - 1)).long().clamp(max=RECENT - 2)
    hidden = hidden & (values["exists"].gather(1, frames) > 0)
    place = values["was"].gather(1, frames[:, None, :, None].expand(-1, 1, -1, 2))[:, 0]
    place = place * hidden[..., None]
    back = torch.tensor(BACK)[:, None]
    lasts = frames[:, None] + 1
    within = ((back <= lasts) & hidden[:, None])[..., None]
    pose = values["pose"] + place
    shown = ~((torch.arange(RECENT)[:, None] < lasts) & hidden[:, None])
    return {
        "was": torch.where(within, 0.0, values["was"] - place[:, None]),
        "pose": pose - pose.mean(dim=1, keepdim=True),
        "future": values["future"] - place[:, None],
        "unseen": torch.where(hidden, (frames + 1) / 30, values["unseen"]),
        "visible": values["visible"] * shown,
    }


def _shake(values: dict[str, Tensor], shift: Float[Tensor, "b o j 2"]) -> dict[str, Tensor]:
    """Every seen place a little off, as estimators have it."""
    exists = values["exists"][..., None, None]
    return {
        "pose": values["pose"] + shift[:, 0],
        "was": values["was"] + (shift[:, 1:] - shift[:, :1]) * exists,
        "future": values["future"] - shift[:, :1],
    }


def _leave_out(
    values: dict[str, Tensor], own: Bool[Tensor, " b"], others: Bool[Tensor, " b"]
) -> dict[str, Tensor]:
    """Windows without one of the guesses."""
    left = {"own": own, "own_best": own, "others": others, "others_facts": others}
    changed = {
        name: values[name] * ~where.reshape(-1, *[1] * (values[name].ndim - 1))
        for name, where in left.items()
    }
    nothing = torch.tensor(_NO_MOMENT)
    changed["own_facts"] = torch.where(own[:, None], nothing, values["own_facts"])
    return changed


def _matrices(turn: Float[Tensor, " b"], stretch: Float[Tensor, "b 2"]) -> Float[Tensor, "b 2 2"]:
    cosine, sine = turn.cos(), turn.sin()
    rotation = torch.stack([cosine, -sine, sine, cosine], dim=1).reshape(-1, 2, 2)
    return rotation * stretch[:, None]
