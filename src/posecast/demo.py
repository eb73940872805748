"""The shipped weights on a real person, then the whole chain on drawn people, in minutes.

Forecasts the video that ships, for a first page to look at. Then draws a data set, prepares it,
trains both models, forecasts its test clips, measures the forecasts beside the baselines, and
writes a page of that. Every stage picks up where it was stopped.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from posecast import __version__
from posecast.computing.options import ForecasterOptions
from posecast.datasets.drawn.people import SyntheticConfig, write_penn_layout
from posecast.datasets.penn_action import PennAction
from posecast.estimation import PoseEstimator
from posecast.evaluation.jobs import EvaluationConfig
from posecast.evaluation.loop import evaluate
from posecast.evaluation.methods import baseline_methods, forecast_method, oracle_method
from posecast.forecasting.forecaster import Forecaster
from posecast.forecasting.own_poses import EstimatedPoses
from posecast.forecasting.own_video import forecast_video
from posecast.forecasting.prediction import PredictionConfig, predict_store
from posecast.presets import IMAGE, POSE
from posecast.pretrained import DEFAULT_DRAWER, DEFAULT_FORECASTER
from posecast.records.files import write_text
from posecast.report import ReportConfig, write_report
from posecast.report.rendering import render
from posecast.sample import SAMPLE, SAMPLE_CREDIT
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
    def sample(self) -> Path:
        return self.root / "sample-forecast.mp4"

    @property
    def sample_page(self) -> Path:
        return self.root / "sample.html"

    @property
    def page(self) -> Path:
        return self.root / "index.html"


def run_demo(root: Path, workers: int = 2) -> Path:
    """Run or finish the demo in a folder of its own; returns the last page."""
    folders = DemoFolders(root)
    _stage("1/7 forecast a video of a real person", lambda: show_sample(folders))
    print(f"   open {folders.sample_page} in a browser")
    _stage("2/7 draw people", lambda: _draw(folders, workers))
    _stage("3/7 prepare", lambda: _prepare(folders, workers))
    _stage("4/7 train the pose model", lambda: _train_pose(folders))
    _stage("5/7 train the image model", lambda: _train_image(folders))
    _stage("6/7 forecast", lambda: _forecast(folders))
    _stage("7/7 measure and write the page", lambda: _report(folders))
    print(f"\nOpen {folders.sample_page} and {folders.page} in a browser.")
    return folders.page


def _stage(title: str, work: Callable[[], None]) -> None:
    print(f"\n== {title}", flush=True)
    start = time.monotonic()
    work()
    print(f"   {time.monotonic() - start:.0f} s", flush=True)


def show_sample(folders: DemoFolders) -> None:
    """The video that ships, forecast by the weights that ship, and a page that shows it."""
    if folders.sample_page.is_file() and folders.sample.is_file():
        return
    forecaster = Forecaster.load(DEFAULT_FORECASTER, DEFAULT_DRAWER)
    poses = EstimatedPoses(PoseEstimator.pretrained(skeleton=forecaster.skeleton))
    result = forecast_video(SAMPLE, forecaster, poses, folders.sample)
    values = {"title": "A forecast of a real person", "version": __version__}
    lines = [
        f"The first {result.seen_to_s:.1f} seconds were filmed. What follows is forecast by the "
        "weights that ship with posecast: how the man goes on, and what that looks like.",
        *result.summary().splitlines(),
        "Your own video: posecast forecast my.mp4",
        SAMPLE_CREDIT,
    ]
    page = render("video.html", video=folders.sample.name, lines=lines, **values)
    write_text(folders.sample_page, page)


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
