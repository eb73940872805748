"""Own videos to a store: frame rate, poses beside them, crops by the seen frames, bad videos."""

import os
import time
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from odd_videos import write_odd
from posecast.clips import ClipError, ClipSource
from posecast.datasets.video_files import video_files
from posecast.datasets.videos import OwnVideos
from posecast.errors import PosecastError
from posecast.estimation.folders import estimate_folder
from posecast.geometry import cut_crop, seen_crop
from posecast.keypoints import write_table
from posecast.media.resampling import nearest_frames
from posecast.media.writing import write_mp4
from posecast.skeletons import PENN_ACTION
from posecast.store.preparation import PreparationConfig, prepare
from posecast.store.reading import Store
from red_people import RedEstimator, frame_with, joints_of

SEEN = PreparationConfig(size=16, crop="seen", num_seen=4, workers=1, validation_share=0.0)


def box_at(t: int) -> tuple[int, int, int, int]:
    return 20 + 2 * t, 30, 24, 48


def write_clip(root: Path, name: str, num_frames: int = 12, fps: float = 30.0, hidden=()) -> None:
    """A video and the table of its poses; in `hidden` frames nobody is there."""
    frames = [frame_with(None if t in hidden else box_at(t)) for t in range(num_frames)]
    write_mp4(root / "videos" / f"{name}.mp4", frames, fps, crf=4)
    joints = np.stack([joints_of(box_at(t)) for t in range(num_frames)])
    visible = np.ones((num_frames, 13), bool)
    visible[list(hidden)] = False
    write_table(root / "poses" / f"{name}.csv", joints, visible, PENN_ACTION)


@pytest.fixture
def folder(tmp_path) -> Path:
    write_clip(tmp_path, "squat/a")
    write_clip(tmp_path, "test/squat/b", fps=60.0, num_frames=20)
    write_clip(tmp_path, "c", hidden=(0, 1, 5, 11))
    (tmp_path / "videos" / "notes.txt").write_text("mine")
    return tmp_path


def source(root: Path, **options) -> OwnVideos:
    return OwnVideos(root / "videos", root / "poses", **options)


def test_clips_are_the_videos_at_one_frame_rate(folder):
    videos = source(folder)
    assert isinstance(videos, ClipSource)
    assert videos.clip_ids() == ["c", "squat-a", "test-squat-b"]
    clip = videos.read_poses("test-squat-b")
    assert (clip.action, clip.split, clip.fps, clip.image_hw) == ("squat", "test", 30.0, (120, 200))
    assert clip.num_frames == 10
    expected = [joints_of(box_at(2 * t)) for t in range(10)]
    np.testing.assert_allclose(clip.joints_px, expected, atol=0.01)
    frames = list(videos.read_frames("test-squat-b"))
    assert len(frames) == 10
    for t, frame in enumerate(frames):
        reds = np.flatnonzero((frame[50, :, 0] > 150) & (frame[50, :, 1] < 90))
        assert abs(reds[0] - box_at(2 * t)[0]) <= 1
    other = videos.read_poses("squat-a")
    assert (other.split, other.num_frames, other.note) == ("train", 12, "")


def test_a_clip_is_where_the_person_is(folder):
    clip = source(folder).read_poses("c")
    assert clip.num_frames == 9  # frames 2 to 10
    assert clip.note == (
        "frames without a pose that were filled: 1; seconds 0.07 to 0.33 of the video"
    )
    assert clip.visible.all()
    np.testing.assert_allclose(clip.joints_px[3], joints_of(box_at(5)), atol=0.01)
    assert len(list(source(folder).read_frames("c"))) == 9
    np.testing.assert_array_equal(clip.boxes_px[3], clip.boxes_px[2])
    x, y, width, height = box_at(2)
    # Joints span 0.1 to 0.9 of the rectangle's width, 0.05 to 0.95 of its height, and a tenth more.
    expected = [x + 0.02 * width, y - 0.04 * height, x + 0.98 * width, y + 1.04 * height]
    np.testing.assert_allclose(clip.boxes_px[0], expected, atol=0.02)


def test_a_clip_is_of_one_shot(tmp_path):
    """The longest, whichever it is; a rate that is not the video's blends no poses of two."""
    boxes = [(40 + 2 * t, 30, 24, 48) for t in range(14)] + [(90 + t, 20, 40, 80) for t in range(9)]
    grounds = [200] * 14 + [120] * 9
    frames = [frame_with(box, ground=each) for box, each in zip(boxes, grounds, strict=True)]
    poses = (np.stack(list(map(joints_of, boxes))), np.ones((23, 13), bool), PENN_ACTION)
    write_mp4(tmp_path / "videos" / "ahead.mp4", frames, 30.0, crf=4)
    write_table(tmp_path / "poses" / "ahead.csv", *poses)
    write_mp4(tmp_path / "videos" / "back.mp4", frames[::-1], 30.0, crf=4)
    write_table(tmp_path / "poses" / "back.csv", poses[0][::-1], *poses[1:])
    for name, span in (("ahead", "0.00 to 0.43"), ("back", "0.30 to 0.73")):
        clip = source(tmp_path).read_poses(name)
        assert clip.note == f"seconds {span} of the video, the longest of 2 shots"
        shown = list(source(tmp_path).read_frames(name))
        assert len(shown) == clip.num_frames == 14
        assert min(frame[2, 2, 0] for frame in shown) > 180
    faster = source(tmp_path, fps=50.0).read_poses("ahead").joints_px
    assert np.linalg.norm(np.diff(faster, axis=0), axis=-1).max() < 2.5


def test_clips_whose_files_were_mended_are_made_again(folder):
    def prepared() -> tuple[int, int]:
        report = prepare(source(folder), folder / "store", SEEN)
        return report.num_new, report.num_kept

    assert [prepared(), prepared()] == [(3, 0), (0, 3)]
    poses = folder / "poses" / "squat" / "a.csv"
    before = Store.open(folder / "store").clip("squat-a").joints_px
    write_table(poses, np.array(before) + 5, np.ones((12, 13), bool), PENN_ACTION)
    assert [prepared(), prepared()] == [(1, 2), (0, 3)]
    after = Store.open(folder / "store").clip("squat-a").joints_px
    np.testing.assert_allclose(after, before + 5, atol=0.01)
    os.utime(folder / "videos" / "c.mp4", (time.time() + 9999,) * 2)  # by a camera's wrong clock
    assert prepared() == (0, 3)
    poses.unlink()  # no reason to lose the clip
    assert prepared() == (0, 3)
    poses.with_suffix("").mkdir()  # nor is what cannot be looked at
    (poses.with_suffix("") / "0.json").symlink_to("gone")
    assert prepared() == (0, 3)


def test_the_store_is_cropped_by_the_seen_frames(folder):
    report = prepare(source(folder), folder / "store", SEEN)
    assert (report.num_new, report.left_out) == (3, {})
    store = Store.open(folder / "store")
    assert (store.info.dataset, store.info.crop) == ("videos", "seen")
    assert store.info.source == {"fps": 30.0, "skeleton_name": "penn_action", "person": 1}
    clip = store.clip("squat-a")
    poses = source(folder).read_poses("squat-a")
    assert clip.crop == seen_crop(poses.boxes_px[:4], (120, 200))
    third = list(source(folder).read_frames("squat-a"))[3]
    np.testing.assert_array_equal(store.read_frames(clip, [3])[0], cut_crop(third, clip.crop, 16))


def test_videos_that_cannot_be_used_are_left_out(folder):
    (folder / "videos" / "d.mp4").write_bytes(b"cut off")
    write_clip(folder, "e")
    (folder / "poses" / "e.csv").unlink()
    write_clip(folder, "f", hidden=range(12))
    write_clip(folder, "g")
    (folder / "poses" / "g.csv").write_text("frame,joint,x,y\n99,nose,1,1\n")
    for name in "d":
        write_table(folder / "poses" / f"{name}.csv", *empty_poses(), PENN_ACTION)
    report = prepare(source(folder), folder / "store", SEEN)
    assert sorted(report.left_out) == ["d", "e", "f", "g"]
    assert "not a video" in report.left_out["d"]
    assert "no poses" in report.left_out["e"]
    assert "nobody is in it" in report.left_out["f"]
    assert "has poses up to frame 99" in report.left_out["g"]
    assert report.num_new == 3


def empty_poses() -> tuple[np.ndarray, np.ndarray]:
    return np.ones((1, 13, 2)), np.ones((1, 13), bool)


def test_poses_by_an_estimator(folder):
    for path in (folder / "poses").rglob("*.csv"):
        path.unlink()
    (folder / "videos" / "d.mp4").write_bytes(b"cut off")
    looked = []
    left_out = estimate_folder(
        folder / "videos", folder / "poses", RedEstimator(), on_video=looked.append
    )
    assert [path.name for path in left_out] == ["d.mp4"]
    assert len(looked) == 4
    clip = source(folder).read_poses("squat-a")
    assert np.abs(clip.joints_px - [joints_of(box_at(t)) for t in range(12)]).max() < 4
    looked.clear()
    estimate_folder(folder / "videos", folder / "poses", RedEstimator(), on_video=looked.append)
    assert [path.name for path in looked] == ["d.mp4"]


def test_bad_folders_say_so(folder, tmp_path):
    with pytest.raises(ValueError, match="is not a folder"):
        video_files(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="no videos in it"):
        OwnVideos(tmp_path / "empty", tmp_path)
    with pytest.raises(ValueError, match="unknown skeleton 'penn'"):
        source(folder, skeleton_name="penn")
    with pytest.raises(ClipError, match="no such video"):
        source(folder).read_poses("z")


# --- strangers' folders ---------------------------------------------------------------------------


@pytest.mark.parametrize("poses", ["given", "estimated"])
def test_videos_that_would_have_one_name(tmp_path, poses):
    """a.mov beside a.mp4, and folders whose names run into each other."""
    names = ("jump/a.mp4", "jump/a.mov", "jump/left-1.mp4", "jump-left/1.mp4", "b.mp4")
    for number, name in enumerate(names):
        write_clip(tmp_path, name.removesuffix(Path(name).suffix), num_frames=6)
        frames = [frame_with((20 + 9 * number, 30, 24, 48))] * 6
        written = tmp_path / "videos" / name
        write_mp4(written.with_suffix(".mp4"), frames, 30.0, crf=4)
        written.with_suffix(".mp4").rename(written)
    write_mp4(tmp_path / "videos/jump/a.mp4", [frame_with((20, 30, 24, 48))] * 6, 30.0, crf=4)
    if poses == "estimated":
        for path in (tmp_path / "poses").rglob("*.csv"):
            path.unlink()
        assert estimate_folder(tmp_path / "videos", tmp_path / "poses", RedEstimator()) == {}
    report = prepare(source(tmp_path), tmp_path / "store", SEEN)
    assert (report.num_new, report.left_out) == (5, {})
    assert source(tmp_path).clip_ids() == [
        *("b", "jump--a.mov", "jump--a.mp4", "jump--left-1.mp4", "jump-left--1.mp4")
    ]
    if poses == "estimated":
        lefts = [source(tmp_path).read_poses(f"jump--a.{kind}") for kind in ("mp4", "mov")]
        assert [round(float(each.joints_px[0, :, 0].min()) / 9) for each in lefts] == [2, 3]


def test_names_that_cannot_be_told_apart_are_refused(tmp_path):
    for name in ("a-/b", "a/-b"):
        write_clip(tmp_path, name, num_frames=4)
    with pytest.raises(ValueError, match=r"would both be clip a---b\.mp4: rename one of them"):
        source(tmp_path).clip_ids()


def test_forecasts_are_no_clips(tmp_path):
    for name in ("a/run", "a/run-forecast", "a/run-compare", "a/run-forecast-2", "b/run-forecast"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).with_suffix(".mp4").touch()
    assert video_files(tmp_path) == [tmp_path / "a/run.mp4", tmp_path / "b/run-forecast.mp4"]


NAMES = (
    *("clip #3", "take:2", "Jumping jacks [aB3-dEf_9hI]", "coach's clip", "100%", "what?"),
    *("caf\u00e9", "e\u0301te\u0301", "\u8df3", "n" * 240, "v1.2", "two\nlines", "back\\slash"),
)


def test_videos_of_any_name(tmp_path):
    for name in NAMES:
        write_clip(tmp_path, name, num_frames=6)
    # One system writes accents as letters of their own, another not.
    (tmp_path / "poses" / "caf\u00e9.csv").rename(tmp_path / "poses" / "cafe\u0301.csv")
    (tmp_path / "poses" / "e\u0301te\u0301.csv").rename(tmp_path / "poses" / "\u00e9t\u00e9.csv")
    report = prepare(source(tmp_path), tmp_path / "store", SEEN)
    assert report.left_out == {}
    assert report.num_new == len(NAMES)
    ids = source(tmp_path).clip_ids()
    assert {"clip #3", "take:2", "caf\u00e9", "\u00e9t\u00e9", "two_lines", "back_slash"} <= set(
        ids
    )
    assert max(len(each) for each in ids) == 180
    store = Store.open(tmp_path / "store")
    for clip in store.clips:
        assert store.read_frames(clip, [0]).shape == (1, 16, 16, 3)


def test_oblong_pixels_keep_their_poses_on_the_way_through_a_table(tmp_path):
    """Estimated where they are shown, written as stored, read where they are shown."""
    frames = [frame_with((20 + 2 * t, 30, 24, 48), (120, 160)) for t in range(6)]
    write_odd(tmp_path / "videos" / "a.mp4", frames, aspect=Fraction(5, 4))
    estimate_folder(tmp_path / "videos", tmp_path / "poses", RedEstimator())
    clip = source(tmp_path).read_poses("a")
    assert clip.image_hw == (120, 200)
    assert next(source(tmp_path).read_frames("a")).shape == (120, 200, 3)
    x, y, width, height = 20, 30, 24, 48
    expected = joints_of((1.25 * x, y, 1.25 * width, height))
    assert np.abs(clip.joints_px[0] - expected).max() < 4


def test_the_first_frame_is_what_the_user_says(tmp_path):
    write_clip(tmp_path, "a")
    path = tmp_path / "poses" / "a.csv"
    head, *lines = path.read_text().splitlines()
    cells = [line.split(",", 1) for line in lines]
    late = [f"{int(frame) + 50},{rest}" for frame, rest in cells if int(frame) < 5]
    path.write_text("\n".join([head, *late]))
    with pytest.raises(ClipError, match="--first-frame"):
        source(tmp_path).read_poses("a")
    said = source(tmp_path, first_frame=50)
    np.testing.assert_allclose(
        said.read_poses("a").joints_px, [joints_of(box_at(t)) for t in range(5)], atol=0.01
    )
    prepare(said, tmp_path / "store", SEEN)
    assert Store.open(tmp_path / "store").info.source["first_frame"] == 50


def test_a_filled_pose_does_not_shape_the_crop(tmp_path):
    """Frame 3, the last seen one, is filled from frame 4: its box is that of frame 2."""
    write_clip(tmp_path, "a", hidden=(3,))
    clip = source(tmp_path).read_poses("a")
    assert clip.visible[3].all()
    np.testing.assert_array_equal(clip.boxes_px[3], clip.boxes_px[2])


@pytest.mark.parametrize(("fps", "num_frames"), [(25.0, 25), (24.0, 24), (50.0, 50)])
def test_poses_go_on_at_an_even_speed_whatever_the_rate_of_the_video(tmp_path, fps, num_frames):
    """Two pixels of way in each frame of the video, so as many in each 30th of a second; what is
    shown is the nearest frame, and boxes are those of what is shown."""
    write_clip(tmp_path, "a", fps=fps, num_frames=num_frames)
    clip = source(tmp_path).read_poses("a")
    way = np.diff(clip.joints_px[..., 0], axis=0)[: 30 * (num_frames - 1) // num_frames]
    np.testing.assert_allclose(way, 2 * fps / 30, atol=0.02)
    shown = nearest_frames(np.arange(num_frames) / fps, 30.0)
    assert clip.num_frames == len(shown) == 30
    lefts = [joints_of(box_at(t))[:, 0].min() for t in shown]
    np.testing.assert_allclose(clip.boxes_px[:, 0], np.array(lefts) - 0.08 * 24, atol=0.02)


def test_folders_of_splits_by_other_names(tmp_path):
    for name in ("Train/squat/a", "TESTING/squat/b", "latest/c"):
        write_clip(tmp_path, name)
    clips = [source(tmp_path).read_poses(each) for each in source(tmp_path).clip_ids()]
    assert {(clip.clip_id, clip.split, clip.action) for clip in clips} == {
        ("Train-squat-a", "train", "squat"),
        ("TESTING-squat-b", "test", "squat"),
        ("latest-c", "train", "latest"),
    }
    write_clip(tmp_path, "Val/squat/d")
    with pytest.raises(PosecastError, match="validation clips are held out of those to train on"):
        source(tmp_path)


def test_a_video_that_was_replaced_is_read_anew(tmp_path):
    write_clip(tmp_path, "a", num_frames=12)
    assert source(tmp_path).read_poses("a").num_frames == 12
    write_clip(tmp_path, "a", num_frames=20)
    clip = source(tmp_path).read_poses("a")
    assert clip.num_frames == 20
    assert len(list(source(tmp_path).read_frames("a"))) == 20
