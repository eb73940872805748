"""Training the motion network: guesses in, the correction of the guesses out.

Beside the run's weights this leaves the database of motion that they were trained with, since one
is of no use without the other.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional

from posecast.computing.options import Flat
from posecast.datasets.pose_tracks import groups_held_out, read_pose_tracks
from posecast.motion.basis import FPS
from posecast.motion.neighbours import BASE_FILE, MotionBase
from posecast.motion.seen import RECENT
from posecast.motion.tracks import MotionTrack
from posecast.networks.motion_residual import (
    QUANTILES,
    MotionInputs,
    MotionResidual,
    MotionResidualConfig,
)
from posecast.skeletons import SKELETONS
from posecast.store.reading import Store, StoredClip
from posecast.training.beginning import (
    TrainingConfig,
    begin,
    check_store_skeleton,
    choose_clips,
)
from posecast.training.fitting import Descent, FitConfig, FitResult, Validation, fit
from posecast.training.motion_batches import (
    MotionAugmentation,
    MotionBatch,
    MotionBatches,
    MotionMix,
)
from posecast.training.motion_windows import (
    FRAMES,
    KIND_FIRST,
    KIND_VIDEO,
    MotionWindows,
    WindowChoice,
    build_base,
    choose_windows,
    clip_track,
    cut_windows,
    find_others,
)

_AHEAD = np.array(FRAMES) + 1
_USUAL_ERROR = np.interp(_AHEAD, (1, 2, 4, 8, 16, 32, 64), (1.0, 1.75, 3.4, 6.0, 9.5, 13.5, 18.0))
"""Of the last pose on Penn Action, in % of the box: frames count by how much there is to gain."""
_SEEN_FOR_ALL = 60
_EVERY = 30


@dataclass(frozen=True)
class MotionTrainingConfig(TrainingConfig):
    """How the motion network is trained."""

    KIND = "motion"

    model: MotionResidualConfig = MotionResidualConfig()
    """`actions` is set to those of the training clips."""
    tracks: tuple[Path, ...] = ()
    """Files of pose tracks of real videos, see `datasets.pose_tracks`; a fifth of their groups
    validates."""
    preferred_actions: tuple[str, ...] = ()
    """Actions that are drawn twice as often."""
    windows: WindowChoice = WindowChoice()
    mix: MotionMix = MotionMix()
    augmentation: MotionAugmentation = MotionAugmentation()
    action_weight: float = 0.05
    """Of telling actions apart."""
    spread_weight: float = 0.15
    """Of saying how far off the forecast may be."""
    regret: float = 0.5
    """How much more an error in videos counts, for caution and trust, where the last pose would
    have been nearer: in doubt, one stays."""
    near_weight: float = 0.3
    """Power of the time ahead by which far frames count less."""
    unknown_every: int = 7
    """Every how many-th clip is kept from the bold forecast, to train how far it is trusted."""
    unknown_groups_every: int = 4
    """The same for groups of videos."""
    fit: Flat[FitConfig] = FitConfig(
        steps=5000,
        batch_size=320,
        learning_rate=1.5e-3,
        weight_decay=0.1,
        average=0.998,
        validate_every=1000,
        checkpoint_every=1000,
    )


def train_motion(
    config: MotionTrainingConfig, store_path: Path, run_path: Path, *, fresh: bool = False
) -> FitResult:
    """Train on a store's poses and on tracks of videos, or go on with the run.

    PosecastError where things do not fit. The best score is the error as a share of the last
    pose's, a mean over frames and over kinds of windows.
    """
    store = Store.open(store_path)
    check_store_skeleton(store, config.model.skeleton)
    chosen = choose_clips(config, store)
    actions = tuple(sorted({clip.action for clip in chosen.train} - {""}))
    config = replace(config, model=replace(config.model, actions=actions))
    known, held_out = _tracks(config, chosen.train), _tracks(config, chosen.validation, True)
    fabric = config.run_on.launch()
    with begin(config, store, chosen, run_path, fabric, fresh=fresh) as session:
        data = MotionData.make(config, known, held_out, store.info.dataset)
        if session.run.writes:
            data.base.save(session.run.path / BASE_FILE)
        network = MotionResidual(config.model)
        step = MotionStep(config)
        return fit(Descent(network, step, session), data.batches, data.validation, session)


def _tracks(
    config: MotionTrainingConfig, clips: Sequence[StoredClip], held_out: bool = False
) -> list[MotionTrack]:
    """Clips and, of the videos' groups, those that are held out or the others."""
    tracks = [clip_track(clip) for clip in clips]
    for path in config.tracks:
        videos = read_pose_tracks(path)
        apart = groups_held_out([video.group for video in videos])
        tracks += [video for video in videos if (video.group in apart) == held_out]
    return [track for track in tracks if len(track) > RECENT + 1]


@dataclass(frozen=True)
class MotionData:
    """All that a training needs, made once."""

    base: MotionBase
    batches: MotionBatches
    validation: Validation | None

    @classmethod
    def make(
        cls,
        config: MotionTrainingConfig,
        known: list[MotionTrack],
        held_out: list[MotionTrack],
        name: str,
    ) -> "MotionData":
        """Takes minutes: every window looks for its neighbours."""
        mirror, seed = SKELETONS[config.model.skeleton].mirror, config.fit.seed
        facts = {"skeleton": config.model.skeleton, "fps": f"{FPS:g}", "made_from": name}
        base, sources = build_base(known, mirror, facts)
        groups = np.unique([track.group for track in known], return_inverse=True)[1]

        def apart(tracks: Int[np.ndarray, " b"]) -> Bool[np.ndarray, "b n"]:
            return groups[tracks][:, None] == groups[sources][None]

        windows = find_others(choose_windows(known, config.windows, seed), base, apart)
        actions = [
            config.model.actions.index(track.action) if track.action else -1 for track in known
        ]
        preferred = np.array([track.action in config.preferred_actions for track in known])
        batches = MotionBatches(
            windows,
            np.array(actions),
            groups,
            _unknown(config, known),
            preferred,
            mirror,
            config.mix,
            config.augmentation,
            config.fit,
        )
        validation = _validation(held_out, base) if held_out else None
        return cls(base, batches, validation)


def _unknown(
    config: MotionTrainingConfig, tracks: Sequence[MotionTrack]
) -> Bool[np.ndarray, " tracks"]:
    """Tracks that the bold forecast is not trained on."""
    videos = sorted({track.group for track in tracks if not track.is_clip})
    kept = set(videos[1 :: config.unknown_groups_every])
    clips = [number for number, track in enumerate(tracks) if track.is_clip]
    marks = np.array([track.group in kept and not track.is_clip for track in tracks])
    marks[clips[:: config.unknown_every]] = True
    return marks


class MotionStep:
    """Loss of a batch."""

    def __init__(self, config: MotionTrainingConfig) -> None:
        self._config = config
        weights = np.diff(_AHEAD, prepend=0) / (_USUAL_ERROR * _AHEAD**config.near_weight)
        self._weights = torch.from_numpy(weights / weights.mean() * 100).float()
        self._frames = torch.tensor(FRAMES)

    def __call__(
        self, network: nn.Module, batch: MotionBatch
    ) -> tuple[Float[Tensor, ""], dict[str, Tensor]]:
        """The loss, and what to log of it."""
        device, known = batch.future.device, batch.num_known
        self._weights, self._frames = self._weights.to(device), self._frames.to(device)
        said = network(batch.inputs, self._frames)
        further = said.trust[..., None, None] * (said.bold - said.cautious).detach()
        trusted = said.cautious.detach() + further
        shown = batch.future_visible
        bold, cautious, moved = (
            self._error(each, batch) for each in (said.bold, said.cautious, trusted)
        )
        still = self._error(torch.zeros_like(batch.future), batch)
        regret = self._config.regret * batch.video[:, None, None]
        terms = {
            "bold": self._mean(bold[:known], shown[:known]),
            "cautious": self._mean(cautious + regret * (cautious - still).clamp_min(0), shown),
        }
        if said.action_logits.shape[1]:
            telling = _cross_entropy(said.action_logits[:known], batch.action[:known])
            terms["action"] = self._config.action_weight * telling
        if known < len(shown):  # people whom the bold forecast does not know
            regretted = (moved + regret * (moved - still).clamp_min(0))[known:]
            terms["trust"] = self._mean(regretted, shown[known:])
            far = (moved / batch.scale[:, None, None]).detach()[known:]
            spread = _pinball(far, said.log_radius[known:], shown[known:])
            terms["spread"] = self._config.spread_weight * spread
        loss = torch.stack(list(terms.values())).sum()
        return loss, {"loss": loss.detach(), **{k: v.detach() for k, v in terms.items()}}

    def _mean(
        self, error: Float[Tensor, "b f j"], shown: Float[Tensor, "b f j"]
    ) -> Float[Tensor, ""]:
        return (error * shown * self._weights[None, :, None]).sum() / shown.sum().clamp_min(1)

    @staticmethod
    def _error(moved: Float[Tensor, "b f j 2"], batch: MotionBatch) -> Float[Tensor, "b f j"]:
        """Distances as shares of the box."""
        distance = ((moved - batch.future).square().sum(dim=-1) + 1e-8).sqrt()
        return distance * batch.scale[:, None, None]


def _cross_entropy(logits: Float[Tensor, "b a"], action: Int[Tensor, " b"]) -> Float[Tensor, ""]:
    """Mean over those whose action is known, 0 where none is."""
    total = functional.cross_entropy(logits, action, ignore_index=-1, reduction="sum")
    return total / (action >= 0).sum().clamp_min(1)


def _pinball(
    error: Float[Tensor, "b f j"],
    log_radius: Float[Tensor, "b 2 f j"],
    shown: Float[Tensor, "b f j"],
) -> Float[Tensor, ""]:
    """Least where the radii are the quantiles of the error."""
    over = torch.log(error.clamp_min(1e-4))[:, None] - log_radius
    parts = zip(QUANTILES, over.unbind(1), strict=True)
    value = sum(torch.maximum(level * part, (level - 1) * part) for level, part in parts)
    return (value * shown).sum() / shown.sum().clamp_min(1)


def _validation(tracks: list[MotionTrack], base: MotionBase) -> Validation:
    """Clips seen for ten frames; videos seen for ten frames, and from their beginning."""
    sets: dict[str, MotionWindows] = {}
    for name, is_clip, least in (
        ("clips", True, RECENT),
        ("videos", False, _SEEN_FOR_ALL),
        ("videos_ten", False, _SEEN_FOR_ALL),
    ):
        parts = []
        for number, track in enumerate(tracks):
            if track.is_clip != is_clip:
                continue
            last = RECENT if is_clip else len(track) - 1
            ends = np.arange(least - 1, last, _EVERY)
            starts = np.zeros_like(ends) if name != "videos_ten" else ends - RECENT + 1
            kinds = np.full_like(ends, KIND_FIRST if is_clip else KIND_VIDEO)
            if len(ends):
                parts.append(cut_windows(track, number, ends, starts, kinds))
        if parts:
            sets[name] = find_others(MotionWindows.join(parts), base)

    def score(network: nn.Module, device: torch.device) -> dict[str, float]:
        scores = {
            f"validation_{name}": _ratio(network, part, device) for name, part in sets.items()
        }
        return {**scores, "validation_ratio": float(np.mean(list(scores.values())))}

    return Validation(score, "validation_ratio", lowest=True)


def window_inputs(windows: MotionWindows) -> MotionInputs:
    """What the network reads of windows."""
    names = MotionInputs.__dataclass_fields__
    return MotionInputs(
        **{name: torch.from_numpy(getattr(windows, name)).float() for name in names}
    )


def _ratio(network: nn.Module, windows: MotionWindows, device: torch.device) -> float:
    """Error as a share of the last pose's, a mean over frames spread evenly in logarithm."""
    inputs = window_inputs(windows).to(device)
    moved = network(inputs, torch.tensor(FRAMES, device=device)).moved.float().cpu().numpy()
    future = windows.future.astype(np.float32)
    unit = windows.scale[:, None, None] * windows.future_visible
    error = (np.linalg.norm(moved - future, axis=-1) * unit).sum(axis=(0, 2))
    still = (np.linalg.norm(future, axis=-1) * unit).sum(axis=(0, 2))
    at = [FRAMES.index(ahead - 1) for ahead in (1, 4, 8, 16, 33, 64)]
    return float((error[at] / np.maximum(still[at], 1e-9)).mean())
