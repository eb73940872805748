"""The shipped weights on a real person, then the whole chain on drawn people, in minutes.

Forecasts the video that ships, for a first page to look at. Then draws a data set, prepares it,
trains both models, forecasts its test clips, measures the forecasts beside the baselines, and
writes a page of that. Every stage picks up where it was stopped.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from posecast import __version__
from posecast.computing.devices import ForecasterOptions
from posecast.datasets.drawn.clips import SyntheticConfig
from posecast.datasets.drawn.people import write_penn_layout
from posecast.datasets.penn_action import PennAction
from posecast.estimation import PoseEstimator
from posecast.evaluation.loop import evaluate
from posecast.evaluation.record import EvaluationConfig
from posecast.evaluation.setup import BaselineName, MethodChoice, load_methods
from posecast.forecasting.forecaster import Forecaster
from posecast.forecasting.prediction import PredictionConfig, predict_store
from posecast.own_video.forecast import forecast_video
from posecast.own_video.poses import EstimatedPoses
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

BASELINES: tuple[BaselineName, ...] = ("last-pose", "constant-velocity", "last-frame")
OPTIONS = ForecasterOptions(precision="bf16-mixed")
INTRODUCTION = (
    "Drawn people, forecast by models that were trained on other drawn people for some minutes. "
    "Ten frames were seen; all later ones are forecast from the last seen frame and forecast "
    "poses. The oracle draws the true poses: it shows what the image model alone costs."
)


def run_demo(root: Path, workers: int = 2) -> Path:
    """Run or finish the demo in a folder of its own; returns the last page."""
    with _stage("1/7 forecast a video of a real person"):
        sample_page = show_sample(root)
    print(f"   open {sample_page} in a browser")
    raw, store, evaluation = root / "raw", root / "store", root / "evaluation"
    runs = root / "pose", root / "image"
    with _stage("2/7 draw people"):
        write_penn_layout(SyntheticConfig(num_clips=NUM_CLIPS), raw, workers)
    with _stage("3/7 prepare"):
        size = IMAGE["demo"].generator.size
        config = PreparationConfig(size=size, resize="area", workers=workers)
        print(prepare(PennAction(raw), store, config).summary())
    with _stage("4/7 train the pose model"):
        _expect_finished(train_pose(POSE["demo"], store, runs[0]).ended)
    with _stage("5/7 train the image model"):
        _expect_finished(train_image(IMAGE["demo"], store, runs[1]).ended)
    with _stage("6/7 forecast"):
        settings = PredictionConfig(ClipSelection("test"), steps=STEPS, run_on=OPTIONS)
        print(predict_store(settings, store, *runs, root / "forecasts").summary())
    with _stage("7/7 measure and write the page"):
        print(_measure(Store.open(store), runs, evaluation))
        page = ReportConfig("posecast demo: the next second", INTRODUCTION)
        write_report(evaluation, root, page)
    print(f"\nOpen {sample_page} and {root / 'index.html'} in a browser.")
    return root / "index.html"


@contextmanager
def _stage(title: str) -> Iterator[None]:
    print(f"\n== {title}", flush=True)
    start = time.monotonic()
    yield
    print(f"   {time.monotonic() - start:.0f} s", flush=True)


def show_sample(root: Path) -> Path:
    """A page that shows the video that ships, forecast by the weights that ship."""
    video, page = root / "sample-forecast.mp4", root / "sample.html"
    if page.is_file() and video.is_file():
        return page
    forecaster = Forecaster.load(DEFAULT_FORECASTER, DEFAULT_DRAWER)
    poses = EstimatedPoses(PoseEstimator.pretrained(skeleton=forecaster.skeleton))
    result = forecast_video(SAMPLE, forecaster, poses, video)
    values = {"title": "A forecast of a real person", "version": __version__}
    lines = [
        f"The first {result.seen_to_s:.1f} seconds were filmed. What follows is forecast by the "
        "weights that ship with posecast: how the man goes on, and what that looks like.",
        *result.summary().splitlines(),
        "Your own video: posecast forecast my.mp4",
        SAMPLE_CREDIT,
    ]
    write_text(page, render("video.html", video=video.name, lines=lines, **values))
    return page


def _expect_finished(ended: str) -> None:
    """A training that was told to stop has saved; the stages after it must not begin."""
    if ended == "stopped":
        raise KeyboardInterrupt


def _measure(store: Store, runs: tuple[Path, Path], out: Path) -> str:
    """Evaluate the forecasts beside the baselines; a few lines for people."""
    choice = MethodChoice((runs[0],), runs[1], baselines=BASELINES, run_on=OPTIONS)
    config = EvaluationConfig(ClipSelection("test"), steps=STEPS, final=True, examples=2)
    methods = load_methods(choice, store)
    return evaluate(methods, store, out, config, command="posecast demo").summary()
