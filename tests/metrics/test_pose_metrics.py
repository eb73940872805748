import numpy as np
import pytest

from posecast.metrics.pose import (
    counted_joints,
    distance_sums,
    joint_distances,
    pck_hits,
    sample_spread,
    velocity_error_sums,
)


@pytest.fixture
def walk() -> np.ndarray:
    start = np.random.default_rng(0).uniform(0, 200, size=(1, 13, 2))
    return start + np.arange(6)[:, None, None] * np.array([3.0, 4.0])


ALL = np.ones((6, 13), bool)


def test_constant_offset(walk):
    distances = joint_distances(walk + np.array([3.0, 4.0]), walk, length=100.0)
    assert distances == pytest.approx(np.full((6, 13), 0.05))
    sums, counts = distance_sums(distances, ALL)
    assert sums / counts == pytest.approx(np.full(6, 0.05))
    hits, _ = pck_hits(distances, ALL, threshold=0.06)
    assert hits == pytest.approx(np.full(6, 13))
    hits, _ = pck_hits(distances, ALL, threshold=0.04)
    assert hits == pytest.approx(np.zeros(6))


def test_standing_still_has_the_true_speed_as_velocity_error(walk):
    still = np.repeat(walk[:1], 6, axis=0)
    sums, counts = velocity_error_sums(still, walk, ALL, length=100.0)
    assert counts[0] == 0
    assert sums[1:] / counts[1:] == pytest.approx(np.full(5, 0.05))
    assert velocity_error_sums(walk, walk, ALL, 100.0)[0] == pytest.approx(np.zeros(6))


def test_only_joints_seen_and_visible_count():
    past = np.zeros((10, 3), bool)
    past[2, 0] = past[9, 1] = True
    future = np.array([[True, True, True], [True, False, True]])
    expected = np.array([[True, True, False], [True, False, False]])
    assert (counted_joints(past, future) == expected).all()


def test_uncounted_joints_have_no_influence(walk):
    wild = walk.copy()
    wild[:, 3] = 1e6
    counted = ALL.copy()
    counted[:, 3] = False
    distances = joint_distances(wild, walk, length=50.0)
    sums, counts = distance_sums(distances, counted)
    assert sums == pytest.approx(np.zeros(6))
    assert counts == pytest.approx(np.full(6, 12))


def test_mirrored_pose_misses():
    pose = np.array([[[0.0, 0.0], [10.0, 0.0]]])
    distances = joint_distances(pose[:, ::-1], pose, length=100.0)
    assert distances == pytest.approx(np.full((1, 2), 0.1))


def test_length_must_be_positive(walk):
    with pytest.raises(ValueError, match="length"):
        joint_distances(walk, walk, length=0.0)


def test_spread_is_the_mean_over_pairs():
    still = np.zeros((2, 3, 2))
    # 5, 10 and 5 apart
    futures = np.stack([still + np.array([3, 4]) * number for number in range(3)])
    counted = np.ones((2, 3), bool)
    counted[1, 0] = False
    total, count = sample_spread(futures, counted, length=10.0)
    assert total.tolist() == pytest.approx([3 * 20 / 3 / 10, 2 * 20 / 3 / 10])
    assert count.tolist() == [3, 2]
    assert sample_spread(futures[:1], counted, length=10.0)[0].tolist() == [0, 0]
