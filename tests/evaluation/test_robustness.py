"""Worse seen poses: what is done to them, and known answers of the study."""

import csv

import numpy as np
import pytest

from benchmarks.robustness.__main__ import main
from benchmarks.robustness.damage import DAMAGES, Damage, apply_damage
from benchmarks.robustness.study import ESTIMATED, RobustnessConfig, study_robustness
from posecast.evaluation.methods import baseline_methods
from posecast.records.files import read_json
from posecast.skeletons import PENN_ACTION
from posecast.store.reading import ClipSelection, Store
from small_store import a_clip, a_store, write_store

BOX_SIDE = 160.0
CONFIG = RobustnessConfig(num_past=4, steps=8, draws=2)


def damaged(kind, amount=0.0, num_frames=400, seed=0):
    rng = np.random.default_rng(9)
    joints = rng.uniform(40, 160, (num_frames, 13, 2))
    visible = rng.random((num_frames, 13)) < 0.8
    before = joints.copy(), visible.copy()
    after = apply_damage(
        Damage(kind, amount), joints, visible, BOX_SIDE, PENN_ACTION, np.random.default_rng(seed)
    )
    np.testing.assert_array_equal(joints, before[0])  # copies
    np.testing.assert_array_equal(visible, before[1])
    return before, after


def test_none_changes_nothing():
    before, after = damaged("none")
    np.testing.assert_array_equal(after[0], before[0])
    np.testing.assert_array_equal(after[1], before[1])


def test_noise_is_a_share_of_the_box():
    before, after = damaged("noise", 0.1)
    spread = (after[0] - before[0]).std(axis=(0, 1))
    np.testing.assert_allclose(spread, [16, 16], rtol=0.05)
    np.testing.assert_array_equal(after[1], before[1])
    assert not np.array_equal(damaged("noise", 0.1, seed=1)[1][0], after[0])
    np.testing.assert_array_equal(damaged("noise", 0.1)[1][0], after[0])


def test_missing_is_a_share_of_what_was_seen():
    before, after = damaged("missing", 0.3)
    assert after[1].sum() / before[1].sum() == pytest.approx(0.7, abs=0.02)
    assert not (after[1] & ~before[1]).any()


def test_swapped_frames_have_left_and_right_exchanged():
    before, after = damaged("swapped", 0.3)
    changed = (after[0] != before[0]).any(axis=(1, 2))
    assert changed.mean() == pytest.approx(0.3, abs=0.07)
    left, right = PENN_ACTION.index("left_knee"), PENN_ACTION.index("right_knee")
    np.testing.assert_array_equal(after[0][changed, left], before[0][changed, right])
    np.testing.assert_array_equal(after[1][changed, left], before[1][changed, right])
    np.testing.assert_array_equal(after[0][:, 0], before[0][:, 0])


def test_lost_frames():
    before, after = damaged("lost frame", num_frames=10)
    lost = (after[1] != before[1]).any(axis=1)
    assert lost.sum() == 1
    assert not lost[-1]
    _, after = damaged("last frame lost", num_frames=10)
    assert after[1].any(axis=1).tolist() == [True] * 9 + [False]


def test_a_joint_always_stays():
    _, after = damaged("missing", 1.0, num_frames=3)
    assert after[1].any()


@pytest.fixture
def store(tmp_path) -> Store:
    """Two clips that slide by 2 and 4 px a frame; boxes of 200 px, crops of 200 px."""
    clips = [a_clip("0001", 2.0), a_clip("0002", 4.0), a_clip("0003", 1.0, "test")]
    return a_store(tmp_path / "store", *clips)


def study(store, out, **more):
    methods = baseline_methods(["last pose", "constant velocity", "last frame"])
    return study_robustness(methods, store, out, **({"config": CONFIG} | more))


def rows_of(out) -> list[dict[str, str]]:
    with (out / "robustness.csv").open() as file:
        return list(csv.DictReader(file))


def test_known_answers(store, tmp_path):
    report = study(store, tmp_path / "out")
    assert report.num_clips == 2
    rows = {
        (row["method"], row["damage"], float(row["amount"]), row["metric"], int(row["frame"])): row
        for row in rows_of(tmp_path / "out")
    }

    def distance(method, kind, amount=0.0, frame=8):
        return float(rows[method, kind, amount, "distance", frame]["value"])

    # Standing still after 8 frames of 3 px on average.
    assert distance("last pose", "none") == pytest.approx(3 * 8 / 200)
    assert distance("last pose", "none", frame=0) == pytest.approx(3 * 4.5 / 200)
    assert distance("constant velocity", "none") == pytest.approx(0, abs=1e-6)
    # The last frame lost: one more frame of movement.
    assert distance("last pose", "last frame lost") == pytest.approx(3 * 9 / 200)
    assert distance("last pose", "lost frame") == pytest.approx(3 * 8 / 200)
    # Noise of 5 % of the box moves a joint that stands still by 5 % times the root of pi / 2.
    assert distance("last pose", "noise", 0.1, 1) == pytest.approx(
        0.1 * np.sqrt(np.pi / 2), rel=0.35
    )
    assert distance("last pose", "noise", 0.1) > distance("last pose", "noise", 0.01)
    assert distance("last pose", "swapped", 1.0) > distance("last pose", "none")
    assert rows["last pose", "none", 0.0, "distance", 8]["joints"] == "26"
    assert {row["method"] for row in rows.values()} == {"last pose", "constant velocity"}
    assert len({row["damage"] + row["amount"] for row in rows.values()}) == len(DAMAGES)


def test_tables_to_read(store, tmp_path):
    report = study(store, tmp_path / "out")
    text = (tmp_path / "out" / "robustness.md").read_text()
    assert text == report.tables
    assert "| noise of 5 % of the box |" in text
    assert "| seen poses | last pose | constant velocity |" in text
    assert "| seen poses | +1 | +4 | +8 |" in text
    facts = read_json(tmp_path / "out" / "robustness.json")
    assert facts["config"]["draws"] == 2
    assert facts["versions"]
    again = study(store, tmp_path / "again")
    assert again.tables == report.tables


def test_test_clips_come_last(store, tmp_path):
    config = RobustnessConfig(num_past=4, steps=8, clips=ClipSelection(split="test"))
    with pytest.raises(ValueError, match="--final"):
        study(store, tmp_path / "out", config=config)


def test_what_does_not_fit_is_said(store, tmp_path):
    with pytest.raises(ValueError, match="no method forecasts poses"):
        study_robustness(baseline_methods(["last frame"]), store, tmp_path / "out", CONFIG)
    longer = RobustnessConfig(num_past=40, steps=8)
    with pytest.raises(ValueError, match="not one clip can be studied"):
        study(store, tmp_path / "out", config=longer)
    with pytest.raises(ValueError, match="draws is 0"):
        RobustnessConfig(draws=0)


def test_from_estimated_poses_by_the_command(tmp_path, capsys):
    clips = (a_clip("0001", 2.0, "train"), a_clip("0002", 4.0, "train"))
    path = write_store(tmp_path / "store", [(clip, None) for clip in clips])
    store = Store.open(path)
    estimates = {
        clip.clip_id: (clip.joints_px + np.float32(20), clip.visible) for clip in store.clips
    }
    store.write_estimates(estimates)
    words = ["--store", str(path), "--out", str(tmp_path / "out"), "--estimated"]
    words += ["--clips.split", "all", "--steps", "4", "--draws", "1"]
    assert main(words) == 0
    assert f"| {ESTIMATED} |" in capsys.readouterr().out
    shown = {
        row["damage"]: float(row["value"])
        for row in rows_of(tmp_path / "out")
        if (row["method"], row["metric"], row["frame"]) == ("constant velocity", "distance", "0")
    }
    # 20 px right and down of a box of 200 px, at every frame.
    assert shown[ESTIMATED] == pytest.approx(0.1 * np.sqrt(2), rel=1e-4)
