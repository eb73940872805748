"""What commit 56aa31b wrote goes on loading, with the same results."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from posecast.cli import main
from posecast.evaluation.guard import runs_without_record
from posecast.forecasting import forecast_files
from posecast.networks.hourglass import Hourglass
from posecast.networks.kinds import load_network
from posecast.records.runs import Run
from posecast.records.training_data import read_training_data
from posecast.records.versions import FormatVersionError
from posecast.store.reading import Store


def test_its_store_is_whole(release: Path) -> None:
    store = Store.open(release / "store")
    assert [clip.clip_id for clip in store.clips] == ["0001", "0002", "0003", "0004"]
    assert [clip.split for clip in store.clips] == ["train", "train", "validation", "validation"]
    for clip in store.clips:
        assert (clip.fps, clip.joints_px.shape) == (30.0, (12, 13, 2))
        assert store.read_frames(clip).shape == (12, 16, 16, 3)


def test_its_runs_forecast_what_they_forecast_then(release: Path) -> None:
    words = ["predict", "--store", str(release / "store"), "--pose-run", str(release / "pose")]
    words += ["--image-run", str(release / "image"), "--out", str(release / "again")]
    words += ["--clips.split", "validation", "--steps", "3", "--view-scale", "1"]
    assert main([*words, "--device", "cpu"]) == 0
    for clip_id in ("0003", "0004"):
        folders = [release / name / "clips" / clip_id for name in ("forecasts", "again")]
        then, now = (forecast_files.read_forecast(folder) for folder in folders)
        np.testing.assert_allclose(now.predicted_joints_px, then.predicted_joints_px, atol=1e-3)
        assert np.array_equal(now.predicted_visible, then.predicted_visible)
        then, now = (forecast_files.read_frames(folder).astype(int) for folder in folders)
        assert np.abs(now - then).max() <= 1


def test_its_estimator_loads_with_its_step(release: Path) -> None:
    loaded = load_network(release / "estimator", Hourglass)
    assert (loaded.facts.step, loaded.network.config.width, loaded.network.config.size) == (
        2,
        4,
        16,
    )


def test_what_its_runs_learned_from(release: Path) -> None:
    image, estimator = (read_training_data(release / name) for name in ("image", "estimator"))
    assert (image.train, image.validation) == (("0001", "0002"), ("0003", "0004"))
    assert (estimator.train, estimator.poses, estimator.fps) == (("0001", "0002"), "", None)
    assert Run.open(release / "pose").data is None
    paths = [release / name for name in ("pose", "image", "estimator")]
    assert runs_without_record(paths) == [str(release / "pose")]


def test_what_is_newer_is_refused(release: Path) -> None:
    for path, version in ((release / "pose" / "config.json", 3), (release / "store/store.json", 2)):
        content = json.loads(path.read_text()) | {"format_version": version}
        path.write_text(json.dumps(content))
    with pytest.raises(FormatVersionError, match="version 3, this posecast reads up to 2"):
        Run.open(release / "pose")
    with pytest.raises(FormatVersionError, match="version 2, this posecast reads up to 1"):
        Store.open(release / "store")


@pytest.mark.parametrize("name", ["paper_pose", "plus_pose", "image_composite_real"])
def test_its_runs_on_real_data_load(shared: Path, name: str, tmp_path: Path) -> None:
    source = shared / "runs" / name
    if not source.is_dir():
        pytest.skip(f"{source} is absent")
    run = Run.open(source)
    copy = shutil.copytree(source, tmp_path / "run")
    loaded = load_network(copy)
    assert (run.kind, run.data) == (loaded.facts.kind, None)
    assert sum(each.numel() for each in loaded.network.parameters()) > 10_000
