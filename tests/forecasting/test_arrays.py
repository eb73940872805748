"""Arrays of a user: what the Forecaster takes and what it explains."""

import numpy as np
import pytest

from posecast.forecasting.forecaster import _check_arrays
from posecast.skeletons import PENN_ACTION

FRAMES = np.zeros((4, 20, 30, 3), np.uint8)
JOINTS = np.ones((4, 13, 2))
VISIBLE = np.ones((4, 13), bool)


def test_frames_with_poses_pass():
    hidden = VISIBLE.copy()
    hidden[0, 0] = False
    joints = JOINTS.copy()
    joints[0, 0] = np.nan
    _check_arrays(FRAMES, joints, hidden, PENN_ACTION)


@pytest.mark.parametrize(
    ("frames", "joints", "visible", "message"),
    [
        (FRAMES / 255, JOINTS, VISIBLE, "frames are float64"),
        (FRAMES[..., 0], JOINTS, VISIBLE, "expected uint8"),
        (FRAMES, JOINTS[:, :5], VISIBLE, "do not fit 4 frames of skeleton penn_action"),
        (FRAMES[:3], JOINTS, VISIBLE, "do not fit 3 frames"),
    ],
)
def test_other_arrays_are_explained(frames, joints, visible, message):
    with pytest.raises(ValueError, match=message):
        _check_arrays(frames, joints, visible, PENN_ACTION)
