"""Run folders for tests that train nothing, and the weights in those of tests that do."""

import itertools
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

from posecast.networks.kinds import resolve
from posecast.records.runs import Run, WeightsName
from posecast.records.training_data import TrainingData
from posecast.records.training_runs import training_run
from posecast.records.weights import read_tensors
from posecast.training.fitting import FitResult


@dataclass(frozen=True)
class Adam:
    lr: float = 0.1


@dataclass(frozen=True)
class Config:
    """Of a run that nothing is trained in."""

    steps: int = 10
    optimizer: Adam = Adam()


def make_run(path: Path, config: Any, kind: str, data: TrainingData | None = None) -> Run:
    """A run that was begun, or gone on with; what is saved into it is up to the test."""
    with training_run(path, config, kind, data) as run:
        return run


def check_goes_on(
    train: Callable[[Path], FitResult],
    module: ModuleType,
    step: str,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A training of four steps that is stopped in the second, in a step of the module's, goes on
    to all that it would have been."""
    straight = train(folder / "straight")
    assert (straight.step, straight.ended) == (4, "all steps")
    whole, calls = getattr(module, step), itertools.count(1)

    def stopping(*given: Any) -> Any:
        if next(calls) == 2:
            signal.raise_signal(signal.SIGTERM)
        return whole(*given)

    with monkeypatch.context() as patch:
        patch.setattr(module, step, stopping)
        stopped = train(folder / "resumed")
    assert (stopped.step, stopped.ended) == (2, "stopped")
    assert train(folder / "resumed") == straight
    assert same_weights(folder / "straight", folder / "resumed")
    records = [Run.open(folder / name).read_metrics() for name in ("straight", "resumed")]
    assert records[0] == records[1]


def weights_of(run: Path, which: WeightsName = "last") -> dict[str, torch.Tensor]:
    return read_tensors(resolve(run, which))


def same_weights(run: Path, other: Path) -> bool:
    """Whether the last weights of two runs are equal to the bit."""
    ours, theirs = weights_of(run), weights_of(other)
    return ours.keys() == theirs.keys() and all(torch.equal(ours[n], theirs[n]) for n in ours)
