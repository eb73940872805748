"""Which frames of an own video a pose model is shown, and how many of them are held."""

import dataclasses
from collections import deque

import numpy as np
import pytest

from posecast.computing.stages import Stages
from posecast.forecasting.forecaster import Forecaster
from posecast.forecasting.lstm import LSTMForecaster
from posecast.keypoints import write_table
from posecast.media import videos
from posecast.networks.pose_lstm import PoseLSTM, PoseLSTMConfig
from posecast.own_video.forecast import forecast_video
from posecast.own_video.poses import EstimatedPoses, KeypointFile, OwnVideoConfig
from posecast.own_video.watching import Past, Watched
from posecast.skeletons import PENN_ACTION
from red_people import (
    LooksBack,
    RedEstimator,
    box_at,
    joints_of,
    numbers_alive,
    walking,
    write_video,
)

CONFIG = OwnVideoConfig(steps=5, panels=True, view_height=60)
RED = EstimatedPoses(RedEstimator())


def test_a_stride_is_kept(tmp_path):
    pose = PoseLSTM(PoseLSTMConfig(hidden=8, encoder=4))
    forecaster = Forecaster(LSTMForecaster(pose, PENN_ACTION, num_past=3, stride=2))
    video = write_video(tmp_path / "a.mp4", walking(9))
    result = forecast_video(video, forecaster, RED, tmp_path / "a.gif", CONFIG)
    assert result.past_frames == (4, 5, 6, 7, 8)
    assert result.forecast.frames is None
    with np.load(tmp_path / "a.npz") as arrays:
        np.testing.assert_allclose(arrays["predicted_seconds"][:2], [9 / 30, 10 / 30])
    assert (tmp_path / "a.gif").stat().st_size > 100


@pytest.mark.parametrize(("count", "used"), [(12, 6), (3, 3)])
def test_a_model_sees_as_much_as_it_looks_at(tmp_path, monkeypatch, count, used):
    monkeypatch.setattr("posecast.own_video.seen_frames.MOST_PICTURES", 4)
    video = write_video(tmp_path / "a.mp4", walking(count))
    model = LooksBack()
    config = dataclasses.replace(CONFIG, futures=3)
    result = forecast_video(video, Forecaster(model), RED, tmp_path / "out.mp4", config)
    assert result.past_frames == tuple(range(count - used, count))
    assert len(model.seen) == used
    assert model.seen.fps == 30.0
    assert model.seen.confidence.min() > 0.3
    # The last pictures in full, of a long stretch no more than memory allows.
    frames = list(videos.read_video(video))[-min(used, 4) :]
    np.testing.assert_array_equal(model.seen.pictures, np.stack(frames))
    with np.load(tmp_path / "out.npz") as arrays:
        assert arrays["predicted_joints_px"].shape == (3, 5, 13, 2)
        np.testing.assert_allclose(arrays["weights"], 1 / 3)
    assert len(list(videos.read_video(tmp_path / "out.mp4"))) == used + 5


@pytest.mark.parametrize("panels", [True, False])
def test_of_a_long_past_few_pictures_are_held(tmp_path, monkeypatch, panels):
    """Half a minute of 720p is 2.5 GB: a model that looks back so far is shown poses."""
    for room in ("seen_frames", "watching"):
        monkeypatch.setattr(f"posecast.own_video.{room}.MOST_PICTURES", 3)
        monkeypatch.setattr(f"posecast.own_video.{room}.MOST_EARLIER", 2)
    most = numbers_alive(monkeypatch)
    model = LooksBack()
    model.needs = dataclasses.replace(model.needs, max_past=40)
    video = write_video(tmp_path / "a.mp4", walking(24))
    config = dataclasses.replace(CONFIG, panels=panels, view_height=0)
    joints = np.stack([joints_of(box_at(t)) for t in range(24)])
    write_table(tmp_path / "a.csv", joints, np.ones((24, 13), bool), PENN_ACTION)
    poses = KeypointFile(tmp_path / "a.csv")
    result = forecast_video(video, Forecaster(model), poses, tmp_path / "out.mp4", config)
    assert len(result.past_frames) == 24
    assert max(most) <= 3 + 5 + 3  # those for the drawer, earlier ones, and those on their way
    assert len(result.seen.pictures) == 3
    assert result.seen.earlier.numbers == (0, 16)
    shown = list(videos.read_video(video))
    np.testing.assert_array_equal(result.seen.earlier.frames, [shown[0], shown[16]])


def test_single_pictures_of_a_long_video_are_from_its_end(tmp_path, monkeypatch):
    """What was shown minutes ago is not looked at; sixteen pictures of all of it were of that."""
    pictures = (np.full((4, 4, 3), n % 2, np.uint8) for n in range(5000))
    monkeypatch.setattr(Past, "frames", lambda past: pictures)
    watched = Watched(Past(tmp_path, 30.0), Stages())
    deque(watched.frames, maxlen=0)
    numbers = [number for number, _ in watched.earlier]
    assert np.ptp(np.diff(numbers)) == 0
    assert numbers[0] < 5000 - 900
    assert sum(number >= 5000 - 900 for number in numbers) >= 16
