"""From trained weights to what the Forecaster is made of: one row a kind of network."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from torch import nn

from posecast.computing.devices import ForecasterOptions
from posecast.forecasting.carried import CarriedDrawer
from posecast.forecasting.generator_drawer import GeneratorDrawer
from posecast.forecasting.lstm import LSTMForecaster
from posecast.forecasting.motion import MotionForecaster
from posecast.forecasting.protocols import FrameDrawer, TrainedPoseForecaster
from posecast.motion.neighbours import BASE_FILE, MotionBase
from posecast.networks.carrying import CarryingNetwork
from posecast.networks.generator import Generator
from posecast.networks.kinds import LoadedNetwork, load_network
from posecast.networks.motion_residual import MotionResidual
from posecast.networks.pose_lstm import PoseLSTM
from posecast.records.arguments import check_settings
from posecast.skeletons import SKELETONS


def _lstm(loaded: LoadedNetwork[PoseLSTM], options: ForecasterOptions) -> LSTMForecaster:
    facts, device = loaded.facts, options.pick_device()
    return LSTMForecaster(
        loaded.network, SKELETONS[facts.skeleton], facts.num_past, facts.stride, device, facts.fps
    )


def _motion(loaded: LoadedNetwork[MotionResidual], options: ForecasterOptions) -> MotionForecaster:
    base = MotionBase.load(loaded.path.with_name(BASE_FILE))
    return MotionForecaster(loaded.network, base, options.pick_device(), options.lively)


def _generator(loaded: LoadedNetwork[Generator], options: ForecasterOptions) -> GeneratorDrawer:
    facts = loaded.facts
    return GeneratorDrawer(
        loaded.network, SKELETONS[facts.skeleton], facts.sigma_px, options, facts.crop_side_px
    )


def _carried(loaded: LoadedNetwork[CarryingNetwork], options: ForecasterOptions) -> CarriedDrawer:
    return CarriedDrawer(loaded.network, SKELETONS[loaded.facts.skeleton], options)


POSE_FORECASTERS: dict[type[nn.Module], Callable[..., TrainedPoseForecaster]] = {
    PoseLSTM: _lstm,
    MotionResidual: _motion,
}
FRAME_DRAWERS: dict[type[nn.Module], Callable[..., FrameDrawer]] = {
    Generator: _generator,
    CarryingNetwork: _carried,
}
"""Network -> function of (loaded network, options)."""


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
    options = check_settings(options or ForecasterOptions(), ForecasterOptions, "options")
    loaded = load_network(source, tuple(rows))
    return rows[type(loaded.network)](loaded, options)
