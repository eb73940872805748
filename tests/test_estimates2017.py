"""Stored pose estimates of the 2017 authors: both data sets, their coordinates, what is wrong."""

from pathlib import Path

import numpy as np
import pytest

from human36m_files import track, write_cdf
from penn_files import write_labels
from posecast.cli import main
from posecast.datasets.human36m import Human36M
from posecast.datasets.penn_action import PennAction
from posecast.geometry import union_crop
from posecast.store.preparation import PreparationConfig, prepare
from posecast.store.reading import Store
from posecast.villegas2017.estimates import import_estimates_2017


@pytest.fixture(params=["union", "seen"])
def penn(tmp_path, request) -> Path:
    """A store of three clips of six frames, with the 2017 crop or another."""
    for number in (1, 2, 3):
        write_labels(tmp_path / "raw", f"{number:04d}", number)
    config = PreparationConfig(size=16, crop=request.param, num_seen=2, workers=1)
    prepare(PennAction(tmp_path / "raw"), tmp_path / "store", config)
    return tmp_path / "store"


@pytest.fixture
def human36m(tmp_path) -> Path:
    """A store of two clips of 22 frames, every 4th of which is kept."""
    for name in ("Walking 1.54138969", "Eating.54138969"):
        write_cdf(tmp_path / "raw", "S9", name, track(1))
    config = PreparationConfig(size=16, crop="tube", margin_px=20, workers=1)
    prepare(Human36M(tmp_path / "raw"), tmp_path / "store", config)
    return tmp_path / "store"


def penn_file(folder: Path, clip_id: str, num_frames: int = 6, **changes) -> dict[str, np.ndarray]:
    """One file as published; `changes` replace arrays or, where None, remove them."""
    rng = np.random.default_rng(int(clip_id))
    arrays = {
        "x": rng.random((num_frames, 13)),
        "y": rng.random((num_frames, 13)),
        "visibility": rng.integers(0, 2, (num_frames, 13)),
        "action": np.array(["bowl"]),
        "nframes": np.array([[num_frames]], np.uint8),
    }
    arrays = {name: value for name, value in (arrays | changes).items() if value is not None}
    folder.mkdir(exist_ok=True)
    np.savez(folder / f"{clip_id}.npz", **arrays)
    return arrays


def human36m_file(folder: Path, name: str, num_frames: int = 22) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(1)
    arrays = {
        "all_posex": rng.integers(0, 90, (num_frames, 32)),
        "all_posey": rng.integers(0, 90, (num_frames, 32)),
        "box": np.array([30, 7, 130, 107]),
    }
    (folder / "S9_Hourglass").mkdir(parents=True, exist_ok=True)
    np.savez(folder / "S9_Hourglass" / f"{name}.npz", **arrays)
    return arrays


def test_penn_estimates_are_shares_of_the_2017_crop(penn, tmp_path):
    written = penn_file(tmp_path / "hourglass", "0002")
    report = import_estimates_2017(tmp_path / "hourglass", penn)
    assert (report.num_imported, report.num_without, report.left_out) == (1, 2, {})
    (clip,) = Store.open(penn).with_poses("estimated").clips
    original = PennAction(tmp_path / "raw").read_poses("0002")
    crop = union_crop(original.boxes_px, original.image_hw, 5)
    np.testing.assert_array_equal(clip.visible, written["visibility"] != 0)
    expected_x = crop.x1 + written["x"] * crop.width
    expected_y = crop.y1 + written["y"] * crop.height
    np.testing.assert_allclose(clip.joints_px[..., 0], expected_x, atol=1e-4)
    np.testing.assert_allclose(clip.joints_px[..., 1], expected_y, atol=1e-4)
    labels = Store.open(penn).clip("0002")
    np.testing.assert_allclose(labels.joints_px, original.joints_px, atol=1e-4)


@pytest.mark.parametrize(("num_frames", "num_kept"), [(22, 6), (13, 4), (60, 6)])
def test_human36m_estimates_are_pixels_of_a_box(human36m, tmp_path, num_frames, num_kept):
    written = human36m_file(tmp_path / "est", "Walking 1.54138969", num_frames)
    report = import_estimates_2017(tmp_path / "est", human36m)
    assert (report.num_imported, report.num_without) == (1, 1)
    (clip,) = Store.open(human36m).with_poses("estimated").clips
    assert clip.clip_id == "S9_Walking_1.54138969"
    joints = clip.joints_px[:num_kept]
    np.testing.assert_array_equal(joints[..., 0], written["all_posex"][::4][:6] + 30)
    np.testing.assert_array_equal(joints[..., 1], written["all_posey"][::4][:6] + 7)
    assert clip.visible[:num_kept].all()
    assert not clip.visible[num_kept:].any()


def test_short_penn_files_hide_what_they_lack(penn, tmp_path):
    penn_file(tmp_path / "hourglass", "0001", num_frames=4, visibility=np.ones((4, 13)))
    import_estimates_2017(tmp_path / "hourglass", penn)
    (clip,) = Store.open(penn).with_poses("estimated").clips
    assert clip.visible[:4].all()
    assert not clip.visible[4:].any()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_frames": 7}, "estimates of 7 frames, the clip has 6"),
        ({"x": None}, "cannot read"),
        ({"x": np.zeros((6, 12)), "y": np.zeros((6, 12))}, "expected 13 joints"),
        ({"x": np.full((6, 13), np.nan), "visibility": np.ones((6, 13))}, "NaN or infinite"),
        ({"x": np.array([{}], object)}, "cannot read"),
    ],
)
def test_files_that_cannot_be_used_are_left_out(penn, tmp_path, changes, message):
    folder = tmp_path / "hourglass"
    penn_file(folder, "0001")
    penn_file(folder, "0002", **changes)
    report = import_estimates_2017(folder, penn)
    assert list(report.left_out) == ["0002"]
    assert message in report.left_out["0002"]
    assert "0002.npz" in report.summary()


def test_a_truncated_file(penn, tmp_path):
    penn_file(tmp_path / "hourglass", "0002")
    path = tmp_path / "hourglass" / "0002.npz"
    path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(ValueError, match=r"no estimates for store .*cannot read .*0002.npz"):
        import_estimates_2017(tmp_path / "hourglass", penn)


def test_the_command(human36m, tmp_path, capsys):
    assert main(["import-poses-2017", str(tmp_path), str(human36m)]) == 2
    assert "Expected files such as" in capsys.readouterr().err
    human36m_file(tmp_path, "Eating.54138969")
    assert main(["import-poses-2017", str(tmp_path), str(human36m)]) == 0
    assert "estimated poses of 1 clips added; 1 clips" in capsys.readouterr().out
