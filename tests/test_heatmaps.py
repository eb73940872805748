"""Known answers for the pictures of a pose."""

import numpy as np
import pytest
import torch

from posecast.heatmaps import draw_heatmaps, structure_points
from posecast.skeletons import HUMAN36M, PENN_ACTION

ALL = torch.ones(1, PENN_ACTION.num_joints, dtype=torch.bool)


def pose(**places: tuple[float, float]) -> torch.Tensor:
    """One pose with the named joints placed, the others in the middle."""
    joints = torch.full((1, PENN_ACTION.num_joints, 2), 0.5)
    for name, place in places.items():
        joints[0, PENN_ACTION.index(name)] = torch.tensor(place)
    return joints


def hiding(*names: str) -> torch.Tensor:
    visible = ALL.clone()
    visible[0, [PENN_ACTION.index(name) for name in names]] = False
    return visible


def test_four_points_along_a_limb():
    joints = pose(left_elbow=(0.1, 0.2), left_wrist=(0.4, 0.8))
    points, shown = structure_points(joints, ALL, PENN_ACTION)
    forearm = 4 * PENN_ACTION.limbs.index((("left_elbow",), ("left_wrist",)))
    expected = torch.tensor([[0.1, 0.2], [0.2, 0.4], [0.3, 0.6], [0.4, 0.8]])
    torch.testing.assert_close(points[0, forearm : forearm + 4], expected)
    assert bool(shown.all())


def test_an_end_of_two_joints_is_their_midpoint():
    joints = pose(left_shoulder=(0.2, 0.3), right_shoulder=(0.4, 0.1))
    points, _ = structure_points(joints, ALL, PENN_ACTION)
    torch.testing.assert_close(points[0, 3], torch.tensor([0.3, 0.2]))  # head to mid-shoulder


def test_a_limb_with_one_visible_end_shows_that_end_alone():
    joints = pose()
    joints[0, PENN_ACTION.index("left_shoulder")] = torch.nan
    _, shown = structure_points(joints, hiding("left_shoulder"), PENN_ACTION)
    assert shown[0, 0:4].tolist() == [True, False, False, False]  # head to mid-shoulder
    assert shown[0, 4:8].tolist() == [False, False, False, True]  # left to right shoulder


def test_invisible_joints_draw_nothing_whatever_their_numbers():
    joints = torch.full((1, 13, 2), torch.nan)
    maps = draw_heatmaps(joints, ~ALL, torch.tensor([[200.0, 180.0]]), PENN_ACTION, 32)
    assert maps.shape == (1, 48, 32, 32)
    assert bool((maps == 0).all())


def test_the_layout_in_memory_does_not_change_the_maps():
    joints = torch.rand(3, 13, 2, generator=torch.Generator().manual_seed(4))
    visible = torch.ones(3, 13, dtype=torch.bool)
    visible[1, 4] = False
    inputs = (joints, visible, torch.full((3, 2), 90.0), PENN_ACTION, 24)
    maps = draw_heatmaps(*inputs, channels_last=True)
    assert maps.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(maps, draw_heatmaps(*inputs))


def test_one_map_a_joint_where_the_skeleton_says_so():
    joints = torch.rand(2, 32, 2, generator=torch.Generator().manual_seed(1))
    visible = torch.ones(2, 32, dtype=torch.bool)
    maps = draw_heatmaps(joints, visible, torch.full((2, 2), 64.0), HUMAN36M, 64)
    found = maps.flatten(2).argmax(dim=2)
    places = torch.stack([found % 64, found // 64], dim=-1) + 0.5
    assert float((places / 64 - joints).abs().max()) <= 0.5 / 64


def test_at_crop_size_the_blob_is_the_plain_gaussian():
    joints = pose(head=(10.5 / 64, 20.5 / 64))
    maps = draw_heatmaps(joints, ALL, torch.tensor([[64.0, 64.0]]), PENN_ACTION, 64, sigma_px=3.0)
    y, x = np.mgrid[:64, :64]
    expected = np.exp(-((x - 10) ** 2 + (y - 20) ** 2) / (2 * 3.0**2))
    np.testing.assert_allclose(maps[0, 0].numpy(), expected, atol=1e-6)


def test_sigma_is_in_crop_pixels():
    joints = pose(head=(0.5, 0.5))
    maps = draw_heatmaps(joints, ALL, torch.tensor([[128.0, 512.0]]), PENN_ACTION, 128)
    across = (maps[0, 0].amax(dim=0) > np.exp(-0.5)).sum()
    down = (maps[0, 0].amax(dim=1) > np.exp(-0.5)).sum()
    assert int(down) == 4 * int(across) == 16


def test_a_joint_outside_marks_the_border_and_one_far_away_nothing():
    joints = pose(head=(0.5, -0.5), left_ankle=(0.5, 4.0))
    maps = draw_heatmaps(joints, ALL, torch.tensor([[128.0, 128.0]]), PENN_ACTION, 128)
    assert int(maps[0, 0].argmax()) // 128 == 0
    assert float(maps[0, 0].max()) == 1
    ankle = 4 * PENN_ACTION.limbs.index((("left_knee",), ("left_ankle",))) + 3
    assert bool((maps[0, ankle] == 0).all())
    assert bool(torch.isfinite(maps).all())


def test_each_sample_has_its_own_crop_size():
    generator = torch.Generator().manual_seed(2)
    joints = torch.rand(3, 13, 2, generator=generator)
    visible = torch.rand(3, 13, generator=generator) > 0.2
    hw = torch.tensor([[97.0, 211.0], [128.0, 128.0], [340.0, 220.0]])
    together = draw_heatmaps(joints, visible, hw, PENN_ACTION, 32)
    for i in range(3):
        alone = draw_heatmaps(*(x[i : i + 1] for x in (joints, visible, hw)), PENN_ACTION, 32)
        torch.testing.assert_close(together[i : i + 1], alone)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_joints_are_drawn_in_single_precision(dtype):
    maps = draw_heatmaps(
        pose(head=(0.25, 0.75)).to(dtype), ALL, torch.tensor([[64.0, 64.0]]), PENN_ACTION, 64
    )
    assert maps.dtype == torch.float32


def test_autocast_does_not_round_coordinates():
    joints = torch.rand(1, 13, 2, generator=torch.Generator().manual_seed(3))
    hw = torch.tensor([[300.0, 300.0]])
    exact = draw_heatmaps(joints, ALL, hw, PENN_ACTION, 64)
    with torch.autocast("cpu", torch.bfloat16):
        rounded = draw_heatmaps(joints, ALL, hw, PENN_ACTION, 64)
    torch.testing.assert_close(rounded, exact)
