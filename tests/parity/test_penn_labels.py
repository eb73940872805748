"""All 2,326 real label files: what can be used, the splits, the 2017 lists, the prepared store."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from posecast.clips import ClipError
from posecast.datasets.penn_action import ABSENT_FROM_2017_TRAINING, PAPER_ACTIONS, PennAction
from posecast.store.reading import ClipSelection, Store

NO_VISIBLE_JOINT = "1516"
PREPARE = """
from pathlib import Path
from posecast.datasets.penn_action import PennAction
from posecast.store.preparation import prepare
prepare(PennAction(Path("raw")), Path("store"))
"""


@pytest.fixture(scope="module")
def root(shared: Path) -> Path:
    return shared / "data" / "penn_action"


@pytest.fixture(scope="module")
def store(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Store:
    """All real labels, without any frame; in a process of its own, without run-time checks."""
    folder = tmp_path_factory.mktemp("penn")
    (folder / "raw").mkdir()
    (folder / "raw" / "labels").symlink_to(root / "labels")
    subprocess.run([sys.executable, "-c", PREPARE], cwd=folder, check=True, timeout=120)
    return Store.open(folder / "store")


def ids_of(store: Store, split: str, actions: tuple[str, ...] = ()) -> set[str]:
    return {
        clip.clip_id
        for clip in store.clips
        if clip.official_split == split and (not actions or clip.action in actions)
    }


def listed(root: Path, name: str) -> set[str]:
    return {Path(line).name for line in (root / f"{name}_list.txt").read_text().split()}


def test_the_clip_without_a_visible_joint_is_refused(root):
    with pytest.raises(ClipError, match="clip 1516: no joint is visible"):
        PennAction(root).read_poses(NO_VISIBLE_JOINT)


def test_splits_and_paper_actions_match_the_2017_lists(root, store):
    train = ids_of(store, "train") | {NO_VISIBLE_JOINT}
    assert train == listed(root, "train")
    assert len(train) == 1258
    assert ids_of(store, "test") == listed(root, "test")
    test_of_eight = ids_of(store, "test", PAPER_ACTIONS)
    assert test_of_eight == listed(root, "test_subset")
    assert len(test_of_eight) == 489


def test_the_31_clips_that_the_2017_training_list_lacks(root, store):
    of_eight = ids_of(store, "train", PAPER_ACTIONS)
    assert len(of_eight) == 642
    assert of_eight - listed(root, "train_subset") == set(ABSENT_FROM_2017_TRAINING)
    assert len(ABSENT_FROM_2017_TRAINING) == 31
    assert {store.clip(name).action for name in ABSENT_FROM_2017_TRAINING} == {"baseball_pitch"}


def test_values_are_sane(store):
    """Wrapped unsigned numbers would stand out by 255 or 65,535 pixels."""
    for clip in store.clips:
        height, width = clip.image_hw
        seen = clip.joints_px[clip.visible]
        assert seen.min() > -180, clip.clip_id
        assert (seen.max(axis=0) < (width + 180, height + 180)).all(), clip.clip_id
        x1, y1, x2, y2 = clip.box_px
        assert min(x1, y1) > -180, clip.clip_id
        assert x2 < width + 180, clip.clip_id
        assert y2 < height + 180, clip.clip_id
        assert 200 < height < 500, clip.clip_id
        assert 200 < width < 500, clip.clip_id


@pytest.mark.parametrize("clip_id", ["1154", "1865"])
def test_the_missing_box_is_the_one_before(root, clip_id):
    clip = PennAction(root).read_poses(clip_id)
    assert len(clip.boxes_px) == clip.num_frames
    np.testing.assert_array_equal(clip.boxes_px[-1], clip.boxes_px[-2])


def test_reader_gives_the_labels_half_a_pixel_less(golden, root):
    old = golden("preprocess_penn")
    names = {key.split("/")[0] for key in old if "/in_x" in key}
    assert len(names) == 48
    for name in names - {NO_VISIBLE_JOINT}:
        clip = PennAction(root).read_poses(name)
        labels = np.stack([old[f"{name}/in_x"], old[f"{name}/in_y"]], axis=-1).astype(float)
        np.testing.assert_array_equal(clip.joints_px, labels - 0.5, err_msg=name)
        np.testing.assert_array_equal(clip.visible, old[f"{name}/visibility"] > 0)
        boxes = old[f"{name}/in_bbox"].astype(float) - 0.5
        np.testing.assert_array_equal(clip.boxes_px[: len(boxes)], boxes, err_msg=name)
        height, width, _ = old[f"{name}/dimensions"].ravel().tolist()
        assert clip.image_hw == (height, width)


def test_all_but_one_clip_are_prepared(store, root):
    assert list(store.left_out()) == [NO_VISIBLE_JOINT]
    assert {clip.clip_id for clip in store.clips} | {NO_VISIBLE_JOINT} == set(
        PennAction(root).clip_ids()
    )
    assert len(store.clips) == 2325
    assert not any(clip.has_frames for clip in store.clips)


def test_validation_is_held_out_of_each_action(store):
    train, validation = (
        {clip.clip_id for clip in store.select(ClipSelection(split=split))}
        for split in ("train", "validation")
    )
    assert (len(train), len(validation)) == (1142, 115)  # 116 with the clip that is left out
    assert train | validation == ids_of(store, "train")
    for action in {clip.action for clip in store.clips}:
        of_action = ids_of(store, "train", (action,))
        assert max(of_action & train) < min(of_action & validation), action
        assert len(of_action & validation) == round(0.092 * len(of_action)), action


def test_crops_equal_the_2017_ones(store, golden):
    old = golden("preprocess_penn_boxes")
    for clip_id, box, patch_hw in zip(
        old["clips"].tolist(), old["box_first"].tolist(), old["patch_hw"].tolist(), strict=True
    ):
        if clip_id != NO_VISIBLE_JOINT:
            crop = store.clip(clip_id).crop
            assert [crop.x1, crop.y1] == box[:2], clip_id
            assert list(crop.hw) == patch_hw, clip_id


def test_the_pose_training_clips_of_the_paper(store):
    selection = ClipSelection(actions=PAPER_ACTIONS, without=ABSENT_FROM_2017_TRAINING)
    train = store.select(selection)
    validation = store.select(
        ClipSelection("validation", PAPER_ACTIONS, without=ABSENT_FROM_2017_TRAINING)
    )
    assert len(train) + len(validation) == 611
