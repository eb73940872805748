"""Training the pose estimator on a store's labels: pictures in, joints out.

A stacked hourglass learns heat maps with intermediate supervision (Newell, Yang and Deng, ECCV
2016; the loss differs, see `estimator_step`). A batch is a pure function of (seed, step), so a run
that was stopped goes on, with the same command, to the same weights as one that was not.
"""

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
from jaxtyping import Float
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import AdamW

from posecast.computing.devices import Device, Precision, build_fabric
from posecast.computing.processes import (
    any_process,
    average_gradients,
    average_metrics,
    average_moments,
)
from posecast.errors import PosecastError
from posecast.networks.hourglass import STRIDE, Hourglass, HourglassConfig
from posecast.networks.joint_maps import draw_joint_maps
from posecast.networks.kinds import load_network
from posecast.records.runs import Run
from posecast.records.training_runs import training_run
from posecast.skeletons import SKELETONS
from posecast.store.files import check_names
from posecast.store.identity import training_data
from posecast.store.reading import ClipSelection, Store, StoredClip
from posecast.training.estimator_data import EstimatorBatch, EstimatorBatches, FrameAugmentation
from posecast.training.estimator_validation import EstimatorValidation
from posecast.training.loop import Progress, check_finite


@dataclass(frozen=True)
class EstimatorTrainingConfig:
    """How a pose estimator is trained; the defaults take about an hour on two CPU cores."""

    model: HourglassConfig = field(default_factory=HourglassConfig)
    skeleton: str = "penn_action"
    """Skeleton of the store's poses; `model.num_joints` has to be its number of joints."""
    clips: ClipSelection = field(default_factory=lambda: ClipSelection(with_frames=True))
    """Clips to train on."""
    validation: ClipSelection = field(
        default_factory=lambda: ClipSelection(split="validation", with_frames=True)
    )
    """Clips that the best weights are chosen on; never test clips."""
    augmentation: FrameAugmentation = field(default_factory=FrameAugmentation)
    sigma: float = 1.5
    """Width of the blobs that are learnt, in pixels of the heat maps."""
    init_from: Path | None = None
    """Estimator run whose best weights training starts from, instead of random ones: drawn people
    before a few real ones, say."""
    steps: int = 6000
    """Updates of the weights."""
    batch_size: int = 32
    """Frames in an update, over all processes together; even, since each clip gives two."""
    learning_rate: float = 1e-3
    schedule: Literal["constant", "cosine"] = "cosine"
    """constant, or cosine: from the learning rate down to 0 at the last step."""
    weight_decay: float = 1e-4
    clip_norm: float = 1.0
    """Gradients are scaled down to this global norm."""
    validate_every: int = 500
    """Steps between validations; 0: never, and then no best weights are kept."""
    validation_frames: int = 256
    """Frames that validation looks at, the same ones every time."""
    checkpoint_every: int = 250
    """Steps between checkpoints; also the most that a kill can cost."""
    log_every: int = 10
    """Steps between records in the run's metrics."""
    device: Device = "auto"
    num_devices: int = 1
    num_nodes: int = 1
    precision: Precision = "32-true"
    """bf16-mixed is several times faster where the processor has it."""
    seed: int = 0
    """Decides initial weights and all batches."""

    def __post_init__(self) -> None:
        check_names((self.skeleton,), list(SKELETONS), "skeleton")
        num_joints = SKELETONS[self.skeleton].num_joints
        if self.model.num_joints != num_joints:
            raise PosecastError(
                f"skeleton {self.skeleton} has {num_joints} joints, the model "
                f"{self.model.num_joints}: set model.num_joints to {num_joints}"
            )
        for name in ("steps", "checkpoint_every", "log_every", "validation_frames"):
            if getattr(self, name) < 1:
                raise PosecastError(f"{name} is {getattr(self, name)}; it must be 1 or more")
        for name in ("validate_every", "seed", "weight_decay"):
            if getattr(self, name) < 0:
                raise PosecastError(f"{name} is {getattr(self, name)}; it must be 0 or more")
        for name in ("learning_rate", "clip_norm", "sigma"):
            if getattr(self, name) <= 0:
                raise PosecastError(f"{name} is {getattr(self, name)}; it must be positive")
        if self.batch_size < 2 or self.batch_size % 2:
            raise PosecastError(f"batch_size is {self.batch_size}; it must be even and 2 or more")


@dataclass(frozen=True)
class EstimatorTrainingResult:
    """How a training ended."""

    step: int
    """Updates made, in this and earlier starts of the run."""
    best_pck: float | None
    """Validation PCK@0.1 of the best weights; None without validation."""
    ended: Literal["all steps", "stopped"]


def train_estimator(
    config: EstimatorTrainingConfig, store_path: Path, run_path: Path, *, fresh: bool = False
) -> EstimatorTrainingResult:
    """Train a pose estimator on a prepared store, or go on with the run in `run_path`.

    Leaves the last weights and those with the best validation PCK in the run. PosecastError where
    config, store or run do not fit; DivergedError where the loss is no longer a number.
    """
    fabric = build_fabric(config.device, config.num_devices, config.num_nodes, config.precision)
    if config.init_from is not None and (fresh or not run_path.exists()):
        _earlier_network(config)  # before a run is made that could not begin
    store = Store.open(store_path)
    clips, held_out = _choose_clips(config, store)
    share = (config.batch_size, fabric.global_rank, fabric.world_size, fabric.device)
    batches = EstimatorBatches(store, clips, config.augmentation, *share)
    validation = None
    if held_out:
        validation = EstimatorValidation.of(store, held_out, config.validation_frames)
    harmless = ("log_every", "checkpoint_every", "device", "num_devices", "num_nodes")
    with training_run(
        run_path,
        config,
        "estimator",
        training_data(store, clips, held_out, earlier=config.init_from),
        fresh=fresh,
        may_change=harmless if config.schedule == "cosine" else (*harmless, "steps"),
        writes=fabric.is_global_zero,
    ) as run:
        training = _Training.begin(config, fabric, run)
        if validation is not None and training.step == 0:
            run.log(0, validation.score_mean_pose(clips))
        ended = _loop(training, batches, validation)
    return EstimatorTrainingResult(training.step, training.best_pck, ended)


def estimator_step(
    network: nn.Module, batch: EstimatorBatch, sigma: float
) -> tuple[Float[Tensor, ""], dict[str, Tensor]]:
    """Loss of one batch over the heat maps of all stacks, and what to log of it.

    Cross-entropy of each pixel. The squared error of the paper first learns to draw nothing, since
    nearly all pixels are empty: after 300 steps on seven real clips it finds a third of the joints
    (PCK@0.1 on the training frames), cross-entropy 97 %.
    """
    size = batch.images.shape[-1] // STRIDE
    target = draw_joint_maps(batch.joints_crop, batch.visible, size, sigma)
    logits = network(batch.images).float()
    losses = functional.binary_cross_entropy_with_logits(
        logits, target.expand_as(logits), reduction="none"
    ).mean(dim=(1, 2, 3, 4))
    value = losses.mean()
    return value, {"loss": value.detach(), "last_stack_loss": losses[-1].detach()}


def _loop(
    training: "_Training", batches: EstimatorBatches, validation: EstimatorValidation | None
) -> Literal["all steps", "stopped"]:
    config, fabric, run = training.config, training.fabric, training.run
    progress = Progress(training.step + 1, config.steps, shown=run.writes)
    while training.step < config.steps:
        metrics = _update(training, batches.batch(config.seed, training.step))
        training.step += 1
        step, last = training.step, training.step == config.steps
        if step % config.log_every == 0 or last:
            run.log(step, metrics)
        if validation is not None and (step % config.validate_every == 0 or last):
            metrics |= _validate(training, validation)
        progress.update(step, metrics)
        stopped = any_process(run.stop_requested, fabric.device)
        if step % config.checkpoint_every == 0 or last or stopped:
            training.save()
        if stopped and not last:
            return "stopped"
    return "all steps"


def _update(training: "_Training", batch: EstimatorBatch) -> dict[str, float]:
    """One update of the weights; DivergedError leaves them as they were."""
    config, network, optimizer = training.config, training.network, training.optimizer
    for group in optimizer.param_groups:
        group["lr"] = learning_rate(config, training.step)
    with training.fabric.autocast():
        loss, tensors = estimator_step(network, batch, config.sigma)
    optimizer.zero_grad()
    loss.backward()
    average_gradients(network)
    norm = nn.utils.clip_grad_norm_(network.parameters(), config.clip_norm)
    metrics = average_metrics({**tensors, "gradient_norm": norm})
    check_finite(metrics, training.step + 1, f"number {training.step} of seed {config.seed}")
    optimizer.step()
    return {**metrics, "learning_rate": learning_rate(config, training.step)}


def learning_rate(config: EstimatorTrainingConfig, step: int) -> float:
    """Learning rate of update number `step`, counted from 0."""
    if config.schedule == "constant":
        return config.learning_rate
    return config.learning_rate * (1 + math.cos(math.pi * step / config.steps)) / 2


def _validate(training: "_Training", validation: EstimatorValidation) -> dict[str, float]:
    """Score the weights on the validation frames and keep them if they are the best so far."""
    network, run = training.network, training.run
    average_moments(network)
    network.eval()
    with training.fabric.autocast():
        scores = validation.score(network, training.fabric.device)
    network.train()
    run.log(training.step, scores)
    pck = scores["validation_pck_0.1"]
    if training.best_pck is None or pck > training.best_pck:
        training.best_pck = pck
        run.save_weights("best", network, training.step)
    return {"validation_pck_0.2": scores["validation_pck_0.2"], "validation_pck_0.1": pck}


@dataclass
class _Training:
    """Everything that changes while training: what a checkpoint holds."""

    config: EstimatorTrainingConfig
    fabric: Fabric
    run: Run
    network: Hourglass
    optimizer: AdamW
    step: int = 0
    """Updates made."""
    best_pck: float | None = None

    @classmethod
    def begin(cls, config: EstimatorTrainingConfig, fabric: Fabric, run: Run) -> "_Training":
        """At the run's newest checkpoint, or at step 0."""
        torch.manual_seed(config.seed)
        network = Hourglass(config.model).to(fabric.device)
        network = network.to(memory_format=torch.channels_last)  # pyright: ignore
        optimizer = AdamW(
            network.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay
        )
        training = cls(config, fabric, run, network, optimizer)
        with fabric.rank_zero_first():
            checkpoint = run.load_checkpoint()
        if checkpoint is not None:
            training._restore(checkpoint)
        elif config.init_from is not None:
            network.load_state_dict(_earlier_network(config).state_dict())
        return training

    def _restore(self, checkpoint: dict[str, Any]) -> None:
        self.network.load_state_dict(checkpoint["network"])
        self.optimizer.load_state_dict(checkpoint["optimizer"])
        self.step = checkpoint["step"]
        self.best_pck = checkpoint["best_pck"]

    def save(self) -> None:
        """Last weights and a checkpoint."""
        average_moments(self.network)
        self.run.save_weights("last", self.network, self.step)
        state = {
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "best_pck": self.best_pck,
        }
        self.run.save_checkpoint(self.step, state)


def _earlier_network(config: EstimatorTrainingConfig) -> Hourglass:
    """The network to start from; PosecastError where it has another shape."""
    assert config.init_from is not None
    earlier = load_network(config.init_from, Hourglass).network
    if earlier.config != config.model:
        raise PosecastError(
            f"init_from {config.init_from} has the model {earlier.config}, these settings "
            f"{config.model}; give the same --model settings"
        )
    return earlier


def _choose_clips(
    config: EstimatorTrainingConfig, store: Store
) -> tuple[list[StoredClip], list[StoredClip]]:
    """Clips to train on and to validate on, none of them the same or a test clip."""
    _check_store(config, store)
    clips = store.select(config.clips)
    if config.validate_every == 0:
        return clips, []
    validation = store.select(config.validation)
    tested = [clip.clip_id for clip in validation if clip.split == "test"]
    trained = {clip.clip_id for clip in clips}
    shared = [clip.clip_id for clip in validation if clip.clip_id in trained]
    if tested or shared:
        raise PosecastError(
            f"validation clips {(tested + shared)[:5]} are test clips or trained on: "
            "choose others, or validate_every 0 to train without validation"
        )
    return clips, validation


def _check_store(config: EstimatorTrainingConfig, store: Store) -> None:
    if config.skeleton != store.info.skeleton:
        raise PosecastError(
            f"the store holds poses of skeleton {store.info.skeleton}, the configuration is for "
            f"{config.skeleton}: use the preset of the store's data set"
        )
    if config.model.size != store.size:
        raise PosecastError(
            f"the store's frames have {store.size} pixels a side, the model is for "
            f"{config.model.size}: set model.size to {store.size}, or prepare the store anew"
        )
