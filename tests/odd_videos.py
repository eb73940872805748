"""Videos as strangers have them: turned, mirrored, oblong pixels, changing sizes, covers."""

from collections.abc import Iterable, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

RED, BLUE = (220, 0, 0), (0, 0, 220)


def corners(hw: tuple[int, int] = (48, 64)) -> np.ndarray:
    """A grey picture, red at the top left and blue at the top right."""
    picture = np.full((*hw, 3), 120, np.uint8)
    height, width = hw[0] // 3, hw[1] // 3
    picture[:height, :width] = RED
    picture[:height, -width:] = BLUE
    return picture


def is_colour(pixel: np.ndarray, colour: tuple[int, int, int]) -> bool:
    return bool(np.abs(pixel.astype(int) - colour).max() < 70)


def write_odd(
    path: Path,
    frames: Sequence[np.ndarray],
    matrix: Sequence[int] = (),
    aspect: Fraction | None = None,
    cover: np.ndarray | None = None,
    fps: int = 30,
) -> Path:
    """A video with a display matrix (a, b, c, d), oblong pixels, or a cover as first stream."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(f"file:{path}", "w", format="mp4") as container:
        if cover is not None:
            picture = container.add_stream("mjpeg", rate=1)
            picture.height, picture.width = cover.shape[:2]
            picture.pix_fmt, picture.disposition = "yuvj420p", av.stream.Disposition.attached_pic
        stream = container.add_stream("libx264", rate=fps)
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt, stream.options = "yuv420p", {"crf": "4", "preset": "ultrafast"}
        if aspect is not None:
            stream.codec_context.sample_aspect_ratio = aspect
        if matrix:
            a, b, c, d = (value << 16 for value in matrix)
            stream.set_display_matrix([a, b, 0, c, d, 0, 0, 0, 1 << 30])
        if cover is not None:
            container.mux(picture.encode(av.VideoFrame.from_ndarray(cover, format="rgb24")))
            container.mux(picture.encode(None))
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode(None))
    if cover is not None:
        put_cover_first(path)
    return path


def put_cover_first(path: Path) -> None:
    """Readers count streams in the order of their boxes: user data go before the tracks."""
    content = path.read_bytes()
    start = content.index(b"moov") - 4
    boxes, at = [], start + 8
    while at < len(content):
        size = int.from_bytes(content[at : at + 4], "big")
        boxes.append(content[at : at + size])
        at += size
    boxes.sort(key=lambda box: (b"mvhd", b"udta", b"trak").index(box[4:8]))
    path.write_bytes(content[: start + 8] + b"".join(boxes))


def write_changing(path: Path, frames: Sequence[np.ndarray], fps: int = 30) -> Path:
    """A WebM whose frames have whatever sizes they have, as recorded calls do."""
    with av.open(str(path), "w", format="webm") as container:
        stream = container.add_stream("libvpx", rate=fps)
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt, stream.bit_rate = "yuv420p", 4_000_000
        encoder, start = None, 0
        for index, frame in enumerate(frames):
            if encoder is None or frame.shape[:2] != (encoder.height, encoder.width):
                encoder, start = _encoder(frame.shape[:2], fps), index
            picture = av.VideoFrame.from_ndarray(frame, format="rgb24").reformat(format="yuv420p")
            picture.pts, picture.time_base = index - start, Fraction(1, fps)
            for packet in encoder.encode(picture):
                packet.pts = packet.dts = index
                packet.time_base, packet.stream = Fraction(1, fps), stream
                container.mux(packet)
    return path


def _encoder(hw: tuple[int, int], fps: int) -> av.VideoCodecContext:
    encoder = av.CodecContext.create("libvpx", "w")
    encoder.height, encoder.width = hw
    encoder.pix_fmt, encoder.time_base = "yuv420p", Fraction(1, fps)
    encoder.bit_rate = 4_000_000
    encoder.options = {"lag-in-frames": "0", "deadline": "realtime"}
    return encoder


def write_timed(
    path: Path, frames: Sequence[np.ndarray], times: Iterable[int], rotation: int | None = None
) -> Path:
    """Frames at the given hundredths of a second, with a stored rotation."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=100)
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt, stream.options = "yuv420p", {"crf": "4", "preset": "ultrafast"}
        stream.time_base = stream.codec_context.time_base = Fraction(1, 100)
        if rotation is not None:
            stream.set_display_rotation(rotation)
        for time, picture in zip(times, frames, strict=True):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = time, Fraction(1, 100)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def write_sound(path: Path) -> None:
    """A file of sound alone."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=44100)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
        frame.sample_rate = 44100
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
