"""`posecast train ...` of the networks beside the forecast: judges and a baseline."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import tyro

from posecast.cli.parsing import parse
from posecast.training.action import (
    FlowActionTrainingConfig,
    PoseActionTrainingConfig,
    train_flow_classifier,
    train_pose_classifier,
)
from posecast.training.conv_lstm import ConvLSTMTrainingConfig, train_conv_lstm
from posecast.training.fitting import FitResult


@dataclass(frozen=True)
class TrainPoseAction:
    """Train the classifier that says which action a pose sequence shows.

    'posecast evaluate --pose-action-run RUN' asks it whether forecasts still look like their
    action. The same command again goes on where training stopped.

    Examples:
      posecast train pose-action --store store --run runs/pose-action
    """

    store: Path
    """Prepared store to learn from; poses alone will do."""
    run: Path
    """Folder for weights, checkpoints and metrics."""
    config: Annotated[PoseActionTrainingConfig, tyro.conf.arg(name="")] = field(
        default_factory=PoseActionTrainingConfig
    )
    fresh: bool = False
    """Start over: an older run in the folder is moved aside."""


@dataclass(frozen=True)
class TrainFlowAction:
    """Train the classifier that says which action frames show, by their optical flow.

    'posecast evaluate --flow-action-run RUN' asks it whether forecast frames still look like their
    action. The same command again goes on where training stopped.

    Examples:
      posecast train flow-action --store store --run runs/flow-action
    """

    store: Path
    """Prepared store with frames to learn from."""
    run: Path
    """Folder for weights, checkpoints and metrics."""
    config: Annotated[FlowActionTrainingConfig, tyro.conf.arg(name="")] = field(
        default_factory=FlowActionTrainingConfig
    )
    fresh: bool = False
    """Start over: an older run in the folder is moved aside."""


@dataclass(frozen=True)
class TrainConvLSTM:
    """Train the ConvLSTM baseline: future frames from seen frames, without poses.

    'posecast evaluate --conv-lstm-run RUN' shows it beside the forecast. The same command again
    goes on where training stopped.

    Examples:
      posecast train conv-lstm --store store --run runs/conv-lstm --model.size 64
    """

    store: Path
    """Prepared store with frames to learn from."""
    run: Path
    """Folder for weights, checkpoints and metrics."""
    config: Annotated[ConvLSTMTrainingConfig, tyro.conf.arg(name="")] = field(
        default_factory=ConvLSTMTrainingConfig
    )
    fresh: bool = False
    """Start over: an older run in the folder is moved aside."""


def pose_action(words: list[str], program: str) -> int:
    """`posecast train pose-action --store STORE --run RUN`."""
    return _train(TrainPoseAction, train_pose_classifier, words, program)


def flow_action(words: list[str], program: str) -> int:
    """`posecast train flow-action --store STORE --run RUN`."""
    return _train(TrainFlowAction, train_flow_classifier, words, program)


def conv_lstm(words: list[str], program: str) -> int:
    """`posecast train conv-lstm --store STORE --run RUN`."""
    return _train(TrainConvLSTM, train_conv_lstm, words, program)


def _train(kind: type[Any], train: Callable[..., FitResult], words: list[str], program: str) -> int:
    asked = parse(kind, words, program)
    result = train(asked.config, asked.store, asked.run, fresh=asked.fresh)
    score = "" if result.best_score is None else f", best validation score {result.best_score:.4f}"
    print(f"{asked.run}: after {result.step} steps ({result.ended}){score}")
    return 130 if result.ended == "stopped" else 0
