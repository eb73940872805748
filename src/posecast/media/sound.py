"""The sound of a video: some seconds of it are put under another video's pictures."""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import InputContainer, OutputContainer
from av.error import FFmpegError

from posecast.media.containers import moving_pictures
from posecast.records.files import write_safely

_CODEC = "aac"
"""What every player reads in MP4."""
_RATE, _LAYOUTS = 48_000, {1: "mono", 2: "stereo"}


def add_sound(video: Path, source: Path, until_s: float, from_s: float = 0.0) -> bool:
    """Put the sound of `source`, from a second of it to another, into the MP4 file `video`.

    Pictures are copied as they are. False where the source has no sound, or none that can be
    decoded: the video then stays silent.

    Raises:
        FileError: the disk refuses; the silent video is kept.
    """
    try:
        with av.open(f"file:{source.absolute()}") as heard:
            if not heard.streams.audio:
                return False
            write_safely(video, lambda partial: _join(video, heard, (from_s, until_s), partial))
    except FFmpegError:
        return False
    return True


def _join(video: Path, heard: InputContainer, span_s: tuple[float, float], out: Path) -> None:
    with (
        av.open(f"file:{video.absolute()}") as shown,
        av.open(f"file:{out.absolute()}", "w", format="mp4") as joined,
    ):
        pictures, sound = shown.streams.video[0], heard.streams.audio[0]
        kept = joined.add_stream_from_template(pictures)
        known = av.Codec(_CODEC, "w").audio_rates or ()
        written = joined.add_stream(_CODEC, rate=sound.rate if sound.rate in known else _RATE)
        assert isinstance(written, AudioStream)
        # Many files say how many channels they have and not which.
        written.codec_context.layout = _LAYOUTS.get(sound.layout.nb_channels, sound.layout.name)
        for packet in shown.demux(pictures):
            if packet.dts is not None:
                packet.stream = kept
                joined.mux(packet)
        _encode(_between(heard, sound, *span_s), written, joined)


def _between(
    heard: InputContainer, sound: AudioStream, from_s: float, until_s: float
) -> Iterator[AudioFrame]:
    """Decoded sound, whole frames, between two seconds after the first picture, at its own time: it
    may begin later than the pictures, and pause."""
    end = 0.0
    for at, frame in _timed(heard, sound):
        rate = frame.sample_rate
        if at >= until_s:
            return
        if at + frame.samples / rate > from_s:
            place = round(max(at - from_s, end) * rate)
            frame.pts, frame.time_base = place, Fraction(1, rate)
            end = (place + frame.samples) / rate
            yield frame


def _timed(heard: InputContainer, sound: AudioStream) -> Iterator[tuple[float, AudioFrame]]:
    """All of the sound, with its seconds after the first picture."""
    end, began = 0.0, _first_picture_s(heard, sound)
    for frame in heard.decode(sound):
        length = frame.samples / frame.sample_rate
        at = end if frame.time is None else frame.time - began
        if end and at + length < end:  # films put behind each other count anew
            began, at = began + at - end, end
        end = max(at + length, end)
        yield at, frame


def _first_picture_s(heard: InputContainer, sound: AudioStream) -> float:
    """When the pictures begin; the sound itself where that is not said."""
    for stream in (moving_pictures(heard), sound):
        if stream is not None and stream.start_time is not None and stream.time_base is not None:
            return float(stream.start_time * stream.time_base)
    return 0.0


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
