"""The real person who ships is found and followed by the shipped estimator."""

import numpy as np

from posecast.estimation import EstimatorOptions, PoseEstimator, follow
from posecast.media.videos import probe_video, read_video
from posecast.sample import SAMPLE
from posecast.skeletons import PENN_ACTION


def test_the_sample_is_credited():
    assert "10.5281/zenodo.12921216" in SAMPLE.with_name("CREDITS.md").read_text(encoding="utf-8")
    info = probe_video(SAMPLE)
    assert (info.width, info.height) == (640, 360)


def test_the_man_is_found_and_followed_through_his_squats():
    estimator = PoseEstimator.pretrained(options=EstimatorOptions(mirror=False, device="cpu"))
    followed = follow(list(read_video(SAMPLE))[::3], estimator)
    assert followed.found.all()
    assert followed.people is None  # nobody else
    hips = [PENN_ACTION.index(f"{side}_hip") for side in ("left", "right")]
    ankles = [PENN_ACTION.index(f"{side}_ankle") for side in ("left", "right")]
    height = (followed.joints_px[:, ankles, 1] - followed.joints_px[:, hips, 1]).mean(axis=1)
    assert height.min() < 0.75 * height.max()  # down, and up again
    assert np.ptp(followed.joints_px[:, ankles].mean(axis=1), axis=0).max() < 40
