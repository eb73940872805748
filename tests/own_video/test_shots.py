"""Cuts and fades: a forecast is of one shot, and begins where the picture is clear."""

from pathlib import Path

import numpy as np
import pytest

from posecast.clips import SeenVideo
from posecast.errors import PosecastError
from posecast.forecasting.forecaster import Forecaster
from posecast.forecasting.frame_rates import FrameRates
from posecast.forecasting.own_poses import EstimatedPoses, OwnVideoConfig, choose_frames
from posecast.forecasting.own_truth import find_truth
from posecast.forecasting.own_video import forecast_video
from posecast.forecasting.protocols import Needs
from posecast.forecasting.shots import Shots
from posecast.skeletons import PENN_ACTION
from red_people import LooksBack, RedEstimator, box_at, frame_with, write_video

RED = EstimatedPoses(RedEstimator())
CONFIG = OwnVideoConfig(steps=8)


def wide(num_frames: int) -> list[np.ndarray]:
    return [frame_with(box_at(t), ground=200) for t in range(num_frames)]


def near(num_frames: int) -> list[np.ndarray]:
    """Another shot of the same person."""
    return [frame_with((90 + t, 20, 40, 80), ground=120) for t in range(num_frames)]


class LooksFarBack(LooksBack):
    needs = Needs(PENN_ACTION, num_past=2, max_past=20)


def forecast(path: Path, frames: list[np.ndarray], from_s: float | None = None):
    video = write_video(path, frames)
    return forecast_video(video, Forecaster(LooksFarBack()), RED, None, CONFIG, from_s)


def test_what_is_before_a_cut_is_not_seen(tmp_path):
    whole = forecast(tmp_path / "whole.mp4", wide(12) + near(16))
    assert whole.past_frames == tuple(range(12, 28))
    alone = forecast(tmp_path / "alone.mp4", near(16))
    both = whole.seen.visible & alone.seen.visible
    assert both[-1].all()
    apart = np.linalg.norm(whole.seen.joints_px - alone.seen.joints_px, axis=-1)
    assert apart[both].max() < 3
    assert "the video cuts to another shot at 0.40 s" in whole.note
    assert "cuts" not in alone.note
    assert forecast(tmp_path / "whole.mp4", wide(12) + near(16), 0.4).past_frames[0] == 0


def test_a_shot_that_is_too_short_for_the_model():
    seen = SeenVideo(np.ones((13, 13, 2)), np.ones((13, 13), bool), 30.0, (120, 200))
    for strict, frames in ((True, tuple(range(12))), (False, (12,))):
        needs = Needs(PENN_ACTION, num_past=2, max_past=20, is_strict=strict)
        rates = FrameRates.of_video(30.0, needs)
        chosen = choose_frames(seen, needs, rates, CONFIG, "v", shots=(*[0] * 12, 12))
        assert chosen == frames


def test_shots_that_are_all_too_short_for_the_model_are_said_to_be():
    seen = SeenVideo(np.ones((12, 13, 2)), np.ones((12, 13), bool), 30.0, (120, 200))
    needs = Needs(PENN_ACTION, num_past=8, max_past=8, is_strict=True)
    rates = FrameRates.of_video(30.0, needs)
    config = OwnVideoConfig(fps=30.0)
    said = "longest shot, between two cuts, has 6 frames at 30 a second, the pose model needs 8"
    with pytest.raises(PosecastError, match=said):
        choose_frames(seen, needs, rates, config, "v", shots=(*[0] * 6, *[6] * 6))


def test_titles_and_flashes_are_no_cuts(tmp_path):
    slow = [frame_with((40 + t, 30, 24, 48), ground=200) for t in range(14)]
    titled, flashed = slow, wide(14)
    for frame in titled[10:]:
        frame[80:] = 0
    flashed[10][:] = 0
    for name, frames in (("titled", titled), ("flashed", flashed)):
        result = forecast(tmp_path / f"{name}.mp4", frames)
        assert result.past_frames == tuple(range(14))
        assert "cuts" not in result.note


def test_a_fade_is_not_forecast_from(tmp_path):
    rest = [
        (frame * (1 - share)).astype(np.uint8)
        for frame, share in zip(wide(18)[12:], FADE, strict=True)
    ]
    result = forecast(tmp_path / "fade.mp4", wide(12) + rest)
    assert result.past_frames[-1] == 11
    assert "goes on to 0.60 s, but from 0.40 s on" in result.note
    assert forecast(tmp_path / "fade.mp4", wide(12) + rest, 13 / 30).past_frames[-1] == 12


FADE = (0.15, 0.3, 0.5, 0.7, 0.9, 1.0)


def test_what_comes_after_a_cut_is_no_truth(tmp_path):
    video = write_video(tmp_path / "cut.mp4", wide(8) + near(8))
    result = forecast_video(video, Forecaster(LooksFarBack()), RED, None, CONFIG, 4 / 30)
    truth = find_truth(video, RED, result)
    assert truth.visible.any(axis=1).tolist() == [True] * 4 + [False] * 4


def test_a_camera_that_shakes_does_not_cut():
    rng, shots = np.random.default_rng(0), Shots()
    ground = np.repeat(rng.integers(0, 255, (12, 40), np.uint8), 20, axis=0).repeat(10, axis=1)
    frames = [np.roll(ground, 3 * int(t), axis=1) for t in rng.integers(-9, 9, 30)]
    assert len(list(shots.watch(np.stack([each] * 3, axis=-1) for each in frames))) == 30
    nobody = np.zeros((30, 13, 2)), np.zeros((30, 13), bool)
    assert shots.starts(*nobody, 30.0) == [0] * 30
    assert shots.num_faded(30.0) == 0


@pytest.mark.parametrize("held", [1, 2, 3, 4])
def test_pictures_shown_several_times_are_no_cuts(held):
    """Ten pictures a second in a file of 30, say, while the camera moves."""
    ground = np.random.default_rng(0).integers(0, 255, (18, 100), np.uint8)
    ground, times = ground.repeat(20, axis=0).repeat(20, axis=1), np.arange(60) // held * held
    shots = Shots()
    frames = (np.stack([ground[:, 10 * t : 10 * t + 640]] * 3, axis=-1) for t in times)
    assert len(list(shots.watch(frames))) == 60
    pose = np.random.default_rng(1).uniform(0, 100, (13, 2))
    joints = pose - np.stack([10 * times, 0 * times], axis=-1)[:, None]
    assert shots.starts(joints, np.ones((60, 13), bool), 30.0) == [0] * 60
