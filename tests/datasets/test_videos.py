"""Own videos to a store: frame rate, poses beside them, crops by the seen frames, bad videos."""

import io
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from posecast.clips import ClipError, ClipSource
from posecast.datasets.videos import OwnVideos, video_files
from posecast.forecasting.own_folders import estimate_folder
from posecast.geometry import cut_crop, seen_crop
from posecast.keypoints import write_table
from posecast.media.videos import write_mp4
from posecast.skeletons import PENN_ACTION
from posecast.store.preparation import PreparationConfig, prepare
from posecast.store.reading import Store
from red_people import RedEstimator, frame_with, joints_of

QUIET = Console(file=io.StringIO())
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
    assert clip.note == "seconds 0.07 to 0.33 of the video"
    assert clip.visible.any(axis=1).tolist() == [True] * 3 + [False] + [True] * 5
    assert len(list(source(folder).read_frames("c"))) == 9
    np.testing.assert_array_equal(clip.boxes_px[3], clip.boxes_px[2])
    x, y, width, height = box_at(2)
    # Joints span 0.1 to 0.9 of the rectangle's width, 0.05 to 0.95 of its height, and a tenth more.
    expected = [x + 0.02 * width, y - 0.04 * height, x + 0.98 * width, y + 1.04 * height]
    np.testing.assert_allclose(clip.boxes_px[0], expected, atol=0.02)


def test_the_store_is_cropped_by_the_seen_frames(folder):
    report = prepare(source(folder), folder / "store", SEEN, QUIET)
    assert (report.num_new, report.left_out) == (3, {})
    store = Store.open(folder / "store")
    assert (store.info.dataset, store.info.crop, store.info.crop_knows_future) == (
        *("videos", "seen", False),
    )
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
    report = prepare(source(folder), folder / "store", SEEN, QUIET)
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
