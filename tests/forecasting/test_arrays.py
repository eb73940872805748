"""Arrays of a user: what the Forecaster takes and what it explains."""

import inspect

import numpy as np
import pytest
import torch

from posecast.errors import PosecastError
from posecast.forecasting.forecaster import Forecaster, _arrays
from posecast.forecasting.frame_rates import FrameRates
from posecast.forecasting.own_poses import OwnVideoConfig, find_poses
from posecast.skeletons import PENN_ACTION
from red_people import LooksBack, RedEstimator

FRAMES = np.zeros((4, 20, 30, 3), np.uint8)
JOINTS = np.full((4, 13, 2), 9.0)
VISIBLE = np.ones((4, 13), bool)


def test_frames_with_poses_pass():
    hidden = VISIBLE.copy()
    hidden[0, 0] = False
    joints = JOINTS.copy()
    joints[0, 0] = np.nan
    _arrays(FRAMES, joints, hidden, PENN_ACTION)


def test_lists_and_tensors_are_arrays_too():
    given = list(torch.from_numpy(FRAMES)), JOINTS.tolist(), torch.ones((4, 13), dtype=torch.uint8)
    frames, joints, visible = _arrays(*given, PENN_ACTION)
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
        ([*FRAMES[:3], FRAMES[3, :9]], JOINTS, VISIBLE, "all of one size"),
        (FRAMES, JOINTS, 0.4 * VISIBLE, "other values than True and False"),
        (FRAMES, JOINTS / 20, VISIBLE, "give pixels, not shares"),
    ],
)
def test_other_arrays_are_explained(frames, joints, visible, message):
    with pytest.raises(ValueError, match=message):
        _arrays(frames, joints, visible, PENN_ACTION)


def test_other_numbers_and_sources_are_explained():
    forecaster = Forecaster(LooksBack())
    for numbers in ({"steps": 0}, {"steps": -1}, {"samples": 0}):
        with pytest.raises(PosecastError, match="give 1 or more"):
            forecaster.predict(FRAMES, JOINTS, VISIBLE, **numbers)
    for fps in (0.0, -5.0, np.nan, np.inf):
        with pytest.raises(PosecastError, match="frames a second, over 0"):
            FrameRates.of_arrays(LooksBack.needs, fps)
    with pytest.raises(PosecastError, match=r"poses are RedEstimator; expected EstimatedPoses"):
        inspect.unwrap(find_poses)("a.mp4", RedEstimator(), PENN_ACTION, OwnVideoConfig())
