"""A motion of known speed goes on at that speed in seconds, whatever the frame rates."""

import csv
import dataclasses
from pathlib import Path

import numpy as np
import pytest

from posecast.clips import PoseForecast, SeenVideo
from posecast.errors import PosecastError
from posecast.evaluation.loop import evaluate
from posecast.evaluation.methods import Method
from posecast.evaluation.record import EvaluationConfig
from posecast.forecasting.forecaster import Forecaster
from posecast.forecasting.frame_rates import (
    FrameRates,
    steps_of_model,
    to_model_rate,
    to_video_rate,
)
from posecast.forecasting.prediction import PredictionConfig, predict_store
from posecast.forecasting.protocols import Needs
from posecast.keypoints import write_table
from posecast.media.writing import write_mp4
from posecast.networks.pose_lstm import PoseLSTM, PoseLSTMConfig
from posecast.own_video.forecast import forecast_video
from posecast.own_video.poses import KeypointFile, OwnVideoConfig
from posecast.records.weights import WeightsFacts, write_weights
from posecast.skeletons import PENN_ACTION
from posecast.store.reading import ClipSelection, Store
from small_store import a_clip, a_store

SPEED = 100.0
"""Pixels a second that the person walks to the right."""


class Walker:
    """Has learnt how far this person walks from one of its poses to the next, and nothing else."""

    def __init__(self, fps: float | None = 50.0, stride: int = 4) -> None:
        self.needs = Needs(PENN_ACTION, num_past=3, max_past=3, stride=stride, fps=fps)
        self.step = SPEED * stride / (fps or 30.0)

    def forecast_poses(self, seen, steps, samples=1):
        (self.seen,) = seen
        ahead = np.arange(1, steps + 1)[:, None, None] * np.array([self.step, 0.0])
        return [PoseForecast.of(self.seen, (self.seen.joints_px[-1] + ahead)[None])]


def walking(num_frames: int, fps: float) -> SeenVideo:
    pose = np.linspace([20.0, 30.0], [40.0, 90.0], 13)
    joints = pose + SPEED / fps * np.arange(num_frames)[:, None, None] * np.array([1.0, 0.0])
    return SeenVideo(joints, np.ones((num_frames, 13), bool), fps, (120, 400))


def video_of(seen: SeenVideo, folder: Path) -> tuple[Path, KeypointFile]:
    video, table = folder / "walk.mp4", folder / "walk.csv"
    frames = [np.full((120, 400, 3), 90, np.uint8)] * len(seen)
    write_mp4(video, frames, seen.fps)
    write_table(table, seen.joints_px, seen.visible, PENN_ACTION)
    return video, KeypointFile(table)


@pytest.mark.parametrize("fps", [30.0, 25.0, 15.0])
def test_a_video_goes_on_at_the_right_speed_in_seconds(tmp_path: Path, fps: float) -> None:
    seen, model = walking(20, fps), Walker()
    config = OwnVideoConfig(steps=12)
    video, poses = video_of(seen, tmp_path)
    result = forecast_video(video, Forecaster(model), poses, tmp_path / "out.mp4", config)
    assert result.forecast.fps == fps
    shift = result.forecast.joints_px[0] - seen.joints_px[-1]
    expected = SPEED * np.arange(1, 13) / fps
    np.testing.assert_allclose(shift[..., 0], np.repeat(expected[:, None], 13, 1), atol=0.05)
    np.testing.assert_allclose(shift[..., 1], 0, atol=0.05)
    # The model saw the walk as it had learnt it.
    assert model.seen.fps == 12.5
    np.testing.assert_allclose(np.diff(model.seen.joints_px[..., 0], axis=0), 8.0, atol=0.05)
    with np.load(tmp_path / "out.npz") as arrays:
        np.testing.assert_allclose(arrays["predicted_seconds"], np.arange(20, 32) / fps)
    line = f"trained at 12.5 poses a second: the video's {fps:g} were brought to that"
    assert line in result.summary()


def test_of_a_time_lapse_it_is_said_that_little_is_known_of_movement() -> None:
    told = "how the person moved between so few is not known"
    assert told in FrameRates(1.0, 30.0).describe()
    assert told not in FrameRates(10.0, 30.0).describe()


def test_a_fast_video_is_looked_at_about_30_times_a_second(tmp_path: Path) -> None:
    seen, model = walking(40, 60.0), Walker(fps=30.0, stride=1)
    video, poses = video_of(seen, tmp_path)
    result = forecast_video(video, Forecaster(model), poses, None, OwnVideoConfig(steps=3))
    assert (result.fps, result.forecast.fps, result.note) == (30.0, 30.0, "")
    shift = result.forecast.joints_px[0, :, 0, 0] - result.seen.joints_px[-1, 0, 0]
    np.testing.assert_allclose(shift, SPEED * np.arange(1, 4) / 30, atol=0.05)


def test_weights_that_do_not_say_their_rate_are_taken_as_before(tmp_path: Path) -> None:
    model = Walker(fps=None, stride=1)
    video, poses = video_of(walking(20, 30.0), tmp_path)
    result = forecast_video(video, Forecaster(model), poses, None, OwnVideoConfig(steps=3))
    np.testing.assert_array_equal(model.seen.joints_px, result.seen.joints_px)
    assert "does not say at what rate it was trained: 30 poses a second assumed" in result.note
    asked = OwnVideoConfig(steps=3, fps=12.5)
    result = forecast_video(video, Forecaster(model), poses, None, asked)
    assert (result.fps, model.seen.fps) == (12.5, 12.5)
    assert "12.5 poses a second assumed" in result.note


def test_the_rate_is_read_from_the_weights(tmp_path: Path) -> None:
    config = PoseLSTMConfig(hidden=4, encoder=3)
    facts = WeightsFacts(
        "pose", dataclasses.asdict(config), "penn_action", num_past=3, stride=4, fps=50.0
    )
    write_weights(tmp_path / "pose.safetensors", PoseLSTM(config).state_dict(), facts)
    forecaster = Forecaster.load(tmp_path / "pose.safetensors")
    assert FrameRates.of_video(30.0, forecaster.needs) == FrameRates(30.0, 12.5)


@pytest.mark.parametrize(
    ("own", "trained", "video"),
    [
        *((30.0, 30.0, 30.0), (24.0, 30.0, 24.0), (60.0, 30.0, 30.0)),
        *((50.0, 50.0, 25.0), (120.0, 30.0, 30.0), (12.5, 12.5, 12.5), (1.0, 30.0, 1.0)),
    ],
)
def test_at_which_rate_a_video_is_looked_at(own: float, trained: float, video: float) -> None:
    rates = FrameRates.of_video(own, Needs(PENN_ACTION, fps=trained))
    assert (rates.video, rates.model) == (video, trained)


def test_frames_in_memory_of_nearly_the_models_rate_are_taken_as_they_are() -> None:
    needs = Needs(PENN_ACTION, fps=30.0)
    assert FrameRates.of_arrays(needs, 29.97) == FrameRates.of_video(29.97, needs)
    assert FrameRates.of_arrays(needs, 29.97).ratio == 1
    assert FrameRates.of_arrays(needs, 25.0).model == 30.0


def test_tables_name_the_frames_of_a_long_television_video(tmp_path: Path) -> None:
    """At 30 a second its thousandth frame was there twice, and all after it were one late."""
    rate, model = 30000 / 1001, Walker(fps=30.0, stride=1)
    seen = walking(1100, rate)
    seen = dataclasses.replace(seen, joints_px=seen.joints_px % 100)
    video, poses = video_of(seen, tmp_path)
    config = OwnVideoConfig(steps=2, export=("csv",), lead_s=1e6)
    result = forecast_video(video, Forecaster(model), poses, tmp_path / "out.mp4", config)
    assert (result.past_frames[-1], result.note) == (1099, "")
    assert result.seen_to_s == pytest.approx(1099 / rate)
    rows = csv.DictReader((tmp_path / "out.csv").read_text().splitlines())
    noses = {int(row["frame"]): float(row["x"]) for row in rows if row["joint"] == "head"}
    assert list(noses) == [1097, 1098, 1099, 1100, 1101]  # the model sees three poses
    assert noses[1099] == pytest.approx(seen.joints_px[-1, 0, 0], abs=0.01)


def test_the_same_rate_changes_nothing() -> None:
    seen = walking(9, 30.0)
    rates = FrameRates(30.0, 30.0)
    np.testing.assert_array_equal(to_model_rate(seen, rates, 4).joints_px, seen.joints_px[-4:])
    poses = PoseForecast.of(seen, seen.joints_px[None, -3:])
    assert to_video_rate(poses, seen, 3) is poses
    assert steps_of_model(rates, 3) == 3


def test_multiples_are_taken_as_they_are() -> None:
    """A stride: every fourth frame, and not a neighbour of it."""
    rng = np.random.default_rng(0)
    seen = dataclasses.replace(walking(12, 30.0), joints_px=rng.normal(size=(12, 13, 2)))
    shown = to_model_rate(seen, FrameRates(30.0, 7.5), 3)
    np.testing.assert_array_equal(shown.joints_px, seen.joints_px[[3, 7, 11]])
    assert shown.fps == 7.5
    assert len(to_model_rate(seen, FrameRates(30.0, 7.5), 2)) == 2
    assert FrameRates(30.0, 7.5).span(3) == 9


def test_hidden_joints_are_not_interpolated() -> None:
    """At 20 of 30 a second a pose lies between two frames: half, or a whole frame, apart."""
    seen = walking(4, 30.0)
    visible = seen.visible.copy()
    visible[1, 0], visible[2, 1] = False, False
    joints = np.where(visible[..., None], seen.joints_px, np.nan)
    seen = dataclasses.replace(seen, joints_px=joints, visible=visible)
    shown = to_model_rate(seen, FrameRates(30.0, 20.0), 9)
    assert shown.visible[1].tolist() == visible[2].tolist()
    step = SPEED / 30 * np.array([1.0, 0.0])
    np.testing.assert_allclose(shown.joints_px[1, 2:], joints[0, 2:] + 1.5 * step)
    np.testing.assert_allclose(shown.joints_px[1, 0], joints[2, 0])
    assert np.isfinite(shown.joints_px[shown.visible]).all()


def test_pictures_are_those_of_the_nearest_frames() -> None:
    seen = walking(9, 30.0)
    pictures = np.arange(5, 9, dtype=np.uint8)[:, None, None, None] * np.ones(
        (1, 2, 2, 3), np.uint8
    )
    shown = to_model_rate(dataclasses.replace(seen, frames=pictures), FrameRates(30.0, 10.0), 9)
    assert shown.joints_px[:, 0, 0].tolist() == seen.joints_px[[2, 5, 8], 0, 0].tolist()
    assert shown.pictures[:, 0, 0, 0].tolist() == [5, 8]


def test_futures_keep_their_order_between_frames() -> None:
    """Two futures at 10 a second, asked for at 30: a third of the way each."""
    seen = walking(3, 30.0)
    last = seen.joints_px[-1]
    ahead = np.array([[3.0, 6.0], [30.0, 60.0]])[..., None, None] * np.array([1.0, 0.0])
    poses = dataclasses.replace(PoseForecast.of(seen, last + ahead), fps=10.0)
    shown = to_video_rate(poses, seen, 5)
    assert (shown.fps, shown.joints_px.shape, shown.visible.shape) == (30.0, (2, 5, 13, 2), (5, 13))
    np.testing.assert_allclose(
        shown.joints_px[:, :, 0, 0] - last[0, 0], [np.arange(1, 6), 10 * np.arange(1, 6)]
    )


def test_arrays_go_on_at_their_own_rate() -> None:
    seen, model = walking(12, 30.0), Walker()
    pictures = np.zeros((12, 120, 400, 3), np.uint8)
    forecast = Forecaster(model).predict(pictures, seen.joints_px, seen.visible, 6, fps=30.0)
    shift = forecast.joints_px[0, :, 0, 0] - seen.joints_px[-1, 0, 0]
    np.testing.assert_allclose(shift, SPEED * np.arange(1, 7) / 30)
    with pytest.raises(ValueError, match="4 seen frames at 30 a second, expected at least 6"):
        Forecaster(model).predict(pictures[:4], seen.joints_px[:4], seen.visible[:4], fps=30.0)


def test_a_store_of_another_rate_is_refused_and_not_forecast_too_fast(tmp_path: Path) -> None:
    faster = dataclasses.replace(a_clip("0001", 1.0), fps=60.0)
    store = a_store(tmp_path, faster)
    for model, fps in ((Walker(30.0, 1), 30), (Walker(50.0, 1), 50)):
        message = f"trained at {fps} frames a second, clip 0001 has 60"
        with pytest.raises(PosecastError, match=message):
            Forecaster(model).predict_clip(store, faster, 5)
        config = EvaluationConfig(num_past=3, steps=4)
        with pytest.raises(PosecastError, match=message):
            evaluate([Method("walker", "forecast", model)], store, tmp_path / "out", config)
    assert not (tmp_path / "out").exists()


def test_predict_refuses_a_store_of_another_rate(tmp_path: Path, monkeypatch) -> None:
    config = PoseLSTMConfig(hidden=4, encoder=3)
    facts = WeightsFacts("pose", dataclasses.asdict(config), "penn_action", num_past=3, fps=24.0)
    run, out = tmp_path / "pose.safetensors", tmp_path / "out"
    write_weights(run, PoseLSTM(config).state_dict(), facts)
    store = a_store(tmp_path, a_clip("0001", 1.0))
    monkeypatch.setattr(Store, "open", lambda _path: store)
    asked = PredictionConfig(ClipSelection("validation"), frames="none", mp4=False, gif=False)
    with pytest.raises(PosecastError, match="trained at 24 frames a second, clip 0001 has 30"):
        predict_store(asked, store.path, run, None, out)
    assert not out.exists()
    alike = dataclasses.replace(facts, fps=29.97)
    write_weights(run, PoseLSTM(config).state_dict(), alike)
    assert predict_store(asked, store.path, run, None, out).num_forecast == 1


def test_whom_the_rate_of_a_store_does_not_matter(tmp_path: Path) -> None:
    """Runs of 56aa31b, of which nobody knows theirs; forecasters that bring any to their own."""
    faster = dataclasses.replace(a_clip("0001", 1.0), fps=60.0)
    store = a_store(tmp_path, faster)
    free = Walker(30.0, 1)
    free.needs = dataclasses.replace(free.needs, any_fps=True)
    for model in (Walker(None, 1), free):
        forecast = Forecaster(model).predict_clip(store, faster, 5)
        assert (forecast.joints_px.shape, forecast.fps) == ((1, 5, 13, 2), 60.0)
    assert Forecaster.pretrained().needs.any_fps
