"""From run folders and names to methods: what the command line and scripts evaluate."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from posecast.computing.options import Flat, ForecasterOptions
from posecast.evaluation.baselines import TrainedConvLSTM
from posecast.evaluation.method_names import distinct_names
from posecast.evaluation.methods import (
    Method,
    baseline_methods,
    forecast_method,
    oracle_method,
    stored_method,
    trained_frame_method,
)
from posecast.forecasting.forecaster import Forecaster
from posecast.store.reading import ClipSelection, Store

BaselineName = Literal[
    "last-pose", "constant-velocity", "mean-training-pose", "last-frame", "optical-flow"
]


@dataclass(frozen=True)
class MethodChoice:
    """What to evaluate side by side."""

    pose_run: tuple[Path, ...] = ()
    """Runs of 'posecast train pose'; several are compared, each under its folder's name."""
    image_run: Path | None = None
    """Run of 'posecast train image': draws the poses, and true future poses as the oracle."""
    conv_lstm_run: Path | None = None
    """Run of 'posecast train conv-lstm', a trained pixel baseline."""
    forecasts: tuple[Path, ...] = ()
    """Folders of 'posecast predict', judged as they lie there."""
    baselines: tuple[BaselineName, ...] = (
        *("last-pose", "constant-velocity"),
        *("last-frame", "optical-flow"),
    )
    """Trivial forecasts. The mean training pose is that of the store's training clips."""
    mean_pose_clips: ClipSelection = ClipSelection()
    """Clips that the mean training pose is the mean of."""
    oracle: bool = True
    """Evaluate the image run on true future poses too: what the image stage alone costs."""
    run_on: Flat[ForecasterOptions] = ForecasterOptions()


def load_methods(choice: MethodChoice, store: Store) -> list[Method]:
    """Read the runs and make the baselines; PosecastError where a run does not fit."""
    names = distinct_names(choice.pose_run)
    methods = []
    for path, name in zip(choice.pose_run, names, strict=True):
        runs = [path] if choice.image_run is None else [path, choice.image_run]
        forecaster = Forecaster.load(path, choice.image_run, choice.run_on)
        title = "forecast" if len(names) == 1 else name
        draws = choice.image_run is not None
        methods.append(forecast_method(forecaster, runs, title, draws))
    stored = distinct_names(choice.forecasts)
    for path, name in zip(choice.forecasts, stored, strict=True):
        methods.append(stored_method(path, name))
    if choice.image_run is not None and choice.oracle:
        drawer = Forecaster.load(None, choice.image_run, choice.run_on)
        methods.append(oracle_method(drawer, [choice.image_run]))
    if choice.conv_lstm_run is not None:
        device = choice.run_on.pick_device()
        trained = TrainedConvLSTM.load(choice.conv_lstm_run, device)
        methods.append(trained_frame_method(trained, [choice.conv_lstm_run], trained.name))
    wanted = [name.replace("-", " ") for name in choice.baselines]
    mean_clips = store.select(choice.mean_pose_clips) if "mean training pose" in wanted else []
    return [*methods, *baseline_methods(wanted, mean_clips)]
