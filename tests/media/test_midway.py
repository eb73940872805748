"""Reading that begins midway gives the frames that reading from the beginning on gives."""

from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from odd_videos import write_changing, write_timed
from posecast.errors import PosecastError
from posecast.media import containers, videos
from posecast.media.frame_folders import FrameFolder, write_picture
from posecast.media.resampling import resample
from posecast.media.videos import count_frames, probe_video, read_video

NUM_FRAMES, FPS = 360, 30


def pictures(count: int = NUM_FRAMES) -> list[np.ndarray]:
    """No two are alike; noise that moves, so that each is coded from others."""
    noise = np.random.default_rng(0).integers(0, 255, (48, 64 + count, 3), np.uint8)
    return [noise[:, n : n + 64] for n in range(count)]


def write(
    path: Path,
    codec: str,
    options: dict[str, str],
    rate: int | Fraction = FPS,
    count: int = NUM_FRAMES,
) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate, options=options)
        stream.height, stream.width, stream.pix_fmt = 48, 64, "yuv420p"
        for picture in pictures(count):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    return path


def same_from(path: Path | FrameFolder, fps: float) -> None:
    whole = list(read_video(path, fps))
    assert count_frames(path, fps) == len(whole)
    for first in (1, len(whole) // 2, len(whole) - 40, len(whole) - 1, len(whole), len(whole) + 99):
        late = list(read_video(path, fps, first=first))
        assert len(late) == max(len(whole) - first, 0)
        assert all(np.array_equal(a, b) for a, b in zip(late, whole[first:], strict=True))


@pytest.mark.parametrize(
    ("name", "codec", "options"),
    [
        ("closed.mp4", "libx264", {"x264-params": "keyint=50:bframes=3"}),
        ("open.mov", "libx264", {"x264-params": "open-gop=1:keyint=50:bframes=3"}),
        ("refresh.mp4", "libx264", {"x264-params": "intra-refresh=1:keyint=50"}),
        ("one.mkv", "libx264", {"x264-params": "keyint=1000"}),
        ("hevc.mkv", "libx265", {"x265-params": "open-gop=1:keyint=50:log-level=error"}),
        ("old.mp4", "mpeg4", {"bf": "2"}),
        ("vp8.webm", "libvpx", {"deadline": "realtime"}),
        ("transport.ts", "libx264", {"preset": "ultrafast"}),
        ("old.avi", "mpeg4", {}),
    ],
)
def test_of_any_kind_of_file(
    tmp_path: Path, name: str, codec: str, options: dict[str, str]
) -> None:
    path = write(tmp_path / name, codec, options)
    same_from(path, float(FPS))
    same_from(path, 12.5)


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv"])
@pytest.mark.parametrize("gaps", [(1, 3, 5, 40), (300, 700)])
def test_at_a_variable_rate(tmp_path: Path, name: str, gaps: Sequence[int]) -> None:
    """Also of a file that begins late by its own clock, and of slides."""
    count = 60
    times = 700 + np.cumsum(np.random.default_rng(0).choice(gaps, count))
    path = write_timed(tmp_path / name, pictures(count), times.tolist())
    same_from(path, 25.0)


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv"])
def test_of_slides_each_of_which_stands_alone(tmp_path: Path, name: str) -> None:
    options = {"x264-params": "keyint=1"}
    path = write(tmp_path / name, "libx264", options, Fraction(1, 7), count=12)
    same_from(path, 10.0)


def test_of_videos_that_change_their_size_and_of_folders(tmp_path: Path) -> None:
    frames = [each[: 48 - 16 * (n > 200)] for n, each in enumerate(pictures())]
    same_from(write_changing(tmp_path / "a.webm", frames), float(FPS))
    (tmp_path / "frames").mkdir()
    for n, picture in enumerate(pictures(99)):
        write_picture(tmp_path / "frames" / f"{n:03}.png", picture)
    same_from(FrameFolder(tmp_path / "frames", 10.0), 10.0)


def test_what_is_well_before_is_not_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded = []

    def counting(frames: Iterator[av.VideoFrame], _: object) -> Iterator[av.VideoFrame]:
        for frame in frames:
            decoded.append(frame.time)
            yield frame

    path = write(tmp_path / "a.mp4", "libx264", {"x264-params": "keyint=30"})
    monkeypatch.setattr(videos, "of_one_moment", counting)
    assert len(list(read_video(path, 30.0, first=330))) == 30
    assert len(decoded) <= 30 + 60 + 30  # two seconds before, and those since a whole picture
    decoded.clear()
    assert count_frames(path, 30.0) == NUM_FRAMES
    assert len(decoded) <= 60 + 60 + 30


def test_a_file_that_says_it_lasts_longer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "a.mp4", "libx264", {"preset": "ultrafast"})
    info = probe_video(path)
    monkeypatch.setattr(containers, "stream_seconds", lambda *_: 60.0)
    assert probe_video(path).duration_s == 60.0
    assert count_frames(path, 30.0) == info.num_frames == NUM_FRAMES


def test_resampling_from_a_second_before_on() -> None:
    rng = np.random.default_rng(0)
    for gap in (0.01, 0.04, 0.3):
        seconds = np.cumsum(rng.uniform(0.2, 1.8, 200) * gap) - 0.2 * gap
        timed = list(zip(seconds - seconds[0], range(200), strict=True))
        whole = list(resample(timed, 25.0))
        first = len(whole) // 2
        from_s = first / 25.0 - 1.0 - 2 * gap
        late = [each for each in timed if each[0] >= from_s]
        assert list(resample(late, 25.0, first)) == whole[first:]


@pytest.mark.parametrize("fps", [0.0, -1.0, float("nan"), 1e4])
def test_a_rate_that_is_none(tmp_path: Path, fps: float) -> None:
    for read in (read_video, count_frames):
        with pytest.raises(PosecastError, match="expected over 0 and at most 1000"):
            read(tmp_path / "a.mp4", fps)
