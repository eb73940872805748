"""Reading and writing of videos, GIFs and pictures.

Everything is uint8 RGB, `(h, w, 3)` a frame, upright as a player shows it. Frames stream: no
function here holds a whole video unless it is given one. Files appear under their name only when
they are whole.
"""

import itertools
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TypeVar

import av
import numpy as np
from av.container import InputContainer
from av.error import FFmpegError
from av.video.stream import VideoStream
from jaxtyping import UInt8
from PIL import Image, ImageOps

from posecast.errors import PosecastError
from posecast.records.files import write_safely

T = TypeVar("T")

PICTURE_FORMATS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG"}


@dataclass(frozen=True)
class VideoInfo:
    """What a video file says of itself."""

    width: int
    """Pixels, after the stored rotation."""
    height: int
    """Pixels, after the stored rotation."""
    fps: float
    """Average frames a second."""
    duration_s: float
    """Seconds; 0 where the file does not say."""
    num_frames: int
    """Frames as stated by the file, else duration times rate: a guide, not a promise."""


# --- video in ---------------------------------------------------------------------------------


@contextmanager
def _opened(path: Path) -> Iterator[tuple[InputContainer, VideoStream]]:
    """Open the first video stream; every failure is a PosecastError that names the file."""
    if not path.is_file():
        raise PosecastError(f"{path}: no such video file")
    try:
        with av.open(str(path)) as container:
            if not container.streams.video:
                raise PosecastError(f"{path}: no video stream (audio only, or cut off)")
            stream = container.streams.video[0]
            stream.thread_type = "AUTO"
            yield container, stream
    except FFmpegError as error:
        raise PosecastError(
            f"{path}: truncated, damaged or not a video ({error.strerror}); "
            "copy it again, or re-encode it with ffmpeg"
        ) from error


def _upright(frame: av.VideoFrame) -> UInt8[np.ndarray, "h w 3"]:
    """RGB picture, turned as the file asks (phones store the sensor's orientation)."""
    picture = frame.to_ndarray(format="rgb24")
    quarter_turns = round(frame.rotation / 90) % 4  # counter-clockwise, like rot90
    return np.ascontiguousarray(np.rot90(picture, quarter_turns))


def _stream_seconds(container: InputContainer, stream: VideoStream) -> float:
    if stream.duration is not None and stream.time_base is not None:
        return float(stream.duration * stream.time_base)
    return (container.duration or 0) / av.time_base


def probe_video(path: str | Path) -> VideoInfo:
    """Read size, rate and length; decodes one frame.

    Raises:
        PosecastError: missing file, no video stream, damaged file, or not one frame in it.
    """
    path = Path(path)
    with _opened(path) as (container, stream):
        frame = next(container.decode(stream), None)
        if frame is None:
            raise PosecastError(f"{path}: the video has no frames")
        height, width = _upright(frame).shape[:2]
        rate = stream.average_rate or stream.guessed_rate
        if not rate:
            raise PosecastError(f"{path}: the file states no frame rate; re-encode it with ffmpeg")
        seconds = _stream_seconds(container, stream)
        num_frames = stream.frames or max(1, round(seconds * rate))
    return VideoInfo(width, height, float(rate), seconds, num_frames)


def read_timed_frames(
    path: str | Path, every: int = 1
) -> Generator[tuple[float, UInt8[np.ndarray, "h w 3"]], None, None]:
    """Frames with the seconds at which they are shown, the first at 0, streaming.

    `every`: only every n-th frame; the others are decoded but not converted.

    Raises:
        PosecastError: as `probe_video`, at once; and while reading, when the file breaks off.
    """
    path = Path(path)
    info = probe_video(path)
    return _decode(path, info.fps, every)


def _decode(
    path: Path, fps: float, every: int
) -> Generator[tuple[float, UInt8[np.ndarray, "h w 3"]], None, None]:
    for index, (seconds, frame) in enumerate(_timed(path, fps)):
        if index % every == 0:
            yield seconds, _upright(frame)


def _timed(path: Path, fps: float) -> Generator[tuple[float, av.VideoFrame], None, None]:
    """Frames as decoded, with the seconds at which they are shown."""
    with _opened(path) as (container, stream):
        first, seconds = None, 0.0
        for index, frame in enumerate(_whole_frames(path, container, stream)):
            # Raw streams carry no time stamps: count frames instead.
            shown = index / fps if frame.time is None else frame.time
            first = shown if first is None else first
            seconds = shown - first
            yield seconds, frame
        _check_length(path, container, stream, end=seconds + 1 / fps)


def frame_times(path: str | Path) -> list[float]:
    """The seconds at which all frames are shown, the first at 0; decodes the whole video.

    Raises:
        PosecastError: as `read_timed_frames`.
    """
    path = Path(path)
    return [seconds for seconds, _ in _timed(path, probe_video(path).fps)]


def _whole_frames(
    path: Path, container: InputContainer, stream: VideoStream
) -> Iterator[av.VideoFrame]:
    """Decode up to the first packet that the file holds only in part."""
    for packet in container.demux(stream):
        if packet.is_corrupt:
            raise PosecastError(
                f"{path}: truncated or damaged; copy it again, or cut it with ffmpeg"
            )
        yield from packet.decode()


def _check_length(path: Path, container: InputContainer, stream: VideoStream, end: float) -> None:
    """Containers such as Matroska end without an error where the file was cut off.

    Only for files of one stream without a length of its own: elsewhere the break itself is
    reported, and a stated length may include what an edit list hides.
    """
    if stream.duration is not None or len(container.streams) > 1 or not container.duration:
        return
    stated = container.duration / av.time_base
    if end < 0.9 * stated:
        raise PosecastError(
            f"{path}: truncated: the file states {stated:.1f} s but ends after {end:.1f} s; "
            "copy it again, or cut it with ffmpeg"
        )


def resample(
    timed_frames: Iterable[tuple[float, UInt8[np.ndarray, "h w 3"]]], fps: float
) -> Generator[UInt8[np.ndarray, "h w 3"], None, None]:
    """Frames at a constant rate: for each tick k / fps, the frame whose time is nearest.

    Frames are repeated or left out, never blended. Times rise; the first is 0. The last frame
    is shown for the mean time between frames. Works for variable frame rates.
    """
    return _resampled(timed_frames, fps)


def nearest_frames(times: Iterable[float], fps: float) -> list[int]:
    """Numbers of the frames that `resample` takes of a video with these times."""
    return list(_resampled(((seconds, number) for number, seconds in enumerate(times)), fps))


def _resampled(timed_frames: Iterable[tuple[float, T]], fps: float) -> Generator[T, None, None]:
    tick, num_frames = 0, 0
    previous_seconds, previous = 0.0, None
    for seconds, frame in timed_frames:
        if previous is not None:
            while tick / fps < (previous_seconds + seconds) / 2:
                yield previous
                tick += 1
        previous_seconds, previous = seconds, frame
        num_frames += 1
    # A hair less, so that a tick exactly at the end does not depend on rounding.
    end = previous_seconds * num_frames / max(1, num_frames - 1) - 1e-6
    while previous is not None and (tick == 0 or tick / fps < end):
        yield previous
        tick += 1


def read_video(
    path: str | Path, fps: float | None = None, every: int = 1
) -> Generator[UInt8[np.ndarray, "h w 3"], None, None]:
    """Frames in order, streaming; at `fps` frames a second by their time stamps, else every n-th.

    Raises:
        PosecastError: as `read_timed_frames`; or fps is not positive.
    """
    if fps is not None and not fps > 0:
        raise PosecastError(f"fps must be positive, got {fps}")
    timed_frames = read_timed_frames(path, every)
    return (frame for _, frame in timed_frames) if fps is None else resample(timed_frames, fps)


# --- video out --------------------------------------------------------------------------------


def _peek(
    frames: Iterable[UInt8[np.ndarray, "h w 3"]], fps: float, path: Path
) -> tuple[UInt8[np.ndarray, "h w 3"], Iterator[UInt8[np.ndarray, "h w 3"]]]:
    """The first frame, and all frames again."""
    if not fps > 0:
        raise PosecastError(f"{path}: fps must be positive, got {fps}")
    iterator = iter(frames)
    first = next(iterator, None)
    if first is None:
        raise PosecastError(f"{path}: no frames to write")
    return first, itertools.chain([first], iterator)


def _even(frame: UInt8[np.ndarray, "h w 3"]) -> UInt8[np.ndarray, "h2 w2 3"]:
    """Repeat the last row or column where the size is odd: yuv420p needs even sizes."""
    height, width = frame.shape[:2]
    return np.pad(frame, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")


def write_mp4(
    path: str | Path, frames: Iterable[UInt8[np.ndarray, "h w 3"]], fps: float, crf: int = 16
) -> None:
    """Write H.264 (yuv420p, plays everywhere); odd sizes gain a repeated row or column.

    `crf` is x264's quality, 0 lossless to 51. Compute metrics on arrays, never on this file.

    Raises:
        PosecastError: no frames, or fps not positive.
    """
    path = Path(path)
    first, frames = _peek(frames, fps, path)

    def encode(partial: Path) -> None:
        with av.open(str(partial), "w", format="mp4") as container:
            stream = container.add_stream("libx264", rate=Fraction(fps).limit_denominator(1001))
            stream.height, stream.width = _even(first).shape[:2]
            stream.pix_fmt = "yuv420p"
            stream.options = {"crf": str(crf)}
            for frame in frames:
                picture = av.VideoFrame.from_ndarray(_even(frame), format="rgb24")
                container.mux(stream.encode(picture))
            container.mux(stream.encode(None))

    write_safely(path, encode)


def gif_timing(num_frames: int, fps: float) -> tuple[list[int], list[int]]:
    """Which frames a GIF shows and for how many milliseconds each.

    GIF counts hundredths of a second, and browsers slow anything under two of them down to ten:
    delays are multiples of 10 ms, at least 20 ms, and never drift from the true time by more
    than 10 ms; above 50 fps frames are left out.
    """
    shown, starts = [0], [0]
    for index in range(1, num_frames):
        start = round(100 * index / fps)
        if start - starts[-1] >= 2:
            shown.append(index)
            starts.append(start)
    starts.append(max(round(100 * num_frames / fps), starts[-1] + 2))
    return shown, [10 * (after - before) for before, after in itertools.pairwise(starts)]


def write_gif(path: str | Path, frames: Iterable[UInt8[np.ndarray, "h w 3"]], fps: float) -> None:
    """Write an endless GIF, 256 colours a frame; timing as `gif_timing`.

    Raises:
        PosecastError: no frames, or fps not positive.
    """
    path = Path(path)
    _, frames = _peek(frames, fps, path)
    pictures = [
        Image.fromarray(frame).quantize(method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
        for frame in frames
    ]
    shown, durations = gif_timing(len(pictures), fps)
    rest = [pictures[index] for index in shown[1:]]
    options = {"save_all": True, "append_images": rest, "duration": durations, "loop": 0}
    write_safely(path, lambda partial: pictures[0].save(partial, format="GIF", **options))


# --- pictures ---------------------------------------------------------------------------------


def write_picture(path: str | Path, picture: UInt8[np.ndarray, "h w 3"]) -> None:
    """Write a PNG, or a JPEG of quality 95, as the suffix says.

    Raises:
        PosecastError: another suffix.
    """
    path = Path(path)
    kind = PICTURE_FORMATS.get(path.suffix.lower())
    if kind is None:
        raise PosecastError(f"{path}: pictures are written as {', '.join(PICTURE_FORMATS)}")
    image = Image.fromarray(picture)
    write_safely(path, lambda partial: image.save(partial, format=kind, quality=95))


def read_picture(path: str | Path) -> UInt8[np.ndarray, "h w 3"]:
    """Read any picture file as RGB, upright.

    Raises:
        PosecastError: missing, truncated or not a picture.
    """
    path = Path(path)
    if not path.is_file():
        raise PosecastError(f"{path}: no such picture file")
    try:
        with Image.open(path) as picture:
            return np.array(ImageOps.exif_transpose(picture).convert("RGB"))
    except OSError as error:
        raise PosecastError(f"{path}: truncated or not a picture ({error})") from error
