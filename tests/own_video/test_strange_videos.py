"""Strangers' videos and poses to a forecast: what is seen is where it is shown; no half results."""

import dataclasses
import os
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from av.error import FFmpegError

from odd_videos import write_changing, write_odd
from posecast.computing.devices import ForecasterOptions
from posecast.errors import PosecastError
from posecast.forecasting.forecaster import Forecaster
from posecast.forecasting.generator_drawer import GeneratorDrawer
from posecast.forecasting.lstm import LSTMForecaster
from posecast.keypoints import KeypointOptions, write_table
from posecast.media import videos, writing
from posecast.media.frame_folders import FrameFolder, write_picture
from posecast.networks.generator import Generator, GeneratorConfig
from posecast.networks.pose_lstm import PoseLSTM, PoseLSTMConfig
from posecast.own_video import forecast
from posecast.own_video.forecast import forecast_video
from posecast.own_video.poses import EstimatedPoses, KeypointFile, OwnVideoConfig
from posecast.report.comparison import compare_video
from posecast.skeletons import PENN_ACTION
from red_people import RedEstimator, frame_with, joints_of


def write_late(path: Path, frames: list[np.ndarray], start_s: int) -> Path:
    """The first frame is shown at `start_s`, as in a part cut out of a longer recording."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("vp9" if path.suffix == ".webm" else "libx264", rate=30)
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        for number, frame in enumerate(frames):
            picture = av.VideoFrame.from_ndarray(frame, format="rgb24")
            picture.pts, picture.time_base = 30 * start_s + number, Fraction(1, 30)
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    return path


CONFIG = OwnVideoConfig(steps=3, view_height=60, panels=True)
RED = EstimatedPoses(RedEstimator())
COUNT = 12


@pytest.fixture(scope="module")
def forecaster() -> Forecaster:
    torch.manual_seed(0)
    pose = PoseLSTM(PoseLSTMConfig(hidden=8, encoder=4))
    image = Generator(GeneratorConfig(width=4, size=16))
    options = ForecasterOptions(device="cpu")
    return Forecaster(
        LSTMForecaster(pose, PENN_ACTION, num_past=4, fps=30.0),
        GeneratorDrawer(image, PENN_ACTION, options=options),
    )


def box_at(t: int, wide: float = 1.0) -> tuple[float, float, float, float]:
    return wide * (20 + 2 * t), 30, wide * 24, 48


def walking(wide: float = 1.0, hw=(120, 200)) -> list[np.ndarray]:
    boxes = [box_at(t, wide) for t in range(COUNT)]
    return [frame_with(tuple(round(side) for side in box), hw) for box in boxes]


def poses(path: Path, wide: float = 1.0, first: int = 0) -> KeypointFile:
    joints = np.stack([joints_of(box_at(t, wide)) for t in range(COUNT)])
    write_table(path, joints, np.ones((COUNT, 13), bool), PENN_ACTION)
    if first:
        head, *lines = path.read_text().splitlines()
        cells = [line.split(",", 1) for line in lines]
        lines = [f"{int(number) + first},{rest}" for number, rest in cells]
        path.write_text("\n".join([head, *lines]))
    return KeypointFile(path)


def check_seen(result, wide: float = 1.0) -> None:
    for joints, t in zip(result.seen.joints_px, result.past_frames, strict=True):
        np.testing.assert_allclose(joints, joints_of(box_at(t, wide)), atol=0.02)


def test_oblong_pixels_with_keypoints_and_with_an_estimator(forecaster, tmp_path):
    """Stored 150 x 120 with pixels of 4:3, shown 200 x 120."""
    video = write_odd(tmp_path / "a.mp4", walking(0.75, (120, 150)), aspect=Fraction(4, 3))
    given = forecast_video(video, forecaster, poses(tmp_path / "a.csv", 0.75), None, CONFIG)
    assert given.seen.image_hw == (120, 200)
    check_seen(given)
    found = forecast_video(video, forecaster, RED, tmp_path / "out.mp4", CONFIG)
    assert np.abs(found.seen.joints_px - given.seen.joints_px).max() < 4
    assert next(videos.read_video(tmp_path / "out.mp4")).shape == (60 + 22, 100 + 60 + 16, 3)


def test_a_mirrored_video_is_seen_mirrored(forecaster, tmp_path):
    video = write_odd(tmp_path / "a.mp4", walking(), (-1, 0, 0, 1))
    result = forecast_video(video, forecaster, RED, None, CONFIG)
    x, y, width, height = box_at(11)
    expected = joints_of((200 - x - width, y, width, height))
    assert np.abs(result.seen.joints_px[-1] - expected).max() < 4


def test_a_size_that_changes_midway(forecaster, tmp_path):
    """Keypoints are in pixels of the first size, as OpenCV and ffmpeg give all frames."""
    whole = walking()
    half = [np.ascontiguousarray(frame[::2, ::2]) for frame in whole[6:]]
    video = write_changing(tmp_path / "a.webm", whole[:6] + half)
    given = forecast_video(video, forecaster, poses(tmp_path / "a.csv"), None, CONFIG)
    assert given.seen.image_hw == (120, 200)
    check_seen(given)
    found = forecast_video(video, forecaster, RED, None, CONFIG)
    assert np.abs(found.seen.joints_px - given.seen.joints_px).max() < 6


def test_a_cover_changes_nothing(forecaster, tmp_path):
    results = []
    for cover in (None, frame_with(None, (64, 64))):
        video = write_odd(tmp_path / "a.mp4", walking(), cover=cover)
        source = poses(tmp_path / "a.csv")
        results.append(forecast_video(video, forecaster, source, None, CONFIG))
    a, b = results
    np.testing.assert_array_equal(a.forecast.frames, b.forecast.frames)
    check_seen(b)


def test_a_folder_of_frames(forecaster, tmp_path):
    """Named from 21 on, and so are the poses; shown at the rate that is said."""
    for t, frame in enumerate(walking(), start=21):
        write_picture(tmp_path / "frames" / f"img_{t}.png", frame)
    source = poses(tmp_path / "a.csv", first=21)
    result = forecast_video(tmp_path / "frames", forecaster, source, tmp_path / "o.mp4", CONFIG)
    check_seen(result)
    assert result.note == ""
    slow = dataclasses.replace(CONFIG, folder_fps=15.0)
    late = forecast_video(tmp_path / "frames", forecaster, source, None, slow)
    assert (late.fps, late.past_frames[-1], late.seen_to_s) == (15.0, 11, 11 / 15)
    with pytest.raises(ValueError, match="folder_fps"):
        dataclasses.replace(CONFIG, folder_fps=-1.0)


def test_pictures_that_lack_in_a_folder_are_said(forecaster, tmp_path):
    for t, frame in enumerate(walking()):
        write_picture(tmp_path / "frames" / f"img_{2 * t + 6 * (t > 4):03d}.png", frame)
    result = forecast_video(tmp_path / "frames", forecaster, RED, None, CONFIG)
    assert "pictures are missing between img_008.png and img_016.png: the" in result.summary()
    assert FrameFolder(tmp_path / "frames").describe() in result.note


def test_names_that_are_too_long_are_refused_before_work_begins(forecaster, tmp_path):
    video = write_odd(tmp_path / f"{'x' * 246}.mp4", walking())
    out = tmp_path / f"{video.stem}-forecast.mp4"
    with pytest.raises(PosecastError, match="259 bytes, systems allow 255: give a shorter one"):
        forecast_video(video, forecaster, RED, out, CONFIG)


def test_a_guess_is_said_and_overruled(forecaster, tmp_path):
    video = write_odd(tmp_path / "a.mp4", walking())
    source = poses(tmp_path / "a.csv", first=20)
    result = forecast_video(video, forecaster, source, None, CONFIG)
    check_seen(result)
    assert "keypoints: frame numbers 20 to 31 of 12 frames: 20 is taken" in result.summary()
    source = dataclasses.replace(source, options=KeypointOptions(first_frame=20))
    result = forecast_video(video, forecaster, source, None, CONFIG)
    check_seen(result)
    assert "keypoints" not in result.summary()


def test_every_second_frame_is_filled_from_what_was_seen_before(forecaster, tmp_path):
    """To the bit the same, whatever comes after second 0.3."""
    video = write_odd(tmp_path / "a.mp4", walking())
    results = []
    for shift in (0, 60):
        lines = ["frame,joint,x,y"]
        for t in range(0, COUNT, 2):
            joints = joints_of(box_at(t)) + (shift if t >= 9 else 0)
            lines += [
                f"{t},{name},{x},{y}"
                for name, (x, y) in zip(PENN_ACTION.joints, joints.tolist(), strict=True)
            ]
        source = KeypointFile(tmp_path / f"{shift}.csv")
        source.path.write_text("\n".join(lines))
        results.append(forecast_video(video, forecaster, source, None, CONFIG, from_s=0.3))
    assert results[0].past_frames == (5, 6, 7, 8)
    np.testing.assert_array_equal(results[0].seen.joints_px, results[1].seen.joints_px)
    np.testing.assert_array_equal(results[0].forecast.joints_px, results[1].forecast.joints_px)
    heads = [joints[0, 0] for joints in results[0].seen.joints_px]
    assert np.diff(heads).tolist() == pytest.approx([2, 2, 2])


def test_who_comes_later_does_not_say_who_is_followed(forecaster, tmp_path):
    """Somebody larger enters after the second to forecast from."""
    video = write_odd(tmp_path / "a.mp4", walking())
    source = poses(tmp_path / "a.csv")
    lines = [
        f"{t},{name},{x},{y},2"
        for t in range(9, 12)
        for name, (x, y) in zip(PENN_ACTION.joints, joints_of((100, 2, 90, 900)), strict=True)
    ]
    source.path.write_text("\n".join([source.path.read_text().rstrip(), *lines]))
    check_seen(forecast_video(video, forecaster, source, None, CONFIG, from_s=0.3))


# --- what is written ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a:b.mp4", "clip #3.gif", "[x] it's cafe\u0301.mp4", "y" * 251])
def test_outputs_of_any_name(forecaster, tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    name = name if "." in name else name + ".mp4"
    video = write_odd(Path("take:2.mp4"), walking())
    forecast_video(video, forecaster, poses(Path("a.csv")), name, CONFIG)
    arrays = Path(name).with_suffix(".npz")
    made = {path.name for path in tmp_path.iterdir()} - {"take:2.mp4", "a.csv"}
    assert made == {name, arrays.name}
    if name.endswith(".mp4"):
        assert len(list(videos.read_video(name))) == 4 + 3


def test_a_failed_write_is_said_and_leaves_nothing(forecaster, tmp_path, monkeypatch):
    video = write_odd(tmp_path / "in.mp4", walking())
    source = poses(tmp_path / "a.csv")
    before = {path.name for path in tmp_path.iterdir()}

    def breaks(*_):
        raise FFmpegError(-28, "No space left on device")

    monkeypatch.setattr(writing, "_even", breaks)
    with pytest.raises(ValueError, match=r"cannot write .*out\.mp4: No space left.*; free some"):
        forecast_video(video, forecaster, source, tmp_path / "out.mp4", CONFIG)
    assert {path.name for path in tmp_path.iterdir()} == before
    monkeypatch.undo()
    (tmp_path / "folder.mp4").mkdir()
    with pytest.raises(ValueError, match=r"cannot write .*folder\.mp4: a folder of this name"):
        forecast_video(video, forecaster, source, tmp_path / "folder.mp4", CONFIG)
    assert {path.name for path in tmp_path.iterdir()} == before | {"folder.mp4"}


def test_the_video_itself_is_not_written_over(forecaster, tmp_path):
    video = write_odd(tmp_path / "in.mp4", walking())
    before = video.read_bytes()
    (tmp_path / "link.mp4").symlink_to(video)
    alone = dataclasses.replace(CONFIG, panels=False, view_height=0)  # a comparison has neither
    for out in (video, tmp_path / "link.mp4"):
        with pytest.raises(ValueError, match="is the video to forecast: give another name"):
            forecast_video(video, forecaster, poses(tmp_path / "a.csv"), out, CONFIG)
        with pytest.raises(ValueError, match="is the video to forecast: give another name"):
            compare_video(video, forecaster, poses(tmp_path / "a.csv"), out, alone, 1.0)
    assert video.read_bytes() == before


@pytest.mark.parametrize("futures", [1, 2])
def test_the_file_of_poses_is_not_written_over(forecaster, tmp_path, futures):
    video = write_odd(tmp_path / "in.mp4", walking())
    source = poses(tmp_path / f"a{'-2' if futures == 2 else ''}.csv")
    before = source.path.read_bytes()
    config = dataclasses.replace(CONFIG, export=("csv",), futures=futures)
    with pytest.raises(ValueError, match="is the file of its poses: give another name"):
        forecast_video(video, forecaster, source, tmp_path / "a.mp4", config)
    assert source.path.read_bytes() == before


def test_the_file_in_a_folder_of_poses_is_not_written_over(forecaster, tmp_path):
    (tmp_path / "alphapose-results.json").write_text("[]")
    source = KeypointFile(tmp_path)
    config = dataclasses.replace(CONFIG, export=("coco",))
    video, out = write_odd(tmp_path / "in.mp4", walking()), tmp_path / "alphapose-results.mp4"
    with pytest.raises(ValueError, match="is the file of its poses: give another name"):
        forecast_video(video, forecaster, source, out, config)
    assert source.path.joinpath("alphapose-results.json").read_text() == "[]"


# --- strangers' own inputs ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("video", "keypoints"),
    [
        ("alphapose_same_idx/p.mp4", "ap.json"),
        ("cover_picture_first/cover0.mp4", "p.csv"),
        ("csv_of_pandas/p.mp4", "empty_cells.csv"),
        ("mmpose_json/p.mp4", "results_p.json"),
        ("non_square_pixels/sar.mp4", "sar.csv"),
        ("size_changes_midway/down.webm", "p.csv"),
        ("openpose_first_files_missing/p.mp4", "json"),
    ],
)
def test_cases_of_strangers(forecaster, shared, video, keypoints):
    """Each is another form of one clip of a person and its poses."""
    cases = shared / "cases"
    plain = KeypointFile(cases / "colon_in_name" / "p.csv")
    end = 1.2 if keypoints == "json" else None
    expected = forecast_video(cases / "colon_in_name/p.mp4", forecaster, plain, None, CONFIG, end)
    path = cases / video
    source = KeypointFile(path.parent / keypoints)
    result = forecast_video(path, forecaster, source, None, CONFIG, end)
    assert result.past_frames == expected.past_frames
    assert result.seen.image_hw == (270, 480)
    both = result.seen.visible & expected.seen.visible
    both[:, 0] = False  # heads are derived in several ways
    assert both.sum() > 35
    np.testing.assert_allclose(result.seen.joints_px[both], expected.seen.joints_px[both], atol=0.6)
    assert result.note == ""


@pytest.mark.parametrize("name", ["late.mkv", "late.webm", "late.mp4"])
def test_a_video_may_begin_late(forecaster, tmp_path, name):
    frames = [frame_with((20 + 3 * t, 30, 24, 48)) for t in range(COUNT)]
    video = write_late(tmp_path / name, frames, start_s=5)
    assert videos.probe_video(video).duration_s == pytest.approx(COUNT / 30, abs=0.05)
    result = forecast_video(video, forecaster, RED, None, CONFIG)
    assert result.past_frames == (8, 9, 10, 11)


def test_a_place_that_cannot_be_written_to_is_said_before_the_work(
    forecaster, tmp_path, monkeypatch
):
    video, source = write_odd(tmp_path / "in.mp4", walking()), poses(tmp_path / "a.csv")
    monkeypatch.setattr(forecast, "find_poses", None)  # no frame is looked at
    (tmp_path / "out.mp4").mkdir()
    for out, why in {
        "in.mp4/out.mp4": "in.mp4 is a file",
        "a.csv/b/out.mp4": "a.csv is a file",
        "out.mp4": "a folder of this name is there",
    }.items():
        with pytest.raises(PosecastError, match=rf"cannot write .*out\.mp4: .*{why}; free some"):
            forecast_video(video, forecaster, source, tmp_path / out, CONFIG)
    monkeypatch.setattr(os, "access", lambda path, _: path != tmp_path)
    with pytest.raises(PosecastError, match="may not be written to"):
        forecast_video(video, forecaster, source, tmp_path / "new" / "out.mp4", CONFIG)
