"""Pictures as a player shows them, whatever way they are stored."""

import itertools
from fractions import Fraction

import av
import numpy as np
import pytest
from PIL import Image, features

from odd_videos import BLUE, RED, corners, is_colour, write_changing, write_odd
from posecast.errors import PosecastError
from posecast.keypoints import people_in_video, stored_joints, write_table
from posecast.keypoints.writing import write_coco
from posecast.media import videos, writing
from posecast.media.frame_folders import FrameFolder, is_of_pictures, read_picture, write_picture
from posecast.media.shown import Orientation, place_in, to_shown, to_stored
from posecast.skeletons import PENN_ACTION

EIGHT = [
    *((a, 0, 0, d) for a, d in itertools.product((1, -1), repeat=2)),
    *((0, b, c, 0) for b, c in itertools.product((1, -1), repeat=2)),
]


def pixel_at(picture: np.ndarray, side: tuple[int, int]) -> np.ndarray:
    """Near the corner at -1 or 1 of x and y."""
    height, width = picture.shape[:2]
    return picture[5 if side[1] < 0 else height - 6, 5 if side[0] < 0 else width - 6]


@pytest.mark.parametrize("matrix", EIGHT)
def test_all_eight_orientations(tmp_path, matrix):
    """The corner (x, y) is shown at (a x + c y, b x + d y), as the format defines its matrix."""
    path = write_odd(tmp_path / "a.mp4", [corners()] * 2, matrix)
    frame = next(videos.read_video(path))
    a, b, c, d = matrix
    assert frame.shape == ((48, 64, 3) if a else (64, 48, 3))
    for (x, y), colour in {(-1, -1): RED, (1, -1): BLUE}.items():
        assert is_colour(pixel_at(frame, (a * x + c * y, b * x + d * y)), colour)
    info = videos.probe_video(path)
    assert (info.height, info.width) == info.stored_hw == frame.shape[:2]


def test_a_matrix_of_a_skewed_angle_is_the_nearest_of_the_eight():
    assert Orientation.of_matrix([60000, 20000, 0, -20000, 60000, 0, 0, 0, 1]) == Orientation()
    turned = Orientation.of_matrix([-20000, 60000, 0, -60000, -20000, 0, 0, 0, 1])
    assert turned == Orientation(True, mirrored=True)
    assert Orientation.of_matrix([0] * 9) == Orientation()


@pytest.mark.parametrize(
    ("aspect", "matrix", "hw"),
    [
        (Fraction(4, 3), (), (48, 85)),
        (Fraction(8, 9), (), (48, 57)),
        (Fraction(2, 1), (0, 1, -1, 0), (128, 48)),  # wide pixels, then turned
        (Fraction(1280, 1281), (), (48, 64)),
    ],
)
def test_pixels_are_shown_square(tmp_path, aspect, matrix, hw):
    path = write_odd(tmp_path / "a.mp4", [corners()] * 2, matrix, aspect)
    info = videos.probe_video(path)
    assert (info.height, info.width) == hw
    assert info.stored_hw == ((64, 48) if matrix else (48, 64))
    frame = next(videos.read_video(path))
    assert frame.shape == (*hw, 3)
    red = (-1, -1) if not matrix else (1, -1)
    assert is_colour(pixel_at(frame, red), RED)


def test_points_of_other_programs_are_in_stored_pixels(tmp_path):
    path = write_odd(tmp_path / "a.mp4", [corners()] * 2, aspect=Fraction(4, 3))
    timeline = videos.read_timeline(path)
    points = np.array([[[32.0, 24.0]], [[64.0, 48.0]]])
    shown = to_shown(points, timeline.info.stored_hw, timeline.places)
    np.testing.assert_allclose(shown, [[[42.5, 24]], [[85, 48]]])
    back = to_stored(shown, timeline.info.stored_hw, timeline.places)
    np.testing.assert_allclose(back, points)


@pytest.mark.parametrize("sizes", [((96, 128), (48, 64)), ((48, 64), (96, 128))])
def test_a_size_that_changes_is_scaled_to_the_first(tmp_path, sizes):
    frames = [corners(hw) for hw in sizes for _ in range(3)]
    path = write_changing(tmp_path / "a.webm", frames)
    shown = list(videos.read_video(path))
    assert len(shown) == 6
    for frame in shown:
        assert frame.shape == (*sizes[0], 3)
        assert np.abs(frame.astype(int) - corners(sizes[0])).mean() < 12
    timeline = videos.read_timeline(path)
    assert timeline.places.tolist() == [[0, 0, sizes[0][1], sizes[0][0]]] * 6


def test_a_shape_that_changes_is_shown_as_large_as_fits(tmp_path):
    """Turned upright midway: between black bars, people keep their proportions."""
    path = write_changing(tmp_path / "a.webm", [corners((48, 64))] * 2 + [corners((64, 48))] * 2)
    shown = list(videos.read_video(path))
    assert [frame.shape for frame in shown] == [(48, 64, 3)] * 4
    assert shown[-1][:, :12].max() < 30
    assert is_colour(shown[-1][5, 18], RED)
    timeline = videos.read_timeline(path)
    assert timeline.places[-1].tolist() == [14, 0, 36, 48]
    # Programs that read with OpenCV stretch it: the middle of their picture is the middle here.
    middle = to_shown(np.full((4, 1, 2), (32.0, 24.0)), (48, 64), timeline.places)
    np.testing.assert_allclose(middle[:, 0], [(32, 24)] * 4)


def test_place_in():
    assert place_in((100, 200), (50, 100)) == (0, 0, 100, 50)
    assert place_in((101, 200), (50, 100)) == (0, 0, 100, 50)  # a pixel of rounding
    assert place_in((100, 100), (50, 100)) == (25, 0, 50, 50)
    assert place_in((50, 200), (50, 100)) == (0, 12, 100, 25)


def test_a_cover_is_passed_over(tmp_path):
    frames = [np.full((48, 64, 3), 60 + 20 * t, np.uint8) for t in range(4)]
    path = write_odd(tmp_path / "a.mp4", frames, cover=corners((32, 32)))
    with videos.av.open(str(path)) as container:  # as the case is meant
        assert [stream.codec_context.name for stream in container.streams] == ["mjpeg", "h264"]
    shown = list(videos.read_video(path))
    assert [round(float(frame.mean()) / 20) for frame in shown] == [3, 4, 5, 6]
    assert videos.probe_video(path).num_frames == 4


NAMES = (
    *("take:2.mp4", "http:x.mp4", "clip #3.mp4", "Jumping jacks [aB3-dEf_9hI].mp4", "100%.mp4"),
    *(
        "cafe\u0301.mp4",
        "coach's clip.mp4",
        "a%03d.mp4",
        "what?.mp4",
        "-dash.mp4",
        "two\nlines.mp4",
    ),
    *("pipe:0.mp4", "concat:a|b.mp4", "back\\slash.mp4", "\u8df3.mp4", "x" * 251 + ".mp4"),
)


@pytest.mark.parametrize("name", NAMES)
def test_every_name_is_read_and_written(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    try:
        open(name, "wb").close()  # noqa: PTH123
    except OSError:
        pytest.skip("this file system takes no such name")
    writing.write_mp4(name, [corners()] * 2, fps=10.0)
    assert len(list(videos.read_video(name))) == 2
    writing.write_gif(name, [corners()] * 2, fps=10.0)
    write_picture(f"{name[:200]}.png", corners())
    assert len(list(tmp_path.iterdir())) == 2  # and nothing half done


def test_a_folder_of_frames_is_a_video(tmp_path):
    for number in (2, 10, 9):
        write_picture(tmp_path / f"f_{number}.PNG", np.full((48, 64, 3), 10 * number, np.uint8))
    write_picture(tmp_path / "f_11.jpg", np.full((24, 32, 3), 110, np.uint8))
    (tmp_path / "notes.txt").write_text("mine")
    folder = FrameFolder(tmp_path, fps=20.0)
    frames = list(videos.read_video(folder))
    assert [round(float(frame.mean()) / 10) for frame in frames] == [2, 9, 10, 11]
    assert {frame.shape for frame in frames} == {(48, 64, 3)}
    timeline = videos.read_timeline(folder)
    assert timeline.numbers == (2, 9, 10, 11)
    assert timeline.seconds == pytest.approx((0, 0.05, 0.1, 0.15))
    assert (timeline.info.fps, timeline.info.num_frames) == (20.0, 4)
    assert len(list(videos.read_video(folder, fps=10.0))) == 2
    assert len(list(videos.read_video(tmp_path, every=3))) == 2


def test_a_folder_of_turned_pictures(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(corners()).save(tmp_path / "1.jpg", exif=exif)
    assert next(videos.read_video(tmp_path)).shape == (64, 48, 3)
    assert next(FrameFolder(tmp_path).sizes()) == (64, 48)
    (tmp_path / "1.jpg").write_bytes(b"no picture")
    with pytest.raises(ValueError, match=r"1\.jpg: truncated or not a picture"):
        videos.probe_video(tmp_path)
    (tmp_path / "1.jpg").unlink()
    with pytest.raises(ValueError, match="a folder without pictures or videos"):
        videos.probe_video(tmp_path)


@pytest.mark.parametrize("name", ["photo.jpg", "video.mp4"])
@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_frames_with_notes_that_are_not_known_are_upright(tmp_path, name, orientation):
    """As a phone has them: frames with EXIF, or from a camera with two lenses, made PyAV fail."""
    turned = Image.fromarray(corners()).rotate(
        {3: 180, 6: 90, 8: -90}.get(orientation, 0), expand=True
    )
    exif = Image.Exif()
    exif[0x0112] = orientation
    turned.save(tmp_path / name, "JPEG", exif=exif, quality=95)
    (frame,) = videos.read_video(tmp_path / name)
    assert frame.shape == corners().shape
    assert np.abs(frame.astype(int) - corners()).mean() < 12


def test_one_picture_of_any_kind_has_the_rate_that_is_asked_for(tmp_path):
    """A player of videos makes one up: 25 frames a second of a PNG, one of an AVIF."""
    kinds = [".png", ".webp", ".tif", ".bmp", *([".avif"] if features.check("avif") else [])]
    for kind in kinds:
        path = tmp_path / f"a{kind}"
        Image.fromarray(corners()).save(path)
        assert is_of_pictures(path)
        assert videos.probe_video(FrameFolder(path, 24.0)).fps == 24
        (frame,) = videos.read_video(path)
        assert np.abs(frame.astype(int) - corners()).mean() < 12
    moving = [Image.fromarray(np.full((32, 32, 3), 40 * n, np.uint8)) for n in range(3)]
    moving[0].save(tmp_path / "b.png", save_all=True, append_images=moving[1:], duration=100)
    assert not is_of_pictures(tmp_path / "b.png")
    assert len(list(videos.read_video(tmp_path / "b.png"))) == 3


def test_photos_in_tiles_are_not_taken_for_one_of_them(tmp_path):
    (tmp_path / "a.HEIC").write_bytes(b"a phone's")
    with pytest.raises(PosecastError, match=r"a\.HEIC: photos of this kind are not read; save it"):
        videos.probe_video(tmp_path / "a.HEIC")


@pytest.mark.parametrize(
    ("aspect", "matrix"),
    [(Fraction(4, 3), ()), (None, (0, 1, -1, 0)), (Fraction(2, 1), (0, -1, 1, 0))],
)
def test_written_keypoints_come_back_where_the_video_shows_them(tmp_path, aspect, matrix):
    """COCO and CSV files are in stored pixels."""
    video = write_odd(tmp_path / "a.mp4", [corners()] * 4, matrix, aspect)
    timeline = videos.read_timeline(video)
    pose = np.random.default_rng(0).uniform(5, 40, (13, 2))
    joints = pose + np.arange(4)[:, None, None]
    visible = np.ones((4, 13), bool)
    stored = stored_joints(joints, timeline)
    write_coco(tmp_path / "a.json", stored, visible, PENN_ACTION, timeline.info.stored_hw)
    write_table(tmp_path / "a.csv", stored, visible, PENN_ACTION)
    for name in ("a.json", "a.csv"):
        track = people_in_video(tmp_path / name, timeline, PENN_ACTION)(1)
        np.testing.assert_allclose(track.joints_px, joints, atol=0.02)
    beyond = stored_joints(np.concatenate([joints, joints]), timeline)
    np.testing.assert_allclose(beyond, np.concatenate([stored, stored]))


@pytest.mark.parametrize(("hw", "matrix", "share"), [((48, 64), 6, 0.587), ((720, 64), 1, 0.7152)])
def test_colours_are_numbers_as_players_take_them(tmp_path, hw, matrix, share):
    """The share of green in the brightness (BT.601, of HD BT.709) is what the file says, and what
    is read of files that do not say."""
    green = np.zeros((*hw, 3), np.uint8)
    green[..., 1] = 200
    writing.write_mp4(tmp_path / "a.mp4", [green] * 2, fps=30.0)
    with av.open(str(tmp_path / "a.mp4")) as container:
        frame = next(container.decode(video=0))
    assert (frame.colorspace, frame.color_range) == (matrix, 1)
    brightness = frame.to_ndarray()[: hw[0]].mean()
    assert brightness == pytest.approx(16 + 219 * share * 200 / 255, abs=2)

    unsaid = av.VideoFrame.from_ndarray(frame.to_ndarray(), format="yuv420p")
    with av.open(str(tmp_path / "b.mkv"), "w") as container:
        stream = container.add_stream("ffv1", rate=30)
        stream.height, stream.width, stream.pix_fmt = *hw, "yuv420p"
        container.mux(stream.encode(unsaid))
        container.mux(stream.encode(None))
    for path in (tmp_path / "a.mp4", tmp_path / "b.mkv"):
        shown = next(videos.read_video(path)).mean(axis=(0, 1))
        assert np.abs(shown - [0, 200, 0]).max() < 4, path


def test_a_picture_that_is_far_too_large_is_refused(tmp_path, monkeypatch):
    write_picture(tmp_path / "1.png", np.zeros((8, 8, 3), np.uint8))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 16)
    with pytest.raises(PosecastError, match=r"1\.png: truncated or not a picture"):
        read_picture(tmp_path / "1.png")
    with pytest.raises(PosecastError, match=r"1\.png: truncated or not a picture"):
        list(FrameFolder(tmp_path).sizes())


def test_animated_webp_is_read_or_called_by_its_name(tmp_path):
    """PyAV reads it from 19 on."""
    pictures = [Image.fromarray(np.full((32, 32, 3), 40 * n, np.uint8)) for n in range(3)]
    path = tmp_path / "a.webp"
    pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=33)
    if int(av.__version__.split(".")[0]) >= 19:
        levels = [int(frame[0, 0, 0]) for frame in videos.read_video(path)]
        assert levels == pytest.approx([0, 40, 80], abs=2)
        return
    with pytest.raises(PosecastError, match="animated WebP is not read, save it as GIF or MP4"):
        videos.probe_video(path)
