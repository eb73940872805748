"""Forecasts on disk: several futures, and those that the first release wrote."""

import dataclasses
import zipfile
from pathlib import Path

import numpy as np
import pytest

from posecast.clips import PoseForecast
from posecast.evaluation.loop import evaluate
from posecast.evaluation.methods import stored_method
from posecast.evaluation.record import EvaluationConfig
from posecast.evaluation.summary import summarise
from posecast.forecasting import forecast_files
from posecast.forecasting.forecaster import Forecaster
from posecast.forecasting.prediction import predict_store
from posecast.forecasting.protocols import Needs
from posecast.report import write_report
from posecast.skeletons import PENN_ACTION
from posecast.store.reading import ClipSelection, Store
from test_prediction import CONFIG, SIZE, STEPS, make_store, write_image_run, write_pose_run


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> Path:
    return make_store(tmp_path_factory.mktemp("store"))


class Fan:
    """So many futures as are asked for, each a pixel further to the right."""

    needs = Needs(PENN_ACTION, num_past=2, max_past=4)

    def forecast_poses(self, seen, steps, samples=1):
        self.lengths = {len(each) for each in seen}
        right = np.arange(samples)[:, None, None, None] * np.array([1.0, 0.0])
        still = [np.repeat(each.joints_px[None, -1:], steps, axis=1) for each in seen]
        return [PoseForecast.of(e, joints + right) for e, joints in zip(seen, still, strict=True)]


class Grey:
    """Draws an even grey: the place of the first joint."""

    skeleton, size = PENN_ACTION, SIZE

    def crop_of(self, seen, *poses):
        return seen.person_crop

    def draw_frames(self, seen, joints_px, visible, crop=None):
        assert len(seen.pictures) == len(seen)
        grey = joints_px[:, 0, 0].round().astype(np.uint8)
        return np.repeat(grey, SIZE * SIZE * 3).reshape(-1, SIZE, SIZE, 3)


@pytest.mark.parametrize("frames", ["npy", "png"])
@pytest.mark.parametrize("num_past", [0, 4])
def test_several_futures_on_disk(store, tmp_path, monkeypatch, frames, num_past):
    fan = Fan()
    monkeypatch.setattr(Forecaster, "load", lambda *_: Forecaster(fan, Grey()))
    config = dataclasses.replace(
        CONFIG,
        clips=ClipSelection("test", clips=("0001",)),
        futures=3,
        drawn=2,
        frames=frames,
        num_past=num_past,
    )
    runs = write_pose_run(tmp_path / "pose"), write_image_run(tmp_path / "image")
    predict_store(config, store, *runs, tmp_path / "out")
    assert fan.lengths == {num_past or 2}
    folder = tmp_path / "out" / "clips" / "0001"
    stored = forecast_files.read_forecast(folder)
    facts = stored.facts
    assert (facts.num_samples, facts.num_drawn, facts.num_past) == (3, 2, num_past or 2)
    assert stored.predicted_joints_px.shape == (3, STEPS, 13, 2)
    np.testing.assert_allclose(stored.weights, 1 / 3)
    apart = stored.predicted_joints_px - stored.predicted_joints_px[:1]
    np.testing.assert_allclose(
        apart[:, :, 0], [[[0, 0]] * 6, [[1, 0]] * 6, [[2, 0]] * 6], atol=1e-4
    )
    drawn = forecast_files.read_frames(folder)
    grey = stored.predicted_joints_px[:2, 0, 0, 0].round()
    assert drawn.shape == (2, STEPS, SIZE, SIZE, 3)
    assert (drawn == grey.astype(np.uint8)[:, None, None, None, None]).all()
    # Evaluated as they lie there.
    wanted = EvaluationConfig(config.clips, facts.num_past, STEPS, futures=3, drawn=2, final=True)
    method = dataclasses.replace(stored_method(tmp_path / "out"), runs=())
    evaluate([method], Store.open(store), tmp_path / "numbers", wanted)
    summary = summarise(tmp_path / "numbers", 10)
    assert summary.has("forecast", "psnr (best of 2)")
    # Three places in a row, a pixel apart; the box is 70 px wide and 70 high.
    assert summary.curve("forecast", "spread of 3").at(1) == pytest.approx(4 / 3 / 70, rel=1e-5)


@pytest.fixture(scope="module")
def of_56aa31b(tmp_path_factory) -> Path:
    """Forecasts of two clips of `make_store` (npy, png) and an evaluation, by commit 56aa31b."""
    folder = tmp_path_factory.mktemp("old")
    with zipfile.ZipFile(Path(__file__).parent / "artefacts" / "forecasts_56aa31b.zip") as file:
        file.extractall(folder)
    return folder


def test_forecasts_of_56aa31b_load(of_56aa31b, store, tmp_path):
    frames = {}
    for form in ("npy", "png"):
        forecasts = list(forecast_files.read_forecasts(of_56aa31b / form))
        assert [each.facts.clip_id for each in forecasts] == ["0001", "0002"]
        for stored in forecasts:
            clip = Store.open(store).clip(stored.facts.clip_id)
            facts = stored.facts
            assert (facts.format_version, facts.num_samples, facts.stride) == (1, 1, 1)
            np.testing.assert_allclose(stored.past_joints_px, clip.joints_px[:4], atol=1e-4)
            assert stored.predicted_joints_px.shape == (1, STEPS, 13, 2)
            assert stored.weights.tolist() == [1.0]
            folder = of_56aa31b / form / "clips" / clip.clip_id
            frames[form, clip.clip_id] = forecast_files.read_frames(folder)
            assert frames[form, clip.clip_id].shape == (1, STEPS, SIZE, SIZE, 3)
    for clip_id in ("0001", "0002"):
        np.testing.assert_array_equal(frames["npy", clip_id], frames["png", clip_id])
    config = EvaluationConfig(ClipSelection("test", clips=("0002",)), 4, STEPS, final=True)
    evaluate([stored_method(of_56aa31b / "npy")], Store.open(store), tmp_path / "out", config)
    clip, stored = Store.open(store).clip("0002"), forecasts[1]
    apart = np.linalg.norm(stored.predicted_joints_px[0, :3] - clip.joints_px[4:7], axis=-1)
    counted = clip.visible[4:7] & clip.visible[:4].any(axis=0)
    expected = (apart * counted).sum(axis=1) / counted.sum(axis=1) / 70
    curve = summarise(tmp_path / "out", 10).curve("forecast", "distance")
    np.testing.assert_allclose(curve.values, expected, rtol=1e-6)


def test_an_evaluation_of_56aa31b_loads(of_56aa31b, tmp_path):
    summary = summarise(of_56aa31b / "evaluation", 10)
    assert summary.methods == ("last pose", "constant velocity")
    page = write_report(of_56aa31b / "evaluation", tmp_path / "page").read_text()
    assert "constant velocity" in page
