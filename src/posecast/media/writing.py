"""Writing of videos and GIFs: uint8 RGB, `(h, w, 3)` a frame, as they come.

Files appear under their name only when they are whole.
"""

import itertools
from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.error import FFmpegError
from jaxtyping import UInt8
from PIL import Image

from posecast.computing.memory import says_no_memory
from posecast.errors import PosecastError
from posecast.media.containers import address
from posecast.media.videos import usual_colours
from posecast.records.files import Write, write_safely

Picture = UInt8[np.ndarray, "h w 3"]
Frames = Iterable[Picture]
_STUDIO = 1
"""Range of colours (ITU-T H.273)."""
_LARGE_PX = 2**22
"""Pixels beyond which time is what one waits for: 1920 x 1080 has half as many, 4K twice."""
_BLOCK = 16
"""Pixels that are brought to x264's colours at a time; of a last block that is not whole, what is
behind the picture in memory is read as well, which may be nobody's."""


def _peek(frames: Frames, fps: float, path: Path) -> tuple[Picture, Iterator[Picture]]:
    """The first frame, and all frames again."""
    if not fps > 0:
        raise PosecastError(f"{path}: fps must be positive, got {fps}")
    iterator = iter(frames)
    first = next(iterator, None)
    if first is None:
        raise PosecastError(f"{path}: no frames to write")
    return first, itertools.chain([first], iterator)


def _even(frame: Picture) -> UInt8[np.ndarray, "h2 w2 3"]:
    """Repeat the last row or column where the size is odd: yuv420p needs even sizes."""
    height, width = frame.shape[:2]
    if not (height % 2 or width % 2):
        return np.ascontiguousarray(frame)
    return np.pad(frame, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")


def write_mp4(path: str | Path, frames: Frames, fps: float, crf: int = 15) -> None:
    """Write H.264 (yuv420p, plays everywhere); odd sizes gain a repeated row or column.

    `crf` is x264's quality, 0 lossless to 51. Compute metrics on arrays, never on this file.
    PosecastError: no frames, fps not positive, or the file cannot be written (WriteError).
    """
    path = Path(path)
    write_safely(path, mp4_writer(path, frames, fps, crf))


def mp4_writer(path: Path, frames: Frames, fps: float, crf: int = 15) -> Write:
    """What fills a temporary file for `path`, as `write_mp4` does."""
    first, frames = _peek(frames, fps, path)

    def write(partial_path: Path) -> None:
        try:
            _encode(partial_path, first, frames, fps, crf)
        except FFmpegError as error:
            if says_no_memory(error):
                raise MemoryError(error.strerror) from error
            raise OSError(error.errno, error.strerror) from error  # as the system says it

    return write


def _encode(path: Path, first: Picture, frames: Frames, fps: float, crf: int) -> None:
    with av.open(address(path), "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=Fraction(fps).limit_denominator(1001))
        stream.height, stream.width = _even(first).shape[:2]
        stream.pix_fmt = "yuv420p"
        colours = usual_colours(stream.width, stream.height)
        stream.codec_context.colorspace = stream.codec_context.color_primaries = colours
        stream.codec_context.color_trc, stream.codec_context.color_range = colours, _STUDIO
        stream.options = _quality(crf, stream.width * stream.height > _LARGE_PX)
        copied, as_it_is = av.VideoFrame.from_ndarray, av.VideoFrame.from_numpy_buffer
        picture_of = copied if stream.width % _BLOCK else as_it_is
        for frame in frames:
            picture = picture_of(_even(frame), format="rgb24")
            picture = picture.reformat(format="yuv420p", dst_colorspace=colours)
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))


def _quality(crf: int, is_large: bool) -> dict[str, object]:
    """Half of the usual preset's time for 1 dB at 41, and no larger files; half of that again, and
    no dB less, for larger files of large pictures."""
    if is_large:
        return {"crf": str(crf and min(crf + 2, 51)), "preset": "superfast"}
    return {"crf": str(crf), "preset": "veryfast"}


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


def write_gif(path: str | Path, frames: Frames, fps: float) -> None:
    """Write an endless GIF, 256 colours a frame; timing as `gif_timing`.

    PosecastError: no frames, or fps not positive.
    """
    path = Path(path)
    write_safely(path, gif_writer(path, frames, fps))


def gif_writer(path: Path, frames: Frames, fps: float) -> Write:
    """What fills a temporary file for `path`, as `write_gif` does."""
    _, frames = _peek(frames, fps, path)
    pictures = [
        Image.fromarray(frame).quantize(method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
        for frame in frames
    ]
    shown, durations = gif_timing(len(pictures), fps)
    rest = [pictures[index] for index in shown[1:]]
    options = {"save_all": True, "append_images": rest, "duration": durations, "loop": 0}
    return lambda partial_path: pictures[0].save(partial_path, format="GIF", **options)
