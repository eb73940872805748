"""Heat maps against the 2017 maps, which were drawn at crop size and resized by OpenCV.

The 2017 code took a coordinate as a pixel index; pixel i has its centre at i + 0.5, so its
numbers are put half a pixel further here. Rounding alone then separates the two.
"""

import numpy as np
import pytest
import torch

from posecast.heatmaps import draw_heatmaps
from posecast.skeletons import HUMAN36M, PENN_ACTION, Skeleton

PENN = [("heatmaps_penn", i) for i in range(6)] + [("heatmaps_penn_b", i) for i in range(6, 12)]


def draw(x, y, visible, hw, skeleton: Skeleton) -> np.ndarray:
    """Maps (128, 128, c) of one pose given in 2017 numbers."""
    places = (np.stack([x, y], axis=-1) + 0.5) / np.array([hw[1], hw[0]])
    maps = draw_heatmaps(
        torch.tensor(places[None], dtype=torch.float32),
        torch.tensor(np.asarray(visible)[None] > 0),
        torch.tensor(np.asarray(hw)[None], dtype=torch.float32),
        skeleton,
        128,
    )
    return maps[0].permute(1, 2, 0).numpy()


def sampled(maps: np.ndarray, idx: np.ndarray) -> np.ndarray:
    return maps[tuple(idx.T)]


@pytest.mark.parametrize(("file", "number"), PENN)
def test_penn_maps(golden, file, number):
    old = golden(file)
    x, y, visible, hw = (old[f"p{number:02}/{k}"] for k in ("x", "y", "visibility", "crop_hw"))
    maps = draw(x, y, visible, hw, PENN_ACTION)
    exact, idx = old[f"p{number:02}/val_f32"], old[f"p{number:02}/idx"]
    np.testing.assert_allclose(sampled(maps, idx), exact, atol=1e-5)
    np.testing.assert_allclose(maps, old[f"p{number:02}/heat_f16"].astype(float), atol=6e-4)
    np.testing.assert_allclose(maps.sum((0, 1)), old[f"p{number:02}/chan_sum"], atol=1e-3)
    np.testing.assert_allclose(maps.max((0, 1)), old[f"p{number:02}/chan_max"], atol=1e-5)


def test_the_comparison_sees_a_tenth_of_a_pixel(golden):
    old = golden("heatmaps_penn")
    x, y, visible, hw = (old[f"p00/{k}"] for k in ("x", "y", "visibility", "crop_hw"))
    moved = draw(x + 0.1, y, visible, hw, PENN_ACTION)
    assert abs(sampled(moved, old["p00/idx"]) - old["p00/val_f32"]).max() > 5e-3


def test_far_joints_are_zero_where_2017_was_not_a_number(golden):
    old = golden("heatmaps_penn_nan")
    for i in range(2):
        maps = draw(old["x"][i], old["y"][i], old["visibility"][i], old["crop_hw"], PENN_ACTION)
        nan = old["nan_channels"][i]
        assert bool((maps[..., nan] == 0).all())
        found, largest = maps.max((0, 1))[~nan], old["chan_max"][i][~nan]
        np.testing.assert_allclose(found, largest, atol=1e-5)
    assert old["nan_channels"].any()


@pytest.mark.parametrize("case", [f"c{box}_t{t}" for box in range(4) for t in range(2)])
def test_human36m_maps_with_rows_down_and_columns_across(golden, case):
    """Training swapped the canvas of a box that is not square (deviations.md 23); testing did
    not."""
    old = golden("heatmaps_h36m")
    x1, y1, x2, y2 = old[f"{case}/box"].tolist()
    hw = (y2 - y1, x2 - x1)
    maps = draw(old[f"{case}/posex"], old[f"{case}/posey"], np.ones(32), hw, HUMAN36M)
    right = sampled(maps, old[f"{case}/test_idx"]) - old[f"{case}/test_val_f32"]
    swapped = sampled(maps, old[f"{case}/idx"]) - old[f"{case}/val_f32"]
    assert abs(right).max() < 1e-5
    assert (abs(swapped).max() < 1e-5) == (hw[0] == hw[1])


def test_maps_of_forecast_poses(golden):
    """test_time_penn: poses at the crop's true size, drawn as at test time (deviations.md 15,
    16)."""
    old = golden("test_time_penn")
    for t in (0, 4, 9, 10, 11):
        x, y, visible = (old[f"out_{k}"][t] for k in ("x", "y", "visibility"))
        maps = draw(x, y, visible, old["img_hw"], PENN_ACTION)
        exact = old[f"t{t:02}/val_f32"]
        np.testing.assert_allclose(sampled(maps, old[f"t{t:02}/idx"]), exact, atol=1e-5)
