"""The prepared store: what is written is read back, single frames, selections, damage."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from posecast.clips import ClipError
from posecast.geometry import Crop
from posecast.records.versions import FormatVersionError
from posecast.store.files import StoreError, StoreInfo
from posecast.store.reading import ClipSelection, Store, StoredClip
from posecast.store.seen_windows import seen_and_future
from posecast.store.writing import hold_out_validation, store_writer, write_clip
from small_store import stored_clip

SIZE = 8
INFO = StoreInfo("penn_action", "penn_action", SIZE, "union", 5, 10, "linear", 0.5)


def make_clip(clip_id: str, action: str = "bowl", split: str = "train", t: int = 5) -> StoredClip:
    rng = np.random.default_rng(int(clip_id))
    joints = rng.uniform(5, 35, (t, 13, 2)).astype(np.float32)
    facts = {"action": action, "official_split": split, "image_hw": (40, 60)}
    facts |= {"crop": Crop(10, 5, 30, 35), "box_px": (12.5, 6.0, 28.0, 33.0)}
    return stored_clip(clip_id, joints, rng.random((t, 13)) < 0.7, **facts)


def pictures_of(clip: StoredClip) -> np.ndarray:
    rng = np.random.default_rng(1000 + int(clip.clip_id))
    return rng.integers(0, 256, (clip.num_frames, SIZE, SIZE, 3), dtype=np.uint8)


CLIPS = [
    make_clip("0001"),
    make_clip("0002", t=9),
    make_clip("0003", split="test"),
    make_clip("0004", "squat"),
    make_clip("0005", "squat", split="test"),
]
WITH_FRAMES = {"0002", "0003"}


def write_store(path: Path, clips: list[StoredClip] = CLIPS) -> Store:
    with store_writer(path, INFO) as writer:
        for clip in clips:
            has_frames = clip.clip_id in WITH_FRAMES
            write_clip(path, clip, iter(pictures_of(clip)) if has_frames else None)
        writer.finish({"0009": "no good"})
    return Store.open(path)


@pytest.fixture
def store(tmp_path) -> Store:
    return write_store(tmp_path / "store")


def test_clips_come_back_as_they_were_written(store):
    assert [clip.clip_id for clip in store.clips] == [clip.clip_id for clip in CLIPS]
    for read, written in zip(store.clips, CLIPS, strict=True):
        for field in dataclasses.fields(StoredClip):
            value = getattr(read, field.name)
            if field.name == "has_frames":
                assert value == (read.clip_id in WITH_FRAMES)
            elif field.name not in ("split", "trimmed"):
                np.testing.assert_array_equal(value, getattr(written, field.name))
    assert store.info == INFO
    assert store.size == SIZE
    assert store.skeleton.num_joints == 13
    assert store.left_out() == {"0009": "no good"}
    assert store.clip("0002").num_frames == 9


def test_derived_values_of_a_clip():
    clip = dataclasses.replace(CLIPS[0], joints_px=np.full((5, 13, 2), 20, np.float32))
    np.testing.assert_allclose(clip.joints_crop[0, 0], [0.5, 0.5])
    assert clip.box_side_px == 27.0


@pytest.mark.parametrize(
    "indices", [slice(None), slice(2, 8, 3), slice(7, 2, -1), [4], [5, 6, 7, 2, 2], [-1, 0], []]
)
def test_frames_are_the_ones_asked_for(store, indices):
    clip = store.clip("0002")
    np.testing.assert_array_equal(store.read_frames(clip, indices), pictures_of(clip)[indices])
    if isinstance(indices, list):
        numbers = np.array(indices, np.int64)
        np.testing.assert_array_equal(store.read_frames(clip, numbers), pictures_of(clip)[numbers])


@pytest.mark.parametrize(
    ("dataset", "trimmed"), [("penn_action", True), ("human36m", False), ("videos", None)]
)
def test_whether_clips_are_cut_to_one_action_goes_by_the_data_set(tmp_path, dataset, trimmed):
    store = write_store(tmp_path / "store")
    info = json.loads((store.path / "store.json").read_text()) | {"dataset": dataset}
    (store.path / "store.json").write_text(json.dumps(info))

    clip = Store.open(store.path).clips[0]

    assert clip.trimmed is trimmed
    assert seen_and_future(clip, 2, 2).past.trimmed is trimmed


def test_frames_files_are_plain_npy(store):
    array = np.load(store.path / "frames" / "0002.npy", mmap_mode="r")
    np.testing.assert_array_equal(array, pictures_of(store.clip("0002")))


def test_frames_that_are_not_there(store):
    with pytest.raises(IndexError):
        store.read_frames(store.clip("0002"), [9])
    with pytest.raises(StoreError, match="clip 0001 has poses but no frames"):
        store.read_frames(store.clip("0001"))


def test_reading_leaves_no_file_open(store):
    opened = Path("/proc/self/fd")
    if not opened.is_dir():
        pytest.skip("this system does not list open files")
    for _ in range(3):
        store.read_frames(store.clip("0002"), [0, 5])
    names = [each.readlink() for each in opened.iterdir() if each.is_symlink()]
    assert not [name for name in names if name.is_relative_to(store.path)]


def test_missing_unfinished_strange_and_newer_stores_say_so(tmp_path):
    with pytest.raises(StoreError, match="is absent: make it with 'posecast prepare"):
        Store.open(tmp_path / "absent")
    with pytest.raises(StoreError, match=r"it has no store\.json"):
        Store.open(tmp_path)
    with store_writer(tmp_path / "begun", INFO):
        write_clip(tmp_path / "begun", CLIPS[0], None)
    with pytest.raises(StoreError, match="is not finished: run the command"):
        Store.open(tmp_path / "begun")
    newer = write_store(tmp_path / "newer")
    content = json.loads((newer.path / "store.json").read_text())
    (newer.path / "store.json").write_text(json.dumps(content | {"format_version": 2}))
    with pytest.raises(FormatVersionError, match="version 2, this posecast reads up to 1"):
        Store.open(newer.path)


@pytest.mark.parametrize("name", ["store.json", "clips.jsonl", "poses.npz"])
@pytest.mark.parametrize("share", [0, 0.5])
def test_damaged_index_is_reported(store, name, share):
    path = store.path / name
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(StoreError, match=r"is damaged \(.*delete it and prepare it again"):
        Store.open(store.path)


def test_index_files_that_do_not_belong_together_are_reported(store):
    path = store.path / "clips.jsonl"
    lines = path.read_text().splitlines()
    path.write_text("\n".join(lines[1:]) + "\n")
    with pytest.raises(StoreError, match=r"clips\.jsonl and poses\.npz list different clips"):
        Store.open(store.path)
    path.write_text("\n".join([lines[0].replace('"crop": [10,', '"crop": [99,'), *lines[1:]]))
    with pytest.raises(StoreError, match=r"clips\.jsonl, clip 0001: empty crop"):
        Store.open(store.path)
    path.write_text("\n".join([lines[0].replace('"fps": 30.0, ', ""), *lines[1:]]))
    with pytest.raises(StoreError, match=r"clips\.jsonl, clip 0001: expected the keys"):
        Store.open(store.path)


def test_damaged_frames_are_reported_when_read(store):
    path = store.path / "frames" / "0002.npy"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(StoreError, match=r"0002\.npy: it has the wrong length"):
        store.read_frames(store.clip("0002"), [0])
    path.unlink()
    with pytest.raises(StoreError, match=r"damaged \(0002\.npy: .*No such file"):
        store.read_frames(store.clip("0002"), [0])


def chosen(store: Store, **options) -> list[str]:
    return [clip.clip_id for clip in store.select(ClipSelection(**options))]


def test_selections(store):
    assert chosen(store) == ["0001", "0004"]
    assert chosen(store, split="validation") == ["0002"]
    assert chosen(store, split="test") == ["0003", "0005"]
    assert chosen(store, split="all", actions=("squat",)) == ["0004", "0005"]
    assert chosen(store, clips=("0005", "0001")) == ["0001", "0005"]
    assert chosen(store, clips=("0001", "0005"), without=("0001",)) == ["0005"]
    assert chosen(store, split="all", with_frames=True) == ["0002", "0003"]
    assert chosen(store, without=("0004", "1234")) == ["0001"]  # lists may name absent clips


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"clips": ("0006",)}, r"unknown clip '0006'; did you mean '000\d'\? Known: 0001, 0002, "),
        ({"actions": ("bowls",)}, "unknown action 'bowls'; did you mean 'bowl'"),
        ({"actions": ("run",)}, r"Known: bowl, squat; --clips\.actions without a name takes all"),
        ({"without": ("4",)}, "no clip '4'; did you mean '0004'"),
        ({"clips": ("0001",), "without": ("0001",)}, "also left out"),
        ({"with_frames": True}, "has frames, only poses"),
        ({"split": "validation", "actions": ("squat",)}, "no validation clip of squat in the"),
    ],
)
def test_selections_that_choose_nothing_say_why(store, options, message):
    with pytest.raises(ValueError, match=message):
        chosen(store, **options)


def test_a_store_of_test_clips_alone_points_to_clips(tmp_path):
    tests = [clip for clip in CLIPS if clip.official_split == "test"]
    store = write_store(tmp_path / "store", tests)
    with pytest.raises(ValueError, match=r"all are test clips .* name them with --clips\.clips"):
        chosen(store)
    assert chosen(store, clips=("0005",)) == ["0005"]


def test_validation_rule():
    def held(count: int, share: float) -> int:
        clips = [make_clip(f"{number:04d}") for number in range(count)]
        splits = [clip.split for clip in hold_out_validation(clips, float(share))]
        assert splits == sorted(splits)  # train before validation
        return splits.count("validation")

    assert [held(count, 0.1) for count in (0, 1, 2, 14, 15, 24, 25)] == [0, 0, 1, 1, 2, 2, 3]
    assert held(20, 0) == 0
    assert held(2, 0.99) == 1


def test_validation_rule_goes_by_action_and_never_touches_test_clips():
    splits = {clip.clip_id: clip.split for clip in hold_out_validation(CLIPS[::-1], 0.5)}
    assert splits == {
        "0001": "train",
        "0002": "validation",
        "0003": "test",
        "0004": "train",
        "0005": "test",
    }


def test_estimates_replace_the_labels(store):
    with pytest.raises(StoreError, match="no estimated poses: add them with 'posecast estimate'"):
        store.with_poses("estimated")
    joints = store.clip("0002").joints_px + 1
    store.write_estimates({"0002": (joints, np.ones((9, 13), bool))})
    estimated = Store.open(store.path).with_poses("estimated")
    assert [clip.clip_id for clip in estimated.clips] == ["0002"]
    np.testing.assert_array_equal(estimated.clip("0002").joints_px, joints)
    assert estimated.clip("0002").visible.all()
    np.testing.assert_array_equal(
        estimated.read_frames(estimated.clip("0002"), [3]),
        store.read_frames(store.clip("0002"), [3]),
    )
    with pytest.raises(StoreError, match="clip 0002 has poses of shape"):
        store.write_estimates({"0002": (joints[:4], np.ones((4, 13), bool))})


def test_other_number_of_pictures_than_poses_is_refused(tmp_path):
    with store_writer(tmp_path / "store", INFO):
        for count in (0, 4):
            with pytest.raises(ClipError, match=f"{count} frames but poses of 5"):
                write_clip(tmp_path / "store", CLIPS[0], iter(pictures_of(CLIPS[0])[:count]))
        with pytest.raises(ClipError, match="9 frames but poses of 5"):
            write_clip(tmp_path / "store", CLIPS[0], iter(pictures_of(CLIPS[1])))
    assert not list((tmp_path / "store" / "frames").iterdir())


def test_one_writer_at_a_time_unless_shared(tmp_path):
    with (
        store_writer(tmp_path / "store", INFO),
        pytest.raises(StoreError, match="another process is preparing"),
        store_writer(tmp_path / "store", INFO),
    ):
        pass
    with (
        store_writer(tmp_path / "store", INFO, shared=True),
        store_writer(tmp_path / "store", INFO, shared=True),
    ):
        pass


def test_a_piece_cut_short_is_made_again(tmp_path):
    with store_writer(tmp_path / "store", INFO) as writer:
        write_clip(tmp_path / "store", CLIPS[0], None)
        write_clip(tmp_path / "store", CLIPS[1], iter(pictures_of(CLIPS[1])))
        assert list(writer.done()) == ["0001", "0002"]
        (tmp_path / "store" / "frames" / "0002.npy").write_bytes(b"short")
        assert list(writer.done()) == ["0001"]
        piece = tmp_path / "store" / "pieces" / "0001.piece"
        piece.write_bytes(piece.read_bytes()[:-1])
        assert list(writer.done()) == []
