"""Training the two classifiers that judge whether a forecast still looks like its action."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional

from posecast.computing.devices import Flat
from posecast.errors import PosecastError
from posecast.geometry import mirror_joints
from posecast.metrics.image import flow_stack
from posecast.networks.action_classifier import (
    FlowClassifier,
    FlowClassifierConfig,
    PoseClassifier,
    PoseClassifierConfig,
)
from posecast.records.configs import check_at_least
from posecast.skeletons import SKELETONS, Skeleton
from posecast.store.files import check_names
from posecast.store.reading import Store, StoredClip
from posecast.training.beginning import (
    ChosenClips,
    FrameTrainingConfig,
    TrainingConfig,
    begin,
    check_store_skeleton,
    choose_clips,
    long_enough,
)
from posecast.training.fitting import Descent, FitConfig, FitResult, Validation, fit

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class PoseActionTrainingConfig(TrainingConfig):
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
class FlowActionTrainingConfig(FrameTrainingConfig):
    """How the classifier of optical flow is trained."""

    KIND = "flow_action"

    model: FlowClassifierConfig = FlowClassifierConfig()
    """`num_actions` is set to the number of actions among the training clips."""
    fit: Flat[FitConfig] = FitConfig(steps=1000, batch_size=16)


def with_actions(chosen: ChosenClips) -> tuple[ChosenClips, list[str]]:
    """Clips that a classifier can learn from, and the names of its classes in their order.

    Left out, with a message: clips of no action, and validation clips of one that is not learned.
    PosecastError where fewer than two actions are left.
    """
    actions = sorted({clip.action for clip in chosen.train} - {""})
    if len(actions) < 2:
        raise PosecastError(f"a classifier needs clips of two actions or more, got {actions}")
    kept = ChosenClips(*([each for each in clips if each.action in actions] for clips in chosen))
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
    store = Store.open(store_path)
    check_store_skeleton(store, config.skeleton)
    clips, actions = with_actions(choose_clips(config, store))
    shape = {"num_actions": len(actions), "num_joints": store.skeleton.num_joints}
    config = replace(config, model=replace(config.model, **shape))

    def score(network: nn.Module, device: torch.device) -> dict[str, float]:
        logits = []
        for clip in clips.validation:
            part = slice(0, config.num_frames)
            joints = torch.from_numpy(clip.joints_crop[part].astype(np.float32))[None]
            visible = torch.from_numpy(clip.visible[part])[None]
            logits.append(network(joints.to(device), visible.to(device)).float().cpu())
        return _scores(torch.cat(logits), [actions.index(each.action) for each in clips.validation])

    def step(network: nn.Module, batch: "LabelledPoses") -> tuple[Tensor, dict[str, Tensor]]:
        return _cross_entropy(network(batch.joints, batch.visible), batch.labels)

    validation = Validation(score, "validation_log_likelihood") if clips.validation else None
    fabric = config.run_on.launch()
    share = slice(fabric.global_rank, None, fabric.world_size)
    batches = PoseStretches(clips.train, actions, config, store.skeleton, share)
    with begin(config, store, clips, run_path, fabric, fresh=fresh, actions=actions) as session:
        network = PoseClassifier(config.model)
        return fit(Descent(network, step, session), batches, validation, session)


def train_flow_classifier(
    config: FlowActionTrainingConfig, store_path: Path, run_path: Path, *, fresh: bool = False
) -> FitResult:
    """Train on the flow of true frames, or go on with the run; scores as for poses."""
    store = Store.open(store_path)
    needed = config.model.num_flows + 1
    chosen = choose_clips(config, store)
    chosen = ChosenClips(*(long_enough(each, needed) for each in chosen))
    clips, actions = with_actions(chosen)
    config = replace(config, model=replace(config.model, num_actions=len(actions)))

    def score(network: nn.Module, device: torch.device) -> dict[str, float]:
        logits, size = [], config.fit.batch_size
        for first in range(0, len(clips.validation), size):
            part = clips.validation[first : first + size]
            flows = np.stack([_middle_flows(store, clip, needed) for clip in part])
            logits.append(network(torch.from_numpy(flows).to(device)).float().cpu())
        return _scores(torch.cat(logits), [actions.index(each.action) for each in clips.validation])

    def step(network: nn.Module, batch: "LabelledFlows") -> tuple[Tensor, dict[str, Tensor]]:
        return _cross_entropy(network(batch.flows), batch.labels)

    validation = Validation(score, "validation_log_likelihood") if clips.validation else None
    fabric = config.run_on.launch()
    share = slice(fabric.global_rank, None, fabric.world_size)
    batches = FlowStretches(store, clips.train, actions, config, share)
    with begin(config, store, clips, run_path, fabric, fresh=fresh, actions=actions) as session:
        network = FlowClassifier(config.model)
        return fit(Descent(network, step, session), batches, validation, session)


def _cross_entropy(
    logits: Float[Tensor, "b a"], labels: Int[Tensor, " b"]
) -> tuple[Float[Tensor, ""], dict[str, Tensor]]:
    loss = functional.cross_entropy(logits.float(), labels)
    right = (logits.argmax(dim=1) == labels).float().mean()
    return loss, {"loss": loss.detach(), "accuracy": right}


def _scores(logits: Float[Tensor, "n a"], labels: list[int]) -> dict[str, float]:
    """Negated cross-entropy, by which weights are chosen, and accuracy."""
    target = torch.tensor(labels)
    entropy = functional.cross_entropy(logits, target)
    accuracy = (logits.argmax(dim=1) == target).float().mean()
    return {"validation_log_likelihood": -float(entropy), "validation_accuracy": float(accuracy)}


class LabelledPoses(NamedTuple):
    """Stretches of clips; what lies past a clip's end is invisible."""

    joints: Float[Tensor, "b t j 2"]
    """Shares of the crop."""
    visible: Bool[Tensor, "b t j"]
    labels: Int[Tensor, " b"]


@dataclass(frozen=True)
class PoseStretches:
    """Varied stretches of clips, this process's share of each batch."""

    clips: Sequence[StoredClip]
    actions: list[str]
    config: PoseActionTrainingConfig
    skeleton: Skeleton
    share: slice
    """Rows of the whole batch."""

    def __call__(self, number: int) -> LabelledPoses:
        """Batch number `number`."""
        fit, length = self.config.fit, self.config.num_frames
        rng = np.random.default_rng((fit.seed, number))
        joints = np.zeros((fit.batch_size, length, self.skeleton.num_joints, 2), np.float32)
        visible = np.zeros(joints.shape[:3], bool)
        labels = np.zeros(fit.batch_size, np.int64)
        for row, place in enumerate(rng.integers(0, len(self.clips), fit.batch_size)):
            clip = self.clips[place]
            part = _stretch(clip.num_frames, length, rng)
            shown, seen = _varied_poses(clip, part, self.config, self.skeleton, rng)
            joints[row, : len(shown)], visible[row, : len(seen)] = shown, seen
            labels[row] = self.actions.index(clip.action)
        rows = (each[self.share] for each in (joints, visible, labels))
        return LabelledPoses(*map(torch.from_numpy, rows))


def _stretch(num_frames: int, longest: int, rng: np.random.Generator) -> slice:
    longest = min(longest, num_frames)
    length = int(rng.integers(max(1, longest // 2), longest + 1))
    start = int(rng.integers(0, num_frames - length + 1))
    return slice(start, start + length)


def _varied_poses(
    clip: StoredClip,
    part: slice,
    config: PoseActionTrainingConfig,
    skeleton: Skeleton,
    rng: np.random.Generator,
) -> tuple[Float[np.ndarray, "t j 2"], Bool[np.ndarray, "t j"]]:
    joints, visible = clip.joints_crop[part].astype(np.float32), clip.visible[part]
    if rng.random() < 0.5:
        joints, visible = mirror_joints(joints, visible, skeleton)
    joints = joints + config.noise * rng.standard_normal(joints.shape, np.float32)
    return joints, visible & (rng.random(visible.shape) >= config.hidden_share)


class LabelledFlows(NamedTuple):
    """Optical flow between neighbouring frames of clips."""

    flows: Float[Tensor, "b f h w 2"]
    labels: Int[Tensor, " b"]


@dataclass(frozen=True)
class FlowStretches:
    """Flows of stretches of clips, half of them mirrored; this process's share of each batch."""

    store: Store
    clips: Sequence[StoredClip]
    actions: list[str]
    config: FlowActionTrainingConfig
    share: slice
    """Rows of the whole batch."""

    def __call__(self, number: int) -> LabelledFlows:
        """Batch number `number`."""
        fit, length = self.config.fit, self.config.model.num_flows + 1
        rng = np.random.default_rng((fit.seed, number))
        chosen = [self.clips[place] for place in rng.integers(0, len(self.clips), fit.batch_size)]
        draws = [
            (clip, int(rng.integers(0, clip.num_frames - length + 1)), rng.random() < 0.5)
            for clip in chosen
        ][self.share]
        flows = [self._flows(*draw) for draw in draws]
        labels = [self.actions.index(clip.action) for clip, _, _ in draws]
        return LabelledFlows(torch.from_numpy(np.stack(flows)), torch.tensor(labels))

    def _flows(self, clip: StoredClip, start: int, mirrored: bool) -> Float[np.ndarray, "f h w 2"]:
        frames = self.store.read_frames(clip, slice(start, start + self.config.model.num_flows + 1))
        return flow_stack(np.ascontiguousarray(frames[:, :, ::-1]) if mirrored else frames)


def _middle_flows(store: Store, clip: StoredClip, num_frames: int) -> Float[np.ndarray, "f h w 2"]:
    start = (clip.num_frames - num_frames) // 2
    return flow_stack(store.read_frames(clip, slice(start, start + num_frames)))
