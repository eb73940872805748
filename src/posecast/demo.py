"""The whole chain on drawn people, in minutes on two processor cores.

Draws a data set, prepares it, trains both models, forecasts its test clips, measures the forecasts
beside the baselines, and writes a page to look at. Every stage picks up where it was stopped.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from posecast.computing.options import ForecasterOptions
from posecast.datasets.drawn.people import SyntheticConfig, write_penn_layout
from posecast.datasets.penn_action import PennAction
from posecast.evaluation import (
    EvaluationConfig,
    baseline_methods,
    evaluate,
    forecast_method,
    oracle_method,
)
from posecast.forecasting.forecaster import Forecaster
from posecast.forecasting.prediction import PredictionConfig, predict_store
from posecast.presets import IMAGE, POSE
from posecast.report import ReportConfig, write_report
from posecast.store.preparation import PreparationConfig, prepare
from posecast.store.reading import ClipSelection, Store
from posecast.training.image import train_image
from posecast.training.pose import train_pose

NUM_CLIPS = 96
STEPS = 32
"""Frames forecast: about a second of the drawn clips."""

BASELINES = ("last pose", "constant velocity", "last frame")
OPTIONS = ForecasterOptions(precision="bf16-mixed")
INTRODUCTION = (
    "Drawn people, forecast by models that were trained on other drawn people for some minutes. "
    "Ten frames were seen; all later ones are forecast from the last seen frame and forecast "
    "poses. The oracle draws the true poses: it shows what the image model alone costs."
)


@dataclass(frozen=True)
class DemoFolders:
    """Where a demo keeps what it makes."""

    root: Path

    @property
    def raw(self) -> Path:
        return self.root / "raw"

    @property
    def store(self) -> Path:
        return self.root / "store"

    @property
    def pose_run(self) -> Path:
        return self.root / "pose"

    @property
    def image_run(self) -> Path:
        return self.root / "image"

    @property
    def forecasts(self) -> Path:
        return self.root / "forecasts"

    @property
    def evaluation(self) -> Path:
        return self.root / "evaluation"

    @property
    def page(self) -> Path:
        return self.root / "index.html"


def run_demo(root: Path, workers: int = 2) -> Path:
    """Run or finish the demo in a folder of its own; returns the page that it wrote."""
    folders = DemoFolders(root)
    _stage("1/6 draw people", lambda: _draw(folders, workers))
    _stage("2/6 prepare", lambda: _prepare(folders, workers))
    _stage("3/6 train the pose model", lambda: _train_pose(folders))
    _stage("4/6 train the image model", lambda: _train_image(folders))
    _stage("5/6 forecast", lambda: _forecast(folders))
    _stage("6/6 measure and write the page", lambda: _report(folders))
    print(f"\nOpen {folders.page} in a browser.")
    return folders.page


def _stage(title: str, work: Callable[[], None]) -> None:
    print(f"\n== {title}", flush=True)
    start = time.monotonic()
    work()
    print(f"   {time.monotonic() - start:.0f} s", flush=True)


def _draw(folders: DemoFolders, workers: int) -> None:
    write_penn_layout(SyntheticConfig(num_clips=NUM_CLIPS), folders.raw, workers)


def _prepare(folders: DemoFolders, workers: int) -> None:
    size = IMAGE["demo"].generator.size
    config = PreparationConfig(size=size, resize="area", workers=workers)
    print(prepare(PennAction(folders.raw), folders.store, config).summary())


def _train_pose(folders: DemoFolders) -> None:
    _expect_finished(train_pose(POSE["demo"], folders.store, folders.pose_run).ended)


def _train_image(folders: DemoFolders) -> None:
    _expect_finished(train_image(IMAGE["demo"], folders.store, folders.image_run).ended)


def _expect_finished(ended: str) -> None:
    """A training that was told to stop has saved; the stages after it must not begin."""
    if ended == "stopped":
        raise KeyboardInterrupt


def _forecast(folders: DemoFolders) -> None:
    config = PredictionConfig(ClipSelection("test"), steps=STEPS, run_on=OPTIONS)
    runs = (folders.pose_run, folders.image_run)
    print(predict_store(config, folders.store, *runs, folders.forecasts).summary())


def _report(folders: DemoFolders) -> None:
    runs = (folders.pose_run, folders.image_run)
    forecaster = Forecaster.load(*runs, OPTIONS)
    methods = [
        forecast_method(forecaster, runs),
        oracle_method(forecaster, runs),
        *baseline_methods(BASELINES),
    ]
    config = EvaluationConfig(ClipSelection("test"), steps=STEPS, final=True, examples=2)
    report = evaluate(
        methods, Store.open(folders.store), folders.evaluation, config, command="posecast demo"
    )
    print(report.summary())
    page = ReportConfig("posecast demo: the next second", INTRODUCTION)
    write_report(folders.evaluation, folders.root, page)
