"""Forecasters of users beside ours: what they give is judged, or refused with the reason."""

import numpy as np
import pytest

from posecast.clips import PoseForecast
from posecast.errors import PosecastError
from posecast.evaluation.loop import evaluate
from posecast.evaluation.methods import Method
from posecast.evaluation.record import EvaluationConfig
from posecast.forecasting.forecaster import Forecaster
from posecast.forecasting.protocols import Needs
from posecast.skeletons import PENN_ACTION
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
        (Says(STAYS, VISIBLE, SURE, twice=True), "gave 2 forecasts of 1 clips"),
    ],
)
def test_poses_of_another_shape_than_asked_for_are_not_measured(tmp_path, said, message):
    store = a_store(tmp_path, a_clip("a", speed=2.0))
    with pytest.raises(PosecastError, match=message):
        evaluate([Method("mine", poses=said)], store, tmp_path / "out", CONFIG)
    with pytest.raises(PosecastError, match=message):
        Forecaster(said).predict_clip(store, store.clips[0], steps=6, samples=2)


def test_joints_that_were_never_seen_may_be_anything(tmp_path):
    clip = a_clip("a", speed=2.0)
    clip.visible[:, 3] = False
    store = a_store(tmp_path, clip)
    unknown = STAYS.copy()
    unknown[:, :, 3] = np.nan
    evaluate([Method("mine", poses=Says(unknown, VISIBLE, SURE))], store, tmp_path / "out", CONFIG)


@pytest.mark.parametrize(
    "frames",
    [
        np.zeros((6, 16, 16, 3)),
        np.zeros((6, 32, 32, 3), np.uint8),
        np.zeros((1, 16, 16, 3), np.uint8),
    ],
)
def test_frames_of_another_kind_than_the_seen_ones_are_not_measured(tmp_path, frames):
    store = a_store(tmp_path, a_clip("a", speed=2.0, has_frames=True))
    with pytest.raises(PosecastError, match=r"mine gave frames .* expected uint8 \(6, 16, 16, 3\)"):
        evaluate([Method("mine", frames=Paints(frames))], store, tmp_path / "out", CONFIG)
