import dataclasses

import numpy as np
import pytest

from posecast.clips import SeenVideo
from posecast.evaluation.baselines import (
    ConstantVelocity,
    LastFrame,
    LastPose,
    MeanPose,
    OpticalFlow,
)
from posecast.forecasting.protocols import PoseForecaster
from posecast.geometry import Crop
from posecast.metrics.image import backward_flow
from posecast.store.reading import mean_joints
from small_store import a_clip

CROP = Crop(10, 20, 110, 220)
VISIBLE = np.ones((5, 2), bool)


@pytest.fixture
def moving() -> np.ndarray:
    """Joint 0 moves by (1, 2) pixels a frame, joint 1 stands."""
    return 30 + np.arange(5)[:, None, None] * np.array([[1.0, 2.0], [0.0, 0.0]])


def forecast(method: PoseForecaster, joints: np.ndarray, visible: np.ndarray, steps: int):
    """Of two people in the same pose, one in a crop and one in a whole image of 300 x 400."""
    cut = SeenVideo(joints, visible, 25.0, (300, 400), crop=CROP)
    first, second = method.forecast_poses([cut, dataclasses.replace(cut, crop=None)], steps, 9)
    for each in (first, second):
        assert (each.joints_px.shape, each.fps) == ((1, steps, 2, 2), 25.0)
        assert each.visible.tolist() == [np.any(visible, axis=0).tolist()] * steps
        assert each.weights.tolist() == [1.0]
    return first.joints_px[0], second.joints_px[0]


def test_last_pose_stays(moving):
    for predicted in forecast(LastPose(), moving, VISIBLE, steps=3):
        assert predicted == pytest.approx(np.repeat(moving[-1:], 3, axis=0))


def test_hidden_joint_stays_where_it_was_seen_last(moving):
    visible = VISIBLE.copy()
    visible[3:, 0] = False
    moving[3:, 0] = 77.0
    predicted, _ = forecast(LastPose(), moving, visible, steps=1)
    assert predicted[0, 0] == pytest.approx(moving[2, 0])


def test_joint_never_seen_is_put_in_the_middle(moving):
    visible = VISIBLE.copy()
    visible[:, 1] = False
    moving[:, 1] = 77.0
    for method in (LastPose(), ConstantVelocity()):
        cut, whole = forecast(method, moving, visible, 2)
        assert cut[:, 1] == pytest.approx(np.array([[60, 120]] * 2))
        assert whole[:, 1] == pytest.approx(np.array([[200, 150]] * 2))


def test_constant_velocity_goes_on(moving):
    expected = moving[-1] + np.arange(1, 4)[:, None, None] * np.array([[1.0, 2.0], [0.0, 0.0]])
    for predicted in forecast(ConstantVelocity(), moving, VISIBLE, steps=3):
        assert predicted == pytest.approx(expected)


def test_constant_velocity_skips_hidden_frames(moving):
    visible = VISIBLE.copy()
    visible[4, 0] = False
    moving[4, 0] = -500.0
    predicted, _ = forecast(ConstantVelocity(window=4), moving, visible, steps=1)
    assert predicted[0, 0] == pytest.approx(moving[3, 0] + np.array([1, 2]))


def test_velocity_window_must_hold_two_frames():
    with pytest.raises(ValueError, match="window is 1"):
        ConstantVelocity(window=1)


def test_mean_pose_leaves_hidden_joints_out(moving):
    joints, visible = moving / 100, VISIBLE.copy()
    visible[1:, 0] = False
    visible[:, 1] = False
    clip = dataclasses.replace(a_clip("a", 0.0), joints_px=joints * 200, visible=visible)
    mean = mean_joints([clip])
    assert mean[0] == pytest.approx(joints[0, 0])
    assert mean[1] == pytest.approx(0.5)
    cut, whole = forecast(MeanPose(mean), moving, VISIBLE, steps=2)
    assert cut[1] == pytest.approx(np.array([10, 20]) + mean * [100, 200])
    assert whole[1] == pytest.approx(mean * [400, 300])


def texture(num_frames: int, speed: int) -> np.ndarray:
    """Smooth noise that slides to the right by `speed` pixels a frame, uint8 (t, 64, 64, 3)."""
    noise = np.random.default_rng(0).normal(size=(64, 128))
    for axis in (0, 1):
        noise = sum(np.roll(noise, shift, axis) for shift in range(-4, 5))
    grey = ((noise - noise.min()) / np.ptp(noise) * 255).astype(np.uint8)
    frames = [np.roll(grey, number * speed, axis=1)[:, 32:96] for number in range(num_frames)]
    return np.repeat(np.stack(frames)[..., None], 3, axis=-1)


def seen_video(frames: np.ndarray) -> SeenVideo:
    poses = np.zeros((len(frames), 2, 2))
    return SeenVideo(poses, np.ones((len(frames), 2), bool), 30.0, (64, 64), frames)


def test_last_frame_stays():
    frames = texture(4, speed=2)
    predicted = LastFrame().predict_frames(seen_video(frames), steps=3)
    assert (predicted == frames[-1]).all()
    assert predicted.shape == (3, 64, 64, 3)


def test_optical_flow_goes_on_sliding():
    frames = texture(8, speed=2)
    flow = backward_flow(frames[0], frames[1])[16:-16, 16:-16]
    assert flow.mean(axis=(0, 1)) == pytest.approx([-2, 0], abs=0.1)
    predicted = OpticalFlow().predict_frames(seen_video(frames[:4]), steps=4)
    error = np.abs(predicted.astype(float) - frames[4:])[:, 16:-16, 16:-16].mean(axis=(1, 2, 3))
    still = np.abs(frames[3].astype(float) - frames[4:])[:, 16:-16, 16:-16].mean(axis=(1, 2, 3))
    assert (error < 0.25 * still).all()


def test_one_seen_frame_has_no_flow():
    frames = texture(1, speed=2)
    assert (OpticalFlow().predict_frames(seen_video(frames), 2) == frames).all()
