"""Arrays of a user: what the Forecaster takes and what it explains."""

import inspect
from collections.abc import Sequence

import numpy as np
import pytest
import torch

from posecast.errors import PosecastError
from posecast.forecasting.forecaster import Forecaster, _arrays
from posecast.own_video.poses import OwnVideoConfig, find_poses
from posecast.skeletons import PENN_ACTION
from red_people import LooksBack, RedEstimator

FRAMES = np.zeros((4, 20, 30, 3), np.uint8)
JOINTS = np.full((4, 13, 2), 9.0)
VISIBLE = np.ones((4, 13), bool)
SHARES_UP_TO_1_3 = np.linspace(0.1, 1.3, 104).reshape(4, 13, 2)


def test_frames_with_poses_pass():
    hidden = VISIBLE.copy()
    hidden[0, 0] = False
    joints = JOINTS.copy()
    joints[0, 0] = np.nan
    _arrays(FRAMES, joints, hidden, 4, PENN_ACTION)


def test_lists_and_tensors_are_arrays_too():
    given = list(torch.from_numpy(FRAMES)), JOINTS.tolist(), torch.ones((4, 13), dtype=torch.uint8)
    frames, joints, visible = _arrays(*given, 4, PENN_ACTION)
    np.testing.assert_array_equal(frames, FRAMES)
    np.testing.assert_array_equal(joints, JOINTS)
    assert visible.dtype == bool
    assert visible.all()


@pytest.mark.parametrize(
    ("frames", "joints", "visible", "message"),
    [
        (FRAMES / 255, JOINTS, VISIBLE, "frames are float64"),
        (FRAMES[..., 0], JOINTS, VISIBLE, "expected uint8"),
        (FRAMES, JOINTS[:, :5], VISIBLE, "do not fit 4 frames of skeleton penn_action"),
        (FRAMES[:3], JOINTS, VISIBLE, "do not fit 3 frames"),
        (FRAMES[0], JOINTS, VISIBLE, r"frames are uint8 \(\d+, 3\); expected uint8 \(h, w, 3\)"),
        ([*FRAMES[:3], FRAMES[3, :9]], JOINTS, VISIBLE, "all of one size"),
        (FRAMES, JOINTS, 0.4 * VISIBLE, "other values than True and False"),
        (FRAMES, JOINTS / 20, VISIBLE, "give pixels, not shares"),
        (FRAMES, SHARES_UP_TO_1_3, VISIBLE, "give pixels, not shares"),
        (FRAMES, [[[1.0, 2.0]], [[1.0]]] * 2, VISIBLE, "alike for each frame: .* inhomogeneous"),
        ([[[[1], [2, 3]]]] * 4, JOINTS, VISIBLE, "alike for each frame: .* inhomogeneous"),
        (FRAMES, torch.ones(4, 13, 2, requires_grad=True), VISIBLE, r"Use tensor\.detach"),
    ],
)
def test_other_arrays_are_explained(frames, joints, visible, message):
    with pytest.raises(ValueError, match=message):
        _arrays(frames, joints, visible, len(frames), PENN_ACTION)


class LongVideo(Sequence):
    """Frames that are read when they are asked for."""

    def __init__(self) -> None:
        self.read: list[int] = []

    def __len__(self) -> int:
        return 1000

    def __getitem__(self, number: int) -> np.ndarray:
        self.read.append(number)
        return FRAMES[0]


def test_of_a_long_video_only_what_is_looked_at_is_read():
    video = LongVideo()
    joints, visible = np.full((1000, 13, 2), 9.0), np.ones((1000, 13), bool)
    Forecaster(LooksBack()).predict(video, joints, visible, num_seen=900)
    assert {*range(894, 900)} <= {*video.read}
    assert len(video.read) < 20  # checks of types look at some others


def test_other_numbers_and_sources_are_explained():
    forecaster = Forecaster(LooksBack())
    for numbers in ({"steps": 0}, {"steps": -1}, {"samples": 0}):
        with pytest.raises(PosecastError, match="expected a whole number, 1 to 10"):
            forecaster.predict(FRAMES, JOINTS, VISIBLE, **numbers)
    for fps in (0.0, -5.0, np.nan, np.inf):
        with pytest.raises(PosecastError, match="a number over 0"):
            forecaster.predict(FRAMES, JOINTS, VISIBLE, fps=fps)
    with pytest.raises(PosecastError, match=r"poses are RedEstimator; expected EstimatedPoses"):
        inspect.unwrap(find_poses)("a.mp4", RedEstimator(), PENN_ACTION, OwnVideoConfig())
