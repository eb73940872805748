"""Poses of a forecast for other programs come back as they were."""

import csv
import dataclasses
import sys
from pathlib import Path

import numpy as np
import pytest

from posecast.clips import PoseForecast
from posecast.errors import PosecastError
from posecast.forecasting.forecaster import Forecaster
from posecast.forecasting.protocols import Needs
from posecast.keypoints import people_in_video, read_keypoints
from posecast.media import videos, writing
from posecast.own_video.exports import rerun_writer
from posecast.own_video.forecast import forecast_video
from posecast.own_video.poses import EstimatedPoses, OwnVideoConfig
from posecast.own_video.result import OwnForecast
from posecast.skeletons import PENN_ACTION
from red_people import RedEstimator, frame_with

STEPS = 5
CONFIG = OwnVideoConfig(steps=STEPS, export=("csv", "coco", "trc"))


class Drifts:
    """One future goes down, the next one up; the last joint was never seen."""

    needs = Needs(PENN_ACTION, num_past=2, max_past=6)

    def forecast_poses(self, seen, steps, samples=1):
        ways = np.array([1.5, -1.5])[:samples, None, None, None] * [0.0, 1.0]
        ahead = np.arange(1, steps + 1)[None, :, None, None]
        return [PoseForecast.of(seen[0], seen[0].joints_px[None, -1:] + ways * ahead)]


def forecast(folder: Path, fps: float = 30.0, **changes) -> OwnForecast:
    frames = [frame_with((20 + 2 * t, 30, 24, 48)) for t in range(12)]
    writing.write_mp4(folder / "walk.mp4", frames, fps, crf=4)
    config = dataclasses.replace(CONFIG, **changes)
    poses, out = EstimatedPoses(RedEstimator()), folder / "out.mp4"
    return forecast_video(folder / "walk.mp4", Forecaster(Drifts()), poses, out, config)


@pytest.mark.parametrize("ending", [".csv", ".json", ".trc"])
@pytest.mark.parametrize("fps", [30.0, 60.0])
def test_poses_come_back(tmp_path, ending, fps):
    result = forecast(tmp_path, fps)
    every = 1 if ending == ".trc" else result.repeats
    first, count = result.past_frames[0], len(result.past_frames) + STEPS
    track = read_keypoints(
        tmp_path / f"out{ending}", PENN_ACTION, every * (first + count), (120, 200)
    )
    numbers = every * (first + np.arange(count))
    joints = np.concatenate([result.seen.joints_px, result.forecast.joints_px[0]])
    ahead = result.forecast.visible & (ending != ".csv")  # which says what was not seen
    visible = np.concatenate([result.seen.visible, ahead])
    np.testing.assert_array_equal(track.visible[numbers], visible)
    np.testing.assert_allclose(track.joints_px[numbers][visible], joints[visible], atol=0.01)
    assert not track.visible[: every * first].any()


@pytest.mark.parametrize(("fps", "note"), [(30.0, ""), (60.0, "30 frames a second, the video 60")])
def test_a_file_of_another_rate_than_the_video_is_noted(tmp_path, fps, note):
    """A .trc of 60 frames a second, of which every other one was looked at."""
    forecast(tmp_path, fps)
    timeline = videos.read_timeline(tmp_path / "out.mp4")
    track = people_in_video(tmp_path / "out.trc", timeline, PENN_ACTION)(1)
    assert note in track.note
    assert bool(note) == bool(track.note)


def test_frames_are_numbered_as_in_the_video_that_is_written(tmp_path):
    """Of 60 a second every other one was looked at: poses lie on what is shown."""
    result = forecast(tmp_path, 60.0)
    assert result.repeats == 2
    shown = list(videos.read_video(tmp_path / "out.mp4"))
    number = 2 * result.past_frames[-1]
    track = read_keypoints(tmp_path / "out.csv", PENN_ACTION, len(shown), (120, 200))
    x, y = track.joints_px[number].mean(axis=0).astype(int)
    red = shown[number].astype(int)
    assert red[y, x, 0] > red[y, x, 1] + 50


def test_a_table_tells_what_was_seen_from_what_is_forecast(tmp_path):
    result = forecast(tmp_path, 60.0)
    rows = list(csv.DictReader((tmp_path / "out.csv").read_text().splitlines()))
    told = {int(row["frame"]): (float(row["seconds"]), row["forecast"]) for row in rows}
    assert [mark for _, mark in told.values()] == ["0"] * len(result.past_frames) + ["1"] * STEPS
    assert [at for at, _ in told.values()] == pytest.approx([n / 60 for n in told], abs=1e-3)


def test_each_future_has_its_files(tmp_path):
    result = forecast(tmp_path, futures=2)
    names = {path.name for path in result.files}
    assert names >= {f"out-{n}.{ending}" for n in (1, 2) for ending in ("csv", "json", "trc")}
    tracks = [
        read_keypoints(tmp_path / f"out-{n}.json", PENN_ACTION, 12 + STEPS, (120, 200))
        for n in (1, 2)
    ]
    apart = tracks[0].joints_px[-1] - tracks[1].joints_px[-1]
    np.testing.assert_allclose(apart, np.tile([0, 3.0 * STEPS], (13, 1)), atol=0.02)


def test_without_rerun_it_is_said_before_any_work(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "rerun", None)
    with pytest.raises(PosecastError, match=r"pip install 'posecast\[rerun\]'"):
        forecast(tmp_path, rrd=True)
    assert [path.name for path in tmp_path.iterdir()] == ["walk.mp4"]


@pytest.fixture
def chunk():
    pytest.importorskip("rerun", reason="the extra 'rerun' is not installed")
    return pytest.importorskip("rerun.chunk", reason="this rerun cannot read its recordings")


def recorded(path, chunk):
    """Joints by entity and frame, and the frames that have a picture."""
    joints, pictures = {}, set()
    for part in chunk.RrdReader(str(path)).stream():
        rows = part.to_record_batch()
        if part.entity_path == "/video":
            pictures |= set(rows.column("frame").to_pylist())
        if part.entity_path.endswith("/joints"):
            places = rows.column("Points2D:positions").to_pylist()
            for frame, place in zip(rows.column("frame").to_pylist(), places, strict=True):
                joints[part.entity_path.replace("\\ ", " "), frame] = np.array(place)
    return joints, pictures


def test_a_recording_for_rerun(tmp_path, chunk):
    result = forecast(tmp_path, rrd=True, futures=2)
    joints, pictures = recorded(tmp_path / "out.rrd", chunk)
    assert pictures == set(range(12 + STEPS))
    for sample, name in enumerate(("pose", "future 2")):
        said = joints[f"/video/{name}/joints", 12 + STEPS - 1]
        np.testing.assert_allclose(said, result.forecast.joints_px[sample, -1], atol=1e-3)
    np.testing.assert_allclose(
        joints["/video/pose/joints", 11], result.seen.joints_px[-1], atol=1e-3
    )


def test_everybody_is_in_a_recording_for_rerun(tmp_path, chunk):
    result = forecast(tmp_path)
    result = dataclasses.replace(result, others=(dataclasses.replace(result, person=2),))
    pictures = [np.zeros((8, 8, 3), np.uint8)] * (12 + STEPS)
    rerun_writer(result, pictures)(tmp_path / "both.rrd")
    joints, _ = recorded(tmp_path / "both.rrd", chunk)
    for number in (1, 2):
        for frame, known in (
            (11, result.seen.joints_px[-1]),
            (12, result.forecast.joints_px[0, 0]),
        ):
            said = joints[f"/video/person {number}/joints", frame]
            np.testing.assert_allclose(said, known, atol=1e-3)
