"""The motion network as a pose forecaster."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from benchmarks.motion_judged import limb_lengths
from motion.moving_people import MIRROR, people, swinging
from posecast.clips import SeenVideo
from posecast.errors import PosecastError
from posecast.forecasting.motion import MotionForecaster
from posecast.geometry import Crop
from posecast.motion.bones import IN_FORCE_FRAMES, SLACK, hold_limbs
from posecast.networks.motion_residual import MotionResidual, MotionResidualConfig
from posecast.skeletons import COCO, HUMAN36M, PENN_ACTION
from posecast.training.motion_windows import build_base


@pytest.fixture(scope="module")
def forecaster() -> MotionForecaster:
    """Weights that are random and small, so that all parts have a say."""
    torch.manual_seed(0)
    network = MotionResidual(MotionResidualConfig(width=16, blocks=2))
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.02)
    return MotionForecaster(network, build_base(people(30), MIRROR, {}, every_clip=2)[0])


def seen_video(frames: int, fps: float = 30.0) -> SeenVideo:
    joints = swinging(frames, 30, seed=50)
    return SeenVideo(joints, np.ones(joints.shape[:2], bool), fps, (200, 200))


@pytest.mark.parametrize("frames", [1, 2, 10, 95])
@pytest.mark.parametrize("fps", [10.0, 30.0, 50.0])
def test_any_past_at_any_rate_has_a_future(forecaster, frames, fps):
    seen = seen_video(frames, fps)

    forecast = forecaster.forecast_poses([seen], 40)[0]

    assert forecast.joints_px.shape == (1, 40, 13, 2)
    assert np.isfinite(forecast.joints_px).all()
    size = np.ptp(seen.joints_px[-1], axis=0).max()
    first_step = np.abs(forecast.joints_px[0, 0] - seen.joints_px[-1]).max()
    assert first_step < 0.2 * size * 30 / fps


@pytest.mark.parametrize("trimmed", [True, None, False])
def test_a_photo_is_of_somebody_at_rest_and_a_first_frame_where_an_action_begins(
    forecaster, trimmed
):
    one = replace(seen_video(1), trimmed=trimmed)
    rests = replace(one, **{n: getattr(one, n).repeat(3, axis=0) for n in ("joints_px", "visible")})
    photo, still = (each.joints_px for each in forecaster.forecast_poses([one, rests], 40))
    assert np.allclose(photo, still, atol=1e-3) == (trimmed is False)
    nobody_said, sure = (replace(one, trimmed=None), replace(rests, trimmed=None))
    radii = [forecaster.radii_px(each) for each in (one, nobody_said, sure)]
    np.testing.assert_array_equal(*radii[:2])  # as far off as one frame tells
    assert not np.allclose(radii[0], radii[2], atol=1e-3)


@pytest.mark.parametrize("skeleton", [COCO, HUMAN36M], ids=lambda each: each.name)
def test_other_skeletons_have_forecasts(skeleton):
    joints = np.arange(skeleton.num_joints) % 13
    tracks = [
        replace(each, joints_px=each.joints_px[:, joints], visible=each.visible[:, joints])
        for each in people(30)
    ]
    base = build_base(tracks, skeleton.mirror, {}, every_clip=2)[0]
    network = MotionResidual(MotionResidualConfig(skeleton.name, width=16, blocks=2))
    seen = SeenVideo(tracks[0].joints_px[:40], tracks[0].visible[:40], 25.0, (200, 200))

    forecast = MotionForecaster(network, base).forecast_poses([seen], 30, 3)[0]

    assert forecast.joints_px.shape == (3, 30, skeleton.num_joints, 2)
    assert np.isfinite(forecast.joints_px).all()


@pytest.mark.parametrize("reads", [False, True])
def test_clips_cut_to_one_action_are_forecast_otherwise_where_that_is_read(forecaster, reads):
    torch.manual_seed(0)
    network = MotionResidual(MotionResidualConfig(width=16, blocks=2, trimmed=reads))
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.02)
    told = MotionForecaster(network, forecaster.base)

    futures = [
        told.forecast_poses([replace(seen_video(40), trimmed=trimmed)], 30)[0].joints_px
        for trimmed in (None, False, True)
    ]

    assert [np.array_equal(futures[0], each) for each in futures] == [True, not reads, not reads]


def test_members_forecast_their_mean(forecaster):
    torch.manual_seed(3)
    pair = MotionResidual(MotionResidualConfig(width=16, blocks=2, members=2))
    for parameter in pair.parameters():
        torch.nn.init.normal_(parameter, std=0.02)
    seen, both = seen_video(40), []
    for member in pair.members:
        single = MotionResidual(MotionResidualConfig(width=16, blocks=2))
        single.members[0] = member
        alone = MotionForecaster(single, forecaster.base).forecast_poses([seen], 64)[0]
        both.append(alone.joints_px)

    found = MotionForecaster(pair, forecaster.base).forecast_poses([seen], 64)[0]

    np.testing.assert_allclose(found.joints_px, np.mean(both, axis=0), atol=0.05)


def test_neither_crop_nor_picture_is_looked_at(forecaster):
    seen = seen_video(40)
    other = replace(seen, crop=Crop(50, 60, 90, 120), image_hw=(700, 900))

    mine, same = (forecaster.forecast_poses([each], 64)[0] for each in (seen, other))

    np.testing.assert_array_equal(mine.joints_px, same.joints_px)


def test_a_larger_picture_has_a_larger_forecast(forecaster):
    seen = seen_video(40)
    larger = replace(seen, joints_px=seen.joints_px * 4 + 300)

    mine, other = (forecaster.forecast_poses([each], 64)[0] for each in (seen, larger))

    np.testing.assert_allclose(other.joints_px, mine.joints_px * 4 + 300, atol=0.5)


def test_coordinates_of_hidden_joints_are_not_looked_at(forecaster):
    seen = seen_video(40)
    seen.visible[20:, 4] = seen.visible[:, 7] = False
    nonsense = np.where(seen.visible[..., None], seen.joints_px, np.nan)

    mine, other = (
        forecaster.forecast_poses([each], 64)[0]
        for each in (seen, replace(seen, joints_px=nonsense))
    )

    np.testing.assert_array_equal(mine.joints_px, other.joints_px)
    assert not mine.visible[:, 7].any()
    assert mine.visible[:, 4].all()


def test_several_futures_differ_and_repeat(forecaster):
    seen = seen_video(20)

    first, again = (forecaster.forecast_poses([seen], 30, 12)[0] for _ in range(2))
    one = forecaster.forecast_poses([seen], 30)[0]

    np.testing.assert_array_equal(first.joints_px, again.joints_px)
    np.testing.assert_array_equal(first.joints_px[:1], one.joints_px)
    assert first.joints_px.shape == (12, 30, 13, 2)
    for count in (1, 2, 3, 12):  # the likeliest first
        weights = forecaster.forecast_poses([seen], 5, count)[0].weights
        assert weights.sum() == pytest.approx(1)
        assert (weights[0] > weights[1:]).all()
    apart = np.linalg.norm(first.joints_px[:, None] - first.joints_px[None], axis=-1)
    assert (apart.mean(axis=(2, 3)) + np.eye(12) > 0.1).all()


def test_a_repeated_motion_goes_on_for_long(forecaster):
    joints = swinging(130, 26, seed=50)
    seen = SeenVideo(joints, np.ones(joints.shape[:2], bool), 30.0, (200, 200))

    future = forecaster.forecast_poses([seen], 1000)[0].joints_px[0]

    moved = np.linalg.norm(np.diff(future, axis=0), axis=-1).mean(axis=1)
    true = np.linalg.norm(np.diff(joints, axis=0), axis=-1).mean()
    assert (moved[200:].reshape(-1, 47).mean(axis=1) > 0.5 * true).all()
    assert np.abs(future[300:] - joints.mean(axis=0)).max() < 60


def test_a_motion_seen_once_neither_freezes_nor_leaves(forecaster):
    seen = seen_video(12)
    size = np.ptp(seen.joints_px[-1], axis=0).max()

    future = forecaster.forecast_poses([seen], 1000)[0].joints_px[0]

    assert np.linalg.norm(np.diff(future, axis=0), axis=-1).mean(axis=1)[800:].max() > 0.1
    away = np.linalg.norm(future.mean(axis=1) - seen.joints_px[-1].mean(axis=0), axis=-1)
    assert away.max() < 4 * size


def test_a_motion_seen_once_comes_to_rest_where_it_need_not_be_lively(forecaster):
    calm = MotionForecaster(forecaster._network, forecaster.base, lively=False)
    seen = seen_video(12)

    future, lively = (
        each.forecast_poses([seen], 600)[0].joints_px[0] for each in (calm, forecaster)
    )

    np.testing.assert_array_equal(future[:64], lively[:64])
    size = np.ptp(seen.joints_px[-1], axis=0).max()
    np.testing.assert_allclose(future[-1], seen.joints_px[-1], atol=0.03 * size)
    assert np.abs(np.diff(future[300:], axis=0)).max() < 1e-3 * size
    assert np.abs(np.diff(lively[300:], axis=0)).max() > 1e-2 * size


def test_limbs_grow_no_longer_than_they_were_seen():
    past = swinging(64, 25)
    future = past * np.linspace(1, 3, 64)[:, None, None].astype(np.float32)
    visible = np.ones(past.shape[:2], bool)

    held = hold_limbs(future, past, visible, PENN_ACTION)

    single = [number for number, limb in enumerate(PENN_ACTION.limbs) if len(limb[1]) == 1]
    longest = SLACK * limb_lengths(past, PENN_ACTION).max(axis=0)[single]
    asked, found = (limb_lengths(each, PENN_ACTION)[:, single] for each in (future, held))
    yet = np.exp(-np.arange(1, 65) / IN_FORCE_FRAMES)[:, None]
    assert (found <= yet * asked + (1 - yet) * longest + 1e-3).all()
    assert (asked > 1.5 * longest).any()
    np.testing.assert_allclose(hold_limbs(past, past, visible, PENN_ACTION), past, rtol=0.3)


def test_a_last_pose_with_a_limb_too_long_is_not_left_at_once():
    past = swinging(40, 25)
    past[-1, 3] += 200
    future = np.repeat(past[-1:], 30, axis=0)

    held = hold_limbs(future, past, np.ones(past.shape[:2], bool), PENN_ACTION)

    off = np.linalg.norm(held - future, axis=-1)[:, 3]
    assert off[0] < 0.15 * off[-1]
    assert off[-1] > 100


def test_nine_tenths_need_a_wider_radius_than_half(forecaster):
    forecaster._network.members[0].widening[1] = 1.0

    half, most = forecaster.radii_px(seen_video(40))

    assert half.shape == (64, 13)
    assert (most > half).all()


def test_nobody_seen_is_an_error(forecaster):
    seen = seen_video(10)
    seen.visible[:] = False

    with pytest.raises(PosecastError, match="no joint is visible"):
        forecaster.forecast_poses([seen], 10)


@pytest.mark.parametrize("fps", [25.0, 60.0])
def test_a_joint_that_single_frames_show_is_where_they_show_it(forecaster, fps):
    """None of our 30 frames a second lies on a frame of the video that shows it."""
    seen = seen_video(40, fps)
    seen.visible[:, 4] = False
    seen.visible[[11, 27], 4] = True
    seen.joints_px[:, 4] = 500.0

    poses = forecaster.forecast_poses([seen], 10)[0]

    assert poses.visible[:, 4].all()
    assert np.abs(poses.joints_px[0, 0, 4] - 500.0).max() < 20


def test_a_joint_seen_long_ago_alone_is_where_it_was_seen(forecaster):
    seen = seen_video(1000)
    seen.visible[50:, 4] = False
    seen.joints_px[:, 4] = 500.0

    poses = forecaster.forecast_poses([seen], 10)[0]

    assert np.abs(poses.joints_px[0, 0, 4] - 500.0).max() < 20
