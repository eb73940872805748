"""Arrays that look alike and are something else: said, not measured."""

import numpy as np
import pytest

from posecast.errors import PosecastError
from posecast.metrics.image import psnr, ssim
from posecast.metrics.perceptual import lpips
from posecast.metrics.pose import joint_distances

FRAMES = np.zeros((2, 16, 16, 3), np.uint8)
JOINTS = np.zeros((2, 13, 2))


pytestmark = pytest.mark.usefixtures("unchecked")


@pytest.mark.parametrize("metric", [psnr, ssim, lambda p, t: lpips(p, t, lambda _: [], [])])
@pytest.mark.parametrize(
    ("predicted", "true"),
    [
        (FRAMES / 255, FRAMES / 255),
        (FRAMES, FRAMES[:1]),
        (FRAMES[0], FRAMES[0]),
        (FRAMES[None], FRAMES[None]),
        (FRAMES, FRAMES[:, :8]),
        (FRAMES[..., :1], FRAMES[..., :1]),
    ],
)
def test_frames_are_bytes_and_as_many_on_both_sides(metric, predicted, true):
    with pytest.raises(PosecastError, match=r"expected two of uint8 \(t, h, w, 3\)"):
        metric(predicted, true)


def test_small_frames_have_no_ssim():
    with pytest.raises(PosecastError, match="smaller than the window of SSIM"):
        ssim(FRAMES[:, :10], FRAMES[:, :10])


@pytest.mark.parametrize(
    ("predicted", "true"),
    [(JOINTS[None], JOINTS), (JOINTS, JOINTS[:1]), (JOINTS[None], JOINTS[None])],
)
def test_poses_are_one_future_of_as_many_frames(predicted, true):
    with pytest.raises(PosecastError, match="one future at a time"):
        joint_distances(predicted, true, 100.0)


@pytest.mark.parametrize("length", [0.0, -1.0, np.nan])
def test_distances_are_shares_of_a_length(length):
    with pytest.raises(PosecastError, match="must be positive"):
        joint_distances(JOINTS, JOINTS, length)
