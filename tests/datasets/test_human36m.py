"""Human3.6M: layout and names, both kinds of pose files, videos, what is wrong with each."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from human36m_files import (
    index_first,
    number_of,
    track,
    write_cdf,
    write_clip_files,
    write_mat,
    write_video,
)
from posecast.clips import ClipError, ClipSource
from posecast.datasets.human36m import ACTIONS, Human36M, action_of
from posecast.geometry import tube_crop
from posecast.skeletons import HUMAN36M
from posecast.store.files import StoreError
from posecast.store.preparation import PreparationConfig, prepare
from posecast.store.reading import Store

TUBE = PreparationConfig(size=16, crop="tube", margin_px=4, workers=1)


@pytest.fixture(scope="module")
def raw(tmp_path_factory) -> Path:
    """Two training clips and a test clip with videos, one clip of a subject without videos."""
    root = tmp_path_factory.mktemp("raw")
    write_clip_files(root, "S1", "Walking 1.1", 1)
    write_clip_files(root, "S1", "TakingPhoto.1", 2)
    write_clip_files(root, "S9", "WalkDog.1", 3, num_frames=21)
    write_cdf(root, "S5", "Eating 2.55011271", track(4, 9))
    return root


@pytest.fixture
def copy(raw, tmp_path) -> Path:
    """The same files, to be damaged."""
    return shutil.copytree(raw, tmp_path / "copy")


def problem(root: Path, clip_id: str, **options) -> str:
    """What is wrong with a clip, be it found with its poses or on the way through its frames."""

    def read_all() -> None:
        source = Human36M(root, **options)
        source.read_poses(clip_id)
        list(source.read_frames(clip_id) or ())

    with pytest.raises(ClipError) as error:
        read_all()
    assert error.value.clip_id == clip_id
    return error.value.problem


def test_clips_are_the_files_by_subject(raw):
    source = Human36M(raw)
    assert isinstance(source, ClipSource)
    assert (source.name, source.skeleton) == ("human36m", HUMAN36M)
    assert source.clip_ids() == [
        "S1_TakingPhoto.1",
        "S1_Walking_1.1",
        "S5_Eating_2.55011271",
        "S9_WalkDog.1",
    ]
    clips = [source.read_poses(clip_id) for clip_id in source.clip_ids()]
    assert [clip.action for clip in clips] == ["photo", "walking", "eating", "walk_dog"]
    assert [clip.split for clip in clips] == ["train", "train", "train", "test"]
    assert clips[2].image_hw == (1000, 1000)
    assert source.read_frames("S5_Eating_2.55011271") is None


@pytest.mark.parametrize(
    ("place", "stem"),
    [
        ("S1/MyPoseFeatures/D2_Positions", "Walking_1.1234"),
        ("S1/MyPoseFeatures/D2_Positions", "Walking-1.1234"),
        ("S1/Poses_D2_Positions", "Walking 1.1234"),
        ("S1/D2_Positions", "Walking_1.1234"),
        ("Poses_D2_Positions_S1", "Walking_1.1234"),
        ("Poses_D2_Positions_S1/S1/MyPoseFeatures/D2_Positions", "Walking 1.1234"),
        ("Poses_D2_Positions/S1", "Walking 1.1234"),
    ],
)
def test_other_spellings_and_places(tmp_path, place, stem):
    """The video is spelled as published: it belongs to the poses all the same."""
    path = write_cdf(tmp_path / "raw", "S1", "x", track())
    target = tmp_path / "other" / place / f"{stem}.cdf"
    target.parent.mkdir(parents=True)
    path.rename(target)
    write_video(tmp_path / "other", "S1", "Walking 1.1234")
    source = Human36M(tmp_path / "other", every=1)
    assert source.clip_ids() == ["S1_Walking_1.1234"]
    clip = source.read_poses("S1_Walking_1.1234")
    assert clip.action == "walking"
    np.testing.assert_array_equal(clip.joints_px, track().reshape(-1, 32, 2).astype(float))


def test_words_of_an_action_apart(tmp_path):
    for stem in ("Sitting_Down_1.54138969", "Walk Dog.54138969", "TakingPhoto-2.54138969"):
        write_cdf(tmp_path, "S1", stem, track())
    source = Human36M(tmp_path)
    actions = {clip_id: source.read_poses(clip_id).action for clip_id in source.clip_ids()}
    assert actions == {
        "S1_Sitting_Down_1.54138969": "sitting_down",
        "S1_TakingPhoto_2.54138969": "photo",
        "S1_Walk_Dog.54138969": "walk_dog",
    }


def test_every_spelling_is_one_of_fifteen_actions():
    names = {"WalkingDog": "walk_dog", "WalkDog": "walk_dog", "TakingPhoto": "photo"}
    names |= {"Photo": "photo", "SittingDown": "sitting_down", "WalkTogether": "walk_together"}
    for name, action in names.items():
        assert action_of(name) == action
    assert len(ACTIONS) == 15
    assert all(action_of(action) == action for action in ACTIONS)
    assert action_of("Dancing") is None


@pytest.mark.parametrize("every", [1, 3, 4])
def test_poses_and_frames_are_thinned_alike(raw, every):
    source = Human36M(raw, every)
    clip = source.read_poses("S1_Walking_1.1")
    whole = track(1).reshape(-1, 32, 2)
    np.testing.assert_array_equal(clip.joints_px, whole[::every])
    assert clip.fps == 50 / every
    assert clip.visible.all()
    frames = list(source.read_frames("S1_Walking_1.1"))
    assert [number_of(frame) for frame in frames] == list(range(0, 22, every))
    assert len(frames) == clip.num_frames
    assert clip.image_hw == frames[0].shape[:2]


@pytest.mark.parametrize("every", [1, 4, 50])
def test_boxes_hold_frames_left_out_but_none_to_come(raw, every):
    clip, whole = Human36M(raw, every).read_poses("S1_Walking_1.1"), track(1).reshape(-1, 32, 2)
    together = [*clip.boxes_px[:, :2].min(axis=0), *clip.boxes_px[:, 2:].max(axis=0)]
    np.testing.assert_array_equal(together, [*whole.min((0, 1)), *whole.max((0, 1))])
    for number, box in enumerate(clip.boxes_px[:-1]):
        part = whole[max(every * (number - 1) + 1, 0) : every * number + 1]
        np.testing.assert_array_equal(box, [*part.min((0, 1)), *part.max((0, 1))])


def test_the_crop_is_that_of_all_frames_whatever_is_kept(raw, tmp_path):
    expected = tube_crop(track(1).reshape(-1, 32, 2), (48, 64), 4)
    for every in (1, 4):
        prepare(Human36M(raw, every), tmp_path / str(every), TUBE)
        store = Store.open(tmp_path / str(every))
        assert store.clip("S1_Walking_1.1").crop == expected
        assert store.info.source == {"every": every, "poses_only": False}


def test_mat_files_stand_in_for_cdf_files(raw, copy):
    for suffix, variables in (("", {"data": track(1)}), ("3d", {"data": track(1)[None]})):
        write_mat(copy, "S1", f"Walking 1{suffix}.1", **variables)
    (copy / "S1/MyPoseFeatures/D2_Positions/Walking 1.1.cdf").unlink()
    clip = Human36M(copy).read_poses("S1_Walking_1.1")
    np.testing.assert_array_equal(clip.joints_px, Human36M(raw).read_poses(clip.clip_id).joints_px)


def test_cdf_files_come_first(copy):
    write_mat(copy, "S1", "Walking 1.1", data=track(9))
    clip = Human36M(copy, 1).read_poses("S1_Walking_1.1")
    np.testing.assert_array_equal(clip.joints_px, track(1).reshape(-1, 32, 2))


@pytest.mark.parametrize(("num_video", "num_used"), [(25, 22), (19, 19)])
def test_the_shorter_of_video_and_poses_counts_and_is_reported(copy, tmp_path, num_video, num_used):
    write_video(copy, "S1", "Walking 1.1", num_video)
    source = Human36M(copy, 1)
    assert source.read_poses("S1_Walking_1.1").num_frames == num_used
    assert len(list(source.read_frames("S1_Walking_1.1"))) == num_used
    report = prepare(source, tmp_path / "store", TUBE)
    note = f"the video has {num_video} frames, the poses are of 22: the first {num_used} of both"
    assert list(report.notes) == ["S1_Walking_1.1"]
    assert "1 mended:\n  clip S1_Walking_1.1: " + note in report.summary()
    assert Store.open(tmp_path / "store").clip("S1_Walking_1.1").note.startswith(note)
    assert prepare(source, tmp_path / "store", TUBE).notes == report.notes


def test_videos_and_poses_that_cannot_belong_together(copy):
    write_video(copy, "S1", "Walking 1.1", 80)
    assert "the video has 80 frames, the poses are of 22: more than 50" in problem(
        copy, "S1_Walking_1.1"
    )


def test_missing_files(copy):
    (copy / "S1/Videos/Walking 1.1.mp4").unlink()
    (copy / "S1/MyPoseFeatures/D2_Positions/TakingPhoto.1.cdf").unlink()
    assert "has poses but no video" in problem(copy, "S1_Walking_1.1")
    assert "has a video but no poses: S1/MyPoseFeatures" in problem(copy, "S1_TakingPhoto.1")
    assert "neither its poses nor its video" in problem(copy, "S6_Walking.1")
    write_cdf(copy, "S1", "Walking 2.60457274", track(1))
    assert "has poses but no video" in problem(copy, "S1_Walking_2.60457274")
    clip = Human36M(copy, poses_only=True).read_poses("S1_Walking_2.60457274")
    assert (clip.num_frames, clip.image_hw) == (6, (1002, 1000))
    assert Human36M(copy, poses_only=True).read_frames(clip.clip_id) is None


def test_the_video_that_was_never_published(copy):
    write_video(copy, "S11", "Directions.55011271")
    write_cdf(copy, "S11", "Directions.54138969", track(5))
    assert "never published" in problem(copy, "S11_Directions.54138969")


def damaged(how: str, root: Path) -> None:
    """Damage the pose file of a clip."""
    path = root / "S1/MyPoseFeatures/D2_Positions/Walking 1.1.cdf"
    data, joints = path.read_bytes(), track(1)
    if how == "truncated":
        path.write_bytes(data[: len(data) // 2])
    elif how == "empty":
        path.write_bytes(b"")
    elif how == "flipped":
        path.write_bytes(data[:1200] + bytes([data[1200] ^ 255]) + data[1201:])
    elif how == "another variable":
        write_cdf(root, "S1", "Walking 1.1", joints, name="Angles")
    elif how == "too few joints":
        write_cdf(root, "S1", "Walking 1.1", joints[:, :34])
    else:
        joints[3, 5] = {"NaN": np.nan, "missing": -1e30}[how]
        write_cdf(root, "S1", "Walking 1.1", joints)


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("truncated", "not a whole CDF file"),
        ("empty", "not a whole CDF file"),
        ("flipped", "not a whole CDF file"),
        ("another variable", "variable Pose"),
        ("too few joints", r"shape (22, 34), expected (t, 64)"),
        ("NaN", "NaN, infinite or absurdly large"),
        ("missing", "NaN, infinite or absurdly large"),
    ],
)
def test_bad_cdf_files(copy, how, message):
    damaged(how, copy)
    said = problem(copy, "S1_Walking_1.1")
    assert message in said
    assert "Walking 1.1.cdf" in said
    assert "fetch the file again" in said


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"pose": track(1)}, "holds no array 'data'"),
        ({"data": "text"}, "holds no array 'data'"),
        ({"data": np.zeros((0, 64))}, "shape (0, 64)"),
    ],
)
def test_bad_mat_files(tmp_path, variables, message):
    path = write_mat(tmp_path, "S1", "Walking.54138969", **variables)
    assert message in problem(tmp_path, "S1_Walking.54138969")
    path.write_bytes(path.read_bytes()[:90])
    assert "not a MATLAB 5 file" in problem(tmp_path, "S1_Walking.54138969")


@pytest.mark.parametrize("share", [0.01, 0.5, 0.9])
@pytest.mark.parametrize("index_at", ["end", "start"])
def test_truncated_videos(copy, share, index_at):
    path = write_video(copy, "S1", "Walking 1.1")
    if index_at == "start":
        index_first(path)
    data = path.read_bytes()
    path.write_bytes(data[: int(share * len(data))])
    said = problem(copy, "S1_Walking_1.1", every=1)
    assert "truncated" in said
    assert "Walking 1.1.mp4" in said


def test_videos_of_another_size(copy):
    write_cdf(copy, "S1", "Walking 2.54138969", track(1))
    write_video(copy, "S1", "Walking 2.54138969")
    assert "64 x 48 pixels but its poses are for 1000 x 1002" in problem(
        copy, "S1_Walking_2.54138969"
    )


def test_names_that_say_nothing(copy):
    for stem in ("Dancing.1", "Walking", "Walking one.1"):
        write_cdf(copy, "S5", stem, track(1))
        message = problem(copy, f"S5_{stem.replace(' ', '_')}")
        assert f"cannot tell action and camera from the name {stem!r}" in message
    write_cdf(copy, "S5", "Walking.77", track(1))
    assert "the size of camera 77's pictures is not known" in problem(copy, "S5_Walking.77")


def test_whole_recordings_and_other_subjects_are_passed_over(copy):
    before = Human36M(copy).clip_ids()
    write_video(copy, "S1", "_ALL.1", 2)
    write_cdf(copy, "S10", "Walking.1", track(1))
    assert Human36M(copy).clip_ids() == before


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda root: None, "is not a folder"),
        (lambda root: root.mkdir(), "holds no subject's files"),
    ],
)
def test_folders_without_the_data_set(tmp_path, make, message):
    make(tmp_path / "raw")
    with pytest.raises(ValueError, match=message):
        Human36M(tmp_path / "raw")


def test_steps_below_one_are_refused(raw):
    with pytest.raises(ValueError, match="every is 0"):
        Human36M(raw, 0)


def content(path: Path) -> dict[str, bytes]:
    files = (file for file in path.rglob("*") if file.is_file())
    return {str(file.relative_to(path)): file.read_bytes() for file in files}


def test_an_interrupted_preparation_ends_with_the_same_bytes(raw, tmp_path, monkeypatch):
    prepare(Human36M(raw), tmp_path / "whole", TUBE)
    assert len(Store.open(tmp_path / "whole").clips) == 4
    for num_frames in (0, 4, 7, 13):  # before, inside and between clips of 6 frames
        with monkeypatch.context() as patch:
            stop_after(patch, num_frames)
            with pytest.raises(KeyboardInterrupt):
                prepare(Human36M(raw), tmp_path / "store", TUBE)
        with pytest.raises(StoreError, match="not finished"):
            Store.open(tmp_path / "store")
        shutil.copytree(tmp_path / "store", tmp_path / str(num_frames))
        prepare(Human36M(raw), tmp_path / str(num_frames), TUBE)
        assert content(tmp_path / str(num_frames)) == content(tmp_path / "whole")
        shutil.rmtree(tmp_path / "store")


def stop_after(patch: pytest.MonkeyPatch, num_frames: int) -> None:
    """Ctrl-C when so many frames have been cut."""
    from posecast.store import preparation

    cut, count = preparation.cut_crop, iter(range(num_frames))

    def counted(*arguments):
        if next(count, None) is None:
            raise KeyboardInterrupt
        return cut(*arguments)

    patch.setattr(preparation, "cut_crop", counted)


def test_bad_clips_are_left_out_and_the_others_prepared(copy, tmp_path):
    damaged("truncated", copy)
    (copy / "S9/Videos/WalkDog.1.mp4").unlink()
    report = prepare(Human36M(copy), tmp_path / "store", TUBE)
    assert set(report.left_out) == {"S1_Walking_1.1", "S9_WalkDog.1"}
    store = Store.open(tmp_path / "store")
    assert [clip.clip_id for clip in store.clips] == ["S1_TakingPhoto.1", "S5_Eating_2.55011271"]
    assert store.left_out() == report.left_out
