"""Run folders for tests that train nothing, and the weights in those of tests that do."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from posecast.networks.kinds import resolve
from posecast.records.runs import Run, WeightsName
from posecast.records.training_data import TrainingData
from posecast.records.training_runs import training_run
from posecast.records.weights import read_tensors


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


def weights_of(run: Path, which: WeightsName = "last") -> dict[str, torch.Tensor]:
    return read_tensors(resolve(run, which))


def same_weights(run: Path, other: Path) -> bool:
    """Whether the last weights of two runs are equal to the bit."""
    ours, theirs = weights_of(run), weights_of(other)
    return ours.keys() == theirs.keys() and all(torch.equal(ours[n], theirs[n]) for n in ours)
