"""Published numbers of trivial forecasts, on the real labels: what every comparison stands on."""

from pathlib import Path

import numpy as np
import pytest

from posecast.baselines import LastPose
from posecast.clips import ClipError
from posecast.datasets.penn_action import PAPER_ACTIONS, PennAction
from posecast.evaluation import EvaluationConfig, baseline_methods, evaluate, summarise
from posecast.evaluation.summary import PAPER_HORIZONS
from posecast.penn_benchmark import PennPoseProtocol, penn_pose_benchmark
from posecast.preparation import PreparationConfig, store_info, to_stored_clip
from posecast.store import ClipSelection, Store

STEPS = (1, 2, 3, 4, 8, 12, 16)


@pytest.fixture(scope="module")
def real_poses(shared: Path) -> Store:
    """All test clips of the real labels as a store in memory, without frames."""
    folder = shared / "data" / "penn_action"
    if not (folder / "labels").is_dir():
        pytest.skip(f"no real labels: {folder} has none")
    source, config, clips = PennAction(folder), PreparationConfig(), []
    for clip_id in source.clip_ids():
        try:
            clip = to_stored_clip(source.read_poses(clip_id), config, has_frames=False)
        except ClipError:
            continue
        if clip.split == "test":
            clips.append(clip)
    return Store(folder, store_info(source, config), tuple(clips))


@pytest.mark.parametrize(
    ("variant", "expected"),
    [
        ("A", [82.3, 69.0, 61.6, 57.1, 49.1, 46.2, 45.7]),
        ("B", [80.1, 63.5, 54.3, 49.1, 40.6, 37.7, 37.5]),
        ("E", [77.3, 59.4, 49.8, 44.3, 34.6, 31.5, 37.9]),
    ],
)
def test_last_pose_in_the_published_benchmark(real_poses, variant, expected):
    percent, _ = penn_pose_benchmark(LastPose(), real_poses.clips, PennPoseProtocol(variant))
    assert percent[np.array(STEPS) - 1] == pytest.approx(expected, abs=0.06)


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
