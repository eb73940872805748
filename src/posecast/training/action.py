"""Training the two classifiers that judge whether a forecast still looks like its action."""

import functools
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional

from posecast.computing.devices import Flat
from posecast.errors import PosecastError, check_names
from posecast.geometry import mirror_joints
from posecast.metrics.image import flow_stack
from posecast.networks.action_classifier import FlowClassifierConfig, PoseClassifierConfig
from posecast.networks.kinds import KINDS
from posecast.records.configs import check_at_least
from posecast.skeletons import SKELETONS, Skeleton
from posecast.store.reading import Store, StoredClip
from posecast.training import settings
from posecast.training.fitting import Descent, FitResult, Validation, fit
from posecast.training.session import begin

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class PoseActionTrainingConfig(settings.TrainingConfig):
    """How the classifier of pose sequences is trained."""

    KIND = "pose_action"

    model: PoseClassifierConfig = PoseClassifierConfig()
    """`num_actions` is set to the number of actions among the training clips."""
    skeleton: str = "penn_action"
    """Skeleton of the store's poses."""
    num_frames: int = 74
    """Longest stretch of a clip that it is shown; shorter ones from half of that on, too."""
    noise: float = 0.01
    """Deviation of what is added to joints, as a share of the crop."""
    hidden_share: float = 0.1
    """Share of visible joints that are hidden while training."""

    def __post_init__(self) -> None:
        check_names((self.skeleton,), list(SKELETONS), "skeleton")
        check_at_least(2, self, "num_frames")


@dataclass(frozen=True)
class FlowActionTrainingConfig(settings.FrameTrainingConfig):
    """How the classifier of optical flow is trained."""

    KIND = "flow_action"

    model: FlowClassifierConfig = FlowClassifierConfig()
    """`num_actions` is set to the number of actions among the training clips."""
    fit: Flat[settings.FitConfig] = settings.FitConfig(steps=1000, batch_size=16)


def with_actions(chosen: settings.ChosenClips) -> tuple[settings.ChosenClips, list[str]]:
    """Clips that a classifier can learn from, and the names of its classes in their order.

    Left out, with a message: clips of no action, and validation clips of one that is not learned.
    PosecastError where fewer than two actions are left.
    """
    actions = sorted({clip.action for clip in chosen.train} - {""})
    if len(actions) < 2:
        raise PosecastError(f"a classifier needs clips of two actions or more, got {actions}")
    kept = settings.ChosenClips(
        *([each for each in clips if each.action in actions] for clips in chosen)
    )
    left_out = sum(map(len, chosen)) - sum(map(len, kept))
    if left_out:
        logger.warning("%s clips without an action, or of one not learned: left out", left_out)
    return kept, actions


def train_pose_classifier(
    config: PoseActionTrainingConfig, store_path: Path, run_path: Path, *, fresh: bool = False
) -> FitResult:
    """Train on true poses, or go on with the run; PosecastError where things do not fit.

    The best score is the mean log likelihood of the true actions.
    """
    store = settings.open_store(store_path, config, PoseActionTrainingConfig, "skeleton")
    clips, actions = with_actions(settings.choose_clips(config, store))
    shape = {"num_actions": len(actions), "num_joints": store.skeleton.num_joints}
    config = replace(config, model=replace(config.model, **shape))

    def held_out() -> Iterator[tuple[Tensor, ...]]:
        for clip in clips.validation:
            part = slice(0, config.num_frames)
            joints = torch.from_numpy(clip.joints_crop[part].astype(np.float32))
            yield joints[None], torch.from_numpy(clip.visible[part])[None]

    stretches = functools.partial(_pose_stretches, clips.train, actions, config, store.skeleton)
    return _train(config, store, clips, actions, stretches, held_out, run_path, fresh)


def train_flow_classifier(
    config: FlowActionTrainingConfig, store_path: Path, run_path: Path, *, fresh: bool = False
) -> FitResult:
    """Train on the flow of true frames, or go on with the run; scores as for poses."""
    store = settings.open_store(store_path, config, FlowActionTrainingConfig)
    needed = config.model.num_flows + 1
    chosen = settings.choose_clips(config, store)
    chosen = settings.ChosenClips(*(settings.long_enough(each, needed) for each in chosen))
    clips, actions = with_actions(chosen)
    config = replace(config, model=replace(config.model, num_actions=len(actions)))

    def held_out() -> Iterator[tuple[Tensor, ...]]:
        for first in range(0, len(clips.validation), config.fit.batch_size):
            part = clips.validation[first : first + config.fit.batch_size]
            middles = [((clip.num_frames - needed) // 2, clip) for clip in part]
            flows = [_flows(store, clip, start, needed) for start, clip in middles]
            yield (torch.from_numpy(np.stack(flows)),)

    stretches = functools.partial(_flow_stretches, store, clips.train, actions, config)
    return _train(config, store, clips, actions, stretches, held_out, run_path, fresh)


class Labelled(NamedTuple):
    """Stretches of clips, this process's share of a batch."""

    inputs: tuple[Tensor, ...]
    """What the classifier reads."""
    labels: Int[Tensor, " b"]


def _train(
    config: PoseActionTrainingConfig | FlowActionTrainingConfig,
    store: Store,
    clips: settings.ChosenClips,
    actions: list[str],
    stretches: Callable[[slice, int], Labelled],
    held_out: Callable[[], Iterator[tuple[Tensor, ...]]],
    run_path: Path,
    fresh: bool,
) -> FitResult:
    """`stretches` gives these rows of a batch by its number, `held_out` all validation clips."""
    target = torch.tensor([actions.index(each.action) for each in clips.validation])

    def score(network: nn.Module, device: torch.device) -> dict[str, float]:
        """Negated cross-entropy, by which weights are chosen, and accuracy."""
        parts = ((each.to(device) for each in inputs) for inputs in held_out())
        logits = torch.cat([network(*inputs).float().cpu() for inputs in parts])
        likelihood = -float(functional.cross_entropy(logits, target))
        accuracy = float((logits.argmax(dim=1) == target).float().mean())
        return {"validation_log_likelihood": likelihood, "validation_accuracy": accuracy}

    validation = Validation(score, "validation_log_likelihood") if clips.validation else None
    fabric = config.run_on.launch()
    batches = functools.partial(stretches, settings.share_of(fabric, config.fit.batch_size))
    with begin(config, store, clips, run_path, fabric, fresh=fresh, actions=actions) as session:
        network = KINDS[config.KIND].network(config.model)
        return fit(Descent(network, _step, session), batches, validation, session)


def _step(network: nn.Module, batch: Labelled) -> tuple[Tensor, dict[str, Tensor]]:
    logits = network(*batch.inputs)
    loss = functional.cross_entropy(logits.float(), batch.labels)
    right = (logits.argmax(dim=1) == batch.labels).float().mean()
    return loss, {"loss": loss.detach(), "accuracy": right}


def _pose_stretches(
    clips: Sequence[StoredClip],
    actions: list[str],
    config: PoseActionTrainingConfig,
    skeleton: Skeleton,
    share: slice,
    number: int,
) -> Labelled:
    """Varied stretches of clips: joints as shares of the crop, and visibility, which is False past
    a clip's end."""
    fit = config.fit
    rng = np.random.default_rng((fit.seed, number))
    joints = np.zeros((fit.batch_size, config.num_frames, skeleton.num_joints, 2), np.float32)
    visible = np.zeros(joints.shape[:3], bool)
    labels = np.zeros(fit.batch_size, np.int64)
    for row, place in enumerate(rng.integers(0, len(clips), fit.batch_size)):
        shown, seen = _stretch(clips[place], config.num_frames, skeleton, rng)
        length = len(seen)
        joints[row, :length] = shown + config.noise * rng.standard_normal(shown.shape, np.float32)
        visible[row, :length] = seen & (rng.random(seen.shape) >= config.hidden_share)
        labels[row] = actions.index(clips[place].action)
    *inputs, target = (torch.from_numpy(each[share]) for each in (joints, visible, labels))
    return Labelled(tuple(inputs), target)


def _stretch(
    clip: StoredClip, most: int, skeleton: Skeleton, rng: np.random.Generator
) -> tuple[Float[np.ndarray, "t j 2"], Bool[np.ndarray, "t j"]]:
    """Up to `most` frames anywhere in the clip, one time in two as in a mirror."""
    longest = min(most, clip.num_frames)
    length = int(rng.integers(max(1, longest // 2), longest + 1))
    start = int(rng.integers(0, clip.num_frames - length + 1))
    part = slice(start, start + length)
    shown, seen = clip.joints_crop[part].astype(np.float32), clip.visible[part]
    return mirror_joints(shown, seen, skeleton) if rng.random() < 0.5 else (shown, seen)


def _flow_stretches(
    store: Store,
    clips: Sequence[StoredClip],
    actions: list[str],
    config: FlowActionTrainingConfig,
    share: slice,
    number: int,
) -> Labelled:
    """Flows between neighbouring frames of stretches of clips, half of them mirrored."""
    fit, length = config.fit, config.model.num_flows + 1
    rng = np.random.default_rng((fit.seed, number))
    draws = [
        (clip, int(rng.integers(0, clip.num_frames - length + 1)), length, rng.random() < 0.5)
        for clip in [clips[place] for place in rng.integers(0, len(clips), fit.batch_size)]
    ][share]
    flows = np.stack([_flows(store, *draw) for draw in draws])
    labels = torch.tensor([actions.index(clip.action) for clip, *_ in draws])
    return Labelled((torch.from_numpy(flows),), labels)


def _flows(
    store: Store, clip: StoredClip, start: int, num_frames: int, mirrored: bool = False
) -> Float[np.ndarray, "f h w 2"]:
    frames = store.read_frames(clip, slice(start, start + num_frames))
    return flow_stack(np.ascontiguousarray(frames[:, :, ::-1]) if mirrored else frames)
