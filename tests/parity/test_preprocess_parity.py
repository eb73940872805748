"""Crops and joints against what the 2017 pre-processing stored.

Known differences, each tested below: the 2017 boxes may reach beyond the image (deviations.md 20),
its
joints are off by the box corner where the padded box began outside (21), whole-number labels wrap
(22), and its joints count a label as a pixel index: they are half a pixel further than ours.
"""

from pathlib import Path

import cv2
import numpy as np
import pytest
from scipy.io import loadmat

from posecast.geometry import (
    Crop,
    crop_to_px,
    cut_crop,
    norm_to_crop,
    px_to_crop,
    tube_crop,
    unflatten_joints,
    union_crop,
)


def to_px(labels: np.ndarray) -> np.ndarray:
    """1-based pixel numbers to continuous coordinates."""
    return labels.astype(np.float64) - 0.5


def image_hw(dimensions: np.ndarray) -> tuple[int, int]:
    height, width = dimensions.ravel()[:2].tolist()
    return height, width


def names(old: dict[str, np.ndarray], key: str) -> list[str]:
    return sorted(name.split("/")[0] for name in old if name.endswith(key))


def extent(boxes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Corners of the union of the rounded label boxes."""
    rounded = np.round(boxes.astype(np.float64)).astype(int)
    return rounded[:, :2].min(axis=0), rounded[:, 2:].max(axis=0)


def wrong_corner(boxes: np.ndarray) -> np.ndarray:
    """For x and y, how much the 2017 labels are too small (deviations.md 21).

    The unpadded corner was taken off where the padded one lay outside; only the widened axis was
    clamped before.
    """
    low, high = extent(boxes)
    widened = (high - low) < (high - low).max()
    return np.where((low - 5 < 0) & ~widened, low, 0)


def wrap(dtype: np.dtype) -> int:
    """What a negative result gained when it was stored back into whole-number labels."""
    return 2 ** (8 * dtype.itemsize) if dtype.kind == "u" else 0


def test_penn_crops_and_joints_of_48_clips(golden):
    old = golden("preprocess_penn")
    touched = set()
    for clip in names(old, "/in_x"):
        x, y, boxes = (old[f"{clip}/in_{key}"] for key in ("x", "y", "bbox"))
        stored, patch_hw = old[f"{clip}/out_bbox"][0], old[f"{clip}/patch_hw"][0]
        crop = union_crop(to_px(boxes), image_hw(old[f"{clip}/dimensions"]))
        assert crop.hw == tuple(patch_hw), clip
        assert (crop.x1, crop.y1) == tuple(stored[:2]), clip

        joints_px = to_px(np.stack([x, y], axis=-1))
        ours = px_to_crop(joints_px, crop) * np.array([crop.width, crop.height])
        theirs = np.stack([old[f"{clip}/out_x"], old[f"{clip}/out_y"]], axis=-1).astype(float)
        expected = ours + 0.5 - wrong_corner(boxes)
        wrapped = theirs - expected > 1
        expected += wrapped * np.array([wrap(x.dtype), wrap(y.dtype)])
        np.testing.assert_allclose(theirs, expected, atol=1e-9, err_msg=clip)
        assert not (wrapped.any(axis=-1) & (old[f"{clip}/visibility"] > 0)).any(), clip
        touched |= {"corner"} if wrong_corner(boxes).any() else set()
        touched |= {"wrapped"} if wrapped.any() else set()
        touched |= {"beyond the image"} if tuple(stored[2:]) != (crop.x2, crop.y2) else set()
    assert touched == {"corner", "wrapped", "beyond the image"}
    assert len(names(old, "/in_x")) == 48


@pytest.fixture(scope="module")
def labels(shared: Path) -> dict[str, dict[str, np.ndarray]]:
    """Raw arrays of all 2,326 label files."""
    keys = ["x", "y", "bbox", "dimensions"]
    files = sorted((shared / "data" / "penn_action" / "labels").glob("*.mat"))
    return {file.stem: loadmat(str(file), variable_names=keys) for file in files}


def test_penn_crops_of_half_of_all_clips(golden, labels):
    old = golden("preprocess_penn_boxes")
    assert len(old["clips"]) == 1163
    wrapped = 0
    for i, clip in enumerate(old["clips"].tolist()):
        label, stored = labels[clip], old["box_first"][i]
        height, width = image_hw(label["dimensions"])
        crop = union_crop(to_px(label["bbox"]), (height, width))
        assert crop.hw == tuple(old["patch_hw"][i]), clip
        assert (crop.x1, crop.y1) == tuple(stored[:2]), clip
        assert (crop.x2, crop.y2) == (min(stored[2], width), min(stored[3], height)), clip
        for axis, key in enumerate("xy"):
            ours = to_px(label[key]) - (crop.x1, crop.y1)[axis]
            theirs = ours + 0.5 - wrong_corner(label["bbox"])[axis]
            theirs += (theirs < 0) * wrap(label[key].dtype)
            wrapped += bool((theirs > 1e3).any())
            assert theirs.sum() == pytest.approx(old[f"sum_{key}"][i], rel=1e-12), clip
    assert wrapped > 0
    np.testing.assert_array_equal(old["box_first"], old["box_last"])


def test_as_many_clips_are_touched_as_the_notes_say(labels):
    beyond, too_small = 0, np.zeros(2, int)
    for label in labels.values():
        low, high = extent(label["bbox"])
        unclamped = (high - low) == (high - low).max()
        beyond += bool((unclamped & (high + 5 > image_hw(label["dimensions"])[::-1])).any())
        too_small += wrong_corner(label["bbox"]) != 0
    assert len(labels) == 2326
    assert beyond == 493
    assert too_small.tolist() == [56, 366]


def test_resized_pictures(golden):
    for file in ("heatmaps_penn", "heatmaps_penn_b"):
        old = golden(file)
        assert names(old, "/crop_bgr_u8")
        for name in names(old, "/crop_bgr_u8"):
            patch = old[f"{name}/crop_bgr_u8"]
            height, width = patch.shape[:2]
            ours = cut_crop(patch, Crop(0, 0, width, height), 128)
            np.testing.assert_allclose(
                ours / 127.5 - 1, old[f"{name}/seq_f32"], atol=1e-6, err_msg=name
            )


def test_human36m_tubes(golden):
    """Boxes equal; joints up to the 2017 truncations of box and joint to whole pixels."""
    old = golden("preprocess_h36m")
    largest = 0.0
    for name in names(old, "/in_x"):
        joints_px = np.stack([old[f"{name}/in_x"], old[f"{name}/in_y"]], axis=-1)
        hw, pad = image_hw(old[f"{name}/img_hw"]), int(old[f"{name}/pad"])
        crop = tube_crop(joints_px, hw, pad)
        x1, y1, x2, y2 = old[f"{name}/box"].tolist()
        assert crop.hw == tuple(old[f"{name}/crop_hw"]), name
        assert (crop.x1, crop.y1) == (x1, y1), name
        assert (crop.x2, crop.y2) == (min(x2, hw[1]), min(y2, hw[0])), name

        ours = px_to_crop(joints_px, crop) * np.array([crop.width, crop.height])
        theirs = np.stack([old[f"{name}/out_x"], old[f"{name}/out_y"]], axis=-1)
        low = joints_px.min(axis=(0, 1))
        size = np.ptp(joints_px, axis=(0, 1))
        wrong_corner = (low - pad < 0) & (size == size.max())  # deviations.md 21, as for Penn
        shift = np.where(wrong_corner, low, 0)
        difference = ours - shift - theirs
        assert difference.min() > -1, name
        assert difference.max() < 2, name
        largest = max(largest, float(difference.max()))
    assert largest > 0.9  # the truncations are really there


def test_sizes_of_forecast_poses(golden):
    """Test time: shares of the crop times its size; 2017 took the stored box (deviations.md 16)."""
    old = golden("test_time_penn")
    x1, y1, x2, y2 = old["bbox"][0].tolist()
    joints_crop = norm_to_crop(unflatten_joints(old["lstm_output"][0]))
    theirs = np.stack([old["out_x"], old["out_y"]], axis=-1) + np.array([x1, y1])
    np.testing.assert_allclose(crop_to_px(joints_crop, Crop(x1, y1, x2, y2)), theirs, atol=1e-3)
    height, width = old["img_hw"].tolist()
    inside = crop_to_px(joints_crop, Crop(x1, y1, x1 + width, y1 + height)) - [x1, y1]
    stretched = inside * np.array([(x2 - x1) / width, (y2 - y1) / height])
    np.testing.assert_allclose(stretched, theirs - [x1, y1], atol=1e-3)
    assert (y2 - y1) != height


@pytest.mark.parametrize("size", [(300, 220), (97, 211)])
def test_cutting_and_resizing_is_the_resize_of_opencv(size):
    image = np.random.default_rng(1).integers(0, 255, (*size, 3)).astype(np.uint8)
    cut = cut_crop(image, Crop(10, 20, 90, 95), 64)
    np.testing.assert_array_equal(cut, cv2.resize(image[20:95, 10:90], (64, 64)))
