import numpy as np
import pytest

from posecast.baselines import ConstantVelocity, LastPose, MeanPose, mean_pose

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
