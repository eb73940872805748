"""The loop of the networks beside the forecast: classifiers that judge it, baselines it must beat.

One process, AdamW, cosine schedule, the best weights by validation, exact resume: a batch is a
function of (seed, step).
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import torch
from jaxtyping import Float
from lightning_fabric import Fabric
from torch import Tensor, nn

from posecast.computing.devices import Device, Precision, build_fabric
from posecast.errors import PosecastError
from posecast.records.runs import Run
from posecast.records.training_data import TrainingData
from posecast.records.training_runs import training_run
from posecast.store.reading import ClipSelection, Store, StoredClip
from posecast.training.loop import Progress, check_finite


@dataclass(frozen=True)
class FitConfig:
    """How the weights are fitted."""

    steps: int = 2000
    """Updates of the weights."""
    batch_size: int = 32
    learning_rate: float = 1e-3
    """At the start; it falls to 0 at the last step along a cosine."""
    weight_decay: float = 1e-2
    clip_norm: float = 1.0
    """Gradients are scaled down to this global norm."""
    validate_every: int = 200
    """Steps between validations; 0: never, and then no best weights are kept."""
    checkpoint_every: int = 200
    """Steps between checkpoints."""
    log_every: int = 10
    """Steps between records in the run's metrics."""
    device: Device = "auto"
    precision: Precision = "32-true"
    seed: int = 0
    """Decides initial weights and all batches."""

    def __post_init__(self) -> None:
        for name in ("steps", "batch_size", "checkpoint_every", "log_every"):
            if getattr(self, name) < 1:
                raise PosecastError(f"{name} is {getattr(self, name)}; it must be 1 or more")
        for name in ("validate_every", "seed", "weight_decay"):
            if getattr(self, name) < 0:
                raise PosecastError(f"{name} is {getattr(self, name)}; it must be 0 or more")
        for name in ("learning_rate", "clip_norm"):
            if getattr(self, name) <= 0:
                raise PosecastError(f"{name} is {getattr(self, name)}; it must be positive")


@dataclass(frozen=True)
class FitResult:
    """How a training ended."""

    step: int
    """Updates made, in this and earlier starts of the run."""
    best_score: float | None
    """Best validation score; None without validation."""
    ended: Literal["all steps", "stopped"]


LossOf = Callable[[int, torch.device], tuple[Float[Tensor, ""], dict[str, Tensor]]]
"""(step, device) -> loss of that step's batch, and what to log."""
ScoreOf = Callable[[torch.device], dict[str, float]]
"""Scores of the network as it is; the best weights are those with the highest first one."""


class HeldOut(NamedTuple):
    """Clips to train on and, unless there is no validation, others to choose the weights on."""

    train: list[StoredClip]
    validation: list[StoredClip]


def hold_out(
    store: Store, clips: ClipSelection, validation: ClipSelection, validates: bool
) -> HeldOut:
    """The chosen clips; PosecastError where validation clips are test clips or trained on."""
    train = store.select(clips)
    if not validates:
        return HeldOut(train, [])
    held_out = store.select(validation)
    trained = {clip.clip_id for clip in train}
    wrong = [each.clip_id for each in held_out if each.split == "test" or each.clip_id in trained]
    if wrong:
        raise PosecastError(
            f"validation clips {wrong[:5]} are test clips or trained on: choose others, or "
            "validate_every 0 to train without validation"
        )
    return HeldOut(train, held_out)


def check_skeleton(store: Store, skeleton: str) -> None:
    """PosecastError where the store holds poses of another skeleton."""
    if store.info.skeleton != skeleton:
        raise PosecastError(
            f"the store holds poses of skeleton {store.info.skeleton}, the configuration is for "
            f"{skeleton}: set skeleton and the model's number of joints to the store's"
        )


def fit_network(
    network: nn.Module,
    config: Any,
    kind: str,
    run_path: str | Path,
    data: TrainingData,
    loss_of: LossOf,
    score_of: ScoreOf | None,
    fresh: bool,
) -> FitResult:
    """Train `network` in its run, from the newest checkpoint on; `config` has its `fit`.

    PosecastError for a run of other settings or other data.
    """
    fit: FitConfig = config.fit
    fabric = build_fabric(fit.device, precision=fit.precision)
    harmless = tuple(f"fit.{name}" for name in ("log_every", "checkpoint_every", "device"))
    with training_run(run_path, config, kind, data, fresh=fresh, may_change=harmless) as run:
        training = _Training.begin(network, fit, run, fabric)
        ended = _loop(training, loss_of, score_of)
    return FitResult(training.step, training.best_score, ended)


def _loop(
    training: "_Training", loss_of: LossOf, score_of: ScoreOf | None
) -> Literal["all steps", "stopped"]:
    config, run = training.config, training.run
    progress = Progress(training.step + 1, config.steps)
    while training.step < config.steps:
        metrics = _update(training, loss_of)
        training.step += 1
        step, last = training.step, training.step == config.steps
        if step % config.log_every == 0 or last:
            run.log(step, metrics)
        if score_of and config.validate_every and (step % config.validate_every == 0 or last):
            metrics |= _validate(training, score_of)
        progress.update(step, metrics)
        if step % config.checkpoint_every == 0 or last or run.stop_requested:
            training.save()
        if run.stop_requested and not last:
            return "stopped"
    return "all steps"


def _update(training: "_Training", loss_of: LossOf) -> dict[str, float]:
    """One update of the weights; DivergedError leaves them as they were."""
    config, network, optimizer = training.config, training.network, training.optimizer
    torch.manual_seed(config.seed * 1_000_003 + training.step)  # dropout, as a function of the step
    rate = config.learning_rate * (1 + math.cos(math.pi * training.step / config.steps)) / 2
    for group in optimizer.param_groups:
        group["lr"] = rate
    with training.fabric.autocast():
        loss, tensors = loss_of(training.step, training.fabric.device)
    optimizer.zero_grad()
    loss.backward()
    norm = nn.utils.clip_grad_norm_(network.parameters(), config.clip_norm)
    metrics = {name: float(value) for name, value in (tensors | {"gradient_norm": norm}).items()}
    check_finite(metrics, training.step + 1, f"number {training.step} of seed {config.seed}")
    optimizer.step()
    return metrics


def _validate(training: "_Training", score_of: ScoreOf) -> dict[str, float]:
    network, run = training.network, training.run
    network.eval()
    with torch.no_grad(), training.fabric.autocast():
        scores = score_of(training.fabric.device)
    network.train()
    named = {f"validation_{name}": value for name, value in scores.items()}
    run.log(training.step, named)
    first = next(iter(scores.values()))
    if training.best_score is None or first > training.best_score:
        training.best_score = first
        run.save_weights("best", network, training.step)
    return named


@dataclass
class _Training:
    """Everything that changes while training."""

    config: FitConfig
    run: Run
    fabric: Fabric
    network: nn.Module
    optimizer: torch.optim.AdamW
    step: int = 0
    """Updates made."""
    best_score: float | None = None

    @classmethod
    def begin(cls, network: nn.Module, config: FitConfig, run: Run, fabric: Fabric) -> "_Training":
        """At the run's newest checkpoint, or at step 0."""
        network = network.to(fabric.device).train()
        optimizer = torch.optim.AdamW(
            network.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay
        )
        training = cls(config, run, fabric, network, optimizer)
        state = run.load_checkpoint()
        if state is not None:
            network.load_state_dict(state["network"])
            optimizer.load_state_dict(state["optimizer"])
            training.step, training.best_score = state["step"], state["best_score"]
        return training

    def save(self) -> None:
        """Last weights and a checkpoint."""
        self.run.save_weights("last", self.network, self.step)
        state = {
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "best_score": self.best_score,
        }
        self.run.save_checkpoint(self.step, state)


def in_batches(items: Sequence[Any], size: int) -> list[Sequence[Any]]:
    """Consecutive parts of at most `size` items."""
    return [items[first : first + size] for first in range(0, len(items), size)]
