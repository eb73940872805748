"""From trained weights to what the Forecaster is made of: one row a kind of network."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from torch import nn

from posecast.computing.options import ForecasterOptions
from posecast.forecasting.generator_drawer import GeneratorDrawer
from posecast.forecasting.lstm import LSTMForecaster
from posecast.forecasting.protocols import FrameDrawer, TrainedPoseForecaster
from posecast.networks.generator import Generator
from posecast.networks.kinds import load_network
from posecast.networks.pose_lstm import PoseLSTM
from posecast.records.weights import WeightsFacts
from posecast.skeletons import SKELETONS


def _lstm(network: PoseLSTM, facts: WeightsFacts, options: ForecasterOptions) -> LSTMForecaster:
    skeleton, device = SKELETONS[facts.skeleton], options.pick_device()
    return LSTMForecaster(network, skeleton, facts.num_past, facts.stride, device)


def _generator(
    network: Generator, facts: WeightsFacts, options: ForecasterOptions
) -> GeneratorDrawer:
    return GeneratorDrawer(network, SKELETONS[facts.skeleton], facts.sigma_px, options)


POSE_FORECASTERS: dict[type[nn.Module], Callable[..., TrainedPoseForecaster]] = {PoseLSTM: _lstm}
FRAME_DRAWERS: dict[type[nn.Module], Callable[..., FrameDrawer]] = {Generator: _generator}
"""Network -> function of (network, what its weights say of themselves, options)."""


def load_pose_forecaster(
    source: str | Path, options: ForecasterOptions | None = None
) -> TrainedPoseForecaster:
    """What forecasts poses with the best weights of a run, or those of a weight file.

    PosecastError where there are none, or those of another kind of network.
    """
    return _load(source, POSE_FORECASTERS, options)


def load_frame_drawer(source: str | Path, options: ForecasterOptions | None = None) -> FrameDrawer:
    """What draws frames with the best weights of a run, or those of a weight file.

    PosecastError where there are none, or those of another kind of network.
    """
    return _load(source, FRAME_DRAWERS, options)


def _load(source: str | Path, rows: dict[Any, Any], options: ForecasterOptions | None) -> Any:
    loaded = load_network(source, tuple(rows))
    return rows[type(loaded.network)](loaded.network, loaded.facts, options or ForecasterOptions())
