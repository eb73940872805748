"""Published numbers of trivial forecasts, on the real labels: what every comparison stands on."""

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from made_runs import make_run
from posecast.datasets.penn_action import PAPER_ACTIONS
from posecast.evaluation.baselines import LastPose
from posecast.evaluation.loop import evaluate
from posecast.evaluation.methods import baseline_methods
from posecast.evaluation.penn_benchmark import (
    PennPoseBenchmark,
    read_test_labels,
    run_penn_pose_benchmark,
)
from posecast.evaluation.penn_protocol import PennPoseProtocol, penn_pose_scores, percent
from posecast.evaluation.record import EvaluationConfig
from posecast.evaluation.summary import PAPER_HORIZONS, summarise
from posecast.networks.pose_lstm import PoseLSTM, PoseLSTMConfig
from posecast.store.reading import ClipSelection, Store
from posecast.training.pose import PoseTrainingConfig

STEPS = (1, 2, 3, 4, 8, 12, 16)


@pytest.fixture(scope="module")
def real_poses(shared: Path) -> Store:
    """All test clips of the real labels as a store in memory, without frames."""
    folder = shared / "data" / "penn_action"
    if not (folder / "labels").is_dir():
        pytest.skip(f"no real labels: {folder} has none")
    store, left_out = read_test_labels(folder)
    assert list(left_out) == ["1516"]
    return store


@pytest.mark.parametrize(
    ("variant", "expected"),
    [
        ("A", [82.3, 69.0, 61.6, 57.1, 49.1, 46.2, 45.8]),
        ("B", [80.1, 63.5, 54.3, 49.1, 40.6, 37.7, 37.5]),
        ("E", [77.3, 59.4, 49.8, 44.3, 34.6, 31.5, 38.0]),
    ],
)
def test_last_pose_in_the_published_benchmark(real_poses, variant, expected):
    hits, counts = penn_pose_scores(LastPose(), real_poses.clips, PennPoseProtocol(variant))
    shares = percent(hits.sum(axis=0), counts.sum(axis=0))
    assert shares[np.array(STEPS) - 1] == pytest.approx(expected, abs=0.06)


def test_last_pose_at_the_horizons_of_the_paper(real_poses, tmp_path):
    clips = ClipSelection(split="test", actions=PAPER_ACTIONS)
    config = EvaluationConfig(clips, final=True)
    evaluate(baseline_methods(["last pose"]), real_poses, tmp_path / "out", config)
    summary = summarise(tmp_path / "out", num_draws=50)
    hits = summary.curve("last pose", "pck@0.05")
    percent = [100 * hits.at(frame) for frame in PAPER_HORIZONS]
    expected = [98.2, 93.9, 77.5, 56.5, 46.6, 34.3, 29.1, 21.1, 21.7]
    assert percent == pytest.approx(expected, abs=0.06)
    places = np.array(PAPER_HORIZONS) - 1
    assert hits.num_clips[places].tolist() == [489, 489, 489, 489, 483, 428, 345, 185, 112]
    distance = summary.curve("last pose", "distance")
    found = [100 * distance.at(frame) for frame in (1, 8, 16, 64)]
    assert found == pytest.approx([1.0, 6.1, 9.6, 18.5], abs=0.06)


def test_the_whole_benchmark_with_a_pose_run(shared, tmp_path):
    """A residual model without training is 'the last pose stays', and its use is remembered."""
    labels = tmp_path / "raw" / "labels"
    labels.mkdir(parents=True)
    for name in ("0001", "0050", "0280"):
        shutil.copy(shared / "data" / "penn_action" / "labels" / f"{name}.mat", labels)
    config = PoseLSTMConfig(hidden=4, encoder=4, output="residual")
    run = make_run(tmp_path / "run", PoseTrainingConfig(model=config), "pose")
    run.save_weights("best", PoseLSTM(config), step=0)
    asked = PennPoseBenchmark(
        PennPoseProtocol("E", seen=4), pose_run=(run.path,), num_draws=20, device="cpu"
    )
    with pytest.raises(ValueError, match="--final"):
        run_penn_pose_benchmark(tmp_path / "raw", asked)
    final = dataclasses.replace(asked, final=True, out=tmp_path / "table.json")
    table = run_penn_pose_benchmark(tmp_path / "raw", final, "the command")
    rows = {row.method: row for row in table.rows}
    assert set(rows) == {"last pose", "constant velocity", "run"}
    assert rows["run"].percent == pytest.approx(rows["last pose"].percent, abs=0.5)
    assert (np.array(rows["run"].low) <= rows["run"].high).all()
    assert table.num_clips == 3
    assert list(table.test_uses.values()) == [1]
    assert "| last pose |" in table.text()
    stored = json.loads((tmp_path / "table.json").read_text())
    assert stored["command"] == "the command"
    assert stored["rows"][0]["percent"] == list(table.rows[0].percent)
