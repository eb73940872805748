"""Training the pose model (paper section 3.2): seen poses in, future poses out.

A batch is a pure function of (seed, step), so a run that was stopped goes on, with the same
command, to the same weights as one that was not.
"""

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
from jaxtyping import Float
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.optim import Optimizer

from posecast.clips import PoseBatch
from posecast.computing.devices import Device, Precision, build_fabric
from posecast.computing.processes import any_process, average_gradients, average_metrics
from posecast.errors import PosecastError
from posecast.geometry import flatten_joints
from posecast.losses import joint_distance_loss, masked_pose_loss
from posecast.networks.pose_lstm import PoseLSTM, PoseLSTMConfig
from posecast.records.runs import Run
from posecast.records.training_runs import training_run
from posecast.skeletons import SKELETONS
from posecast.store.files import check_names
from posecast.store.identity import training_data
from posecast.store.reading import ClipSelection, Store, StoredClip
from posecast.training.loop import Progress, check_finite
from posecast.training.optimizers import TFRMSProp
from posecast.training.pose_augmentation import PoseAugmentation, PoseAugmenter
from posecast.training.pose_validation import PoseValidation
from posecast.windows import PoseWindows, PoseWindowSampler

LossName = Literal["squared", "distance"]


@dataclass(frozen=True)
class PoseTrainingConfig:
    """How a pose model is trained; the defaults are the paper's for Penn Action."""

    model: PoseLSTMConfig = field(default_factory=PoseLSTMConfig)
    skeleton: str = "penn_action"
    """Skeleton of the store's poses; `model.num_joints` has to be its number of joints."""
    clips: ClipSelection = field(default_factory=ClipSelection)
    """Clips to train on."""
    validation: ClipSelection = field(default_factory=lambda: ClipSelection(split="validation"))
    """Clips that the best weights are chosen on; never test clips."""
    windows: PoseWindows = field(default_factory=PoseWindows)
    augmentation: PoseAugmentation = field(default_factory=PoseAugmentation)
    loss: LossName = "squared"
    """squared: mean squared error of coordinates (paper). distance: mean distance of joints,
    with less weight on far frames."""
    steps: int = 37_500
    """Updates of the weights."""
    batch_size: int = 256
    """Windows in an update, over all processes together."""
    optimizer: Literal["rmsprop", "adam"] = "rmsprop"
    """rmsprop: TensorFlow's, as in 2017. adam: AdamW of PyTorch."""
    learning_rate: float = 1e-3
    schedule: Literal["constant", "cosine"] = "constant"
    """constant (paper), or cosine: from the learning rate down to 0 at the last step."""
    weight_decay: float = 0.0
    """Of the optimizer adam."""
    clip_norm: float = 25.0
    """Gradients are scaled down to this global norm."""
    validate_every: int = 500
    """Steps between validations; 0: never, and then no best weights are kept."""
    validation_future: int = 64
    """Future frames that validation looks at."""
    validation_windows: int = 1
    """Windows of each validation clip, evenly spread; 1 is the start of the clip."""
    patience: int = 0
    """Stop after this many validations without a better one; 0: never."""
    checkpoint_every: int = 500
    """Steps between checkpoints."""
    log_every: int = 10
    """Steps between records in the run's metrics."""
    device: Device = "auto"
    num_devices: int = 1
    num_nodes: int = 1
    precision: Precision = "32-true"
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
        for name in ("steps", "batch_size", "checkpoint_every", "log_every", "validation_windows"):
            if getattr(self, name) < 1:
                raise PosecastError(f"{name} is {getattr(self, name)}; it must be 1 or more")
        for name in ("validate_every", "patience", "seed", "weight_decay"):
            if getattr(self, name) < 0:
                raise PosecastError(f"{name} is {getattr(self, name)}; it must be 0 or more")
        for name in ("learning_rate", "clip_norm"):
            if getattr(self, name) <= 0:
                raise PosecastError(f"{name} is {getattr(self, name)}; it must be positive")
        if self.validation.split in ("test", "all") and not self.validation.clips:
            raise PosecastError(
                "validation on test clips: weights would be chosen on them; use split validation"
            )


@dataclass(frozen=True)
class PoseTrainingResult:
    """How a training ended."""

    step: int
    """Updates made, in this and earlier starts of the run."""
    best_ratio: float | None
    """Best validation distance over that of the last pose (below 1: better); None without
    validation."""
    ended: Literal["all steps", "patience", "stopped"]


def train_pose(
    config: PoseTrainingConfig, store_path: Path, run_path: Path, *, fresh: bool = False
) -> PoseTrainingResult:
    """Train a pose model on a prepared store, or go on with the run in `run_path`.

    Leaves the last weights and those with the best validation ratio in the run. PosecastError
    where config, store or run do not fit; DivergedError where the loss is no longer a number.
    """
    fabric = build_fabric(config.device, config.num_devices, config.num_nodes, config.precision)
    store = Store.open(store_path)
    clips, validation = _choose_clips(config, store)
    held_out = store.select(config.validation) if validation else []
    with training_run(
        run_path,
        config,
        "pose",
        training_data(store, clips, held_out),
        fresh=fresh,
        may_change=_may_change(config),
        writes=fabric.is_global_zero,
    ) as run:
        training = _Training.begin(config, fabric, run)
        ended = _loop(training, _Batches.of(config, store, clips, fabric), validation)
    return PoseTrainingResult(training.step, training.best_ratio, ended)


def pose_step(
    model: nn.Module, batch: PoseBatch, loss: LossName = "squared"
) -> tuple[Float[Tensor, ""], dict[str, Tensor]]:
    """Loss of one batch, and what to log of it."""
    poses, past = flatten_joints(batch.joints_norm), batch.num_past
    future, shown = poses[:, past:], batch.visible[:, past:]
    predicted = model(poses[:, :past], batch.visible[:, :past], future.shape[1])
    term = masked_pose_loss if loss == "squared" else joint_distance_loss
    value = term(predicted, future, shown)
    return value, {"loss": value.detach()}


def _loop(
    training: "_Training", batches: "_Batches", validation: PoseValidation | None
) -> Literal["all steps", "patience", "stopped"]:
    config, fabric, run = training.config, training.fabric, training.run
    progress = Progress(training.step + 1, config.steps, shown=run.writes)
    if validation is not None and training.step == 0:
        last_pose = validation.score_last_pose()
        run.log(0, {f"last_pose_{name}": value for name, value in last_pose.items()})
    while training.step < config.steps and not training.impatient:
        metrics = _update(training, batches.batch(training.step))
        training.step += 1
        step, last = training.step, training.step == config.steps
        if step % config.log_every == 0 or last:
            run.log(step, metrics)
        if validation is not None and (step % config.validate_every == 0 or last):
            metrics |= _validate(training, validation)
        progress.update(step, metrics)
        stopped = any_process(run.stop_requested, fabric.device)
        if step % config.checkpoint_every == 0 or last or stopped or training.impatient:
            training.save()
        if stopped and not last:
            return "stopped"
    return "patience" if training.impatient else "all steps"


def _update(training: "_Training", batch: PoseBatch) -> dict[str, float]:
    """One update of the weights; DivergedError leaves them as they were."""
    config, network, optimizer = training.config, training.network, training.optimizer
    # Dropout is a function of (seed, step, process) too.
    torch.manual_seed(
        (config.seed * 1_000_003 + training.step) * 1024 + training.fabric.global_rank
    )
    for group in optimizer.param_groups:
        group["lr"] = learning_rate(config, training.step)
    with training.fabric.autocast():
        loss, tensors = pose_step(network, batch, config.loss)
    optimizer.zero_grad()
    loss.backward()
    average_gradients(network)
    norm = nn.utils.clip_grad_norm_(network.parameters(), config.clip_norm)
    metrics = average_metrics({**tensors, "gradient_norm": norm})
    check_finite(metrics, training.step + 1, f"number {training.step} of seed {config.seed}")
    optimizer.step()
    return {**metrics, "learning_rate": learning_rate(config, training.step)}


def learning_rate(config: PoseTrainingConfig, step: int) -> float:
    """Learning rate of update number `step`, counted from 0."""
    if config.schedule == "constant":
        return config.learning_rate
    return config.learning_rate * (1 + math.cos(math.pi * step / config.steps)) / 2


def _validate(training: "_Training", validation: PoseValidation) -> dict[str, float]:
    """Score the weights on the validation clips and keep them if they are the best so far."""
    network, run = training.network, training.run
    network.eval()
    scores = validation.score(network, training.fabric.device)
    network.train()
    run.log(training.step, scores)
    ratio = scores["validation_ratio"]
    training.stale_validations += 1
    if training.best_ratio is None or ratio < training.best_ratio:
        training.best_ratio, training.stale_validations = ratio, 0
        run.save_weights("best", network, training.step)
    return {"validation_ratio": ratio}


@dataclass
class _Training:
    """Everything that changes while training: what a checkpoint holds."""

    config: PoseTrainingConfig
    fabric: Fabric
    run: Run
    network: PoseLSTM
    optimizer: Optimizer
    step: int = 0
    """Updates made."""
    best_ratio: float | None = None
    stale_validations: int = 0
    """Validations since the best one."""

    @property
    def impatient(self) -> bool:
        """Whether validation has not improved for too long."""
        return 0 < self.config.patience <= self.stale_validations

    @classmethod
    def begin(cls, config: PoseTrainingConfig, fabric: Fabric, run: Run) -> "_Training":
        """At the run's newest checkpoint, or at step 0."""
        torch.manual_seed(config.seed)
        network = PoseLSTM(config.model).to(fabric.device)
        training = cls(config, fabric, run, network, _build_optimizer(config, network))
        with fabric.rank_zero_first():
            checkpoint = run.load_checkpoint()
        if checkpoint is not None:
            training._restore(checkpoint)
        return training

    def _restore(self, checkpoint: dict[str, Any]) -> None:
        self.network.load_state_dict(checkpoint["network"])
        self.optimizer.load_state_dict(checkpoint["optimizer"])
        self.step = checkpoint["step"]
        self.best_ratio = checkpoint["best_ratio"]
        self.stale_validations = checkpoint["stale_validations"]

    def save(self) -> None:
        """Last weights and a checkpoint."""
        self.run.save_weights("last", self.network, self.step)
        state = {
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "best_ratio": self.best_ratio,
            "stale_validations": self.stale_validations,
        }
        self.run.save_checkpoint(self.step, state)


@dataclass(frozen=True)
class _Batches:
    """Varied batches of this process, on its device."""

    sampler: PoseWindowSampler
    augmenter: PoseAugmenter
    seed: int
    device: torch.device

    @classmethod
    def of(
        cls, config: PoseTrainingConfig, store: Store, clips: list[StoredClip], fabric: Fabric
    ) -> "_Batches":
        share = (config.batch_size, fabric.global_rank, fabric.world_size)
        return cls(
            PoseWindowSampler(clips, config.windows, *share),
            PoseAugmenter(config.augmentation, store.skeleton, *share),
            config.seed,
            fabric.device,
        )

    def batch(self, step: int) -> PoseBatch:
        batch = self.sampler.batch(self.seed, step)
        return self.augmenter(batch, self.seed, step).to(self.device)


def _build_optimizer(config: PoseTrainingConfig, network: PoseLSTM) -> Optimizer:
    trained = [param for param in network.parameters() if param.requires_grad]
    if config.optimizer == "rmsprop":
        return TFRMSProp(trained, lr=config.learning_rate)
    return torch.optim.AdamW(trained, lr=config.learning_rate, weight_decay=config.weight_decay)


def _choose_clips(
    config: PoseTrainingConfig, store: Store
) -> tuple[list[StoredClip], PoseValidation | None]:
    """Clips to train on and windows to validate on, none of them the same or a test clip."""
    if config.skeleton != store.info.skeleton:
        raise PosecastError(
            f"the store holds poses of skeleton {store.info.skeleton}, the configuration is for "
            f"{config.skeleton}: use the preset of the store's data set"
        )
    clips = store.select(config.clips)
    if config.validate_every == 0:
        return clips, None
    validation = store.select(config.validation)
    tested = [clip.clip_id for clip in validation if clip.split == "test"]
    trained = {clip.clip_id for clip in clips}
    shared = [clip.clip_id for clip in validation if clip.clip_id in trained]
    if tested or shared:
        raise PosecastError(
            f"validation clips {(tested + shared)[:5]} are test clips or trained on: "
            "choose others, or validate_every 0 to train without validation"
        )
    windows = (config.windows, config.validation_future, config.validation_windows)
    return clips, PoseValidation.of(validation, *windows)


def _may_change(config: PoseTrainingConfig) -> tuple[str, ...]:
    """What may differ when a run is continued without changing what the same steps would give."""
    harmless = ("log_every", "checkpoint_every", "device", "num_devices", "num_nodes")
    return harmless if config.schedule == "cosine" else (*harmless, "steps")
