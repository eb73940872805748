import pytest
import torch

from posecast.networks.hourglass import decode_joint_maps, draw_joint_maps


def test_blob_is_one_at_its_pixel_centre_and_zero_where_invisible():
    joints = torch.tensor([[[2.5 / 16, 5.5 / 16], [0.5, 0.5]]])
    maps = draw_joint_maps(joints, torch.tensor([[True, False]]), 16, sigma=1.5)
    assert maps[0, 0, 5, 2] == pytest.approx(1)
    assert maps[0, 0, 5, 3] == pytest.approx(torch.tensor(-0.5 / 1.5**2).exp())
    assert maps[0, 0, 7, 2] == pytest.approx(torch.tensor(-0.5 * 4 / 1.5**2).exp())
    assert maps[0, 1].abs().max() == 0


def test_invisible_joint_without_coordinates_gives_zeros():
    joints = torch.full((1, 1, 2), torch.nan)
    maps = draw_joint_maps(joints, torch.tensor([[False]]), 8, sigma=1.0)
    assert torch.equal(maps, torch.zeros(1, 1, 8, 8))


def test_decoding_returns_the_drawn_joints_between_pixels():
    joints = 0.06 + 0.88 * torch.rand(4, 13, 2, generator=torch.Generator().manual_seed(0))
    visible = torch.ones(4, 13, dtype=torch.bool)
    got, confidence = decode_joint_maps(draw_joint_maps(joints, visible, 32, sigma=1.5))
    assert (got - joints).abs().max() < 1e-4
    assert confidence.min() > 0.88
    assert confidence.max() <= 1


@pytest.mark.parametrize("x", [-0.02, 0.004, 0.015, 0.99, 1.02])
def test_decoding_is_exact_at_the_border(x):
    joints = torch.tensor([[[x, 0.4], [0.4, x]]])
    visible = torch.ones(1, 2, dtype=torch.bool)
    got, _ = decode_joint_maps(draw_joint_maps(joints, visible, 32, sigma=1.5))
    assert (got - joints).abs().max() < 1e-4


def test_decoding_of_wide_maps_keeps_x_and_y_apart():
    maps = torch.zeros(1, 1, 8, 16)
    maps[0, 0, 2, 12] = 0.6
    joints, confidence = decode_joint_maps(maps.to(torch.bfloat16))
    assert joints.flatten().tolist() == pytest.approx([12.5 / 16, 2.5 / 8], abs=1e-6)
    assert confidence.item() == pytest.approx(0.6, abs=2e-3)


@pytest.mark.parametrize("value", [0.0, -0.3, 2.0])
def test_flat_maps_give_finite_joints(value):
    joints, confidence = decode_joint_maps(torch.full((1, 2, 8, 8), value))
    assert joints.isfinite().all()
    assert confidence.tolist() == [[min(max(value, 0), 1)] * 2]
