"""Video of two fields a frame, and of more light than eight bits hold."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from posecast.media import hdr
from posecast.media.hdr import HLG, PQ
from posecast.media.videos import probe_video, read_timed_frames, read_video

TO_BT2020 = np.array([[0.6274, 0.3293, 0.0433], [0.0691, 0.9195, 0.0114], [0.0164, 0.0880, 0.8956]])
LIGHT = np.array([[0.02] * 3, [0.2] * 3, [0.5] * 3, [0.4, 0.2, 0.15], [0.1, 0.4, 0.2]])
"""Greys, skin and grass, in primaries of BT.709, white being 1."""


def write(path: Path, pictures: list[av.VideoFrame], options: dict[str, str], **facts) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"crf": "1", **options})
        stream.width, stream.height = pictures[0].width, pictures[0].height
        stream.pix_fmt = pictures[0].format.name
        for name, value in facts.items():
            setattr(stream.codec_context, name, value)
        for number, picture in enumerate(pictures):
            picture.pts, picture.time_base = number, Fraction(1, 25)
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    return path


def moving(moment: int) -> np.ndarray:
    picture = np.full((64, 96), 40, np.uint8)
    picture[:, 4 * moment : 4 * moment + 30] = 200
    return picture


def two_fields(moment: int, is_progressive: bool) -> av.VideoFrame:
    picture = moving(2 * moment)
    if not is_progressive:
        picture[::2] = moving(2 * moment + 1)[::2]  # the encoder takes the lower field as first
    planes = np.full((96, 96), 128, np.uint8)
    planes[:64] = picture
    return av.VideoFrame.from_ndarray(planes, format="yuv420p")


def test_interlaced_frames_show_one_moment(tmp_path):
    frames = [two_fields(moment, False) for moment in range(7)]
    video = write(tmp_path / "a.mp4", frames, {"flags": "+ilme+ildct"})
    timed = list(read_timed_frames(video))
    assert len(timed) == 7
    np.testing.assert_allclose([seconds for seconds, _ in timed], np.arange(7) / 25, atol=1e-3)
    for moment, (_, frame) in enumerate(timed):
        rows = frame[8:-8, :, 1].astype(int)
        assert np.abs(np.diff(rows, axis=0)).max() < 40, "no comb"
        edge = int(np.flatnonzero(rows.mean(axis=0) > 100)[0])
        assert abs(edge - 8 * moment) <= 2


def test_frames_that_are_not_interlaced_are_left_alone(tmp_path):
    video = write(tmp_path / "a.mp4", [two_fields(each, True) for each in range(7)], {})
    with av.open(str(video)) as container:
        plain = [frame.reformat(format="rgb24").to_ndarray() for frame in container.decode(video=0)]
    np.testing.assert_array_equal(list(read_video(video)), plain)


def signal_of(light: np.ndarray, transfer: int) -> np.ndarray:
    """BT.2100's numbers of light in cd/m2."""
    if transfer == PQ:
        share = (light / 10_000) ** 0.1593017578125
        return ((0.8359375 + 18.8515625 * share) / (1 + 18.6875 * share)) ** 78.84375
    bright = light @ np.array([0.2627, 0.6780, 0.0593]) / 1000
    scene = light / 1000 * bright[..., None] ** (1 / 1.2 - 1)
    high = 0.17883277 * np.log(np.maximum(12 * scene - 0.28466892, 1e-9)) + 0.55991073
    return np.where(scene <= 1 / 12, np.sqrt(3 * scene), high)


@pytest.mark.parametrize("names_its_colours", [True, False])
@pytest.mark.parametrize("transfer", [PQ, HLG])
def test_hdr_is_as_bright_as_on_a_usual_screen(tmp_path, transfer, names_its_colours):
    brighter = np.array([[1.0] * 3, [2.0] * 3, [4.5] * 3])
    light = np.concatenate([LIGHT, brighter]) @ TO_BT2020.T
    numbers = np.repeat(np.repeat(signal_of(203 * light, transfer)[:, None], 16, 0), 64, 1)
    sent = av.VideoFrame.from_ndarray((65535 * numbers).astype(np.uint16), format="rgb48le")
    sent = sent.reformat(format="yuv420p10le", dst_colorspace=9, dst_color_range=1)
    said = {"color_trc": transfer, "color_range": 1}
    said |= {"color_primaries": 9, "colorspace": 9} if names_its_colours else {}
    video = write(tmp_path / "a.mp4", [sent], {}, **said)
    assert probe_video(video).num_frames == 1
    shown = next(read_video(video))[8::16, 32].astype(int)
    expected = 255 * (1.055 * LIGHT ** (1 / 2.4) - 0.055)
    assert np.abs(shown[: len(LIGHT)] - expected).max() < 8
    whites = shown[len(LIGHT) :]
    assert np.ptp(whites, axis=1).max() <= 3
    assert (np.diff(whites[:, 1]) > 0).all()
    assert whites.min() > 235


@pytest.mark.parametrize("transfer", [PQ, HLG])
def test_hdr_is_shown_alike_by_older_opencv(monkeypatch, transfer):
    numbers = np.random.default_rng(0).integers(0, 2**16, (50, 60, 3)).astype(np.uint16)
    shown = hdr.as_shown(numbers, transfer)
    monkeypatch.setattr(hdr, "_LUT_OF_16_BITS", False)
    np.testing.assert_array_equal(hdr.as_shown(numbers, transfer), shown)
