"""Training the motion network: guesses in, the correction of the guesses out.

What the moments of the own past count is learned first. Beside the run's weights this leaves the
database of motion that they were trained with, since one is of no use without the other.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from posecast.computing.devices import Flat
from posecast.datasets.pose_tracks import pose_tracks_of
from posecast.motion.basis import FPS
from posecast.motion.neighbours import BASE_FILE, MotionBase
from posecast.motion.own_past import Weigh
from posecast.motion.seen import RECENT
from posecast.motion.tracks import MotionTrack
from posecast.networks.kinds import facts_of, load_network
from posecast.networks.moment_weights import MomentWeights
from posecast.networks.motion_residual import MotionResidual, MotionResidualConfig
from posecast.networks.motion_values import MotionInputs
from posecast.records.training_runs import has_weights
from posecast.skeletons import SKELETONS
from posecast.store.identity import tracks_data
from posecast.store.reading import StoredClip
from posecast.training import motion_batches, motion_windows, settings
from posecast.training.fitting import Descent, FitResult, Validation, fit, fitted
from posecast.training.motion_augmentation import MotionAugmentation
from posecast.training.motion_loss import MotionLoss, MotionLossConfig
from posecast.training.motion_moments import learn_moments, long_enough
from posecast.training.motion_validation import mean_share, shares_of_last_pose, validation_windows
from posecast.training.session import begin

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class MotionTrainingConfig(settings.TrainingConfig):
    """How the motion network is trained."""

    KIND = "motion"

    model: MotionResidualConfig = MotionResidualConfig()
    """`actions` is set to those of the training clips, `learned_moments` and `moment_parts` by
    `moment_steps`, `trimmed` to False where there are not both kinds of clips; the last three to
    what they are in the run that is started from."""
    tracks: tuple[Path, ...] = ()
    """Files of pose tracks of real videos, see `datasets.pose_tracks`; a fifth of their groups
    validates."""
    preferred_actions: tuple[str, ...] = ()
    """Actions that are drawn twice as often."""
    moment_steps: int = 0
    """Steps in which, before all else, what each moment of the own past counts is learned; 0: it is
    not learned. Who starts from another run keeps what that one has learned of it."""
    windows: motion_windows.WindowChoice = motion_windows.WindowChoice()
    mix: motion_batches.MotionMix = motion_batches.MotionMix()
    augmentation: MotionAugmentation = MotionAugmentation()
    loss: Flat[MotionLossConfig] = MotionLossConfig()
    fit: Flat[settings.FitConfig] = settings.FitConfig(
        steps=5000,
        batch_size=320,
        learning_rate=1.5e-3,
        weight_decay=0.1,
        average=0.998,
        validate_every=1000,
        checkpoint_every=1000,
    )

    def __post_init__(self) -> None:
        settings.check_alone(self.run_on)


def train_motion(
    config: MotionTrainingConfig, store_path: Path, run_path: Path, *, fresh: bool = False
) -> FitResult:
    """Train on a store's poses and on tracks of videos, or go on with the run.

    PosecastError where things do not fit. The best score is the error as a share of the last
    pose's, a mean over frames and over kinds of windows.
    """
    store = settings.open_store(store_path, config, MotionTrainingConfig, "model.skeleton")
    chosen = settings.choose_clips(config, store)
    actions = tuple(sorted({clip.action for clip in chosen.train} - {""}))
    known, held_out = tracks_of(config, chosen.train), tracks_of(config, chosen.validation, True)
    earlier = run_path if not fresh and has_weights(run_path) else config.fit.init_from
    found = _found(config, known) if earlier is None else _kept(earlier)
    model = replace(config.model, actions=actions, **found)
    config, fabric = replace(config, model=model), config.run_on.launch()
    others = ([each for each in part if not each.is_clip] for part in (known, held_out))
    beside = [tracks_data(*others)] if config.tracks else []
    with begin(config, store, chosen, run_path, fabric, fresh=fresh, beside=beside) as session:
        network, weigh = MotionResidual(model), None
        if network.moments is not None:
            moments = _moments(config, known, earlier)
            network.moments.load_state_dict(moments.state_dict())
            # Not the network's, which go to the device: windows are made by processes without one.
            weigh = moments.of_one
        loss = MotionLoss(config.loss, fabric.device)

        def step(
            network: nn.Module, batch: motion_batches.MotionBatch
        ) -> tuple[Tensor, dict[str, Tensor]]:
            return loss(network(batch.inputs, loss.frames), batch)

        descent = Descent(network, step, session)
        if (result := fitted(descent, session)) is not None:
            return result
        data = MotionData.make(config, known, held_out, store.info.dataset, weigh)
        if session.run.writes:
            data.base.save(session.run.path / BASE_FILE)
        return fit(descent, data.batches, data.validation, session)


def _found(config: MotionTrainingConfig, known: Sequence[MotionTrack]) -> dict[str, bool]:
    """What the network can learn of these tracks, of what the configuration asks for."""
    learned = config.moment_steps > 0 and long_enough(known)
    if config.moment_steps and not learned:
        logger.warning("no recording is long enough to learn what moments of the own past count")
    told = config.model.trimmed and {True, False} <= {track.trimmed for track in known}
    if config.model.trimmed and not told:
        logger.warning(
            "trust is not told whether clips are cut to one action: there are none of both kinds"
        )
    return {"learned_moments": learned, "moment_parts": learned, "trimmed": told}


def _kept(earlier: Path) -> dict[str, bool]:
    """The same of the run that goes on, or of the one that is started from."""
    config = facts_of(earlier).config
    names = ("learned_moments", "moment_parts", "trimmed")
    return {name: bool(config.get(name)) for name in names}


def _moments(
    config: MotionTrainingConfig, known: Sequence[MotionTrack], earlier: Path | None
) -> MomentWeights:
    """Of the run that goes on, or of the one it starts from; else they are learned."""
    if earlier is None:
        skeleton = SKELETONS[config.model.skeleton]
        return learn_moments(known, config.fit.seed, config.moment_steps, skeleton)
    moments = load_network(earlier, MotionResidual, "last").network.moments
    assert moments is not None  # as the facts of its weights say
    return moments


def tracks_of(
    config: MotionTrainingConfig, clips: Sequence[StoredClip], held_out: bool = False
) -> list[MotionTrack]:
    """Clips and, of the videos' groups, those that are held out or the others."""
    tracks = [motion_windows.clip_track(clip) for clip in clips]
    for path in config.tracks:
        tracks += pose_tracks_of(path, held_out)
    return [track for track in tracks if len(track) > RECENT + 1]


@dataclass(frozen=True)
class MotionData:
    """All that a training needs, made once."""

    base: MotionBase
    batches: motion_batches.MotionBatches
    validation: Validation | None

    @classmethod
    def make(
        cls,
        config: MotionTrainingConfig,
        known: list[MotionTrack],
        held_out: list[MotionTrack],
        name: str,
        weigh: Weigh | None = None,
    ) -> "MotionData":
        """Takes minutes: every window looks for its neighbours."""
        mirror, seed = SKELETONS[config.model.skeleton].mirror, config.fit.seed
        facts = {"skeleton": config.model.skeleton, "fps": f"{FPS:g}", "made_from": name}
        clips = [track for track in known if track.is_clip]
        base, sources = motion_windows.build_base(clips, mirror, facts)
        tracks = motion_batches.TrackFacts.of(known, config.model.actions, config.preferred_actions)

        def apart(rows: Int[np.ndarray, " b"]) -> Bool[np.ndarray, "b n"]:
            return tracks.group[rows][:, None] == tracks.group[sources][None]

        windows = motion_windows.choose_windows(
            known, config.windows, seed, config.fit.workers, weigh
        )
        windows = motion_windows.find_others(windows, base, apart)
        batches = motion_batches.MotionBatches(
            windows, tracks, mirror, config.mix, config.augmentation, config.fit
        )
        validation = _validation(held_out, base, weigh) if held_out else None
        return cls(base, batches, validation)


def _validation(tracks: list[MotionTrack], base: MotionBase, weigh: Weigh | None) -> Validation:
    sets = validation_windows(tracks, base, weigh=weigh)

    def score(network: nn.Module, device: torch.device) -> dict[str, float]:
        def forecast(inputs: MotionInputs, frames: Tensor) -> Float[Tensor, "b f j 2"]:
            return network(inputs, frames).moved

        shares = {name: shares_of_last_pose(forecast, part, device) for name, part in sets.items()}
        return mean_share(shares)

    return Validation(score, "validation_ratio", lowest=True)
