"""The evaluation stage on tiny clips whose numbers can be worked out by hand."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from made_runs import make_run
from posecast.clips import PoseForecast
from posecast.evaluation.judges import MetricNetworks
from posecast.evaluation.loop import evaluate
from posecast.evaluation.methods import Method, baseline_methods
from posecast.evaluation.record import EvaluationConfig, read_record
from posecast.evaluation.setup import distinct_names
from posecast.evaluation.table import read_table
from posecast.forecasting.protocols import Needs
from posecast.records import versions
from posecast.records.files import FileError
from posecast.records.final_looks import read_test_uses
from posecast.records.locks import locked
from posecast.records.training_data import TrainingData
from posecast.skeletons import PENN_ACTION
from posecast.store.reading import ClipSelection
from posecast.training.pose import PoseTrainingConfig
from small_store import a_clip, a_store

CONFIG = EvaluationConfig(num_past=4, steps=6)


def rows_of(out: Path, **wanted) -> list:
    return [
        row
        for row in read_table(out / "rows.csv")
        if all(getattr(row, name) == value for name, value in wanted.items())
    ]


def test_last_pose_of_a_sliding_person(tmp_path):
    store = a_store(tmp_path, a_clip("a", speed=2.0))
    evaluate(baseline_methods(["last pose", "constant velocity"]), store, tmp_path / "out", CONFIG)
    # 2 px a frame, the box is 200 px wide: 1 % a frame; a hit is nearer than 5 %.
    still = rows_of(tmp_path / "out", method="last pose", metric="distance")
    assert [row.value for row in still] == pytest.approx([0.01, 0.02, 0.03, 0.04, 0.05, 0.06])
    assert [row.frame for row in still] == [1, 2, 3, 4, 5, 6]
    assert [row.clip_frame for row in still] == [4, 5, 6, 7, 8, 9]
    assert {row.weight for row in still} == {13}
    assert {row.coordinates for row in still} == {"joints_px/box"}
    hits = rows_of(tmp_path / "out", method="last pose", metric="pck@0.05")
    assert [row.value for row in hits][:4] == [1, 1, 1, 1]
    assert hits[5].value == 0
    going_on = rows_of(tmp_path / "out", method="constant velocity", metric="distance")
    assert [row.value for row in going_on] == pytest.approx([0] * 6, abs=1e-6)
    speed = rows_of(tmp_path / "out", metric="velocity error", method="last pose")
    assert [row.frame for row in speed] == [2, 3, 4, 5, 6]
    assert [row.value for row in speed] == pytest.approx([0.01] * 5)
    movement = rows_of(tmp_path / "out", method="truth", metric="movement")
    assert [(row.frame, row.clip_frame, row.value) for row in movement] == [
        (0, None, pytest.approx(0.01))
    ]


def test_frames_that_a_clip_does_not_have_are_not_counted(tmp_path):
    store = a_store(tmp_path, a_clip("a", 1.0, frames=7), a_clip("b", 1.0))
    evaluate(baseline_methods(["last pose"]), store, tmp_path / "out", CONFIG)
    assert len(rows_of(tmp_path / "out", clip="a", metric="distance")) == 3
    assert len(rows_of(tmp_path / "out", clip="b", metric="distance")) == 6


def test_frames_of_the_pixel_baselines(tmp_path):
    store = a_store(tmp_path, a_clip("a", 1.0, has_frames=True), a_clip("b", 1.0))
    names = ["last pose", "last frame", "optical flow"]
    extra = MetricNetworks({"worst": lambda p, t: np.abs(p - t.astype(float)).max(axis=(1, 2, 3))})
    evaluate(baseline_methods(names), store, tmp_path / "out", CONFIG, extra)
    assert not rows_of(tmp_path / "out", clip="b", metric="psnr")
    assert not rows_of(tmp_path / "out", clip="a", method="last pose", metric="psnr")
    still = rows_of(tmp_path / "out", method="last frame", metric="psnr")
    flow = rows_of(tmp_path / "out", method="optical flow", metric="psnr")
    assert len(still) == len(flow) == 6
    assert {row.coordinates for row in flow} == {"crop 16x16"}
    assert rows_of(tmp_path / "out", method="last frame", metric="worst")[0].value > 10
    assert rows_of(tmp_path / "out", method="truth", metric="pixel movement")[0].value > 1


class Counting:
    """A pose method that counts its clips and can be made to fail."""

    def __init__(self, fail_at: int = 99) -> None:
        self.seen = 0
        self._fail_at = fail_at

    def forecast_poses(self, seen, steps, samples=1):
        self.seen += len(seen)
        if self.seen >= self._fail_at:
            raise KeyboardInterrupt
        return [PoseForecast.of(e, np.repeat(e.joints_px[None, -1:], steps, axis=1)) for e in seen]


def test_a_stopped_evaluation_goes_on_to_the_same_table(tmp_path, monkeypatch):
    monkeypatch.setattr("posecast.evaluation.loop.CLIPS_PER_BATCH", 1)
    config = EvaluationConfig(num_past=4, steps=6, examples=0)
    store = a_store(tmp_path, *(a_clip(name, speed=ord(name) - 96) for name in "abcd"))
    evaluate([Method("still", poses=Counting())], store, tmp_path / "straight", config)
    with pytest.raises(KeyboardInterrupt):
        evaluate([Method("still", poses=Counting(fail_at=4))], store, tmp_path / "out", config)
    table = tmp_path / "out" / "rows.csv"
    table.write_text(table.read_text()[:-30])  # killed in the middle of a line
    again = Counting()
    evaluate([Method("still", poses=again)], store, tmp_path / "out", config)
    assert again.seen == 2  # the broken clip and the missing one
    assert table.read_bytes() == (tmp_path / "straight" / "rows.csv").read_bytes()
    assert json.loads((tmp_path / "out" / "evaluation.json").read_text())["finished"]


def test_a_folder_holds_one_evaluation(tmp_path):
    store = a_store(tmp_path, a_clip("a", 1.0))
    evaluate(baseline_methods(["last pose"]), store, tmp_path / "out", CONFIG)
    shorter = EvaluationConfig(num_past=4, steps=5)
    with pytest.raises(FileError, match=r"config\.steps: 6 -> 5"):
        evaluate(baseline_methods(["last pose"]), store, tmp_path / "out", shorter)
    whole = (tmp_path / "out" / "rows.csv").read_bytes()
    record = tmp_path / "out" / "evaluation.json"
    record.write_text(json.dumps(json.loads(record.read_text()) | {"versions": []}))
    held = locked(tmp_path / "out", FileError("held"))  # two at once would write clips twice
    with held, pytest.raises(FileError, match=r"another process is evaluating into .*out: wait"):
        evaluate(baseline_methods(["last pose"]), store, tmp_path / "out", CONFIG)
    assert (tmp_path / "out" / "rows.csv").read_bytes() == whole
    assert json.loads(record.read_text())["versions"] == []  # a refused start writes nothing
    evaluate(baseline_methods(["last pose"]), store, tmp_path / "out", CONFIG)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "notes.txt").write_text("mine")
    with pytest.raises(FileError, match="holds files but no evaluation"):
        evaluate(baseline_methods(["last pose"]), store, tmp_path / "other", CONFIG)
    assert [path.name for path in (tmp_path / "other").iterdir()] == ["notes.txt"]
    with locked(tmp_path / "other", FileError("held")):
        (tmp_path / "other" / "notes.txt").unlink()  # what stays of a process that was killed
    evaluate(baseline_methods(["last pose"]), store, tmp_path / "other", CONFIG)


def test_a_store_may_move_but_not_change_meanwhile(tmp_path):
    out, method = tmp_path / "out", baseline_methods(["last pose"])
    evaluate(method, a_store(tmp_path / "a", a_clip("a", 1.0)), out, CONFIG)
    evaluate(method, a_store(tmp_path / "b", a_clip("a", 1.0)), out, CONFIG)
    with pytest.raises(FileError, match="poses_checksum: '"):
        evaluate(method, a_store(tmp_path / "c", a_clip("a", 2.0)), out, CONFIG)
    record = json.loads((out / "evaluation.json").read_text())
    del record["poses_checksum"]  # as an earlier posecast began it
    (out / "evaluation.json").write_text(json.dumps(record))
    evaluate(method, a_store(tmp_path / "a", a_clip("a", 1.0)), out, CONFIG)
    with pytest.raises(FileError, match=r"store\.path: '"):
        evaluate(method, a_store(tmp_path / "b", a_clip("a", 1.0)), out, CONFIG)


NO_CLIPS = TrainingData()


def a_run(path: Path, data: TrainingData | None = NO_CLIPS) -> Path:
    """A pose run's folder without weights."""
    return make_run(path, PoseTrainingConfig(), "pose", data).path


def test_test_clips_need_to_be_asked_for_and_are_remembered(tmp_path):
    store = a_store(tmp_path, a_clip("a", 1.0, "test"), a_clip("b", 1.0))
    run = a_run(tmp_path / "run")
    method = Method("forecast", "baseline", poses=Counting(), runs=(run,))
    test_clips = ClipSelection(split="test")
    with pytest.raises(ValueError, match=r"1 of the 1 clips are test clips \(a\).*--final"):
        evaluate([method], store, tmp_path / "x", EvaluationConfig(test_clips, 4, 6))
    by_name = ClipSelection(clips=("a", "b"))
    with pytest.raises(ValueError, match=r"1 of the 2 clips are test clips"):
        evaluate([method], store, tmp_path / "x", EvaluationConfig(by_name, 4, 6))
    assert read_test_uses(run) == []
    final = EvaluationConfig(test_clips, 4, 6, final=True)
    report = evaluate([method], store, tmp_path / "first", final)
    assert list(report.test_uses.values()) == [1]
    assert f"looked at once with {run.resolve()}." in report.summary()
    evaluate([method], store, tmp_path / "first", final)  # the same one again counts once
    report = evaluate([method], store, tmp_path / "second", final)
    assert list(report.test_uses.values()) == [2]
    assert "looked at 2 times" in report.summary()
    assert [use["num_clips"] for use in read_test_uses(run)] == [1, 1]
    evaluate([method], store, tmp_path / "third", CONFIG)  # validation clips are free
    assert len(read_test_uses(run)) == 2


def test_clips_that_were_trained_on_are_refused_or_named(tmp_path):
    store = a_store(tmp_path, a_clip("a", 1.0, "test"), a_clip("b", 1.0, "train"))
    run = a_run(tmp_path / "run", TrainingData(train=("a",)))
    method = Method("forecast", "baseline", poses=Counting(), runs=(run,))
    config = EvaluationConfig(ClipSelection(split="test"), 4, 6, final=True)
    with pytest.raises(ValueError, match=r"1 of the 1 clips were trained on \(a\)"):
        evaluate([method], store, tmp_path / "out", config)
    allowed = EvaluationConfig(ClipSelection(split="test"), 4, 6, final=True, allow_trained=True)
    report = evaluate([method], store, tmp_path / "out", allowed)
    assert report.trained_on == ["a"]
    assert "not a fair test" in report.summary()
    assert json.loads((tmp_path / "out" / "evaluation.json").read_text())["trained_on"] == ["a"]


def test_what_weights_came_from_counts_too(tmp_path):
    store = a_store(tmp_path, a_clip("a", 1.0, "test"))
    run = a_run(tmp_path / "run", TrainingData(earlier=TrainingData(train=("a",))))
    method = Method("forecast", "baseline", poses=Counting(), runs=(run,))
    config = EvaluationConfig(ClipSelection(split="test"), 4, 6, final=True)
    with pytest.raises(ValueError, match="were trained on"):
        evaluate([method], store, tmp_path / "out", config)


def test_clips_of_another_data_set_may_have_the_same_ids(tmp_path):
    store = a_store(tmp_path, a_clip("a", 1.0, "test"))
    run = a_run(tmp_path / "run", TrainingData({"dataset": "another"}, ("a",)))
    method = Method("forecast", "baseline", poses=Counting(), runs=(run,))
    config = EvaluationConfig(ClipSelection(split="test"), 4, 6, final=True)
    assert evaluate([method], store, tmp_path / "out", config).trained_on == []


def test_validation_clips_may_choose_but_not_train(tmp_path):
    store = a_store(tmp_path, a_clip("v", 1.0), a_clip("b", 1.0, "train"))
    chooses = a_run(tmp_path / "a", TrainingData(train=("b",), validation=("v",)))
    trains = a_run(tmp_path / "b", TrainingData(train=("b", "v")))
    method = Method("forecast", "baseline", poses=Counting(), runs=(chooses,))
    report = evaluate([method], store, tmp_path / "out", CONFIG)
    assert (report.trained_on, report.without_record) == ([], ())
    method = Method("forecast", "baseline", poses=Counting(), runs=(trains,))
    with pytest.raises(ValueError, match=r"1 of the 1 clips were trained on \(v\)"):
        evaluate([method], store, tmp_path / "other", CONFIG)


@pytest.mark.parametrize(
    "data", [None, TrainingData(complete=False), TrainingData(earlier=TrainingData(complete=False))]
)
def test_runs_that_do_not_say_what_they_learned_from_are_named(tmp_path, data):
    store = a_store(tmp_path, a_clip("v", 1.0), a_clip("b", 1.0, "train"))
    run = a_run(tmp_path / "run", data)
    method = Method("forecast", "baseline", poses=Counting(), runs=(run,))
    report = evaluate([method], store, tmp_path / "out", CONFIG)
    assert report.without_record == (str(run.resolve()),)
    assert f"{run.resolve()} does not say what it was trained on" in report.summary()
    stored = json.loads((tmp_path / "out" / "evaluation.json").read_text())
    assert stored["without_record"] == [str(run.resolve())]


def test_shipped_weights_are_called_by_their_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    store = a_store(tmp_path, a_clip("t", 1.0, "test"))
    method = Method("forecast", "baseline", poses=Counting(), runs=(Path("motion-forecaster"),))
    config = EvaluationConfig(ClipSelection("test"), num_past=4, steps=6, final=True)
    report = evaluate([method], store, tmp_path / "out", config)
    assert (report.without_record, report.test_uses) == (("motion-forecaster",), {})
    assert "motion-forecaster ships with posecast: 'posecast models motion-" in report.summary()
    assert not (tmp_path / "motion-forecaster").exists()


def test_evaluations_that_called_futures_samples_go_on(tmp_path):
    store, out = a_store(tmp_path, a_clip("a", 1.0)), tmp_path / "out"
    config = EvaluationConfig(num_past=4, steps=6, futures=2, examples=0)
    evaluate(baseline_methods(["last pose"]), store, out, config)
    stored = json.loads((out / "evaluation.json").read_text())
    stored["config"]["samples"] = stored["config"].pop("futures")
    (out / "evaluation.json").write_text(json.dumps(stored))
    assert read_record(out)["config"]["futures"] == 2
    evaluate(baseline_methods(["last pose"]), store, out, config)
    with pytest.raises(ValueError, match=r"config\.futures: 2 -> 3"):
        evaluate(baseline_methods(["last pose"]), store, out, replace(config, futures=3))


def test_every_commit_that_wrote_to_an_evaluation_is_recorded(tmp_path, monkeypatch):
    store = a_store(tmp_path, a_clip("a", 1.0))
    out, commits = tmp_path / "out", []
    for commit in ("first", "first", "second"):
        monkeypatch.setattr(versions, "code_versions", lambda commit=commit: {"git_commit": commit})
        evaluate(baseline_methods(["last pose"]), store, out, CONFIG, command=commit)
        stored = json.loads((out / "evaluation.json").read_text())
        commits.append([each["git_commit"] for each in stored["versions"]])
    assert commits == [["first"], ["first"], ["first", "second"]]
    assert (stored["command"], stored["finished"], stored["format_version"]) == ("first", True, 2)


def test_an_evaluation_of_a_newer_posecast_is_refused(tmp_path):
    store, out = a_store(tmp_path, a_clip("a", 1.0)), tmp_path / "out"
    evaluate(baseline_methods(["last pose"]), store, out, CONFIG)
    stored = json.loads((out / "evaluation.json").read_text())
    (out / "evaluation.json").write_text(json.dumps(stored | {"format_version": 3}))
    with pytest.raises(ValueError, match="format version 3, this posecast reads up to 2"):
        evaluate(baseline_methods(["last pose"]), store, out, CONFIG)


def test_runs_with_one_folder_name_are_told_apart():
    paths = [Path("/x/a/pose"), Path("/x/b/pose"), Path("/y/b/other.safetensors")]
    assert distinct_names(paths[1:]) == ["pose", "other"]
    assert distinct_names(paths) == ["a pose", "b pose", "b other"]
    with pytest.raises(ValueError, match="the same run twice"):
        distinct_names([Path("/x/pose"), Path("/x/a/../pose")])
    with pytest.raises(ValueError, match="rename its folder"):
        distinct_names([Path("/x/last pose")], taken=["last pose"])


def test_unusable_clips_are_left_out_and_said(tmp_path):
    hidden = a_clip("h", 1.0)
    hidden.visible[:4] = False
    store = a_store(tmp_path, a_clip("a", 1.0), a_clip("short", 1.0, frames=4), hidden)
    report = evaluate(baseline_methods(["last pose"]), store, tmp_path / "out", CONFIG)
    assert report.num_clips == 1
    assert set(report.left_out) == {"h", "short"}
    with pytest.raises(ValueError, match="not one clip can be evaluated"):
        evaluate(
            baseline_methods(["last pose"]),
            store,
            tmp_path / "none",
            EvaluationConfig(ClipSelection(clips=("short",)), 4, 6),
        )


def test_what_does_not_fit_is_said(tmp_path):
    store = a_store(tmp_path, a_clip("a", 1.0))
    with pytest.raises(ValueError, match="each with a name of its own"):
        evaluate(baseline_methods(["last pose"] * 2), store, tmp_path / "out", CONFIG)
    with pytest.raises(ValueError, match="did you mean 'last pose'"):
        baseline_methods(["lastpose"])
    with pytest.raises(ValueError, match="needs training clips"):
        baseline_methods(["mean training pose"])
    with pytest.raises(ValueError, match="forecasts nothing"):
        Method("empty")
    with pytest.raises(ValueError, match="num_past is 0"):
        EvaluationConfig(num_past=0)
    model = Counting()
    model.needs = Needs(PENN_ACTION)
    with pytest.raises(ValueError, match="trained to see 10 frames"):
        evaluate([Method("forecast", "forecast", poses=model)], store, tmp_path / "out", CONFIG)
