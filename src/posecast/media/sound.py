"""The sound of a video: its first seconds are put under another video's pictures."""

from collections.abc import Iterator
from pathlib import Path

import av
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import InputContainer, OutputContainer
from av.error import FFmpegError

from posecast.records.files import write_safely

_CODEC = "aac"
"""What every player reads in MP4."""


def add_sound(video: Path, source: Path, until_s: float) -> bool:
    """Put the sound of `source`, up to a second of it, into the MP4 file `video`.

    Pictures are copied as they are. False where the source has no sound, or none that can be
    decoded: the video then stays silent.

    Raises:
        FileError: the disk refuses; the silent video is kept.
    """
    try:
        with av.open(f"file:{source.absolute()}") as heard:
            if not heard.streams.audio:
                return False
            write_safely(video, lambda partial: _join(video, heard, until_s, partial))
    except FFmpegError:
        return False
    return True


def _join(video: Path, heard: InputContainer, until_s: float, out: Path) -> None:
    with (
        av.open(f"file:{video.absolute()}") as shown,
        av.open(f"file:{out.absolute()}", "w", format="mp4") as joined,
    ):
        pictures, sound = shown.streams.video[0], heard.streams.audio[0]
        kept = joined.add_stream_from_template(pictures)
        written = joined.add_stream(_CODEC, rate=sound.rate)
        assert isinstance(written, AudioStream)
        written.codec_context.layout = sound.layout
        for packet in shown.demux(pictures):
            if packet.dts is not None:
                packet.stream = kept
                joined.mux(packet)
        _encode(_until(heard, sound, until_s), written, joined)


def _until(heard: InputContainer, sound: AudioStream, until_s: float) -> Iterator[AudioFrame]:
    """Decoded sound, whole frames, that begins before the second."""
    start = float((sound.start_time or 0) * (sound.time_base or 0))
    for frame in heard.decode(sound):
        if frame.time is not None and frame.time - start >= until_s:
            return
        frame.pts = None
        yield frame


def _encode(frames: Iterator[AudioFrame], written: AudioStream, joined: OutputContainer) -> None:
    resampler = av.AudioResampler(
        written.codec_context.format, written.codec_context.layout, written.rate
    )
    for frame in frames:
        for even in resampler.resample(frame):
            joined.mux(written.encode(even))
    for even in resampler.resample(None):
        joined.mux(written.encode(even))
    joined.mux(written.encode(None))
