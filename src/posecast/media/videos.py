"""Reading of videos and folders of frames.

Everything is uint8 RGB, `(h, w, 3)` a frame, as a player shows it (see `shown`). Frames stream: no
function here holds a whole video.
"""

import itertools
import math
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

import av
import numpy as np
from av.container import InputContainer
from av.error import FFmpegError
from av.stream import Disposition
from av.video.stream import VideoStream
from jaxtyping import Float, UInt8

from posecast.errors import PosecastError
from posecast.media.fields import of_one_moment
from posecast.media.frame_folders import FrameFolder, is_of_pictures, read_picture
from posecast.media.hdr import HLG, PQ, as_shown
from posecast.media.shown import Look, Orientation, place_in, show

T = TypeVar("T")
VideoSource = str | Path | FrameFolder
"""A video file, or a folder of frames."""
MOST_FPS = 1000
"""Frames a second that a video is brought to at most: more would repeat each many times over."""

_BT601, _BT709, _BT2020, _UNSAID = 6, 1, 9, 2
"""How colours become numbers (ITU-T H.273)."""
_NOT_A_VIDEO = Disposition.attached_pic | Disposition.timed_thumbnails | Disposition.still_image


@dataclass(frozen=True)
class VideoInfo:
    """What a video file says of itself."""

    width: int
    """Pixels, as it is shown: upright, in square pixels."""
    height: int
    """Pixels, as it is shown."""
    fps: float
    """Average frames a second."""
    duration_s: float
    """Seconds; 0 where the file does not say."""
    num_frames: int
    """Frames as stated by the file, else duration times rate: a guide, not a promise."""
    stored_hw: tuple[int, int]
    """Stored pixels of the first frame, turned upright: what other programs measure in."""


@dataclass(frozen=True, eq=False)
class Timeline:
    """When and where the frames of a video are shown."""

    info: VideoInfo
    seconds: tuple[float, ...]
    """When each frame is shown, the first at 0."""
    places: Float[np.ndarray, "t 4"]
    """x, y, width, height of each frame's picture in what is shown: all of it, except where a video
    changes its shape midway."""
    numbers: tuple[int, ...] = ()
    """The numbers in the names of a folder's pictures; () where there are none."""


@dataclass(frozen=True)
class _Frame:
    """A frame that was decoded but not yet converted."""

    seconds: float
    look: Look
    read: Callable[[], UInt8[np.ndarray, "h w 3"]]


def address(path: Path) -> str:
    """What libav opens as this file, whatever is in its name ("take:2.mp4" is no protocol)."""
    return f"file:{path}"


@contextmanager
def _opened(path: Path) -> Iterator[tuple[InputContainer, VideoStream]]:
    """Open the video stream; every failure is a PosecastError that names the file."""
    if not path.is_file():
        raise PosecastError(f"{path}: no such video file or folder")
    try:
        with av.open(address(path)) as container:
            stream = moving_pictures(container)
            if stream is None:
                raise PosecastError(f"{path}: no video stream (only audio or a cover, or cut off)")
            stream.thread_type = "AUTO"
            yield container, stream
    except FFmpegError as error:
        moves = "animated WebP is not read, save it as GIF or MP4; or "
        raise PosecastError(
            f"{path}: {moves if path.suffix.lower() == '.webp' else ''}truncated, damaged or not a "
            f"video ({error.strerror}); copy it again, or re-encode it with ffmpeg"
        ) from error


def moving_pictures(container: InputContainer) -> VideoStream | None:
    """The first stream of them, the default one first; covers are passed over."""
    streams = [each for each in container.streams.video if not each.disposition & _NOT_A_VIDEO]
    streams = [each for each in streams if each.frames != 1] or streams  # one picture: a thumbnail
    defaults = [each for each in streams if each.disposition & Disposition.default]
    return next(iter(defaults or streams), None)


def _look(frame: av.VideoFrame, stream: VideoStream) -> Look:
    aspect = float(stream.sample_aspect_ratio or 0)
    return Look.of((frame.width, frame.height), aspect, _orientation(frame))


def _orientation(frame: av.VideoFrame) -> Orientation:
    try:
        matrix = frame.side_data.get("DISPLAYMATRIX")
    except ValueError:  # PyAV has no name for some side data: EXIF, displays of spatial videos
        return Orientation.of_degrees(frame.rotation)
    numbers = [] if matrix is None else np.frombuffer(bytes(matrix), np.int32).tolist()
    return Orientation.of_matrix(numbers) if numbers else Orientation()


def _stream_seconds(container: InputContainer, stream: VideoStream) -> float:
    if stream.duration is not None and stream.time_base is not None:
        return float(stream.duration * stream.time_base)
    # Matroska counts from zero, wherever the first frame is.
    start = container.start_time if "matroska" in container.format.name else 0
    return ((container.duration or 0) - (start or 0)) / av.time_base


def _source(path: VideoSource) -> Path | FrameFolder:
    if isinstance(path, FrameFolder):
        return path
    return FrameFolder(Path(path)) if is_of_pictures(Path(path)) else Path(path)


def probe_video(path: VideoSource) -> VideoInfo:
    """Read size, rate and length; decodes one frame.

    PosecastError: missing file, no video stream, damaged file, or not one frame in it.
    """
    source = _source(path)
    if isinstance(source, FrameFolder):
        hw, count = next(source.sizes()), len(source.pictures())
        return VideoInfo(hw[1], hw[0], source.fps, count / source.fps, count, hw)
    with _opened(source) as (container, stream):
        if (frame := next(container.decode(stream), None)) is None:
            raise PosecastError(f"{path}: the video has no frames")
        look = _look(frame, stream)
        # A GIF's average is that of its first frames alone; its guess is 100 where no rate fits.
        fits = container.format.name == "gif" and stream.guessed_rate != 100
        rate = (not fits and stream.average_rate) or stream.guessed_rate
        if not rate:
            raise PosecastError(f"{path}: the file states no frame rate; re-encode it with ffmpeg")
        seconds = _stream_seconds(container, stream)
        num_frames = stream.frames or max(1, round(seconds * rate))
    return VideoInfo(look.hw[1], look.hw[0], float(rate), seconds, num_frames, look.stored_hw)


def read_timed_frames(
    path: VideoSource, every: int = 1
) -> Generator[tuple[float, UInt8[np.ndarray, "h w 3"]], None, None]:
    """Frames with the seconds at which they are shown, the first at 0, streaming.

    `every`: only every n-th frame; the others are decoded but not converted. All frames have the
    size of the first. PosecastError: as `probe_video`, at once; and while reading, when the file
    breaks off.
    """
    source = _source(path)
    info = probe_video(source)
    frames, hw = _timed(source, info.fps), (info.height, info.width)
    kept = itertools.islice(frames, 0, None, every)
    return ((each.seconds, show(each.read(), each.look, hw)) for each in kept)


def _timed(source: Path | FrameFolder, fps: float) -> Generator[_Frame, None, None]:
    """Frames as decoded, with the seconds at which they are shown."""
    if isinstance(source, FrameFolder):
        for index, (hw, file) in enumerate(zip(source.sizes(), source.pictures(), strict=True)):
            yield _Frame(index / fps, Look(hw, hw), partial(read_picture, file))
        return
    with _opened(source) as (container, stream):
        began, seconds = math.inf, -1 / fps
        transfer = stream.codec_context.color_trc
        for frame in of_one_moment(_whole_frames(source, container, stream), stream):
            shown, usual = frame.time, seconds + 1 / fps
            if shown is not None and shown - began < seconds - 1.5 / fps:
                began = shown - usual  # also of films put behind each other, which count anew
            # Raw streams carry no time stamps, some a few; those of B-frames may fall.
            seconds = usual if shown is None else max(shown - began, seconds)
            yield _Frame(seconds, _look(frame, stream), partial(_rgb, frame, transfer))
        _check_length(source, container, stream, end=seconds + 1 / fps)


def _rgb(frame: av.VideoFrame, transfer: int) -> UInt8[np.ndarray, "h w 3"]:
    is_hdr, said = transfer in (PQ, HLG), frame.colorspace != _UNSAID
    usual = _BT2020 if is_hdr else usual_colours(frame.width, frame.height)
    colours = None if said else usual
    if is_hdr:
        whole = frame.reformat(format="rgb48le", src_colorspace=colours)
        return as_shown(whole.to_ndarray(), transfer)
    return frame.reformat(format="rgb24", src_colorspace=colours).to_ndarray()


def usual_colours(width: int, height: int) -> int:
    """What players take colours to be where a file of this size does not say."""
    return _BT709 if width >= 1280 or height > 576 else _BT601


def read_timeline(path: VideoSource) -> Timeline:
    """When and where all frames are shown; decodes the whole video.

    PosecastError: as `read_timed_frames`.
    """
    source = _source(path)
    info = probe_video(source)
    hw = (info.height, info.width)
    frames = [(each.seconds, place_in(each.look.hw, hw)) for each in _timed(source, info.fps)]
    seconds, places = zip(*frames, strict=True)
    numbers = source.numbers() if isinstance(source, FrameFolder) else ()
    return Timeline(info, seconds, np.array(places, float), tuple(numbers))


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
    stated = _stream_seconds(container, stream)
    if end < 0.9 * stated:
        raise PosecastError(
            f"{path}: truncated: the file states {stated:.1f} s but ends after {end:.1f} s; "
            "copy it again, or cut it with ffmpeg"
        )


def nearest_frames(times: Iterable[float], fps: float) -> list[int]:
    """Numbers of the frames that `resample` takes of a video with these times."""
    return list(resample(((seconds, number) for number, seconds in enumerate(times)), fps))


def resample(timed_frames: Iterable[tuple[float, T]], fps: float) -> Generator[T, None, None]:
    """Frames at a constant rate: for each tick k / fps, the frame whose time is nearest.

    Frames are repeated or left out, never blended. Times rise; the first is 0. The last frame
    is shown for the mean time between frames. Works for variable frame rates. PosecastError for a
    rate that is not over 0, or over MOST_FPS.
    """
    if not 0 < fps <= MOST_FPS:
        raise PosecastError(f"fps is {fps:g}; expected over 0 and at most {MOST_FPS}")
    tick, num_frames = 0, 0
    previous_seconds, previous = 0.0, None
    for seconds, frame in timed_frames:
        if previous is not None:
            while tick / fps < (previous_seconds + seconds) / 2:
                yield previous
                tick += 1
        previous_seconds, previous = seconds, frame
        num_frames += 1
    # A hair less, so that a tick at the end does not depend on rounding (Matroska's: to 1 ms).
    end = previous_seconds * num_frames / max(1, num_frames - 1) - 1e-3
    # Less than half a tick more is none: else all of 29.97 a second would stand still at the end.
    while previous is not None and (tick / fps <= previous_seconds or (tick + 0.5) / fps < end):
        yield previous
        tick += 1


def read_video(
    path: VideoSource, fps: float | None = None, every: int = 1
) -> Generator[UInt8[np.ndarray, "h w 3"], None, None]:
    """Frames in order, streaming; at `fps` frames a second by their time stamps, else every n-th.

    PosecastError: as `read_timed_frames` and `resample`.
    """
    timed_frames = read_timed_frames(path, every)
    return (frame for _, frame in timed_frames) if fps is None else resample(timed_frames, fps)
