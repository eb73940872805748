"""Known answers for crops and coordinate frames."""

import numpy as np
import pytest
import torch

from posecast import geometry
from posecast.geometry import Crop
from posecast.skeletons import PENN_ACTION

CROP = Crop(10, 20, 110, 70)
IMAGE_HW = (240, 320)


def boxes(*corners: tuple[float, float, float, float]) -> np.ndarray:
    return np.array(corners, np.float64)


def test_corners_and_centre_of_a_crop():
    points = np.array([[10.0, 20.0], [110.0, 70.0], [60.0, 45.0]])
    shares = geometry.px_to_crop(points, CROP)
    np.testing.assert_allclose(shares, [[0, 0], [1, 1], [0.5, 0.5]])
    np.testing.assert_allclose(geometry.crop_to_px(shares, CROP), points)
    np.testing.assert_allclose(geometry.crop_to_norm(shares), [[-1, -1], [1, 1], [0, 0]])
    np.testing.assert_allclose(geometry.norm_to_crop(geometry.crop_to_norm(shares)), shares)


def test_conversions_keep_the_number_type():
    points = np.zeros((3, 13, 2), np.float32)
    assert geometry.px_to_crop(points, CROP).dtype == np.float32
    assert geometry.crop_to_px(points, CROP).dtype == np.float32


@pytest.mark.parametrize("make", [np.asarray, torch.tensor])
def test_features_are_all_x_then_all_y(make):
    joints = make([[[1.0, 10.0], [2.0, 20.0], [3.0, 30.0]]])
    features = geometry.flatten_joints(joints)
    assert features.tolist() == [[1, 2, 3, 10, 20, 30]]
    assert geometry.unflatten_joints(features).tolist() == joints.tolist()


def test_flattening_the_wrong_axes_is_an_error():
    with pytest.raises(ValueError, match="joints"):
        geometry.flatten_joints(torch.zeros(4, 26))
    with pytest.raises(ValueError, match="features"):
        geometry.unflatten_joints(torch.zeros(4, 13))


@pytest.mark.parametrize("make", [np.asarray, torch.tensor])
def test_mirror_swaps_sides_and_leaves_its_input(make):
    joints, visible = make(np.random.default_rng(1).random((2, 13, 2))), make([[True] * 13] * 2)
    visible[:, PENN_ACTION.index("left_wrist")] = False
    before = joints.tolist()
    mirrored, shown = geometry.mirror_joints(joints, visible, PENN_ACTION)
    left, right = PENN_ACTION.index("left_wrist"), PENN_ACTION.index("right_wrist")
    assert joints.tolist() == before
    assert mirrored[0, right, 0] == 1 - joints[0, left, 0]
    assert mirrored[0, right, 1] == joints[0, left, 1]
    assert not shown[0, right]
    assert shown[0, left]
    again, _ = geometry.mirror_joints(mirrored, shown, PENN_ACTION)
    np.testing.assert_allclose(np.asarray(again), np.asarray(joints))


def test_union_crop_widens_the_shorter_side():
    # Labels 101..121 x 51..111: 30 wide and 70 high with the margin, widened by 20 on each side.
    crop = geometry.union_crop(boxes((100.5, 50.5, 120.5, 110.5)), IMAGE_HW)
    assert crop == Crop(76, 46, 146, 116)


def test_union_crop_puts_the_odd_pixel_right_and_below():
    tall = geometry.union_crop(boxes((100.5, 50.5, 120.5, 111.5)), IMAGE_HW)
    wide = geometry.union_crop(boxes((100.5, 50.5, 161.5, 70.5)), IMAGE_HW)
    assert (tall.x1, tall.x2) == (76, 147)
    assert (wide.y1, wide.y2) == (26, 97)


def test_union_crop_spans_all_frames_and_stays_inside_the_image():
    crop = geometry.union_crop(boxes((-9, 100, 40, 150), (200, 90, 335, 260)), IMAGE_HW)
    assert crop == Crop(0, 0, 320, 240)


@pytest.mark.parametrize("policy", [geometry.union_crop, geometry.seen_crop])
@pytest.mark.parametrize(
    ("bad", "message"),
    [(np.zeros((0, 4)), "at least one frame"), (np.full((2, 4), np.nan), "NaN|at least one")],
)
def test_crops_of_nothing_are_errors(policy, bad, message):
    with pytest.raises(ValueError, match=message):
        policy(bad, IMAGE_HW)


def test_a_box_outside_the_image_is_an_error():
    with pytest.raises(ValueError, match="inside the image"):
        geometry.union_crop(boxes((400, 20, 420, 60)), IMAGE_HW)


def test_tube_crop_of_square_extent():
    joints = np.array([[[100.0, 80.0], [150.0, 130.0]]])
    assert geometry.tube_crop(joints, IMAGE_HW) == Crop(80, 60, 170, 150)


def test_seen_crop_is_a_square_around_the_boxes():
    crop = geometry.seen_crop(boxes((100, 80, 140, 160)), IMAGE_HW, scale=1.5)
    assert crop == Crop(60, 60, 180, 180)


def test_seen_crop_moves_inside_before_it_reaches_outside():
    near_edge = geometry.seen_crop(boxes((0, 80, 40, 160)), IMAGE_HW, scale=1.5)
    large = geometry.seen_crop(boxes((100, 10, 140, 230)), IMAGE_HW, scale=1.4)
    assert near_edge == Crop(0, 60, 120, 180)
    assert large.hw == (308, 308)
    assert large.y1 <= 0
    assert large.y2 >= IMAGE_HW[0]
    assert large.x1 >= 0


def test_seen_crop_is_no_larger_than_the_image_needs():
    crop = geometry.seen_crop(boxes((0, 0, 320, 240)), IMAGE_HW, scale=3.0)
    assert crop.hw == (320, 320)


def test_seen_crop_passes_over_frames_without_a_person():
    found = boxes((100, 80, 140, 160))
    missed = np.concatenate([np.full((1, 4), np.nan), found])
    assert geometry.seen_crop(missed, IMAGE_HW) == geometry.seen_crop(found, IMAGE_HW)


@pytest.mark.parametrize("resize", ["linear", "area"])
def test_cutting_at_the_crops_own_size_copies_pixels(resize):
    image = np.random.default_rng(2).integers(0, 255, (60, 80, 3)).astype(np.uint8)
    cut = geometry.cut_crop(image, Crop(5, 7, 37, 39), 32, resize)
    np.testing.assert_array_equal(cut, image[7:39, 5:37])


def test_outside_of_the_image_repeats_its_edge():
    image = np.random.default_rng(3).integers(0, 255, (20, 20, 3)).astype(np.uint8)
    cut = geometry.cut_crop(image, Crop(-6, -4, 26, 28), 32)
    expected = np.pad(image, ((4, 8), (6, 6), (0, 0)), mode="edge")
    np.testing.assert_array_equal(cut, expected)


def test_area_averages_where_linear_skips():
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[:, ::4] = 200
    crop = Crop(0, 0, 64, 64)
    assert np.unique(geometry.cut_crop(stripes, crop, 16, "area")).tolist() == [50]
    assert geometry.cut_crop(stripes, crop, 16, "linear").max() == 0
