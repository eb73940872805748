"""Cuts and fades: a forecast is of one shot, and begins where the picture is clear."""

from pathlib import Path

import numpy as np
import pytest

from posecast.clips import SeenVideo
from posecast.errors import PosecastError
from posecast.forecasting.forecaster import Forecaster
from posecast.forecasting.frame_rates import FrameRates
from posecast.forecasting.protocols import Needs
from posecast.keypoints import write_table
from posecast.media.shots import Shots
from posecast.own_video.forecast import forecast_video
from posecast.own_video.poses import EstimatedPoses, KeypointFile, OwnVideoConfig
from posecast.own_video.seen_frames import choose_frames
from posecast.own_video.truth import NothingToCompareError, find_truth
from posecast.report.compared_pictures import compare_pictures
from posecast.skeletons import PENN_ACTION
from red_people import LooksBack, RedEstimator, box_at, frame_with, joints_of, write_video

RED = EstimatedPoses(RedEstimator())
CONFIG = OwnVideoConfig(steps=8)


def wide(num_frames: int) -> list[np.ndarray]:
    return [frame_with(box_at(t), ground=200) for t in range(num_frames)]


def near(num_frames: int, ground: int = 120) -> list[np.ndarray]:
    """Another shot of the same person."""
    return [frame_with(near_box_at(t), ground=ground) for t in range(num_frames)]


def near_box_at(t: int) -> tuple[int, int, int, int]:
    return 90 + t, 20, 40, 80


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


class CrossesArmsBeforeDark(RedEstimator):
    """Finds left and right of arms the other way before dark ground."""

    def _find(self, picture):
        joints, sure = super()._find(picture)
        dark = np.median(picture[..., 2]) < 150
        order = [0, 2, 1, 4, 3, 6, 5, *range(7, 13)] if dark else range(13)
        return joints[list(order)], sure


def test_left_and_right_of_a_shot_are_not_those_of_the_one_before(tmp_path):
    after = [frame_with((48 + 2 * t, 30, 24, 48), ground=120) for t in range(16)]
    video = write_video(tmp_path / "video.mp4", wide(12) + after)
    poses = EstimatedPoses(CrossesArmsBeforeDark())
    seen = forecast_video(video, Forecaster(LooksFarBack()), poses, None, CONFIG).seen
    assert len(seen) == 16
    left, right = (PENN_ACTION.index(f"{side}_shoulder") for side in ("left", "right"))
    assert (seen.joints_px[:, left, 0] > seen.joints_px[:, right, 0]).all()


def test_a_shot_that_is_too_short_for_the_model():
    seen = SeenVideo(np.ones((13, 13, 2)), np.ones((13, 13), bool), 30.0, (120, 200))
    for strict, frames in ((True, tuple(range(12))), (False, (12,))):
        needs = Needs(PENN_ACTION, num_past=2, max_past=20, is_strict=strict)
        rates = FrameRates.of_video(30.0, needs)
        chosen = choose_frames(seen, needs, rates, CONFIG, "v", shots=(*[0] * 12, 12))
        assert chosen == frames


def test_why_a_short_last_shot_is_not_forecast_from(tmp_path):
    class Strict(LooksBack):
        needs = Needs(PENN_ACTION, num_past=8, max_past=8, is_strict=True)

    video = write_video(tmp_path / "short.mp4", wide(12) + near(5))
    result = forecast_video(video, Forecaster(Strict()), RED, None, CONFIG)
    assert result.past_frames[-1] == 11
    assert "not seen well, or not in 8 frames of one shot, which the pose model" in result.note


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
    rest = faded(wide(18)[12:])
    for count in (6, 4):  # also where the file ends before it is dark
        result = forecast(tmp_path / "fade.mp4", wide(12) + rest[:count])
        assert result.past_frames[-1] == 11
        end = (12 + count) / 30
        assert f"looked at to {end:.2f} s, but from 0.40 s on it fades" in result.note
    assert forecast(tmp_path / "fade.mp4", wide(12) + rest, 13 / 30).past_frames[-1] == 12


def faded(frames: list[np.ndarray]) -> list[np.ndarray]:
    shares = (0.15, 0.3, 0.5, 0.7, 0.9, 1.0)
    return [
        (frame * (1 - share)).astype(np.uint8) for frame, share in zip(frames, shares, strict=True)
    ]


def test_light_that_changed_before_the_end_is_no_fade(tmp_path):
    dimmed = [(0.8 * frame).astype(np.uint8) for frame in wide(30)[10:]]
    frames = wide(10) + dimmed + [np.zeros_like(dimmed[0])] * 2
    assert forecast(tmp_path / "black.mp4", frames).past_frames[-1] == 29


@pytest.mark.parametrize("ground", [120, 160])
@pytest.mark.parametrize("length", [5, 12, 24, 30])
def test_a_dissolve_begins_a_shot(tmp_path, length, ground):
    """Also of grounds that are only 40 apart, so that frames within it are alike."""
    after = near(length + 20, ground)
    both = zip(wide(30)[-length:], after, np.linspace(0, 1, length + 2)[1:-1], strict=False)
    mixed = [(one * (1 - share) + other * share).astype(np.uint8) for one, other, share in both]
    frames = wide(30)[:-length] + mixed + after[length:]
    result = forecast(tmp_path / "dissolve.mp4", frames)
    assert 30 - length <= result.past_frames[0] <= 30
    assert "cuts to another shot" in result.note


def test_somebody_who_passes_the_camera_does_not_cut():
    shots, rng = Shots(), np.random.default_rng(0)
    ground = rng.integers(0, 255, (12, 20, 3), np.uint8).repeat(20, axis=0).repeat(20, axis=1)
    frames = np.stack([ground] * 30)
    for number, x in zip(range(10, 14), (0, 100, 200, 300), strict=True):
        frames[number, :, x : x + 150] = 30
    assert len(list(shots.watch(frames))) == 30
    visible = np.ones((30, 13), bool)
    visible[10:14] = False
    assert shots.starts(np.ones((30, 13, 2)), visible, 30.0) == [0] * 30


def test_what_comes_after_a_cut_is_no_truth(tmp_path):
    video = write_video(tmp_path / "cut.mp4", wide(8) + near(8))
    result = forecast_video(video, Forecaster(LooksFarBack()), RED, None, CONFIG, 4 / 30)
    assert find_truth(RED, result).visible.any(axis=1).tolist() == [True] * 4
    keypoints = KeypointFile(keypoints_of(tmp_path / "cut.csv", 8, 8))
    looked_at = []
    assert len(find_truth(keypoints, result, lambda: looked_at.append(1)).visible) == 4
    assert len(looked_at) == 1 + CONFIG.steps


def test_the_truth_has_left_and_right_as_what_was_seen(tmp_path):
    class Exchanges(RedEstimator):
        def estimate(self, pictures):
            joints, sure = super().estimate(pictures)
            return joints[:, list(PENN_ACTION.mirror)], sure

    video = write_video(tmp_path / "video.mp4", wide(20))
    result = forecast_video(video, Forecaster(LooksFarBack()), RED, None, CONFIG, 0.4)
    truth = find_truth(EstimatedPoses(Exchanges()), result)
    np.testing.assert_array_equal(truth.joints_px, find_truth(RED, result).joints_px)
    assert truth.visible.all()


@pytest.mark.parametrize("after", [near(8), faded(wide(12)[6:])], ids=["cut", "fade"])
def test_a_shot_that_ends_behind_the_last_seen_frame_leaves_no_truth(tmp_path, after):
    video = write_video(tmp_path / "cut.mp4", wide(6) + after)
    result = forecast_video(video, Forecaster(LooksFarBack()), RED, None, CONFIG, 0.2)
    with pytest.raises(NothingToCompareError, match=r"the shot ends at second 0\.20; give an ear"):
        find_truth(RED, result)


def test_frames_are_compared_up_to_a_cut(tmp_path, monkeypatch):
    video = write_video(tmp_path / "cut.mp4", wide(8) + near(8))
    result = forecast_video(video, Forecaster(LooksFarBack()), RED, None, CONFIG, 4 / 30)
    pictures = compare_pictures(result, find_truth(RED, result))
    assert len(pictures.panels["truth"][0]) == pictures.num_seen + 4


def keypoints_of(path: Path, num_wide: int, num_near: int) -> Path:
    boxes = [box_at(t) for t in range(num_wide)] + [near_box_at(t) for t in range(num_near)]
    joints = np.stack([joints_of(box) for box in boxes])
    write_table(path, joints, np.ones(joints.shape[:2], bool), PENN_ACTION)
    return path


def test_poses_of_another_program_are_of_one_shot(tmp_path):
    frames = wide(12) + near(16) + faded(near(22)[16:])
    video = write_video(tmp_path / "cut.mp4", frames)
    poses = KeypointFile(keypoints_of(tmp_path / "cut.csv", 12, 22))
    result = forecast_video(video, Forecaster(LooksFarBack()), poses, None, CONFIG)
    assert result.past_frames[0] == 12
    assert result.past_frames[-1] in (27, 28)
    assert "another shot at 0.40 s" in result.note
    assert result.note.endswith("on it fades")


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


def test_a_frame_that_a_file_has_lost_is_no_cut():
    """Some frames are there twice, and one in between is not: a change of two frames at once."""
    changes = (6, 7, 0, 13, 0, 7, 0, 5, 3, 3, 4, 5, 0, 5, 6, 5)
    levels = 50 + np.cumsum([0, *changes])
    ground = np.random.default_rng(0).integers(0, 100, (18, 32, 1), np.uint8)
    shots = Shots()
    frames = (np.tile(ground + np.uint8(level), 3) for level in levels)
    assert len(list(shots.watch(frames))) == len(levels)
    nobody = np.zeros((len(levels), 13, 2)), np.zeros((len(levels), 13), bool)
    assert shots.starts(*nobody, 30.0) == [0] * len(levels)
