"""Long videos are looked at from shortly before where the forecast begins."""

import csv
import dataclasses
import json

import numpy as np
import pytest

from posecast.computing.stages import Stages
from posecast.errors import PosecastError
from posecast.forecasting.forecaster import Forecaster
from posecast.keypoints import write_table
from posecast.media.videos import read_video
from posecast.own_video.forecast import forecast_video
from posecast.own_video.poses import (
    EstimatedPoses,
    KeypointFile,
    OwnVideoConfig,
    people_to_choose_from,
)
from posecast.own_video.watching import Past
from posecast.skeletons import PENN_ACTION
from red_people import LooksBack, RedEstimator, box_at, frame_with, joints_of, walking, write_video

CONFIG = OwnVideoConfig(steps=4, lead_s=1.0, export=("csv", "coco", "trc"))
NUM_FRAMES = 72
RED = EstimatedPoses(RedEstimator())


@pytest.fixture
def video(tmp_path):
    return write_video(tmp_path / "a.mp4", walking(NUM_FRAMES))


@pytest.fixture
def table(tmp_path):
    joints = np.stack([joints_of(box_at(t)) for t in range(NUM_FRAMES)])
    write_table(tmp_path / "a.csv", joints, np.ones(joints.shape[:2], bool), PENN_ACTION)
    return KeypointFile(tmp_path / "a.csv")


def looking_back() -> Forecaster:
    model = LooksBack()
    model.needs = dataclasses.replace(model.needs, max_past=900)
    return Forecaster(model)


@pytest.mark.parametrize("kind", ["estimated", "read"])
def test_the_last_seconds_are_looked_at_and_written(video, table, tmp_path, kind):
    told = []
    poses, out = RED if kind == "estimated" else table, tmp_path / "out.mp4"
    stages = Stages(lambda *stage: told.append(stage))
    result = forecast_video(video, looking_back(), poses, out, CONFIG, stages=stages)
    assert [stage[1:] for stage in told if stage[0] == "finding"][-1] == (30, 30)
    assert result.past_frames == tuple(range(42, 72))
    assert result.lost == ()
    assert "looked at and written from 1.40 s on" in result.summary()
    assert result.facts()["shown_from_s"] == pytest.approx(1.4)
    written = list(read_video(out))
    assert len(written) == 30 + 4
    for shown, came in zip(written, walking(NUM_FRAMES)[42:], strict=False):
        assert np.abs(shown.astype(int) - came).mean() < 3
    rows = list(csv.DictReader(out.with_suffix(".csv").read_text().splitlines()))
    heads = [row for row in rows if row["joint"] == "head"]
    assert [int(row["frame"]) for row in heads] == list(range(42, 42 + 34))
    assert float(heads[0]["seconds"]) == pytest.approx(1.4)
    assert [int(row["forecast"]) for row in heads] == [0] * 30 + [1] * 4
    truth = joints_of(box_at(42))
    assert float(heads[0]["x"]) == pytest.approx(truth[0, 0], abs=2)
    images = json.loads(out.with_suffix(".json").read_text())["images"]
    assert [image["id"] for image in images] == list(range(42, 42 + 34))
    with np.load(out.with_suffix(".npz")) as arrays:
        assert arrays["past_seconds"][0] == pytest.approx(1.4)


def test_before_a_second_as_many(video, tmp_path):
    out = tmp_path / "out.mp4"
    result = forecast_video(video, looking_back(), RED, out, CONFIG, from_s=2.0)
    assert result.past_frames == tuple(range(30, 60))
    assert len(list(read_video(out))) == 30 + 4


def test_all_is_looked_at_where_nobody_is_seen_at_the_end(tmp_path):
    video = write_video(tmp_path / "a.mp4", walking(20) + [frame_with(None)] * 50)
    result = forecast_video(video, looking_back(), RED, tmp_path / "out.mp4", CONFIG)
    assert result.past_frames == tuple(range(20))
    assert len(list(read_video(tmp_path / "out.mp4"))) == 20 + 4
    assert "looked at to 2.33 s, but from 0.67 s on the person is not seen well" in result.note
    assert "looked at and written" not in result.note
    with pytest.raises(PosecastError, match=r"no person found in 30 frames from 1\.00 s on"):
        forecast_video(video, looking_back(), RED, None, CONFIG, from_s=2.0)
    result = forecast_video(video, looking_back(), RED, None, CONFIG, 2.0, or_earlier=True)
    assert result.past_frames == tuple(range(20))


@pytest.mark.parametrize("num_seen", [20, 38])
@pytest.mark.parametrize("kind", ["estimated", "read"])
def test_earlier_frames_are_looked_at_where_little_is_seen_at_the_end(tmp_path, num_seen, kind):
    """38 frames: two of them in the last second; a model that takes fewer than it needs."""
    frames = walking(num_seen) + [frame_with(None)] * (66 - num_seen)
    video, poses = write_video(tmp_path / "a.mp4", frames), RED
    if kind == "read":
        joints = np.stack([joints_of(box_at(t)) for t in range(num_seen)])
        seen = np.ones(joints.shape[:2], bool)
        write_table(tmp_path / "a.csv", joints, seen, PENN_ACTION)
        poses = KeypointFile(tmp_path / "a.csv")
    model = LooksBack()
    model.needs = dataclasses.replace(model.needs, num_past=6, max_past=900, is_strict=False)
    out = tmp_path / "out.mp4"
    result = forecast_video(video, Forecaster(model), poses, out, CONFIG)
    first = max(num_seen - 30, 0)
    assert (result.first, result.past_frames) == (first, tuple(range(first, num_seen)))
    result = forecast_video(video, Forecaster(model), poses, out, CONFIG, 2.0, or_earlier=True)
    assert result.past_frames == tuple(range(first, num_seen))


def test_a_file_that_says_it_lasts_longer_is_looked_at_whole(video, monkeypatch):
    monkeypatch.setattr("posecast.media.containers.stream_seconds", lambda *_: 60.0)
    result = forecast_video(video, looking_back(), RED, None, CONFIG)
    assert result.past_frames == tuple(range(NUM_FRAMES))
    with pytest.raises(PosecastError, match=r"lasts less than 49\.00 s; cannot forecast from 50"):
        forecast_video(video, looking_back(), RED, None, CONFIG, from_s=50.0)


def test_a_box_is_one_in_the_first_frame(video):
    in_box = dataclasses.replace(RED, box=tuple(map(float, box_at(0))))
    result = forecast_video(video, looking_back(), in_box, None, CONFIG)
    assert result.past_frames == tuple(range(NUM_FRAMES))


def test_all_of_it_for_who_asks(video, tmp_path):
    config = dataclasses.replace(CONFIG, lead_s=1e6)
    result = forecast_video(video, looking_back(), RED, tmp_path / "out.mp4", config)
    assert result.past_frames == tuple(range(NUM_FRAMES))
    assert len(list(read_video(tmp_path / "out.mp4"))) == NUM_FRAMES + 4


def test_people_are_numbered_where_they_are_searched(video):
    past = Past(video, 30.0, duration_s=NUM_FRAMES / 30).late(1.0)
    people = people_to_choose_from(past, RED, Stages())
    watched = 42 + RED.follow.watch - 1
    assert np.abs(people.poses[0].joints_px - joints_of(box_at(watched))).max() < 4
