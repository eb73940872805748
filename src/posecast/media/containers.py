"""Video files as libav opens them: the stream that moves, its packets, and how to begin midway."""

import itertools
import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import av
from av.container import InputContainer
from av.error import FFmpegError
from av.stream import Disposition
from av.video.stream import VideoStream

from posecast.computing.memory import says_no_memory
from posecast.errors import PosecastError

_WITH_INDEX = ("mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm")
BEFORE_S = 2.0
"""Where reading begins midway, so much earlier: fields are woven of their neighbours, and a frame
is shown until the next one."""

_NOT_A_VIDEO = Disposition.attached_pic | Disposition.timed_thumbnails | Disposition.still_image

_IN_TILES = (".heic", ".heif", ".hif")
"""Each of a phone's photo is a stream of its own, and would be taken for the whole."""


def address(path: Path) -> str:
    """What libav opens as this file, whatever is in its name ("take:2.mp4" is no protocol)."""
    return f"file:{path}"


@contextmanager
def opened(path: Path) -> Iterator[tuple[InputContainer, VideoStream]]:
    """Open the video stream; every failure but MemoryError is a PosecastError that names the
    file."""
    if not path.is_file():
        pattern = "; of numbered pictures give the folder" * ("%" in path.name)
        raise PosecastError(f"{path}: no such video file or folder{pattern}")
    if path.suffix.lower() in _IN_TILES:
        raise PosecastError(f"{path}: photos of this kind are not read; save it as .jpg or .png")
    try:
        with av.open(address(path)) as container:
            stream = moving_pictures(container)
            if stream is None:
                raise PosecastError(f"{path}: no video stream (only audio or a cover, or cut off)")
            stream.thread_type = "AUTO"
            yield container, stream
    except FFmpegError as error:
        if says_no_memory(error):
            raise MemoryError(error.strerror) from error
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


def clock_midway(path: Path, from_s: float) -> float | None:
    """When the first frame is shown by the clock of the file, if one can `seek` to `from_s` seconds
    after it; None where all has to be decoded."""
    if from_s <= 2 * BEFORE_S:
        return None
    with opened(path) as (container, stream):
        first = next(container.decode(stream), None)
        if first is None or first.time is None or container.format.name not in _WITH_INDEX:
            return None
        seek(container, stream, first.time + from_s)
        # Of the last frame alone one could not tell how long it is shown.
        times = [frame.time for frame in itertools.islice(container.decode(stream), 2)]
        if len(times) < 2 or times[0] is None or times[0] > first.time + from_s - BEFORE_S:
            return None
        return first.time


def seek(container: InputContainer, stream: VideoStream, seconds: float) -> None:
    """To a frame that needs none of the earlier ones, `BEFORE_S` before this second or more."""
    assert stream.time_base is not None
    container.seek(math.floor((seconds - BEFORE_S) / stream.time_base), stream=stream)


def whole_frames(
    path: Path, container: InputContainer, stream: VideoStream
) -> Iterator[av.VideoFrame]:
    """Decode up to the first packet that the file holds only in part."""
    for packet in container.demux(stream):
        if packet.is_corrupt:
            raise PosecastError(
                f"{path}: truncated or damaged; copy it again, or cut it with ffmpeg"
            )
        yield from packet.decode()


def check_length(path: Path, container: InputContainer, stream: VideoStream, end: float) -> None:
    """Containers such as Matroska end without an error where the file was cut off.

    Only for files of one stream without a length of its own: elsewhere the break itself is
    reported, and a stated length may include what an edit list hides.
    """
    if stream.duration is not None or len(container.streams) > 1 or not container.duration:
        return
    stated = stream_seconds(container, stream)
    if end < 0.9 * stated:
        raise PosecastError(
            f"{path}: truncated: the file states {stated:.1f} s but ends after {end:.1f} s; "
            "copy it again, or cut it with ffmpeg"
        )


def stream_seconds(container: InputContainer, stream: VideoStream) -> float:
    """How long it lasts; 0 where the file does not say."""
    if stream.duration is not None and stream.time_base is not None:
        return float(stream.duration * stream.time_base)
    # Matroska counts from zero, wherever the first frame is.
    start = container.start_time if "matroska" in container.format.name else 0
    return ((container.duration or 0) - (start or 0)) / av.time_base
