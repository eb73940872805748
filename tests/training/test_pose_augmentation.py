"""Poses varied for training: mirrored, turned, scaled, shifted, noisy, hidden."""

import pytest
import torch
from test_pose import EVERYTHING_ON, a_batch

from posecast.clips import PoseBatch
from posecast.skeletons import PENN_ACTION
from posecast.training.pose_augmentation import PoseAugmentation, PoseAugmenter


def varied_by(augmenter, batch, seed, step):
    return augmenter.vary(batch, augmenter.draw(seed, step, batch.num_past))


def test_no_augmentation_changes_nothing():
    batch = a_batch()
    assert varied_by(PoseAugmenter(PoseAugmentation(), PENN_ACTION, 6), batch, 0, 0) is batch


def test_mirrored_rows_have_left_and_right_exchanged():
    batch = a_batch(rows=40)
    mirrored = varied_by(PoseAugmenter(PoseAugmentation(mirror=True), PENN_ACTION, 40), batch, 0, 0)
    left, right = PENN_ACTION.index("left_wrist"), PENN_ACTION.index("right_wrist")
    flip = torch.tensor([-1.0, 1.0])
    kept = [torch.equal(a, b) for a, b in zip(mirrored.joints_norm, batch.joints_norm, strict=True)]
    assert 5 < sum(kept) < 35
    for row in range(40):
        if not kept[row]:
            expected = batch.joints_norm[row, :, right] * flip
            assert torch.equal(mirrored.joints_norm[row, :, left], expected)
            assert torch.equal(mirrored.visible[row, :, left], batch.visible[row, :, right])


def test_rotation_scale_and_shift_keep_the_shape_of_the_motion():
    batch = a_batch()
    config = PoseAugmentation(scale=0.3, shift=0.2, rotation_degrees=20.0)
    varied = varied_by(PoseAugmenter(config, PENN_ACTION, 6), batch, seed=1, step=2)
    everywhere = torch.ones(6, 10, 13, dtype=torch.bool)
    seen = PoseBatch(batch.joints_norm, everywhere, 4)
    moved = varied_by(PoseAugmenter(config, PENN_ACTION, 6), seen, seed=1, step=2).joints_norm
    for row in range(6):
        before = torch.pdist(batch.joints_norm[row].reshape(-1, 2))
        after = torch.pdist(moved[row].reshape(-1, 2))
        ratio = (after.sum() / before.sum()).item()
        assert ratio != pytest.approx(1, abs=1e-3)
        torch.testing.assert_close(after, before * ratio, rtol=1e-4, atol=1e-5)
    assert torch.equal(varied.visible, batch.visible)
    assert not varied.joints_norm[~batch.visible].any()


def test_noise_and_hiding_touch_the_seen_frames_only():
    batch = a_batch(rows=50)
    config = PoseAugmentation(noise=0.1, hide=0.2)
    varied = varied_by(PoseAugmenter(config, PENN_ACTION, 50), batch, seed=0, step=0)
    assert torch.equal(varied.joints_norm[:, 4:], batch.joints_norm[:, 4:])
    assert torch.equal(varied.visible[:, 4:], batch.visible[:, 4:])
    hidden = (batch.visible & ~varied.visible).sum() / batch.visible[:, :4].sum()
    assert hidden.item() == pytest.approx(0.2, abs=0.04)
    difference = (varied.joints_norm - batch.joints_norm)[varied.visible][:, 0]
    assert difference[difference != 0].std().item() == pytest.approx(0.1, rel=0.1)


def test_processes_vary_their_rows_of_the_same_batch():
    batch = a_batch()
    config = EVERYTHING_ON.augmentation
    whole = varied_by(PoseAugmenter(config, PENN_ACTION, 6), batch, 3, 4)
    for rank in range(2):
        share = PoseBatch(batch.joints_norm[rank::2], batch.visible[rank::2], 4)
        varied = varied_by(PoseAugmenter(config, PENN_ACTION, 6, slice(rank, None, 2)), share, 3, 4)
        torch.testing.assert_close(varied.joints_norm, whole.joints_norm[rank::2])
        assert torch.equal(varied.visible, whole.visible[rank::2])


def test_impossible_augmentation():
    with pytest.raises(ValueError, match="noise is -1"):
        PoseAugmentation(noise=-1.0)
    with pytest.raises(ValueError, match="hide is 1"):
        PoseAugmentation(hide=1.0)
