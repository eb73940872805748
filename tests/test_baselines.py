import numpy as np
import pytest

from posecast.evaluation.baselines import (
    ConstantVelocity,
    LastFrame,
    LastPose,
    MeanPose,
    OpticalFlow,
    SeenVideo,
    mean_pose,
)
from posecast.metrics.flow import backward_flow

VISIBLE = np.ones((1, 5, 2), bool)


@pytest.fixture
def moving() -> np.ndarray:
    """Joint 0 moves by (0.01, 0.02) a frame, joint 1 stands."""
    time = np.arange(5)[None, :, None, None]
    speed = np.array([[0.01, 0.02], [0.0, 0.0]])
    return 0.3 + time * speed


def test_last_pose_stays(moving):
    predicted = LastPose().predict_poses(moving, VISIBLE, steps=3)
    assert predicted == pytest.approx(np.repeat(moving[:, -1:], 3, axis=1))


def test_hidden_joint_stays_where_it_was_seen_last(moving):
    visible = VISIBLE.copy()
    visible[0, 3:, 0] = False
    moving[0, 3:, 0] = 77.0
    predicted = LastPose().predict_poses(moving, visible, steps=1)
    assert predicted[0, 0, 0] == pytest.approx(moving[0, 2, 0])


def test_joint_never_seen_is_put_in_the_middle(moving):
    visible = VISIBLE.copy()
    visible[:, :, 1] = False
    moving[:, :, 1] = 77.0
    for method in (LastPose(), ConstantVelocity()):
        assert method.predict_poses(moving, visible, 2)[0, :, 1] == pytest.approx(0.5)


def test_constant_velocity_goes_on(moving):
    predicted = ConstantVelocity().predict_poses(moving, VISIBLE, steps=3)
    expected = moving[:, -1:] + np.arange(1, 4)[None, :, None, None] * np.array(
        [[0.01, 0.02], [0.0, 0.0]]
    )
    assert predicted == pytest.approx(expected)


def test_constant_velocity_skips_hidden_frames(moving):
    visible = VISIBLE.copy()
    visible[0, 4, 0] = False
    moving[0, 4, 0] = -5.0
    predicted = ConstantVelocity(window=4).predict_poses(moving, visible, steps=1)
    assert predicted[0, 0, 0] == pytest.approx(moving[0, 3, 0] + np.array([0.01, 0.02]))


def test_velocity_window_must_hold_two_frames():
    with pytest.raises(ValueError, match="window is 1"):
        ConstantVelocity(window=1)


def test_mean_pose_leaves_hidden_joints_out(moving):
    joints, visible = moving[0], VISIBLE[0].copy()
    visible[1:, 0] = False
    visible[:, 1] = False
    mean = mean_pose(joints, visible)
    assert mean[0] == pytest.approx(joints[0, 0])
    assert mean[1] == pytest.approx(0.5)
    predicted = MeanPose(mean).predict_poses(moving, VISIBLE, steps=2)
    assert predicted.shape == (1, 2, 2, 2)
    assert predicted[0, 1] == pytest.approx(mean)


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
    return SeenVideo(frames, poses, np.ones((len(frames), 2), bool), (64, 64))


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
