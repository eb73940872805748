"""From run folders and names to methods: what the command line and scripts evaluate, and how it is
called in tables."""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from posecast.computing.devices import Flat, ForecasterOptions
from posecast.errors import PosecastError
from posecast.evaluation.baselines import TrainedConvLSTM
from posecast.evaluation.methods import Method, baseline_methods, stored_method
from posecast.forecasting.forecaster import Forecaster
from posecast.forecasting.loading import load_frame_drawer
from posecast.store.reading import ClipSelection, Store


def distinct_names(paths: Sequence[Path], taken: Iterable[str] = ()) -> list[str]:
    """The last part of each path, with as many of those above it as tell all apart.

    Folders a/pose and b/pose are "a pose" and "b pose"; a weight file goes without its ending.
    PosecastError for a path that is given twice, or a name that is among `taken`.
    """
    whole = [Path(os.path.abspath(path).removesuffix(".safetensors")) for path in paths]  # noqa: PTH100
    if len(set(whole)) < len(whole):
        raise PosecastError(f"the same run twice: {', '.join(map(str, paths))}; give each one once")
    parts = [path.parts for path in whole]
    names: list[str] = []
    for depth in range(1, max(map(len, parts), default=0) + 1):
        names = [" ".join(each[-depth:]) for each in parts]
        if len(set(names)) == len(names):
            break
    for name in names:
        if name in set(taken):
            raise PosecastError(f"a run cannot be called {name!r}, a method is: rename its folder")
    return names


BaselineName = Literal[
    "last-pose", "constant-velocity", "mean-training-pose", "last-frame", "optical-flow"
]


@dataclass(frozen=True)
class MethodChoice:
    """What to evaluate side by side."""

    pose_run: tuple[Path, ...] = ()
    """Runs of 'posecast train pose' or 'train motion', or shipped weights by name; several
    are compared, each under its folder's name."""
    image_run: Path | None = None
    """Run of 'posecast train image' or 'train carrying', or shipped weights by name: draws
    the poses, and true future poses as the oracle."""
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
    names, image_run = distinct_names(choice.pose_run), choice.image_run
    drawers = [] if image_run is None else [image_run]
    methods = []
    for path, name in zip(choice.pose_run, names, strict=True):
        forecaster = Forecaster.load(path, image_run, choice.run_on)
        parts = {"poses": forecaster.poses, "drawer": forecaster.drawer}
        title = "forecast" if len(names) == 1 else name
        runs, lively = [path, *drawers], choice.run_on.lively
        methods.append(Method.of_runs(title, "forecast", runs, lively=lively, **parts))
    stored = distinct_names(choice.forecasts)
    methods += [stored_method(*each) for each in zip(choice.forecasts, stored, strict=True)]
    if image_run is not None and choice.oracle:
        drawer = load_frame_drawer(image_run, choice.run_on)
        methods.append(Method.of_runs("oracle", "oracle", drawers, drawer=drawer))
    if choice.conv_lstm_run is not None:
        trained = TrainedConvLSTM.load(choice.conv_lstm_run, choice.run_on.pick_device())
        run = [choice.conv_lstm_run]
        methods.append(Method.of_runs(trained.name, "baseline", run, frames=trained))
    wanted = [name.replace("-", " ") for name in choice.baselines]
    mean_clips = store.select(choice.mean_pose_clips) if "mean training pose" in wanted else []
    return [*methods, *baseline_methods(wanted, mean_clips)]
