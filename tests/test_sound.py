"""The sound of the seen part under a forecast's pictures."""

from fractions import Fraction

import av
import numpy as np
import pytest

from odd_videos import put_cover_first
from posecast.media.sound import add_sound
from posecast.media.videos import read_video
from posecast.media.writing import write_mp4

RATE, BLOCK = 48_000, 960


def write_with_sound(path, video_codec: str, sound_codec: str) -> None:
    """A second of a tone of 440 Hz under black pictures."""
    wave = np.sin(2 * np.pi * 440 * np.arange(RATE) / RATE)
    samples = (wave * 16_000).astype(np.int16)[None]
    with av.open(str(path), "w") as file:
        pictures = file.add_stream(video_codec, rate=30)
        pictures.width, pictures.height, pictures.pix_fmt = 64, 48, "yuv420p"
        sound = file.add_stream(sound_codec, rate=RATE)
        for _ in range(30):
            black = av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), np.uint8), "rgb24")
            file.mux(pictures.encode(black))
        file.mux(pictures.encode(None))
        for start in range(0, RATE, BLOCK):
            part = np.ascontiguousarray(samples[:, start : start + BLOCK])
            frame = av.AudioFrame.from_ndarray(part, "s16", "mono")
            frame.rate, frame.pts = RATE, start
            file.mux(sound.encode(frame))
        file.mux(sound.encode(None))


def heard(path) -> np.ndarray:
    with av.open(str(path)) as file:
        frames = [frame.to_ndarray() for frame in file.decode(audio=0)]
    return np.concatenate(frames, axis=1)[0]


@pytest.mark.parametrize(
    ("name", "codecs"),
    [
        ("phone.mp4", ("libx264", "aac")),
        ("browser.webm", ("libvpx", "libopus")),
        ("take:2 #1.mov", ("libx264", "pcm_s16le")),
    ],
)
def test_the_seen_seconds_are_heard_and_no_more(tmp_path, name, codecs):
    write_with_sound(tmp_path / name, *codecs)
    out = tmp_path / "out.mp4"
    pictures = [np.full((48, 64, 3), 4 * number, np.uint8) for number in range(60)]
    write_mp4(out, pictures, 30.0)
    before = list(read_video(out))
    assert add_sound(out, tmp_path / name, until_s=0.5)
    np.testing.assert_array_equal(list(read_video(out)), before)
    wave = heard(out)
    assert len(wave) / RATE == pytest.approx(0.5, abs=0.06)
    middle = wave[RATE // 10 : 4 * RATE // 10]
    spectrum = np.abs(np.fft.rfft(middle))
    assert np.argmax(spectrum) * RATE / len(middle) == pytest.approx(440, abs=4)


def test_silence_stays(tmp_path):
    pictures = [np.zeros((48, 64, 3), np.uint8)] * 3
    for name in ("a.mp4", "b.mp4"):
        write_mp4(tmp_path / name, pictures, 30.0)
    before = (tmp_path / "a.mp4").read_bytes()
    assert not add_sound(tmp_path / "a.mp4", tmp_path / "b.mp4", 1.0)
    assert (tmp_path / "a.mp4").read_bytes() == before


def write_click(path, rate: int, pictures_s: float, sound_s: float, cover: bool = False) -> None:
    """Pictures and sound that begin at these seconds, a cover at 0; a click at second 1."""
    seconds = sound_s + np.arange(2 * rate) / rate
    samples = np.where(np.abs(seconds - 1) < 0.005, 20_000, 0).astype(np.int16)[None]
    with av.open(str(path), "w") as file:
        if cover:
            first = file.add_stream("mjpeg", rate=1)
            first.width, first.height, first.pix_fmt = 64, 48, "yuvj420p"
            first.disposition = av.stream.Disposition.attached_pic
        pictures = file.add_stream("libx264", rate=25)
        pictures.width, pictures.height, pictures.pix_fmt = 64, 48, "yuv420p"
        pictures.time_base = pictures.codec_context.time_base = Fraction(1, 1000)
        sound = file.add_stream("aac" if cover else "pcm_s16le", rate=rate, layout="mono")
        for each in (first,) if cover else ():
            grey = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 99, np.uint8), "rgb24")
            file.mux([*each.encode(grey), *each.encode(None)])
        for number in range(40):
            black = av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), np.uint8), "rgb24")
            black.pts, black.time_base = round(1000 * pictures_s) + 40 * number, Fraction(1, 1000)
            file.mux(pictures.encode(black))
        file.mux(pictures.encode(None))
        for start in range(0, samples.shape[1], BLOCK):
            part = np.ascontiguousarray(samples[:, start : start + BLOCK])
            frame = av.AudioFrame.from_ndarray(part, "s16", "mono")
            frame.rate, frame.pts = rate, start + round(sound_s * rate)
            file.mux(sound.encode(frame))
        file.mux(sound.encode(None))


@pytest.mark.parametrize("rate", [RATE, 18_000])
@pytest.mark.parametrize(("pictures_s", "sound_s"), [(0.0, 0.0), (0.0, 0.4), (0.4, 0.0)])
def test_sound_stays_with_its_picture(tmp_path, rate, pictures_s, sound_s):
    """Also of files that do not say which channel theirs is, and of rates that AAC lacks."""
    write_click(tmp_path / "a.mkv", rate, pictures_s, sound_s)
    out = tmp_path / "out.mp4"
    write_mp4(out, [np.zeros((48, 64, 3), np.uint8)] * 40, 25.0)
    assert add_sound(out, tmp_path / "a.mkv", until_s=1.6)
    with av.open(str(out)) as file:
        frames = [(frame.time, np.abs(frame.to_ndarray()).max()) for frame in file.decode(audio=0)]
    loudest = max(frames, key=lambda frame: frame[1])[0]
    assert loudest == pytest.approx(1 - pictures_s, abs=0.07)


def test_a_cover_is_no_first_picture(tmp_path):
    write_click(tmp_path / "a.mp4", RATE, 0.4, 0.0, cover=True)
    put_cover_first(tmp_path / "a.mp4")
    out = tmp_path / "out.mp4"
    write_mp4(out, [np.zeros((48, 64, 3), np.uint8)] * 40, 25.0)
    assert add_sound(out, tmp_path / "a.mp4", until_s=1.6)
    assert np.abs(heard(out)).argmax() / RATE == pytest.approx(0.6, abs=0.07)


def test_sound_of_films_put_behind_each_other_ends_with_the_seen_seconds(tmp_path):
    write_with_sound(tmp_path / "a.mpg", "mpeg2video", "mp2")
    (tmp_path / "both.mpg").write_bytes(2 * (tmp_path / "a.mpg").read_bytes())
    out = tmp_path / "out.mp4"
    write_mp4(out, [np.zeros((48, 64, 3), np.uint8)] * 90, 30.0)
    for from_s, until_s in ((0.0, 0.5), (0.0, 1.5), (1.2, 1.7)):
        assert add_sound(out, tmp_path / "both.mpg", until_s, from_s)
        assert len(heard(out)) / RATE == pytest.approx(until_s - from_s, abs=0.06)


def test_sound_from_a_later_second_on(tmp_path):
    write_click(tmp_path / "a.mkv", RATE, 0.0, 0.4)
    out = tmp_path / "out.mp4"
    write_mp4(out, [np.zeros((48, 64, 3), np.uint8)] * 40, 25.0)
    assert add_sound(out, tmp_path / "a.mkv", until_s=1.6, from_s=0.7)
    assert np.abs(heard(out)).argmax() / RATE == pytest.approx(0.3, abs=0.07)
    assert len(heard(out)) / RATE == pytest.approx(0.9, abs=0.07)
