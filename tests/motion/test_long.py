"""Motion beyond the horizon."""

import numpy as np
import pytest

from posecast.motion.basis import HORIZON
from posecast.motion.long import REPEATS, go_on
from posecast.motion.own_past import own_past


def turning(frames: int) -> np.ndarray:
    """A body without joints that turns to and fro, never twice alike."""
    rng = np.random.default_rng(0)
    angle = 0.04 * np.cumsum(np.convolve(rng.normal(size=frames + 19), np.hanning(20), "valid"))
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return np.einsum("cdt,jd->tjc", turn, 100 * rng.random((13, 2))).astype(np.float32)


def seen(poses: np.ndarray) -> np.ndarray:
    return np.ones(poses.shape[:2], bool)


def movement(poses: np.ndarray) -> float:
    return float(np.linalg.norm(np.diff(poses, axis=0), axis=-1).mean())


def test_who_stands_still_goes_on_standing() -> None:
    rng = np.random.default_rng(0)
    past = 100 * rng.random((13, 2)) + 0.2 * rng.normal(size=(45, 13, 2))
    past = past.astype(np.float32)

    future = go_on(past, seen(past), np.repeat(past[-1:], HORIZON, axis=0), 400)

    assert np.abs(future - past[-1]).max() < 2
    assert movement(future) <= movement(past)


def test_nobody_does_what_they_were_not_seen_to_do() -> None:
    poses = turning(120 + HORIZON)
    past, ahead = poses[:120], poses[120:]
    assert own_past(past, seen(past)).misfit > REPEATS

    future = go_on(past, seen(past), ahead, 1000)

    limbs = np.linalg.norm(np.diff(past[0], axis=0), axis=-1)
    lengths = np.linalg.norm(np.diff(future, axis=1), axis=-1)
    off = np.abs(np.log(lengths / limbs))
    assert off.mean() < 0.03
    assert off.max() < 0.25
    assert 0.5 < movement(future[-300:]) / movement(past) < 2
    joined = np.linalg.norm(np.diff(future[HORIZON - 1 :], axis=0), axis=-1).max()
    assert joined < 2 * np.linalg.norm(np.diff(past, axis=0), axis=-1).max()


@pytest.mark.parametrize("frames", [1, 2, 9, 40])
@pytest.mark.parametrize("steps", [1, 64, 65, 88, 89, 300])
def test_any_past_goes_on_for_any_time(frames: int, steps: int) -> None:
    past, ahead = turning(frames), turning(frames + HORIZON)[frames:]

    future = go_on(past, seen(past), ahead, steps)

    assert future.shape == (steps, 13, 2)
    assert np.isfinite(future).all()
    np.testing.assert_array_equal(future[:HORIZON], ahead[:steps])


def test_where_hidden_joints_are_said_to_be_changes_nothing() -> None:
    poses = turning(120 + HORIZON)
    shown = np.random.default_rng(1).random(poses[:120].shape[:2]) > 0.1
    shown[:, 3] = False

    futures = [
        go_on(np.where(shown[..., None], poses[:120], hidden), shown, poses[120:], 200)
        for hidden in (np.float32(np.nan), np.float32(1e4))
    ]

    assert np.isfinite(futures[0]).all()
    np.testing.assert_array_equal(*futures)
