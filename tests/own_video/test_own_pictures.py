"""Pictures of an own video that goes on: at its own rate, what was drawn pasted into its frames."""

import numpy as np
import pytest

from posecast.forecasting.forecaster import Forecaster
from posecast.geometry import Crop, cut_crop
from posecast.media import videos
from posecast.own_video.forecast import forecast_video
from posecast.own_video.pictures import paste
from posecast.own_video.poses import EstimatedPoses, OwnVideoConfig
from red_people import LooksBack, RedEstimator, box_at, frame_with, write_video

RED = EstimatedPoses(RedEstimator())


def test_what_the_drawer_left_alone_stays_to_the_bit():
    picture = np.random.default_rng(0).integers(0, 255, (60, 80, 3), np.uint8)
    crop = Crop(10, 5, 50, 45)
    still = cut_crop(picture, crop, 20, "area")
    patch = still.copy()
    patch[8:12, 8:12] = 255
    pasted = paste(picture, patch, crop, still)
    changed = np.argwhere((pasted != picture).any(axis=-1))
    assert len(changed) > 30
    # 4 x 4 patch pixels are 8 x 8 of the picture, softened by a patch pixel on each side.
    np.testing.assert_array_less([5 + 13, 10 + 13], changed.min(axis=0))
    np.testing.assert_array_less(changed.max(axis=0), [5 + 26, 10 + 26])
    np.testing.assert_array_equal(paste(picture, still, crop, still), picture)


@pytest.mark.parametrize("fps", [24.0, 25.0, 30000 / 1001, 50.0, 60.0, 120.0])
def test_a_video_goes_on_at_its_own_rate(tmp_path, fps):
    """Of fast ones each forecast frame is shown as long as it lasts."""
    frames = [frame_with(box_at(t // 4)) for t in range(48)]
    video = write_video(tmp_path / "a.mp4", frames, fps)
    forecaster = Forecaster(LooksBack())
    out = tmp_path / "out.mp4"
    result = forecast_video(video, forecaster, RED, out, OwnVideoConfig(steps=6))
    seen, shown = videos.probe_video(video), videos.probe_video(out)
    assert shown.fps == pytest.approx(seen.fps, abs=1e-3)
    until = min(round(result.seen_to_s * fps) + 1, 48)
    assert 48 - until < fps / 24
    assert shown.num_frames == until + 6 * round(fps / result.fps)


def test_the_patch_blends_into_the_picture():
    picture = np.full((100, 160, 3), 50, np.uint8)
    patch = np.full((10, 10, 3), 250, np.uint8)
    pasted = paste(picture, patch, Crop(20, 30, 70, 80))
    assert (pasted[35:75, 25:65] == 250).all()
    assert 50 < pasted[50, 20, 0] < 150
    outside = pasted.copy()
    outside[30:80, 20:70] = 50
    assert (outside == 50).all()
    assert (picture == 50).all()


def test_at_the_edge_of_the_picture_there_is_nothing_to_blend_into():
    picture = np.full((100, 160, 3), 50, np.uint8)
    patch = np.full((10, 10, 3), 250, np.uint8)
    pasted = paste(picture, patch, Crop(-20, -20, 60, 60))
    assert (pasted[:50, :50] == 250).all()
    assert 50 < pasted[59, 10, 0] < 150
    whole = paste(picture, patch, Crop(-30, -10, 170, 190))
    assert (whole == 250).all()


def test_the_right_part_of_the_patch_is_shown():
    patch = np.zeros((8, 8, 3), np.uint8)
    patch[4:, 4:] = 200  # lower right quarter
    pasted = paste(np.zeros((40, 40, 3), np.uint8), patch, Crop(-20, -20, 20, 20))
    assert pasted[5:14, 5:14].min() > 150
    assert pasted[25:].max() == 0
