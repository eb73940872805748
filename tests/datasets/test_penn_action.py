"""The Penn Action reader: conventions of the labels, and a message for each kind of bad input."""

import numpy as np
import pytest
from PIL import Image

from penn_files import HEIGHT, WIDTH, label_values, picture, write_clip_files, write_labels
from posecast.clips import ClipError
from posecast.datasets.drawn.clips import SyntheticConfig
from posecast.datasets.drawn.people import write_penn_layout
from posecast.datasets.penn_action import PAPER_ACTIONS, PennAction


def test_coordinates_become_continuous_pixels(tmp_path):
    x = np.full((6, 13), 3.25)
    write_labels(tmp_path, "0001", x=x, bbox=np.tile([1.0, 2.0, 30.0, 40.0], (6, 1)))
    clip = PennAction(tmp_path).read_poses("0001")
    np.testing.assert_array_equal(clip.joints_px[..., 0], np.full((6, 13), 2.75))
    np.testing.assert_array_equal(clip.boxes_px[0], [0.5, 1.5, 29.5, 39.5])
    assert (clip.clip_id, clip.action, clip.split, clip.fps) == ("0001", "bowl", "train", 30.0)
    assert clip.image_hw == (HEIGHT, WIDTH)
    assert clip.num_frames == 6
    np.testing.assert_array_equal(clip.visible, label_values()["visibility"] != 0)


def test_unsigned_labels_do_not_wrap(tmp_path):
    parked = np.zeros((6, 13), np.uint8)
    box = np.tile(np.array([0, 0, 9, 300], np.uint16), (6, 1))
    write_labels(tmp_path, "0001", x=parked, bbox=box, visibility=np.ones((6, 13), np.uint8))
    clip = PennAction(tmp_path).read_poses("0001")
    assert (clip.joints_px[..., 0] == -0.5).all()
    np.testing.assert_array_equal(clip.boxes_px[0], [-0.5, -0.5, 8.5, 299.5])


def test_one_missing_box_row_repeats_the_last(tmp_path):
    bbox = label_values()["bbox"]
    write_labels(tmp_path, "0001", bbox=bbox[:-1])
    clip = PennAction(tmp_path).read_poses("0001")
    np.testing.assert_allclose(clip.boxes_px[-1], bbox[-2] - 0.5)
    write_labels(tmp_path, "0001", bbox=bbox[:-2])
    with pytest.raises(ClipError, match=r"clip 0001: .*bbox has shape \(4, 4\), expected \(6, 4\)"):
        PennAction(tmp_path).read_poses("0001")


def test_split_comes_from_the_flag(tmp_path):
    write_labels(tmp_path, "0001", train=-1)
    assert PennAction(tmp_path).read_poses("0001").split == "test"
    write_labels(tmp_path, "0001", train=0)
    with pytest.raises(ClipError, match=r"train is \[0.0\], expected 1"):
        PennAction(tmp_path).read_poses("0001")


def test_frames_stream_in_order_as_rgb(tmp_path):
    write_clip_files(tmp_path, "0003", seed=5)
    (tmp_path / "frames" / "0003" / "Thumbs.db").write_bytes(b"x")
    frames = list(PennAction(tmp_path).read_frames("0003"))
    assert len(frames) == 6
    for index, frame in enumerate(frames):
        assert frame.shape == (HEIGHT, WIDTH, 3)
        assert np.abs(frame.astype(int) - picture(5, index)).mean() < 4  # JPEG loss


@pytest.mark.parametrize("name", ["{:06d}.png", "{:06d}.JPG", "{:06d}.jpeg", "{}.PNG"])
def test_frames_saved_anew(tmp_path, name):
    """By other programs, with another suffix or without zeros in front: in order all the same."""
    count = 11
    values = label_values(num_frames=count)
    write_labels(tmp_path, "0001", **values)
    folder = tmp_path / "frames" / "0001"
    folder.mkdir(parents=True)
    for number in range(1, count + 1):
        grey = np.full((HEIGHT, WIDTH, 3), 20 * number, np.uint8)
        Image.fromarray(grey).save(folder / name.format(number))
    (folder / "Thumbs.db").write_bytes(b"")
    frames = list(PennAction(tmp_path).read_frames("0001"))
    assert [round(float(frame.mean()) / 20) for frame in frames] == list(range(1, count + 1))
    Image.fromarray(frames[0]).save(folder / "000001.bmp.png")
    Image.fromarray(frames[0]).save(folder / "01.jpg")
    with pytest.raises(ClipError, match=r"01\.jpg is too many|1\.PNG is too many"):
        list(PennAction(tmp_path).read_frames("0001"))


def test_clip_without_frames_folder_has_poses_only(tmp_path):
    write_labels(tmp_path, "0001")
    assert PennAction(tmp_path).read_frames("0001") is None


def test_missing_and_empty_folders_say_what_is_expected(tmp_path):
    layout = r"expected labels/0001.mat .* frames/0001/000001.jpg"
    with pytest.raises(ValueError, match=r"absent is not a folder; " + layout):
        PennAction(tmp_path / "absent")
    with pytest.raises(ValueError, match=r"has no folder 'labels'; " + layout):
        PennAction(tmp_path)
    (tmp_path / "labels").mkdir()
    with pytest.raises(ValueError, match=r"holds no \.mat file; " + layout):
        PennAction(tmp_path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"visibility": np.zeros((6, 13))}, "no joint is visible"),
        ({"x": None}, "lacks x; fetch the file again"),
        ({"y": None, "bbox": None}, "lacks y, bbox"),
        ({"x": np.ones((6, 12))}, r"x has shape \(6, 12\), expected \(6, 13\)"),
        ({"y": np.ones((5, 13))}, r"y has shape \(5, 13\), expected \(6, 13\)"),
        ({"x": np.full((6, 13), np.nan)}, "x holds NaN"),
        ({"x": "text"}, "x holds no numbers"),
        ({"dimensions": np.array([[48, 64, 7]])}, "48, 64, 7 but there are poses of 6 frames"),
        ({"bbox": np.tile([70.0, 2, 90, 20], (6, 1))}, "lie outside the image .64 x 48 pixels"),
        ({"bbox": np.tile([5.0, 5, 5, 5], (6, 1))}, "or are empty"),
    ],
)
def test_bad_labels_name_clip_and_problem(tmp_path, changes, message):
    write_labels(tmp_path, "0007", **changes)
    with pytest.raises(ClipError, match="clip 0007: .*" + message):
        PennAction(tmp_path).read_poses("0007")


@pytest.mark.parametrize("keep", [0, 60, 127, 128, 140, 600, -1])
def test_cut_off_label_files_are_refused(tmp_path, keep):
    path = write_labels(tmp_path, "0001")
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(ClipError, match=r"clip 0001: (cannot read|.*lacks)"):
        PennAction(tmp_path).read_poses("0001")


def test_damaged_label_files_never_crash(tmp_path):
    path = write_labels(tmp_path, "0001")
    whole, source, rng = path.read_bytes(), PennAction(tmp_path), np.random.default_rng(0)
    refused = 0
    for _ in range(300):
        damaged = bytearray(whole)
        for place in rng.integers(124, len(whole), rng.integers(1, 6)):
            damaged[place] = rng.integers(256)
        path.write_bytes(bytes(damaged))
        try:
            source.read_poses("0001")
        except ClipError:
            refused += 1
    assert refused > 280


def test_newer_matlab_files_say_how_to_convert(tmp_path):
    path = write_labels(tmp_path, "0001")
    path.write_bytes(b"MATLAB 7.3 MAT-file, Platform: GLNXA64" + bytes(600))
    with pytest.raises(ClipError, match="save it with the option -v7"):
        PennAction(tmp_path).read_poses("0001")


def test_number_of_frames_must_fit(tmp_path):
    write_clip_files(tmp_path, "0001")
    folder = tmp_path / "frames" / "0001"
    (folder / "000004.jpg").unlink()
    with pytest.raises(ClipError, match=r"5 frames but the labels have 6 \(000004.jpg is missing"):
        list(PennAction(tmp_path).read_frames("0001"))
    for number in (4, 7):
        Image.fromarray(picture(0, 0)).save(folder / f"{number:06d}.jpg")
    with pytest.raises(ClipError, match=r"7 frames .* have 6 \(000007.jpg is too many"):
        list(PennAction(tmp_path).read_frames("0001"))


def test_truncated_picture_is_named(tmp_path):
    write_clip_files(tmp_path, "0001")
    path = tmp_path / "frames" / "0001" / "000003.jpg"
    whole = path.read_bytes()
    for keep in (0, 1, 200, len(whole) // 2, len(whole) - 2):
        path.write_bytes(whole[:keep])
        frames = PennAction(tmp_path).read_frames("0001")
        next(frames), next(frames)
        with pytest.raises(ClipError, match=r"clip 0001: cannot read .*000003.jpg"):
            next(frames)


def test_resized_picture_is_refused(tmp_path):
    write_clip_files(tmp_path, "0001")
    Image.new("RGB", (32, 24)).save(tmp_path / "frames" / "0001" / "000001.jpg")
    with pytest.raises(ClipError, match="is 32 x 24 pixels but the labels are for 64 x 48"):
        next(PennAction(tmp_path).read_frames("0001"))


def test_clip_ids_are_sorted(tmp_path):
    for clip_id in ("0010", "0002", "0100"):
        write_labels(tmp_path, clip_id)
    (tmp_path / "labels" / "._0002.mat").write_bytes(b"")
    assert PennAction(tmp_path).clip_ids() == ["0002", "0010", "0100"]
    with pytest.raises(ClipError, match="there is no label file"):
        PennAction(tmp_path).read_poses("0003")


def test_paper_has_eight_actions():
    assert len(set(PAPER_ACTIONS)) == 8


def test_drawn_people_are_another_data_set(tmp_path):
    root = tmp_path / "drawn"
    write_penn_layout(SyntheticConfig(num_clips=1, num_frames=2, image_hw=(48, 64)), root)
    assert PennAction(root).name == "drawn_people"
    (root / "synthetic.json").unlink()
    assert PennAction(root).name == "penn_action"
