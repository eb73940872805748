"""What estimators of users may say of pictures, and what is refused."""

import numpy as np
import pytest

from posecast.errors import PosecastError
from posecast.estimation.looking import look
from posecast.geometry import Crop
from posecast.skeletons import PENN_ACTION

FRAME = np.zeros((40, 60, 3), np.uint8)
CROPS = (Crop(0, 0, 20, 20), Crop(10, 10, 40, 40))
MIDDLE, SURE = np.full((2, 13, 2), 0.5), np.ones((2, 13))


class Says:
    skeleton, size, min_confidence = PENN_ACTION, 16, 0.3

    def __init__(self, joints, sure):
        self.said = joints, sure

    def estimate(self, pictures):
        return self.said


def test_shares_of_the_picture_become_pixels_of_the_frame():
    poses = look(FRAME, CROPS, Says(MIDDLE.tolist(), SURE.tolist()))
    assert [pose.joints_px[0].tolist() for pose in poses] == [[10.0, 10.0], [25.0, 25.0]]


def test_joints_that_an_estimator_lacks_may_be_nan():
    lacks = np.arange(13) == 2
    said = Says(np.where(lacks[:, None], np.nan, MIDDLE), np.where(lacks, 0.0, SURE))
    for pose in look(FRAME, CROPS, said):
        assert pose.seen.tolist() == (~lacks).tolist()
        assert np.isfinite(pose.joints_px).all()


@pytest.mark.parametrize(
    ("joints", "sure", "message"),
    [
        (MIDDLE[0], SURE[0], r"gave joints \(13, 2\) and confidences \(13,\); expected \(2, 13, 2"),
        (np.zeros((2, 13, 3)), SURE, r"gave joints \(2, 13, 3\)"),
        (np.zeros((2, 17, 2)), np.ones((2, 17)), "of skeleton penn_action"),
        (MIDDLE, SURE[..., None], r"confidences \(2, 13, 1\)"),
        (np.where(np.arange(13)[:, None] == 2, np.nan, MIDDLE), SURE, "the confidence 0"),
        (MIDDLE, np.where(np.arange(13) == 2, np.nan, SURE), "the confidence 0"),
        (192 * MIDDLE, SURE, "up to 96: expected shares"),
    ],
)
@pytest.mark.usefixtures("unchecked")
def test_what_is_no_pose_is_explained(joints, sure, message):
    with pytest.raises(PosecastError, match=message):
        look(FRAME, CROPS, Says(joints, sure))
