"""Forecasters of users beside ours: what they give is judged, or refused with the reason."""

import shutil

import numpy as np
import pytest
import torch

from posecast.clips import PoseForecast
from posecast.errors import PosecastError
from posecast.evaluation.loop import evaluate
from posecast.evaluation.methods import Method, stored_method
from posecast.evaluation.record import EvaluationConfig
from posecast.evaluation.summary import summarise
from posecast.forecasting.forecast_files import read_forecast, read_frames
from posecast.forecasting.forecaster import Forecaster
from posecast.forecasting.given import WasShown, write_forecasts
from posecast.forecasting.protocols import Needs
from posecast.skeletons import PENN_ACTION
from posecast.store.reading import ClipSelection
from small_store import a_clip, a_store

pytestmark = pytest.mark.usefixtures("unchecked")
CONFIG = EvaluationConfig(num_past=4, steps=6, futures=2, examples=0)
STAYS = np.full((1, 6, 13, 2), 50.0)
VISIBLE = np.ones((6, 13), bool)
SURE = np.ones(1)


class Says:
    """Whatever it is told to."""

    needs = Needs(PENN_ACTION, num_past=4)

    def __init__(self, joints, visible, weights, twice=False):
        self.said, self.times = (joints, visible, weights, 30.0), 2 if twice else 1

    def forecast_poses(self, seen, steps, samples=1):
        return [PoseForecast(*self.said)] * self.times


class Paints:
    def __init__(self, frames):
        self.frames = frames

    def predict_frames(self, seen, steps):
        return self.frames


@pytest.mark.parametrize(
    ("said", "message"),
    [
        (Says(STAYS[0], VISIBLE, SURE), r"gave joints_px \(6, 13, 2\); expected \(2, 6, 13, 2\)"),
        (Says(STAYS[:, :5], VISIBLE[:5], SURE), r"gave joints_px \(1, 5, 13, 2\)"),
        (Says(np.repeat(STAYS, 3, 0), VISIBLE, np.full(3, 1 / 3)), r"gave joints_px \(3, 6,"),
        (Says(STAYS, VISIBLE[:1], SURE), r"gave visible \(1, 13\); expected \(6, 13\)"),
        (Says(STAYS, VISIBLE, np.full(1, 0.5)), "their sum 1"),
        (Says(STAYS, VISIBLE, np.full(2, 0.5)), "one of each of 1 futures"),
        (Says(np.full_like(STAYS, np.nan), VISIBLE, SURE), "NaN or infinite places"),
        (Says(np.where(np.arange(13)[:, None] == 3, np.nan, STAYS), VISIBLE, SURE), "never seen"),
        (Says(STAYS, VISIBLE, SURE, twice=True), "gave 2 forecasts of 1 clips"),
    ],
)
def test_poses_of_another_shape_than_asked_for_are_not_measured(tmp_path, said, message):
    store = a_store(tmp_path, a_clip("a", speed=2.0))
    with pytest.raises(PosecastError, match=message):
        evaluate([Method("mine", poses=said)], store, tmp_path / "out", CONFIG)
    with pytest.raises(PosecastError, match=message):
        Forecaster(said).predict_clip(store, store.clips[0], steps=6, samples=2)


@pytest.mark.parametrize(
    ("said", "message"),
    [
        (STAYS, r"gave is of type ndarray \(1, 6, 13, 2\); expected a list of PoseForecast"),
        ([STAYS], r"forecaster is of type ndarray \(1, 6, 13, 2\); expected PoseForecast.of\("),
    ],
)
def test_arrays_are_no_forecasts(tmp_path, monkeypatch, said, message):
    store, mine = a_store(tmp_path, a_clip("a", speed=2.0)), Says(STAYS, VISIBLE, SURE)
    monkeypatch.setattr(mine, "forecast_poses", lambda *_: said)
    with pytest.raises(PosecastError, match=message):
        evaluate([Method("mine", poses=mine)], store, tmp_path / "out", CONFIG)


def test_a_tensor_of_joints_is_a_forecast(tmp_path):
    class Tells:
        def forecast_poses(self, seen, steps, samples=1):
            futures = torch.from_numpy(STAYS), torch.ones(1)
            return [PoseForecast.of(each, *futures) for each in seen]

    store = a_store(tmp_path, a_clip("a", speed=2.0))
    evaluate([Method("mine", poses=Tells())], store, tmp_path / "out", CONFIG)
    assert summarise(tmp_path / "out").curve("mine", "distance").at(6) > 0


@pytest.mark.parametrize(
    "frames",
    [
        np.zeros((6, 16, 16, 3)),
        [np.zeros((32, 32, 3), np.uint8)] * 6,
        np.zeros((6, 32, 32, 3), np.uint8),
        np.zeros((1, 16, 16, 3), np.uint8),
    ],
)
def test_frames_of_another_kind_than_the_seen_ones_are_not_measured(tmp_path, frames):
    store = a_store(tmp_path, a_clip("a", speed=2.0, has_frames=True))
    with pytest.raises(PosecastError, match=r"mine gave frames .* expected uint8 \(6, 16, 16, 3\)"):
        evaluate([Method("mine", frames=Paints(frames))], store, tmp_path / "out", CONFIG)


def test_forecasts_of_another_program_are_measured_beside_ours(tmp_path):
    clips = [a_clip(name, speed=2.0, has_frames=True) for name in ("a", "b", "c")]
    clips.append(a_clip("short", speed=2.0, frames=9))
    store = a_store(tmp_path, *clips)
    futures = {
        clip.clip_id: np.stack([clip.joints_px[10:16], clip.joints_px[10:16] + 10.0])
        for clip in clips[:2]
    } | {"short": np.zeros((2, 6, 13, 2))}
    frames = {name: np.full((1, 6, 16, 16, 3), 7, np.uint8) for name in futures}
    weights = {"a": np.array([0.75, 0.25])}
    shown = WasShown(num_past=5, stride=2)
    futures["a"] = np.stack([clips[0].joints_px[10:22:2], clips[0].joints_px[10:22:2] + 10.0])
    report = write_forecasts(futures, store, tmp_path / "theirs", shown, weights, frames)
    assert (report.num_forecast, set(report.left_out)) == (2, {"short"})
    stored = read_forecast(tmp_path / "theirs" / "clips" / "a")
    np.testing.assert_array_equal(stored.predicted_joints_px, futures["a"].astype(np.float32))
    np.testing.assert_array_equal(stored.future_joints_px, stored.predicted_joints_px[0])
    assert stored.weights.tolist() == [0.75, 0.25]
    assert (read_frames(tmp_path / "theirs" / "clips" / "a") == 7).all()
    config = EvaluationConfig(num_past=5, stride=2, steps=6, futures=2, examples=0)
    evaluate([stored_method(tmp_path / "theirs", "theirs")], store, tmp_path / "out", config)
    table = summarise(tmp_path / "out", num_draws=1)
    assert table.clips == ("a", "b")
    assert table.clip_means("theirs", "distance")[0] == pytest.approx(0, abs=1e-6)
    assert table.clip_means("theirs", "distance (mean of 2)")[0] == pytest.approx(
        0.25 * np.hypot(10, 10) / 200
    )
    assert table.has("theirs", "psnr")


def test_forecasts_of_fewer_frames_are_not_held_beside_longer_ones(tmp_path):
    """Nobody is asked for more than a clip has."""
    store = a_store(tmp_path, a_clip("a", speed=2.0), a_clip("b", speed=2.0, frames=14))
    ours = {name: np.zeros((1, 4, 13, 2)) for name in "ab"}
    write_forecasts(ours, store, tmp_path / "theirs")
    theirs = stored_method(tmp_path / "theirs", "theirs")
    with pytest.raises(PosecastError, match=r"clip a was forecast for 4 frames, .* with --steps 4"):
        evaluate([theirs], store, tmp_path / "out", EvaluationConfig(steps=6))
    only_b = EvaluationConfig(ClipSelection(clips=("b",)), steps=6)
    assert evaluate([theirs], store, tmp_path / "out", only_b).num_clips == 1


@pytest.mark.parametrize("name", ["num_past", "stride"])
def test_frames_that_nobody_can_be_shown_are_refused(name):
    with pytest.raises(PosecastError, match=f"{name} is 0; it must be 1 or more"):
        WasShown(**{name: 0})


def test_forecasts_may_be_lists(tmp_path):
    store, joints = a_store(tmp_path, a_clip("a", speed=2.0)), np.repeat(STAYS, 2, axis=0)
    write_forecasts({"a": joints.tolist()}, store, tmp_path / "out", weights={"a": [0.75, 0.25]})
    stored = read_forecast(tmp_path / "out" / "clips" / "a")
    np.testing.assert_array_equal(stored.predicted_joints_px, joints)
    assert stored.weights.tolist() == [0.75, 0.25]


FUTURES = {"a": np.zeros((1, 6, 13, 2))}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"futures": {}}, r"futures have \[\] frames"),
        ({"futures": {"A": FUTURES["a"]}}, "unknown clip 'A'; did you mean 'a'"),
        ({"futures": {"a": np.zeros((6, 13, 2))}}, r"clip a: futures are \(6, 13, 2\)"),
        ({"futures": FUTURES | {"b": np.zeros((1, 5, 13, 2))}}, r"\[\[5\], \[6\]\] frames"),
        ({"futures": {"a": np.full((1, 6, 13, 2), np.nan)}}, "clip a: .* NaN"),
        ({"weights": {"a": np.array([0.4])}}, "clip a: .* their sum 1"),
        (
            {"futures": {"a": np.repeat(STAYS, 2, 0)}, "weights": {"a": np.array([0.2, 0.8])}},
            r"clip a: the weights \[0.2 0.8\] rise: give the likeliest future first",
        ),
        ({"frames": {"a": np.zeros((1, 6, 16, 16, 3))}}, "clip a: frames are float64"),
        ({"frames": {}}, "clip a: frames are none"),
        ({"frames": {"a": np.zeros((2, 6, 16, 16, 3), np.uint8)}}, r"uint8 \(1, 6, 16, 16, 3\)"),
        ({"futures": {"a": [[[0.0, 1.0], [2.0]]]}}, "futures, weights or frames are no arrays"),
        ({"shown": WasShown(num_past=30)}, "no clip can be used: clip a: has 30 frames"),
    ],
)
def test_forecasts_that_cannot_be_stored_are_explained(tmp_path, given, message):
    store = a_store(tmp_path, *(a_clip(name, speed=2.0) for name in "ab"))
    with pytest.raises(PosecastError, match=message):
        write_forecasts(**{"futures": FUTURES, **given}, store=store, out_path=tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("changed", ["futures", "weights", "frames"])
def test_forecasts_are_never_mixed_with_earlier_ones(tmp_path, changed):
    store = a_store(tmp_path, a_clip("a", speed=2.0, has_frames=True))
    given = {
        "futures": {"a": np.repeat(STAYS, 2, axis=0)},
        "weights": {"a": np.array([0.75, 0.25])},
        "frames": {"a": np.zeros((1, 6, 16, 16, 3), np.uint8)},
    }
    step = np.array([-0.25, 0.25]) if changed == "weights" else 1
    others = given | {
        changed: {"a": (given[changed]["a"] + step).astype(given[changed]["a"].dtype)}
    }
    write_forecasts(**given, store=store, out_path=tmp_path / "out")
    with pytest.raises(PosecastError, match="is there already"):
        write_forecasts(**others, store=store, out_path=tmp_path / "out")
    config = EvaluationConfig(steps=6, examples=0)
    evaluate([stored_method(tmp_path / "out")], store, tmp_path / "numbers", config)
    shutil.rmtree(tmp_path / "out")
    write_forecasts(**others, store=store, out_path=tmp_path / "out")
    with pytest.raises(PosecastError, match=r"methods\.1\.prediction\.futures: '"):
        evaluate([stored_method(tmp_path / "out")], store, tmp_path / "numbers", config)


@pytest.mark.parametrize("shown", [1, 4, 10])
def test_what_takes_fewer_frames_than_it_should_see_is_shown_any(shown):
    Method("mine", poses=Forecaster.pretrained().poses).check_shown(shown, 1, ())


def test_what_takes_no_fewer_frames_says_how_many():
    for shown in (3, 11):
        with pytest.raises(PosecastError, match="mine was trained to see 4 to 10 frames, 1 apart"):
            Method("mine", poses=Says(STAYS, VISIBLE, SURE)).check_shown(shown, 1, ())
