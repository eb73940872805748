"""The one loop in which everything is trained.

What is trained (`pose.py`, `image.py`, ...) says what is learned: batches, an update of the
weights, a validation. Resuming, signals, checkpoints, processes, precision, the schedule and
averaged weights are handled here, once for all trainings, with `records` and `computing`. A batch
is a pure function of (seed, number), so a run that was stopped goes on, with the same command, to
the same weights as one that was not.
"""

import contextlib
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float, UInt8
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.optim import AdamW, Optimizer

from posecast.computing import processes
from posecast.computing.compilation import Compile, compile_parts, is_recorded
from posecast.computing.feeding import Batches, brought_ahead, prepared
from posecast.computing.recording import recorded
from posecast.errors import PosecastError
from posecast.records.configs import check_at_least, check_below_one
from posecast.records.files import WriteError
from posecast.records.runs import Run
from posecast.training import optimizers
from posecast.training.progress import Progress, check_finite


@dataclass(frozen=True)
class FitConfig:
    """How weights are fitted."""

    steps: int = 2000
    """Updates of the weights."""
    batch_size: int = 32
    """Samples in an update, over all processes together."""
    optimizer: Literal["adam", "adam-2017", "rmsprop"] = "adam"
    """adam: AdamW of PyTorch. adam-2017, rmsprop: TensorFlow's, as in 2017."""
    learning_rate: float = 1e-3
    beta1: float = 0.9
    """Decay of the mean gradient, of both Adams."""
    weight_decay: float = 1e-2
    """Of the optimizer adam."""
    schedule: Literal["constant", "cosine"] = "cosine"
    """constant, or cosine: from the learning rate down to 0 at the last step."""
    clip_norm: float = 1.0
    """Gradients are scaled down to this global norm; 0: never."""
    average: float = 0.0
    """Decay of a moving average of the weights, 0.999 say, which is validated and kept in place of
    the weights themselves; 0: none."""
    init_from: Path | None = None
    """Run of the same kind, or weight file, that training starts from instead of random weights."""
    validate_every: int = 200
    """Steps between validations; 0: never, and then no best weights are kept."""
    patience: int = 0
    """Stop after this many validations without a better one; 0: never."""
    checkpoint_every: int = 200
    """Steps between checkpoints; also the most that a kill can cost."""
    log_every: int = 10
    """Steps between records in the run's metrics."""
    workers: int = 0
    """Processes that prepare batches ahead; 0: each is prepared when it is needed."""
    seed: int = 0
    """Decides initial weights and all batches."""

    def __post_init__(self) -> None:
        check_at_least(1, self, "steps", "batch_size", "checkpoint_every", "log_every")
        check_at_least(0, self, "validate_every", "patience", "workers", "seed")
        check_at_least(0, self, "weight_decay", "clip_norm")
        if not self.learning_rate > 0:
            raise PosecastError(f"learning_rate is {self.learning_rate}; it must be positive")
        check_below_one(self, "beta1", "average")

    def rate_factor(self, number: int) -> float:
        """Share of the learning rate in update `number`, counted from 0."""
        if self.schedule == "constant":
            return 1.0
        return (1 + math.cos(math.pi * number / self.steps)) / 2


def build_optimizer(network: nn.Module, config: FitConfig, recordable: bool = False) -> Optimizer:
    """Of the network's parameters that are trained, which are on their device."""
    trained = [param for param in network.parameters() if param.requires_grad]
    rate, betas, decay = config.learning_rate, (config.beta1, 0.999), config.weight_decay
    if config.optimizer == "rmsprop":
        optimizer = optimizers.TFRMSProp(trained, rate)
    elif config.optimizer == "adam-2017":
        optimizer = optimizers.TFAdam(trained, rate, betas)
    else:
        on_gpu = {"fused": True, "capturable": True} if recordable else {}
        optimizer = AdamW(trained, rate, betas, weight_decay=decay, **on_gpu)
    if recordable:
        optimizers.make_recordable(optimizer)
    return optimizer


@dataclass(frozen=True)
class FitResult:
    """How a training ended."""

    step: int
    """Updates made, in this and earlier starts of the run."""
    best_score: float | None
    """Validation score of the best weights; None without validation."""
    ended: Literal["all steps", "patience", "stopped"]


Step = Callable[[Any, Any], tuple[Float[Tensor, ""], dict[str, Tensor]]]
"""(network, batch on its device) -> loss, and what to log."""


class Validation(NamedTuple):
    """How held-out clips judge a network."""

    score: Callable[[nn.Module, torch.device], dict[str, float]]
    """Named scores of the network in evaluation mode."""
    best_by: str
    """Name of the score that the best weights are chosen by."""
    lowest: bool = False
    """Whether a lower one is better."""
    reference: Mapping[str, float] = {}
    """The same numbers of doing nothing, logged once as step 0."""


class Sheet(NamedTuple):
    """Pictures of what was learned."""

    every: int
    """Steps between them; 0: none."""
    draw: Callable[[nn.Module, torch.device], UInt8[np.ndarray, "h w 3"]]


@runtime_checkable
class Update(Protocol):
    """What is done with a batch: weights change. `Descent`, or for two networks one's own."""

    network: nn.Module
    """What is validated and kept for use, on its device."""
    optimizers: tuple[Optimizer, ...]
    """Their learning rates follow the schedule."""

    def __call__(self, batch: Any) -> processes.Metrics:
        """Learn from this process's share; metrics, means over all processes."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """All that changes: nested dicts of tensors and plain values."""
        ...

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from there."""


class Session(NamedTuple):
    """A training that may begin or go on: see `beginning.begin`."""

    config: FitConfig
    run: Run
    fabric: Fabric
    compile: Compile
    initial: Mapping[str, Tensor] | None
    """Weights to start from instead of random ones."""


class Descent(Update):
    """The update of one network: down the gradient of a step's loss."""

    def __init__(self, network: nn.Module, step: Step, session: Session) -> None:
        config, fabric = session.config, session.fabric
        self.network = network.to(fabric.device).train()
        compile_parts([network], session.compile)
        recordable = is_recorded(session.compile, fabric.device)
        self.optimizers = (build_optimizer(network, config, recordable),)
        self._step, self._fabric = step, fabric
        self._clip_norm = config.clip_norm or math.inf
        self._learn = recorded(self._plainly, session.compile, fabric.device)

    def __call__(self, batch: Any) -> processes.Metrics:
        """One update of the weights."""
        return self._learn(batch)

    def _plainly(self, batch: Any) -> processes.Metrics:
        with self._fabric.autocast():
            loss, tensors = self._step(self.network, batch)
        self.optimizers[0].zero_grad()
        loss.backward()
        processes.average_gradients(self.network)
        norm = nn.utils.clip_grad_norm_(self.network.parameters(), self._clip_norm)
        self.optimizers[0].step()
        return processes.average_metrics({**tensors, "gradient_norm": norm})

    def state_dict(self) -> dict[str, Any]:
        """Of the network and of its optimiser."""
        optimizer = optimizers.optimizer_state(self.optimizers[0])
        return {"network": self.network.state_dict(), "optimizer": optimizer}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state_dict` gave."""
        self.network.load_state_dict(state["network"])
        optimizers.load_optimizer(self.optimizers[0], state["optimizer"])


def fit(
    update: Update,
    batches: Batches,
    validation: Validation | None,
    session: Session,
    sheet: Sheet | None = None,
) -> FitResult:
    """Train, from the run's newest checkpoint on.

    Leaves the last weights and those of the best validation in the run. Ctrl-C and SIGTERM save
    first. DivergedError if a metric is no longer a number: the last checkpoint is kept.
    """
    config, run, fabric = session.config, session.run, session.fabric
    training = _Training(update, session)
    training.begin_or_go_on(validation)
    progress = Progress(training.step + 1, config.steps, shown=run.writes)
    left = range(training.step, training.step if training.impatient else config.steps)
    for batch in brought_ahead(prepared(batches, left, config.workers), fabric.device):
        training.learn(batch)
        if training.due(config.log_every):
            run.log(training.step, training.metrics())
        if sheet is not None and run.writes and training.due(sheet.every):
            training.show(sheet)
        score = {}
        if validation is not None and training.due(config.validate_every):
            score = training.validate(validation)
        if progress.is_due(training.step):
            progress.say(training.step, training.metrics() | score)
        ends = processes.any_process(run.stop_requested, fabric.device) or training.impatient
        first_best = training.best_score is not None and not training.saved
        if training.due(config.checkpoint_every) or ends or first_best:
            training.save()
        if ends:
            break
    return training.result


_MOST_UNREAD = 100


@dataclass
class _Training:
    """Everything that changes while training."""

    update: Update
    session: Session
    step: int = 0
    best_score: float | None = None
    stale_validations: int = 0
    """Validations since the best one."""
    average: dict[str, Tensor] = field(default_factory=dict)
    """Averaged parameters by name; empty where none are asked for."""
    unread: list[processes.Metrics] = field(default_factory=list)
    """Of the last steps: a GPU works on while nobody reads them."""
    newest: dict[str, float] = field(default_factory=dict)
    saved: bool = False
    """Whether the run has a checkpoint; weights without one would be in the way of a new start."""

    @property
    def impatient(self) -> bool:
        """Whether validation has not improved for too long."""
        return 0 < self.session.config.patience <= self.stale_validations

    @property
    def result(self) -> FitResult:
        ended = "all steps" if self.step >= self.session.config.steps else "stopped"
        return FitResult(self.step, self.best_score, "patience" if self.impatient else ended)

    def due(self, every: int) -> bool:
        """Every so many steps, and at the end."""
        return every > 0 and (self.step % every == 0 or self.step == self.session.config.steps)

    def begin_or_go_on(self, validation: Validation | None) -> None:
        """At the run's newest checkpoint, or at step 0."""
        session, network = self.session, self.update.network
        with session.fabric.rank_zero_first():
            state = session.run.load_checkpoint()
        if state is None and session.initial is not None:
            network.load_state_dict(session.initial)
        for group in self._groups():
            group.setdefault("initial_lr", float(group["lr"]))
        if session.config.average:
            self.average = {name: p.detach().clone() for name, p in network.named_parameters()}
        if state is None:
            if validation is not None and validation.reference:
                session.run.log(0, validation.reference)
            return
        self.update.load_state_dict(state["update"])
        self.step, self.best_score, self.saved = state["step"], state["best_score"], True
        self.stale_validations = state["stale_validations"]
        for name, kept in self.average.items():
            kept.copy_(state["average"][name])

    def save(self) -> None:
        """Last weights and a checkpoint; without that the first weights are taken back, which would
        keep the same command from starting anew."""
        try:
            self._save()
        except WriteError:
            if not self.saved:
                self.session.run.drop_weights()
            raise
        self.saved = True

    def _save(self) -> None:
        self.metrics()
        processes.average_moments(self.update.network)
        self.session.run.save_weights("last", self._weights(), self.step)
        state = {
            "update": self.update.state_dict(),
            "average": self.average,
            "best_score": self.best_score,
            "stale_validations": self.stale_validations,
        }
        self.session.run.save_checkpoint(self.step, state)

    def metrics(self) -> dict[str, float]:
        """Of the newest step; DivergedError if one of the last steps gave no finite numbers."""
        config = self.session.config
        for number, each in enumerate(self.unread, self.step - len(self.unread)):
            self.newest = each.read()
            check_finite(self.newest, number + 1, f"number {number} of seed {config.seed}")
        self.unread.clear()
        rate = config.learning_rate * config.rate_factor(self.step - 1)
        return {**self.newest, "learning_rate": rate}

    def learn(self, batch: Any) -> None:
        config, fabric = self.session.config, self.session.fabric
        # Dropout is a function of (seed, number, process) too.
        torch.manual_seed((config.seed * 1_000_003 + self.step) * 1024 + fabric.global_rank)
        factor = config.rate_factor(self.step)
        for group in self._groups():
            optimizers.set_rate(group, group["initial_lr"] * factor)
        self.unread.append(self.update(batch))
        self.step += 1
        if len(self.unread) == _MOST_UNREAD:
            self.metrics()
        if self.average:  # an average of few steps must not remember the random beginning
            decay = min(config.average, self.step / (self.step + 9))
            now = dict(self.update.network.named_parameters())
            optimizers.move_towards(
                self.average.values(), [now[name] for name in self.average], 1 - decay
            )

    def _groups(self) -> list[dict[str, Any]]:
        return [group for optimizer in self.update.optimizers for group in optimizer.param_groups]

    def validate(self, validation: Validation) -> dict[str, float]:
        """Score the weights on held-out clips and keep them if they are the best so far."""
        run, fabric = self.session.run, self.session.fabric
        self.metrics()
        processes.average_moments(self.update.network)
        with self._in_use() as network:
            scores = validation.score(network, fabric.device)
        run.log(self.step, scores)
        score, best = scores[validation.best_by], self.best_score
        self.stale_validations += 1
        if best is None or (score < best if validation.lowest else score > best):
            self.best_score, self.stale_validations = score, 0
            run.save_weights("best", self._weights(), self.step)
        return {validation.best_by: score}

    def show(self, sheet: Sheet) -> None:
        with self._in_use() as network:
            picture = sheet.draw(network, self.session.fabric.device)
        self.session.run.save_picture(f"step-{self.step:08d}", picture)

    def _weights(self) -> dict[str, Tensor]:
        return {**self.update.network.state_dict(), **self.average}

    @contextlib.contextmanager
    def _in_use(self) -> Iterator[nn.Module]:
        """The network as it is kept: averaged weights, evaluation mode."""
        network = self.update.network
        own = {name: network.get_parameter(name).detach().clone() for name in self.average}
        network.load_state_dict(self.average, strict=False)
        network.eval()
        with torch.no_grad(), self.session.fabric.autocast():
            yield network
        network.train()
        network.load_state_dict(own, strict=False)
