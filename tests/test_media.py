"""Video, GIF and picture files: what is written is read back, and bad files say what they are."""

import mmap
import os
import struct
import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from odd_videos import write_sound, write_timed
from posecast.media import videos, writing
from posecast.media.frame_folders import FrameFolder, read_picture, write_picture
from posecast.media.resampling import nearest_frames, resample

AT_THE_END = """
import mmap, os, sys
import numpy as np
from posecast.media import writing
path, width = sys.argv[1], int(sys.argv[2])
memory = np.memmap(path, np.uint8, "r+", shape=2 * mmap.PAGESIZE)
os.truncate(path, mmap.PAGESIZE)  # who reads on is ended
frame = memory[: mmap.PAGESIZE][-18 * width * 3 :].reshape(18, width, 3)
writing.write_mp4(path + ".mp4", [frame] * 2, 30.0)
"""


def numbered(num_frames: int, hw=(48, 64)) -> list[np.ndarray]:
    """Frames told apart by brightness; the top left corner is red."""
    frames = [np.full((*hw, 3), 40 + 3 * index, np.uint8) for index in range(num_frames)]
    for frame in frames:
        frame[:16, :24] = (220, 0, 0)
    return frames


def numbers(frames) -> list[int]:
    """Undo `numbered`: which frame it is, by its brightness."""
    return [round((float(frame[-8:, -8:].mean()) - 40) / 3) for frame in frames]


def write_video(path: Path, times: list[int], rotation: int | None = None) -> Path:
    return write_timed(path, numbered(len(times)), times, rotation)


def test_mp4_comes_back(tmp_path):
    frames = numbered(12)
    writing.write_mp4(tmp_path / "a.mp4", frames, fps=25.0)
    info = videos.probe_video(tmp_path / "a.mp4")
    assert info == videos.VideoInfo(64, 48, 25.0, info.duration_s, 12, (48, 64))
    assert info.duration_s == pytest.approx(0.48)
    back = list(videos.read_video(tmp_path / "a.mp4"))
    assert len(back) == 12
    assert np.abs(np.stack(back).astype(int) - np.stack(frames)).mean() < 3
    assert numbers(back) == list(range(12))
    assert [path.name for path in tmp_path.iterdir()] == ["a.mp4"]


@pytest.mark.parametrize(
    ("hw", "crf", "said"),
    [((64, 64), 15, b"crf=15.0"), ((2176, 1930), 15, b"crf=17.0"), ((2176, 1930), 0, b"qp=0")],
)
def test_large_pictures_are_written_sooner(tmp_path, hw, crf, said):
    """x264 writes into the file how it was asked."""
    frame = np.full((*hw, 3), 90, np.uint8)
    writing.write_mp4(tmp_path / "a.mp4", [frame] * 2, 30.0, crf)
    assert said in (tmp_path / "a.mp4").read_bytes()
    for back in videos.read_video(tmp_path / "a.mp4"):
        np.testing.assert_allclose(back, frame, atol=2)


@pytest.mark.skipif(os.name == "nt", reason="files that are in use stay as long as they are")
@pytest.mark.parametrize("width", [32, 34])
def test_nothing_behind_a_frame_is_read(tmp_path, width):
    (tmp_path / "a").write_bytes(bytes([90]) * 2 * mmap.PAGESIZE)
    command = [sys.executable, "-c", AT_THE_END, str(tmp_path / "a"), str(width)]
    subprocess.run(command, check=True, timeout=120)
    for back in videos.read_video(tmp_path / "a.mp4"):
        np.testing.assert_allclose(back, np.full((18, width, 3), 90), atol=2)


def test_every_nth_frame(tmp_path):
    writing.write_mp4(tmp_path / "a.mp4", numbered(12), fps=25.0)
    assert numbers(videos.read_video(tmp_path / "a.mp4", every=5)) == [0, 5, 10]
    timed = videos.read_timed_frames(tmp_path / "a.mp4", every=5)
    assert [seconds for seconds, _ in timed] == pytest.approx([0, 0.2, 0.4], abs=1e-4)


def test_time_stamps_of_a_fractional_rate(tmp_path):
    writing.write_mp4(tmp_path / "a.mp4", numbered(5), fps=12.5)
    times = [seconds for seconds, _ in videos.read_timed_frames(tmp_path / "a.mp4")]
    assert times == pytest.approx([0, 0.08, 0.16, 0.24, 0.32], abs=1e-4)


def test_odd_sizes_gain_a_row_and_a_column(tmp_path):
    writing.write_mp4(tmp_path / "a.mp4", numbered(2, hw=(47, 63)), fps=10.0)
    (first, _) = videos.read_video(tmp_path / "a.mp4")
    assert first.shape == (48, 64, 3)


def test_failed_writing_leaves_no_file_and_keeps_the_old_one(tmp_path):
    path = tmp_path / "a.mp4"
    writing.write_mp4(path, numbered(2), fps=10.0)
    before = path.read_bytes()

    def breaks():
        yield numbered(1)[0]
        raise KeyError("on the way")

    with pytest.raises(KeyError):
        writing.write_mp4(path, breaks(), fps=10.0)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("rotation", "corner"),
    [(None, "top left"), (90, "bottom left"), (-90, "top right"), (180, "bottom right")],
)
def test_rotated_as_a_player_shows_it(tmp_path, rotation, corner):
    path = write_video(tmp_path / "a.mp4", [0, 10], rotation)
    frame = next(videos.read_video(path))
    turned = rotation in (90, -90)
    assert frame.shape == ((64, 48, 3) if turned else (48, 64, 3))
    info = videos.probe_video(path)
    assert (info.height, info.width) == frame.shape[:2]
    vertical, horizontal = corner.split()
    pixel = frame[5 if vertical == "top" else -6, 5 if horizontal == "left" else -6]
    assert pixel[0] > 150
    assert pixel[1] < 60


def test_turned_as_the_format_defines_it(tmp_path):
    """A phone held upright writes the matrix (x, y) -> (-y, x): a quarter turn clockwise."""
    path = write_video(tmp_path / "a.mp4", [0, 10])
    content = bytearray(path.read_bytes())
    track = content.index(b"tkhd")
    one = (1 << 16).to_bytes(4, "big")
    start = content.index(one, track + 40)
    content[start : start + 20] = struct.pack(">5i", 0, 1 << 16, 0, -(1 << 16), 0)
    path.write_bytes(content)
    frame = next(videos.read_video(path))
    assert frame.shape == (64, 48, 3)
    assert frame[5, -6, 0] > 150  # the red corner went from the top left to the top right
    assert frame[5, -6, 1] < 60


def test_resampled_by_time_stamps_at_a_variable_rate(tmp_path):
    # Shown for 0.1 s each, then a pause of 0.6 s, then 0.1 s each again.
    path = write_video(tmp_path / "a.mp4", [0, 10, 20, 80, 90, 100])
    assert numbers(videos.read_video(path)) == [0, 1, 2, 3, 4, 5]
    assert numbers(videos.read_video(path, fps=10.0)) == [0, 1, 2, 2, 2, 3, 3, 3, 3, 4, 5, 5]
    assert numbers(videos.read_video(path, fps=5.0)) == [0, 2, 2, 3, 3, 5]
    times = list(videos.read_timeline(path).seconds)
    assert times == pytest.approx([0, 0.1, 0.2, 0.8, 0.9, 1.0])
    for fps in (5.0, 10.0, 24.0):
        assert nearest_frames(times, fps) == numbers(videos.read_video(path, fps=fps))


def ticks(times: list[float], fps: float) -> list[int]:
    frames = (np.full((1, 1, 3), index, np.uint8) for index in range(len(times)))
    return [int(frame[0, 0, 0]) for frame in resample(zip(times, frames, strict=True), fps)]


def test_resample_keeps_the_length():
    assert ticks([k / 50 for k in range(100)], 12.5) == list(range(0, 100, 4))
    assert len(ticks([k / 10 for k in range(10)], 25.0)) == 25
    assert ticks([k / 30 for k in range(30)], 30.0) == list(range(30))
    assert ticks([round(k / 30, 3) for k in range(12)], 30.0) == list(range(12))  # as in Matroska
    assert ticks([1001 * k / 30000 for k in range(60)], 30.0) == list(range(60))  # none twice
    assert ticks([k / 60 for k in range(61)], 30.0) == list(range(0, 61, 2))
    assert ticks([0.0], 25.0) == [0]
    assert ticks([], 25.0) == []


def test_bad_videos_say_what_they_are(tmp_path):
    good = tmp_path / "good.mp4"
    writing.write_mp4(good, numbered(40), fps=10.0)
    (tmp_path / "cut.mp4").write_bytes(good.read_bytes()[: good.stat().st_size * 2 // 3])
    (tmp_path / "empty.mp4").write_bytes(b"")
    (tmp_path / "text.mp4").write_text("not a video")
    write_sound(tmp_path / "sound.mp4")
    for name, problem in {
        "missing.mp4": "no such video file",
        "missing-%04d.png": "of numbered pictures give the folder",
        "cut.mp4": "truncated, damaged|cut off",
        "empty.mp4": "not a video",
        "text.mp4": "not a video",
        "sound.mp4": "no video stream",
    }.items():
        with pytest.raises(ValueError, match=problem) as caught:
            list(videos.read_video(tmp_path / name))
        assert name in str(caught.value)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_a_file_that_breaks_off_gives_its_frames_then_an_error(tmp_path, suffix):
    good, cut = tmp_path / f"good{suffix}", tmp_path / f"cut{suffix}"
    options = {"movflags": "faststart"} if suffix == ".mp4" else {}
    noise = np.random.default_rng(0).integers(0, 255, (60, 48, 64, 3), np.uint8)
    with av.open(str(good), "w", options=options) as container:
        stream = container.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for picture in noise:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    cut.write_bytes(good.read_bytes()[: good.stat().st_size // 2])
    frames = videos.read_video(cut)
    seen = []
    with pytest.raises(ValueError, match="truncated"):
        seen.extend(frames)
    assert 5 < len(seen) < 55


def test_gif_timing_is_in_hundredths_and_does_not_drift():
    shown, durations = writing.gif_timing(64, fps=30.0)
    assert shown == list(range(64))
    assert set(durations) == {30, 40}
    assert np.abs(np.cumsum(durations) - 1000 * np.arange(1, 65) / 30).max() <= 10
    assert writing.gif_timing(3, fps=10.0) == ([0, 1, 2], [100, 100, 100])


def test_gif_faster_than_browsers_show_leaves_frames_out():
    shown, durations = writing.gif_timing(100, fps=100.0)
    assert shown == list(range(0, 100, 2))
    assert set(durations) == {20}


def test_gif_comes_back(tmp_path):
    frames = numbered(6)
    writing.write_gif(tmp_path / "a.gif", frames, fps=12.5)
    with Image.open(tmp_path / "a.gif") as gif:
        assert gif.n_frames == 6
        assert gif.info["loop"] == 0
        gif.seek(5)
        assert gif.info["duration"] == 80
        assert np.abs(np.asarray(gif.convert("RGB")).astype(int) - frames[5]).max() <= 8


@pytest.mark.parametrize("fps", [12.0, 15.0, 24.0, 30.0])
def test_the_rate_of_a_gif_is_that_of_all_its_frames(tmp_path, fps):
    writing.write_gif(tmp_path / "a.gif", numbered(24), fps)  # 15: 70, 60, 70, 70, 60, ... ms
    found = videos.probe_video(tmp_path / "a.gif").fps
    assert found == pytest.approx(fps, rel=5e-3)  # delays are hundredths
    assert len(list(videos.read_video(tmp_path / "a.gif", fps))) == 24


@pytest.mark.parametrize("delays_ms", [[100, 100], [20, 30, 50, 70, 40, 110, 90, 30] * 3])
def test_a_gif_whose_frames_have_no_common_rate_is_read_at_their_average(tmp_path, delays_ms):
    frames = [Image.fromarray(frame) for frame in numbered(len(delays_ms))]
    more = {"save_all": True, "append_images": frames[1:], "duration": delays_ms}
    frames[0].save(tmp_path / "a.gif", **more)
    fps = 1000 * len(delays_ms) / sum(delays_ms)
    assert videos.probe_video(tmp_path / "a.gif").fps == pytest.approx(fps, rel=0.15)


@pytest.mark.parametrize("kind", ["MemoryError", "BlockingIOError"])
def test_a_good_video_is_not_called_damaged_where_memory_is_used_up(tmp_path, monkeypatch, kind):
    def fails(*_, **__):
        raise getattr(av.error, kind)(12, "Cannot allocate memory")

    good = write_video(tmp_path / "a.mp4", [0, 1])
    monkeypatch.setattr(av, "open", fails)
    with pytest.raises(MemoryError, match="Cannot allocate memory"):
        videos.probe_video(good)
    with pytest.raises(MemoryError, match="Cannot allocate memory"):
        writing.write_mp4(good, numbered(2), fps=10.0)


@pytest.mark.parametrize("write", [writing.write_mp4, writing.write_gif])
def test_nothing_to_write(tmp_path, write):
    with pytest.raises(ValueError, match="no frames"):
        write(tmp_path / "a.out", [], 25.0)
    with pytest.raises(ValueError, match="fps must be positive"):
        write(tmp_path / "a.out", numbered(1), 0.0)
    assert not list(tmp_path.iterdir())


def test_pictures_come_back(tmp_path):
    picture = numbered(1)[0]
    write_picture(tmp_path / "deep" / "a.png", picture)
    write_picture(tmp_path / "deep" / "a.jpg", picture)
    np.testing.assert_array_equal(read_picture(tmp_path / "deep" / "a.png"), picture)
    lossy = read_picture(tmp_path / "deep" / "a.jpg")
    assert np.abs(lossy.astype(int) - picture).mean() < 3


@pytest.mark.parametrize("kind", [np.uint16, np.int32])
def test_pictures_of_sixteen_bits_are_no_white_ones(tmp_path, kind):
    """As infrared cameras write them."""
    ramp = np.repeat(np.arange(0, 65536, 1024)[None], 48, axis=0)
    Image.fromarray(ramp.astype(kind)).save(tmp_path / "a.tif")
    picture = read_picture(tmp_path / "a.tif")
    np.testing.assert_array_equal(picture[0, :, 1], np.arange(0, 256, 4))


def test_grey_of_32_bits_that_holds_8_is_no_black_one(tmp_path):
    ramp = np.repeat(np.arange(0, 256, 4, np.int32)[None], 48, axis=0)
    Image.fromarray(ramp).save(tmp_path / "a.tif")
    np.testing.assert_array_equal(read_picture(tmp_path / "a.tif")[0, :, 1], ramp[0])


def test_numbers_in_names_are_those_that_count(tmp_path):
    names = ["2\N{SUPERSCRIPT TWO}.png", "10\N{SUPERSCRIPT TWO}.png"]
    for name in names[::-1]:
        write_picture(tmp_path / name, numbered(1)[0])
    assert [file.name for file in FrameFolder(tmp_path).pictures()] == names


def test_bad_pictures_say_what_they_are(tmp_path):
    write_picture(tmp_path / "a.jpg", numbered(1)[0])
    whole = (tmp_path / "a.jpg").read_bytes()
    (tmp_path / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match=r"cut.jpg: truncated"):
        read_picture(tmp_path / "cut.jpg")
    with pytest.raises(ValueError, match="no such picture"):
        read_picture(tmp_path / "missing.jpg")
    with pytest.raises(ValueError, match="are written as"):
        write_picture(tmp_path / "a.webp", numbered(1)[0])


@pytest.mark.parametrize("codec", ["mpeg2video", "libx264"])
def test_films_put_behind_each_other_go_on_in_time(tmp_path, codec):
    """As DVDs' and tapes' parts are joined: the second one's time stamps begin anew; H.264 has but
    one for each film."""
    for name, shown in (("a.mpg", numbered(20)[:10]), ("b.mpg", numbered(20)[10:])):
        with av.open(str(tmp_path / name), "w") as container:
            stream = container.add_stream(codec, rate=25)
            stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
            for picture in shown:
                frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
    path = tmp_path / "both.mpg"
    path.write_bytes((tmp_path / "a.mpg").read_bytes() + (tmp_path / "b.mpg").read_bytes())
    np.testing.assert_allclose(videos.read_timeline(path).seconds, np.arange(20) / 25, atol=1e-6)
    assert numbers(videos.read_video(path, fps=25.0)) == list(range(20))


def test_times_never_fall(tmp_path):
    """MPEG-1 in parts of program streams counts B-frames wrongly."""
    path = tmp_path / "a.mpg"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg1video", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.codec_context.max_b_frames, stream.codec_context.gop_size = 2, 12
        for level in range(50):
            picture = np.full((48, 64, 3), 4 * level, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    with av.open(str(path)) as container:
        assert min(np.diff([frame.time for frame in container.decode(video=0)])) < 0
    seconds = videos.read_timeline(path).seconds
    assert min(np.diff(seconds)) >= 0
    assert seconds[-1] == pytest.approx(49 / 25, abs=0.1)
