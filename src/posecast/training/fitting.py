"""The one loop in which everything is trained.

What is trained (`pose.py`, `image.py`, ...) says what is learned: batches, an update of the
weights, a validation. Resuming, signals, checkpoints, processes, precision, the schedule and
averaged weights are handled here, once for all trainings, with `records` and `computing`. A batch
is a pure function of (seed, number), so a run that was stopped goes on, with the same command, to
the same weights as one that was not.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn
from torch.optim import Optimizer

from posecast.computing import processes
from posecast.computing.compilation import compile_parts, is_recorded
from posecast.computing.feeding import Batches, brought_ahead, prepared
from posecast.computing.recording import recorded
from posecast.records.files import WriteError
from posecast.training import optimizers
from posecast.training.averaging import MovingAverage
from posecast.training.progress import Progress, check_finite
from posecast.training.session import Session


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


class Descent(Update):
    """The update of one network: down the gradient of a step's loss."""

    def __init__(self, network: nn.Module, step: Step, session: Session) -> None:
        config, fabric = session.config, session.fabric
        self.network = network.to(fabric.device).train()
        compile_parts([network], session.compile)
        recordable = is_recorded(session.compile, fabric.device)
        self.optimizers = (optimizers.build_optimizer(network, config, recordable),)
        self._step, self._fabric = step, fabric
        self._clip_norm = config.clip_norm or math.inf
        self._learn = recorded(self._plainly, session.compile, fabric.device)

    def __call__(self, batch: Any) -> processes.Metrics:
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
        optimizer = optimizers.optimizer_state(self.optimizers[0])
        return {"network": self.network.state_dict(), "optimizer": optimizer}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
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


def fitted(update: Update, session: Session) -> FitResult | None:
    """How the run ended, said where nothing is left to learn: for who makes data that take
    minutes."""
    training = _Training(update, session)
    training.begin_or_go_on(None)
    if training.result.ended == "stopped":
        return None
    Progress(training.step + 1, session.config.steps, shown=session.run.writes)
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
    average: MovingAverage = field(init=False)
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
        self.average = MovingAverage(network, session.config.average)
        if state is None:
            if validation is not None and validation.reference:
                session.run.log(0, validation.reference)
            return
        self.update.load_state_dict(state["update"])
        self.step, self.best_score, self.saved = state["step"], state["best_score"], True
        self.stale_validations = state["stale_validations"]
        self.average.load(state["average"])

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
        self.session.run.save_weights("last", self.average.weights(), self.step)
        state = {
            "update": self.update.state_dict(),
            "average": self.average.values,
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
        self.average.follow(self.step)

    def _groups(self) -> list[dict[str, Any]]:
        return [group for optimizer in self.update.optimizers for group in optimizer.param_groups]

    def validate(self, validation: Validation) -> dict[str, float]:
        """Score the weights on held-out clips and keep them if they are the best so far."""
        run, fabric = self.session.run, self.session.fabric
        self.metrics()
        processes.average_moments(self.update.network)
        with self.average.in_use(fabric) as network:
            scores = validation.score(network, fabric.device)
        run.log(self.step, scores)
        score, best = scores[validation.best_by], self.best_score
        self.stale_validations += 1
        if best is None or (score < best if validation.lowest else score > best):
            self.best_score, self.stale_validations = score, 0
            run.save_weights("best", self.average.weights(), self.step)
        return {validation.best_by: score}

    def show(self, sheet: Sheet) -> None:
        fabric = self.session.fabric
        with self.average.in_use(fabric) as network:
            picture = sheet.draw(network, fabric.device)
        self.session.run.save_picture(f"step-{self.step:08d}", picture)
