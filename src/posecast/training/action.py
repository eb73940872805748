"""Training the two classifiers that judge whether a forecast still looks like its action."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional

from posecast.errors import PosecastError
from posecast.geometry import mirror_joints
from posecast.metrics.flow import flow_stack
from posecast.networks.action_classifier import (
    FlowClassifier,
    FlowClassifierConfig,
    PoseClassifier,
    PoseClassifierConfig,
)
from posecast.skeletons import SKELETONS, Skeleton
from posecast.store.files import check_names
from posecast.store.identity import training_data
from posecast.store.reading import ClipSelection, Store, StoredClip
from posecast.training.fitting import (
    FitConfig,
    FitResult,
    check_skeleton,
    fit_network,
    hold_out,
    in_batches,
)


@dataclass(frozen=True)
class PoseActionTrainingConfig:
    """How the classifier of pose sequences is trained."""

    model: PoseClassifierConfig = field(default_factory=PoseClassifierConfig)
    """`num_actions` is set to the number of actions among the training clips."""
    skeleton: str = "penn_action"
    """Skeleton of the store's poses."""
    clips: ClipSelection = field(default_factory=ClipSelection)
    """Clips to train on; their actions are what it can name."""
    validation: ClipSelection = field(default_factory=lambda: ClipSelection(split="validation"))
    """Clips that the best weights are chosen on; never test clips."""
    num_frames: int = 74
    """Longest stretch of a clip that it is shown; shorter ones from half of that on, too."""
    noise: float = 0.01
    """Deviation of what is added to joints, as a share of the crop."""
    hidden_share: float = 0.1
    """Share of visible joints that are hidden while training."""
    fit: FitConfig = field(default_factory=FitConfig)

    def __post_init__(self) -> None:
        check_names((self.skeleton,), list(SKELETONS), "skeleton")
        if self.num_frames < 2:
            raise PosecastError(f"num_frames is {self.num_frames}; movement needs 2 or more")


@dataclass(frozen=True)
class FlowActionTrainingConfig:
    """How the classifier of optical flow is trained."""

    model: FlowClassifierConfig = field(default_factory=FlowClassifierConfig)
    """`num_actions` is set to the number of actions among the training clips."""
    clips: ClipSelection = field(default_factory=lambda: ClipSelection(with_frames=True))
    """Clips to train on; their actions are what it can name."""
    validation: ClipSelection = field(
        default_factory=lambda: ClipSelection(split="validation", with_frames=True)
    )
    """Clips that the best weights are chosen on; never test clips."""
    fit: FitConfig = field(default_factory=lambda: FitConfig(steps=1000, batch_size=16))


def actions_of(clips: Sequence[StoredClip]) -> list[str]:
    """Names of the classes, in the order of the network's outputs; PosecastError: under 2."""
    actions = sorted({clip.action for clip in clips} - {""})
    if len(actions) < 2:
        raise PosecastError(f"a classifier needs clips of two actions or more, got {actions}")
    return actions


def train_pose_classifier(
    config: PoseActionTrainingConfig, store_path: Path, run_path: Path, *, fresh: bool = False
) -> FitResult:
    """Train on true poses, or go on with the run; PosecastError where things do not fit."""
    store = Store.open(store_path)
    check_skeleton(store, config.skeleton)
    validates = config.fit.validate_every > 0
    held = hold_out(store, config.clips, config.validation, validates)
    actions = actions_of(held.train)
    model = replace(config.model, num_actions=len(actions), num_joints=store.skeleton.num_joints)
    config = replace(config, model=model)
    data = training_data(store, held.train, held.validation, actions)
    torch.manual_seed(config.fit.seed)
    network = PoseClassifier(model)
    shown = [clip for clip in held.validation if clip.action in actions]

    def loss_of(step: int, device: torch.device) -> tuple[Tensor, dict[str, Tensor]]:
        batch = _pose_batch(held.train, actions, config, store.skeleton, step)
        joints, visible, labels = (torch.from_numpy(each).to(device) for each in batch)
        return _cross_entropy(network(joints, visible), labels)

    def score_of(device: torch.device) -> dict[str, float]:
        logits = []
        for clip in shown:
            part = slice(0, config.num_frames)
            joints = torch.from_numpy(clip.joints_crop[part].astype(np.float32))[None]
            visible = torch.from_numpy(clip.visible[part])[None]
            logits.append(network(joints.to(device), visible.to(device)).float().cpu())
        return _scores(torch.cat(logits), [actions.index(clip.action) for clip in shown])

    score = score_of if shown else None
    return fit_network(network, config, "pose_action", run_path, data, loss_of, score, fresh)


def train_flow_classifier(
    config: FlowActionTrainingConfig, store_path: Path, run_path: Path, *, fresh: bool = False
) -> FitResult:
    """Train on the flow of true frames, or go on with the run."""
    store = Store.open(store_path)
    validates = config.fit.validate_every > 0
    held = hold_out(store, config.clips, config.validation, validates)
    actions = actions_of(held.train)
    config = replace(config, model=replace(config.model, num_actions=len(actions)))
    needed = config.model.num_flows + 1
    clips = [clip for clip in held.train if clip.has_frames and clip.num_frames >= needed]
    if not clips:
        raise PosecastError(f"none of the {len(held.train)} clips has {needed} frames or more")
    data = training_data(store, held.train, held.validation, actions)
    torch.manual_seed(config.fit.seed)
    network = FlowClassifier(config.model)
    shown = [clip for clip in held.validation if clip.action in actions]
    shown = [clip for clip in shown if clip.has_frames and clip.num_frames >= needed]

    def loss_of(step: int, device: torch.device) -> tuple[Tensor, dict[str, Tensor]]:
        rng = np.random.default_rng((config.fit.seed, step))
        chosen = [clips[place] for place in rng.integers(0, len(clips), config.fit.batch_size)]
        flows = np.stack([_varied_flows(store, clip, needed, rng) for clip in chosen])
        labels = torch.tensor([actions.index(clip.action) for clip in chosen], device=device)
        return _cross_entropy(network(torch.from_numpy(flows).to(device)), labels)

    def score_of(device: torch.device) -> dict[str, float]:
        logits = []
        for part in in_batches(shown, config.fit.batch_size):
            flows = [_middle_flows(store, clip, needed) for clip in part]
            logits.append(network(torch.from_numpy(np.stack(flows)).to(device)).float().cpu())
        return _scores(torch.cat(logits), [actions.index(clip.action) for clip in shown])

    score = score_of if shown else None
    return fit_network(network, config, "flow_action", run_path, data, loss_of, score, fresh)


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
    return {"log_likelihood": -float(entropy), "accuracy": float(accuracy)}


def _pose_batch(
    clips: Sequence[StoredClip],
    actions: list[str],
    config: PoseActionTrainingConfig,
    skeleton: Skeleton,
    step: int,
) -> tuple[Float[np.ndarray, "b t j 2"], Bool[np.ndarray, "b t j"], Int[np.ndarray, " b"]]:
    """Varied stretches of clips; what lies past a clip's end is invisible."""
    rng = np.random.default_rng((config.fit.seed, step))
    size, length = config.fit.batch_size, config.num_frames
    joints = np.zeros((size, length, skeleton.num_joints, 2), np.float32)
    visible = np.zeros(joints.shape[:3], bool)
    labels = np.zeros(size, np.int64)
    for row, place in enumerate(rng.integers(0, len(clips), size)):
        clip = clips[place]
        part = _stretch(clip.num_frames, length, rng)
        shown, seen = _varied_poses(clip, part, config, skeleton, rng)
        joints[row, : len(shown)], visible[row, : len(seen)] = shown, seen
        labels[row] = actions.index(clip.action)
    return joints, visible, labels


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


def _varied_flows(
    store: Store, clip: StoredClip, num_frames: int, rng: np.random.Generator
) -> Float[np.ndarray, "f h w 2"]:
    start = int(rng.integers(0, clip.num_frames - num_frames + 1))
    frames = store.read_frames(clip, slice(start, start + num_frames))
    if rng.random() < 0.5:
        frames = np.ascontiguousarray(frames[:, :, ::-1])
    return flow_stack(frames)


def _middle_flows(store: Store, clip: StoredClip, num_frames: int) -> Float[np.ndarray, "f h w 2"]:
    start = (clip.num_frames - num_frames) // 2
    return flow_stack(store.read_frames(clip, slice(start, start + num_frames)))
