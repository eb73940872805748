"""A video of one's own to its forecast: nothing of the future seen, odd videos, bad ones."""

import dataclasses

import numpy as np
import pytest
import torch

from odd_videos import write_sound, write_timed
from posecast.clips import PoseForecast
from posecast.computing.devices import ForecasterOptions
from posecast.computing.stages import Stages
from posecast.estimation import FollowOptions
from posecast.forecasting.forecaster import Forecaster
from posecast.forecasting.generator_drawer import GeneratorDrawer
from posecast.forecasting.lstm import LSTMForecaster
from posecast.keypoints import write_table
from posecast.media import videos
from posecast.networks.generator import Generator, GeneratorConfig
from posecast.networks.pose_lstm import PoseLSTM, PoseLSTMConfig
from posecast.own_video import forecast
from posecast.own_video.forecast import forecast_video
from posecast.own_video.pictures import View, future_frames
from posecast.own_video.poses import EstimatedPoses, KeypointFile, OwnVideoConfig
from posecast.skeletons import COCO, PENN_ACTION
from red_people import (
    LooksBack,
    RedEstimator,
    box_at,
    frame_with,
    joints_of,
    numbers_alive,
    walking,
    write_video,
)

NUM_PAST, SIZE = 4, 16
CONFIG = OwnVideoConfig(steps=5, panels=True, view_height=60)
RED = EstimatedPoses(RedEstimator())


@pytest.fixture(scope="module")
def forecaster() -> Forecaster:
    torch.manual_seed(0)
    pose = PoseLSTM(PoseLSTMConfig(hidden=8, encoder=4))
    torch.nn.init.normal_(pose.decoder.weight, std=0.5)
    image = Generator(GeneratorConfig(width=4, size=SIZE))
    torch.nn.init.normal_(image.to_image.weight, std=20.0)
    options = ForecasterOptions(device="cpu")
    return Forecaster(
        LSTMForecaster(pose, PENN_ACTION, num_past=NUM_PAST),
        GeneratorDrawer(image, PENN_ACTION, options=options),
    )


def noise(num_frames: int) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.integers(0, 255, (120, 200, 3), np.uint8) for _ in range(num_frames)]


def check_same(a, b) -> None:
    assert a.past_frames == b.past_frames
    assert a.forecast.crop == b.forecast.crop
    np.testing.assert_array_equal(a.seen.joints_px, b.seen.joints_px)
    np.testing.assert_array_equal(a.forecast.joints_px, b.forecast.joints_px)
    np.testing.assert_array_equal(a.forecast.frames, b.forecast.frames)


def test_from_a_video_to_a_forecast_video(forecaster, tmp_path):
    video = write_video(tmp_path / "walk.mp4", walking())
    told = []
    stages = Stages(lambda *stage: told.append(stage))
    out = tmp_path / "made" / "forecast.mp4"
    result = forecast_video(video, forecaster, RED, out, CONFIG, stages=stages)
    assert [each for each in told if each[0] == "finding"][-1] == ("finding", 12, 12)
    assert list(stages.seconds) == ["finding", "reading", "forecasting", "drawing", "writing"]
    assert result.files == (out.with_suffix(".npz"), out)
    assert result.past_frames == (8, 9, 10, 11)
    assert result.seen.trimmed is False
    first, rate = result.summary().splitlines()
    assert first == "seen from 0.27 to 0.37 s, 5 frames (0.17 s) forecast"
    assert rate.endswith("30 poses a second assumed (the rate asked for, else 30)")
    for joints, t in zip(result.seen.joints_px, result.past_frames, strict=True):
        assert np.abs(joints - joints_of(box_at(t))).max() < 4
    with np.load(out.with_suffix(".npz")) as arrays:
        assert set(arrays.files) == {
            *("past_joints_px", "past_visible", "past_seconds", "crop", "image_hw", "joint_names"),
            *("predicted_joints_px", "predicted_visible", "predicted_seconds", "weights"),
        }
        assert arrays["predicted_joints_px"].shape == (1, 5, 13, 2)
        assert arrays["weights"].tolist() == [1.0]
        np.testing.assert_allclose(arrays["predicted_seconds"], np.arange(12, 17) / 30)
        assert arrays["image_hw"].tolist() == [120, 200]
        assert arrays["joint_names"].tolist() == list(PENN_ACTION.joints)
    pictures = list(videos.read_video(out))
    assert len(pictures) == NUM_PAST + 5
    # A 60 x 100 picture and a 60 x 60 pose, each with a border and a caption.
    assert pictures[0].shape == (60 + 6 + 16, 100 + 60 + 12 + 4, 3)
    green, red = pictures[0][17, 50].astype(int), pictures[-1][17, 50].astype(int)
    assert green[1] > green[0] + 50
    assert red[0] > red[1] + 50


def test_a_video_alone_is_forecast_by_what_ships(forecaster, tmp_path, monkeypatch):
    video = write_video(tmp_path / "walk.mp4", walking())
    shipped = {"carried-refined": forecaster}
    monkeypatch.setattr(forecast.Forecaster, "pretrained", lambda name: shipped[name])
    monkeypatch.setattr(forecast.PoseEstimator, "pretrained", RedEstimator)
    given = forecast_video(video, forecaster, RED, None, CONFIG)
    check_same(forecast_video(video, config=CONFIG), given)


def test_the_forecast_is_the_forecasters_own(forecaster, tmp_path):
    video = write_video(tmp_path / "walk.mp4", walking())
    result = forecast_video(video, forecaster, RED, None, CONFIG)
    frames = list(videos.read_video(video))
    alone = forecaster.predict(frames[8:12], result.seen.joints_px, result.seen.visible, steps=5)
    np.testing.assert_array_equal(result.forecast.joints_px, alone.joints_px)
    np.testing.assert_array_equal(result.forecast.frames, alone.frames)
    assert list(tmp_path.iterdir()) == [video]


@pytest.mark.parametrize("poses", ["estimator", "table"])
def test_what_comes_after_the_last_seen_frame_changes_nothing(forecaster, tmp_path, poses):
    """Everything after second 0.2 is changed: frames, poses, length."""
    one = write_video(tmp_path / "one.mp4", walking(12))
    other = write_video(tmp_path / "other.mp4", walking(6) + noise(9))
    results = []
    for number, video in enumerate((one, other)):
        source = RED
        if poses == "table":
            count = len(videos.read_timeline(video).seconds)
            joints = np.stack([joints_of(box_at(t)) for t in range(count)])
            joints[6:] += 30 * number
            source = KeypointFile(tmp_path / f"{number}.csv")
            write_table(source.path, joints, np.ones((count, 13), bool), PENN_ACTION)
        results.append(forecast_video(video, forecaster, source, None, CONFIG, from_s=0.2))
    assert results[0].past_frames == (2, 3, 4, 5)
    if poses == "table":
        assert results[0].forecast.crop == results[1].forecast.crop
    # The video encoder spreads a later change over earlier frames by a grey level.
    tolerance = 0 if poses == "table" else 2
    joints = [each.forecast.joints_px for each in results]
    np.testing.assert_allclose(joints[0], joints[1], atol=tolerance, rtol=0)


def test_later_frames_change_nothing_to_the_bit(forecaster, tmp_path, monkeypatch):
    """As above, with the frames themselves in place of what a video encoder makes of them."""
    video = write_video(tmp_path / "one.mp4", walking(12))
    results = []
    for frames in (walking(12), walking(6) + noise(9)):
        for module in ("watching", "pictures"):
            name = f"posecast.own_video.{module}.read_video"
            monkeypatch.setattr(name, lambda *_, first=0, shown=frames: iter(shown[first:]))
        results.append(forecast_video(video, forecaster, RED, None, CONFIG, from_s=0.2))
    check_same(*results)


def test_the_last_well_seen_stretch_is_taken(forecaster, tmp_path):
    video = write_video(tmp_path / "a.mp4", walking(12) + [frame_with(None)] * 12)
    result = forecast_video(video, forecaster, RED, None, CONFIG)
    assert result.past_frames == (8, 9, 10, 11)
    assert result.lost == ()  # it was lost after the frames that were used
    video = write_video(tmp_path / "b.mp4", walking(3) + [frame_with(None)] * 12 + walking(9))
    eager = dataclasses.replace(RED, follow=FollowOptions(search_every=3))
    result = forecast_video(video, forecaster, eager, None, CONFIG)
    assert result.past_frames == (20, 21, 22, 23)
    assert "the person was not found from 0.10 to" in result.summary()


def test_a_joint_that_was_never_seen_is_not_shown(forecaster, tmp_path):
    video = write_video(tmp_path / "a.mp4", walking(5))
    visible = np.ones((5, 13), bool)
    visible[:, 3] = False
    joints = np.stack([joints_of(box_at(t)) for t in range(5)])
    write_table(tmp_path / "a.csv", joints, visible, PENN_ACTION)
    result = forecast_video(video, forecaster, KeypointFile(tmp_path / "a.csv"), None, CONFIG)
    assert result.forecast.visible[:, 3].tolist() == [False] * 5
    assert result.forecast.visible[:, [0, 1, 2, 4]].all()


def test_keypoints_are_of_the_files_own_frames(forecaster, tmp_path):
    """A video of 60 frames a second: the models see every second of its poses."""
    video = write_video(tmp_path / "a.mp4", walking(20), fps=60.0)
    joints = np.stack([joints_of(box_at(t)) for t in range(20)])
    write_table(tmp_path / "a.csv", joints, np.ones((20, 13), bool), PENN_ACTION)
    result = forecast_video(video, forecaster, KeypointFile(tmp_path / "a.csv"), None, CONFIG)
    assert result.past_frames == (6, 7, 8, 9)
    np.testing.assert_allclose(result.seen.joints_px[-1], joints[18], atol=0.01)
    assert result.seen.trimmed is False


def test_the_video_goes_on_in_its_own_size(forecaster, tmp_path):
    """All of the video, then the forecast: outside of the crop the last frame stays."""
    video = write_video(tmp_path / "a.mp4", walking(12))
    config = OwnVideoConfig(steps=5)
    result = forecast_video(video, forecaster, RED, tmp_path / "out.mp4", config)
    frames = np.stack(list(videos.read_video(video)))
    futures = np.stack(list(future_frames(result, View.of((120, 200), 0))))
    crop = result.forecast.crop
    inside = (slice(None), slice(crop.y1, crop.y2), slice(crop.x1, crop.x2))
    still = np.stack([frames[-1]] * 5)
    assert (futures[inside] != still[inside]).any()
    futures[inside] = still[inside]
    np.testing.assert_array_equal(futures, still)
    written = np.stack(list(videos.read_video(tmp_path / "out.mp4")))
    assert written.shape == (12 + 5, 120, 200, 3)
    assert np.abs(written[:12].astype(int) - frames).mean() < 3


def test_several_futures_go_on_side_by_side_or_apart(forecaster, tmp_path):
    """One goes right, one left, one stays: each is in its place of the grid, or in its file."""

    class ThreeWays(LooksBack):
        def forecast_poses(self, seen, steps, samples=1):
            last = np.repeat(seen[0].joints_px[None, -1:], steps, axis=1)
            ways = np.array([20.0, -20.0, 0.0])[:samples, None, None, None] * [1, 0]
            return [PoseForecast.of(seen[0], last + ways, np.array([0.5, 0.3, 0.2])[:samples])]

    video = write_video(tmp_path / "a.mp4", walking(12))
    poses_only = Forecaster(ThreeWays())
    config = OwnVideoConfig(steps=5, futures=3)
    result = forecast_video(video, poses_only, RED, tmp_path / "grid.mp4", config)
    assert "3 futures, how likely each is: 50 %, 30 %, 20 %" in result.summary()
    grid = np.stack(list(videos.read_video(tmp_path / "grid.mp4")))
    # 2 x 2 cells of 120 x 200 with border and caption, 2 apart.
    assert grid.shape == (12 + 5, 2 * (120 + 6 + 16) + 2, 2 * (200 + 6) + 2, 3)
    apart = dataclasses.replace(config, separate=True)
    result = forecast_video(video, poses_only, RED, tmp_path / "one.mp4", apart)
    assert [path.name for path in result.files] == [
        "one.npz",
        "one-1.mp4",
        "one-2.mp4",
        "one-3.mp4",
    ]
    cells = [(16 + 3, 3), (16 + 3, 208 + 3), (144 + 16 + 3, 3)]
    shown = []
    for path, (y, x) in zip(result.files[1:], cells, strict=True):
        alone = np.stack(list(videos.read_video(path))).astype(int)
        assert alone.shape == (12 + 5, 120, 200, 3)
        assert np.abs(grid[:, y : y + 120, x : x + 200] - alone)[12:].mean() < 3
        shown.append(alone[-1])
    assert np.abs(shown[0] - shown[1]).mean() > 0.5


# --- odd videos -----------------------------------------------------------------------------------


def test_a_video_from_a_phone_held_upright(forecaster, tmp_path):
    """Stored lying down, with the rotation beside it: forecast as it is shown."""
    upright = [frame_with((40, 30 + t, 24, 48), hw=(200, 120)) for t in range(8)]
    lying = [np.ascontiguousarray(np.rot90(frame, -1)) for frame in upright]
    video = write_timed(tmp_path / "a.mp4", lying, range(0, 24, 3), rotation=90)
    config = dataclasses.replace(CONFIG, fps=100 / 3)
    out = tmp_path / "out.mp4"
    result = forecast_video(video, forecaster, RED, out, config)
    assert result.seen.image_hw == (200, 120)
    assert np.abs(result.seen.joints_px[-1] - joints_of((40, 37, 24, 48))).max() < 3
    assert next(videos.read_video(out)).shape == (60 + 22, 36 + 60 + 16, 3)


def test_a_video_of_variable_frame_rate(forecaster, tmp_path):
    """Shown at 10 a second, with a pause of half a second in between."""
    times = [0, 10, 20, 30, 80, 90, 100, 110]
    video = write_timed(tmp_path / "a.mp4", walking(8), times)
    config = dataclasses.replace(CONFIG, fps=10.0)
    result = forecast_video(video, forecaster, RED, None, config, from_s=0.8)
    assert result.past_frames == (4, 5, 6, 7)
    expected = [joints_of(box_at(t)) for t in (3, 3, 4, 4)]
    # Seconds 0.4 and 0.5 still show frame 3, 0.6 and 0.7 already the one of 0.8.
    assert np.abs(result.seen.joints_px - expected).max() < 3


def test_of_a_large_video_few_frames_are_held(forecaster, tmp_path, monkeypatch):
    """A frame of 3840 x 2160 has 25 MB; what was looked at is let go."""
    most = numbers_alive(monkeypatch)
    frame = frame_with((1200, 500, 500, 1100), (2160, 3840))
    video = write_timed(tmp_path / "a.mp4", [frame] * 5, range(0, 15, 3))
    config = dataclasses.replace(CONFIG, fps=100 / 3)
    poses = dataclasses.replace(RED, box=(1190.0, 490.0, 520.0, 1120.0))
    result = forecast_video(video, forecaster, poses, tmp_path / "out.mp4", config)
    assert np.abs(result.seen.joints_px[-1] - joints_of((1200, 500, 500, 1100))).max() < 60
    assert max(most) <= 4
    assert next(videos.read_video(tmp_path / "out.mp4")).shape[0] == 60 + 22


# --- what cannot be done --------------------------------------------------------------------------


def fails(forecaster, video, message, config=CONFIG, poses=None, **more):
    out = video.parent / "out.mp4"
    with pytest.raises(ValueError, match=message) as caught:
        forecast_video(video, forecaster, poses or RED, out, config, **more)
    assert not out.exists()
    assert "--" not in caught.value.text  # as the app tells it
    return str(caught.value)


def test_nobody_in_the_video(forecaster, tmp_path):
    video = write_video(tmp_path / "empty.mp4", [frame_with(None)] * 12)
    message = fails(forecaster, video, "no person found in 12 frames")
    assert str(video) in message
    assert "--box" in message
    alone = write_video(tmp_path / "alone.mp4", [frame_with(None)])
    fails(forecaster, alone, "no person found in the picture; say where")


def test_one_frame(forecaster, tmp_path):
    video = write_video(tmp_path / "one.mp4", walking(1))
    fails(forecaster, video, "1 frames at 30 a second before the forecast, the pose model needs 4")


def test_sound_alone(forecaster, tmp_path):
    path = tmp_path / "sound.mp4"
    write_sound(path)
    fails(forecaster, path, "no video stream")


def test_a_truncated_file_can_be_forecast_before_it_breaks_off(forecaster, tmp_path):
    whole, cut = tmp_path / "whole.mkv", tmp_path / "cut.mkv"
    write_timed(whole, walking(30), range(0, 90, 3))
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size * 2 // 3])
    config = dataclasses.replace(CONFIG, fps=100 / 3)
    fails(forecaster, cut, "truncated", config)
    result = forecast_video(cut, forecaster, RED, None, config, from_s=0.3)
    assert result.past_frames == (6, 7, 8, 9)
    (tmp_path / "text.mp4").write_text("not a video")
    fails(forecaster, tmp_path / "text.mp4", "not a video")
    fails(forecaster, tmp_path / "missing.mp4", "no such video")


def test_not_seen_well_enough(forecaster, tmp_path):
    frames = [frame for t in range(4) for frame in (frame_with(box_at(t)), frame_with(None))]
    video = write_video(tmp_path / "a.mp4", frames)
    fails(forecaster, video, r"not seen well enough anywhere.*4 of 8 frames have so many")
    fails(forecaster, video, "not seen well enough before second 0.2", from_s=0.2)
    ends = write_video(tmp_path / "b.mp4", [*walking(12), frame_with(None)])
    message = "not seen well enough before second 0.4.*12 of 13.*last good second.* is 0.40"
    fails(forecaster, ends, message, from_s=0.43)
    assert forecast_video(ends, forecaster, RED, None, CONFIG, 0.40).past_frames[-1] == 11
    easy = dataclasses.replace(CONFIG, well_seen_frames=0.5)
    assert forecast_video(video, forecaster, RED, None, easy).past_frames[-1] == 6


def test_seconds_outside_of_the_video(forecaster, tmp_path):
    video = write_video(tmp_path / "a.mp4", walking(12))
    fails(forecaster, video, "lasts 0.40 s; cannot forecast from 2.0 s on", from_s=2.0)
    fails(forecaster, video, "lasts 0.40 s; cannot forecast from 9.0 s on", from_s=9.0)
    fails(forecaster, video, "lasts 0.40 s; cannot forecast from 1e\\+300 s on", from_s=1e300)
    fails(forecaster, video, "second to forecast from is 0.0; expected a number over 0", from_s=0.0)
    fails(forecaster, video, "second to forecast from is inf", from_s=float("inf"))
    fails(forecaster, video, "3 frames at 30 a second before the forecast", from_s=0.1)


def test_the_person_is_searched_shortly_before_the_second(forecaster, tmp_path):
    video = write_video(tmp_path / "a.mp4", walking(30))
    told = []
    config = dataclasses.replace(CONFIG, lead_s=0.2)
    stages = Stages(lambda *stage: told.append(stage))
    result = forecast_video(video, forecaster, RED, None, config, 0.9, stages)
    assert max(done for name, done, _ in told if name == "finding") == 6
    assert result.past_frames == (23, 24, 25, 26)
    assert np.abs(result.seen.joints_px[-1] - joints_of(box_at(26))).max() < 4
    assert result.lost == ()


def test_what_does_not_fit_is_said(forecaster, tmp_path):
    video = write_video(tmp_path / "a.mp4", walking(12))
    other = RedEstimator()
    other.skeleton = COCO
    fails(forecaster, video, "finds joints of skeleton coco", poses=EstimatedPoses(other))
    with pytest.raises(ValueError, match=r"written as .mp4 or .gif"):
        forecast_video(video, forecaster, RED, tmp_path / "out.avi", CONFIG)
    for wrong in ({"steps": 0}, {"fps": -1.0}, {"well_seen_joints": 0.0}, {"view_height": -1}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            dataclasses.replace(CONFIG, **wrong)
