"""Reading of videos and folders of frames.

Everything is uint8 RGB, `(h, w, 3)` a frame, as a player shows it (see `shown`). Frames stream: no
function here holds a whole video.
"""

import itertools
import math
from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import av
import numpy as np
from av.video.stream import VideoStream
from jaxtyping import Float, UInt8

from posecast.errors import PosecastError
from posecast.media import containers
from posecast.media.fields import of_one_moment
from posecast.media.frame_folders import FrameFolder, is_of_pictures, read_picture
from posecast.media.hdr import HLG, PQ, as_shown
from posecast.media.resampling import check_rate, resample
from posecast.media.shown import Look, Orientation, place_in, show

VideoSource = str | Path | FrameFolder
"""A video file, or a folder of frames."""
_BT601, _BT709, _BT2020, _UNSAID = 6, 1, 9, 2
"""How colours become numbers (ITU-T H.273)."""


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
    with containers.opened(source) as (container, stream):
        if (frame := next(container.decode(stream), None)) is None:
            raise PosecastError(f"{path}: the video has no frames")
        look = _look(frame, stream)
        # A GIF's average is that of its first frames alone; its guess is 100 where no rate fits.
        fits = container.format.name == "gif" and stream.guessed_rate != 100
        rate = (not fits and stream.average_rate) or stream.guessed_rate
        if not rate:
            raise PosecastError(f"{path}: the file states no frame rate; re-encode it with ffmpeg")
        seconds = containers.stream_seconds(container, stream)
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


def _timed(
    source: Path | FrameFolder, fps: float, from_s: float = 0.0
) -> Generator[_Frame, None, None]:
    """Frames as decoded, with the seconds at which they are shown; some well before `from_s` may be
    left out."""
    if isinstance(source, FrameFolder):
        for index, (hw, file) in enumerate(zip(source.sizes(), source.pictures(), strict=True)):
            yield _Frame(index / fps, Look(hw, hw), partial(read_picture, file))
        return
    clock = containers.clock_midway(source, from_s)
    with containers.opened(source) as (container, stream):
        began, seconds = math.inf if clock is None else clock, -1 / fps
        if clock is not None:
            containers.seek(container, stream, clock + from_s)
        transfer = stream.codec_context.color_trc
        for frame in of_one_moment(containers.whole_frames(source, container, stream), stream):
            shown, usual = frame.time, seconds + 1 / fps
            if shown is not None and shown - began < seconds - 1.5 / fps:
                began = shown - usual  # also of films put behind each other, which count anew
            # Raw streams carry no time stamps, some a few; those of B-frames may fall.
            seconds = usual if shown is None else max(shown - began, seconds)
            yield _Frame(seconds, _look(frame, stream), partial(_rgb, frame, transfer))
        containers.check_length(source, container, stream, end=seconds + 1 / fps)


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


def read_video(
    path: VideoSource, fps: float | None = None, every: int = 1, first: int = 0
) -> Generator[UInt8[np.ndarray, "h w 3"], None, None]:
    """Frames in order, streaming; at `fps` frames a second by their time stamps, else every n-th.

    At `fps` from the `first` of them on, as one comes to it who reads all; where the file has an
    index, what is well before is not decoded. PosecastError: as `read_timed_frames`, `check_rate`.
    """
    if fps is None:
        return (frame for _, frame in read_timed_frames(path, every))
    check_rate(fps)
    source = _source(path)
    info = probe_video(source)
    timed = ((each.seconds, each) for each in _timed(source, info.fps, first / fps))
    return _as_shown(resample(timed, fps, first), (info.height, info.width))


def _as_shown(
    frames: Iterable[_Frame], hw: tuple[int, int]
) -> Generator[UInt8[np.ndarray, "h w 3"], None, None]:
    """Each frame converted once, however often it is repeated."""
    last, picture = None, None
    for frame in frames:
        if picture is None or frame is not last:
            last, picture = frame, show(frame.read(), frame.look, hw)
        yield picture


def count_frames(path: VideoSource, fps: float) -> int:
    """Frames that `read_video` gives at this rate; nothing is converted, and of a file with an
    index only the end is decoded. PosecastError: as `read_video`."""
    check_rate(fps)
    source = _source(path)
    info = probe_video(source)
    for first in (max(math.floor((info.duration_s - containers.BEFORE_S) * fps), 0), 0):
        timed = ((each.seconds, each) for each in _timed(source, info.fps, first / fps))
        if count := sum(1 for _ in resample(timed, fps, first)):
            return first + count
    return 0
