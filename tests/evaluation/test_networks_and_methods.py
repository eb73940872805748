"""Methods of run folders, forecasts on disk, and metrics that need networks."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from made_runs import make_run
from posecast.cli import main
from posecast.computing.devices import ForecasterOptions
from posecast.errors import PosecastError
from posecast.evaluation.baselines import LastPose
from posecast.evaluation.examples import read_example, read_facts
from posecast.evaluation.judges import MetricNetworks
from posecast.evaluation.loop import evaluate
from posecast.evaluation.methods import Method, baseline_methods, stored_method
from posecast.evaluation.record import EvaluationConfig
from posecast.evaluation.setup import MethodChoice, load_methods
from posecast.evaluation.stored import StoredForecasts
from posecast.evaluation.summary import summarise
from posecast.evaluation.table import read_table
from posecast.forecasting.prediction import PredictionConfig, predict_store
from posecast.geometry import Crop
from posecast.metrics.video import VideoRecipe
from posecast.networks.generator import Generator, GeneratorConfig
from posecast.networks.pose_lstm import PoseLSTM, PoseLSTMConfig
from posecast.store.reading import ClipSelection, Store
from posecast.training.image import ImageTrainingConfig
from posecast.training.pose import PoseTrainingConfig
from posecast.windows import PoseWindows
from small_store import SIZE, a_clip, a_store

CONFIG = EvaluationConfig(num_past=4, steps=6, examples=2)
CPU = ForecasterOptions("cpu")


def read_examples(out, *ranks):
    return [read_example(*each) for each in read_facts(out, *ranks).items()]


@pytest.fixture
def store(tmp_path) -> Store:
    clips = [a_clip(f"c{n}", n, has_frames=True, action=["walk", "run"][n % 2]) for n in range(5)]
    return a_store(tmp_path / "store", *clips)


@pytest.fixture
def runs(tmp_path) -> tuple[Path, Path]:
    """A pose run whose forecast is the last pose, and an image run of random weights."""
    torch.manual_seed(0)
    config = PoseLSTMConfig(hidden=4, encoder=4, output="residual")
    training = PoseTrainingConfig(model=config, windows=PoseWindows(num_past=4))
    pose = make_run(tmp_path / "pose", training, "pose")
    pose.save_weights("best", PoseLSTM(config), step=7)
    config = GeneratorConfig(width=4, size=SIZE)
    image = make_run(tmp_path / "image", ImageTrainingConfig(generator=config), "image")
    image.save_weights("best", Generator(config), step=9)
    return pose.path, image.path


def values(out: Path, method: str, metric: str) -> np.ndarray:
    return summarise(out, num_draws=10).curve(method, metric).values


def test_forecast_and_oracle_of_runs(store, runs, tmp_path):
    choice = MethodChoice(pose_run=runs[:1], image_run=runs[1], run_on=CPU)
    methods = load_methods(choice, store)
    assert [method.name for method in methods] == [
        *("forecast", "oracle", "last pose", "constant velocity", "last frame", "optical flow")
    ]
    evaluate(methods, store, tmp_path / "out", CONFIG)
    ours, theirs = (
        values(tmp_path / "out", each, "distance") for each in ("forecast", "last pose")
    )
    assert ours == pytest.approx(theirs, abs=1e-5)
    summary = summarise(tmp_path / "out", num_draws=10)
    assert summary.has("oracle", "psnr")
    assert not summary.has("oracle", "distance")
    facts = json.loads((tmp_path / "out" / "evaluation.json").read_text())
    used = {run["kind"]: run["weights_step"] for run in facts["methods"][0]["runs"]}
    assert used == {"pose": 7, "image": 9}
    assert facts["methods"][1]["runs"][0]["path"] == str(runs[1].resolve())


def test_forecasts_on_disk_score_as_the_runs_do(store, runs, tmp_path, monkeypatch):
    monkeypatch.setattr("posecast.forecasting.prediction.Store.open", lambda _path: store)
    config = PredictionConfig(
        ClipSelection("validation"), steps=6, mp4=False, gif=False, run_on=CPU
    )
    predict_store(config, store.path, *runs, tmp_path / "forecasts")
    choice = MethodChoice(pose_run=runs[:1], image_run=runs[1], baselines=(), run_on=CPU)
    methods = [*load_methods(choice, store), stored_method(tmp_path / "forecasts", "stored")]
    evaluate(methods, store, tmp_path / "out", CONFIG)
    for metric in ("distance", "psnr", "ssim"):
        ours, theirs = (values(tmp_path / "out", name, metric) for name in ("stored", "forecast"))
        assert ours == pytest.approx(theirs, rel=1e-4)
    clip = tmp_path / "forecasts" / "clips" / "c0"
    frames = StoredForecasts(tmp_path / "forecasts").frames("c0", 1)
    (clip / "joints.npz").unlink()  # which are not read again where frames are
    assert np.array_equal(StoredForecasts(tmp_path / "forecasts").frames("c0", 1), frames)
    for other in (
        EvaluationConfig(num_past=3, steps=6),
        EvaluationConfig(num_past=4, steps=6, stride=2),
    ):
        with pytest.raises(ValueError, match=r"from 4 frames from frame 0 on, 1 apart, the eval"):
            evaluate([stored_method(tmp_path / "forecasts")], store, tmp_path / "other", other)
        assert not (tmp_path / "other").exists()
    with pytest.raises(PosecastError, match="nothing holds no forecasts: make some with 'posecast"):
        stored_method(tmp_path / "nothing")


def relabelled(store: Store, frame: int) -> Store:
    """One frame of each clip has other poses."""
    moved = [clip.joints_px.copy() for clip in store.clips]
    for joints in moved:
        joints[frame] += 3.0
    pairs = zip(store.clips, moved, strict=True)
    clips = tuple(dataclasses.replace(clip, joints_px=joints) for clip, joints in pairs)
    return dataclasses.replace(store, clips=clips)


@pytest.mark.parametrize("frames", ["npy", "none"])
def test_forecasts_of_other_clips_of_the_same_names(store, runs, tmp_path, monkeypatch, frames):
    """As in two stores of drawn people: 0001 of the one is not 0001 of the other. Another crop of
    the same clip matters to frames alone."""
    monkeypatch.setattr("posecast.forecasting.prediction.Store.open", lambda _path: store)
    selection = ClipSelection("validation")
    config = PredictionConfig(selection, 6, frames=frames, mp4=False, gif=False, run_on=CPU)
    predict_store(config, store.path, *runs, tmp_path / "forecasts")
    stored = [stored_method(tmp_path / "forecasts")]
    cropped, other = (
        dataclasses.replace(
            store, clips=tuple(dataclasses.replace(clip, **change) for clip in store.clips)
        )
        for change in ({"crop": Crop(10, 0, 200, 200)}, {"box_px": (0.0, 0.0, 190.0, 150.0)})
    )
    with pytest.raises(PosecastError, match="clip c0 was forecast of another store"):
        evaluate(stored, other, tmp_path / "other", CONFIG)
    came, seen = (relabelled(store, frame) for frame in (4, 0))
    for moved in (came, seen):
        with pytest.raises(PosecastError, match="clip c0 has other poses in the store than when"):
            evaluate(stored, moved, tmp_path / "other", CONFIG)
    assert not (tmp_path / "other").exists()
    if frames == "none":
        evaluate(stored, cropped, tmp_path / "cropped", CONFIG)
        settings = tmp_path / "forecasts" / "prediction.json"
        settings.write_text(settings.read_text().replace('"labels"', '"estimated"'))
        with pytest.raises(PosecastError, match=r"from seen poses 'estimated', in this .*'labels'"):
            evaluate(stored, store, tmp_path / "estimated", CONFIG)
        with_estimates = dataclasses.replace(CONFIG, seen_poses="estimated")
        poses = {clip.clip_id: (clip.joints_px, clip.visible) for clip in store.clips}
        store.write_estimates(poses)
        evaluate(stored, seen, tmp_path / "estimated", with_estimates)
        store.write_estimates(poses | {"c0": (poses["c0"][0] + 3, poses["c0"][1])})
        with pytest.raises(PosecastError, match="clip c0 has other poses in the store than when"):
            evaluate(stored, seen, tmp_path / "others", with_estimates)
    else:
        with pytest.raises(PosecastError, match=r"crop \(0, 0, 200, 200\) there and \(10, 0"):
            evaluate(stored, cropped, tmp_path / "cropped", CONFIG)


def test_a_run_of_another_skeleton_is_refused(store, runs, tmp_path):
    other = dataclasses.replace(store, info=dataclasses.replace(store.info, skeleton="human36m"))
    methods = load_methods(MethodChoice(pose_run=runs[:1], baselines=(), run_on=CPU), other)
    with pytest.raises(PosecastError, match="forecast was trained on skeleton penn_action, store"):
        evaluate(methods, other, tmp_path / "out", CONFIG)


def test_a_clip_without_its_forecast_is_left_out(store, runs, tmp_path, monkeypatch):
    """One that was never forecast, and one whose file is damaged; the others are evaluated."""
    monkeypatch.setattr("posecast.forecasting.prediction.Store.open", lambda _path: store)
    few = ClipSelection("validation", clips=("c0", "c1", "c2"))
    config = PredictionConfig(few, steps=6, mp4=False, gif=False, run_on=CPU)
    predict_store(config, store.path, *runs, tmp_path / "forecasts")
    (tmp_path / "forecasts" / "clips" / "c1" / "joints.npz").write_bytes(b"PK")
    methods = [stored_method(tmp_path / "forecasts"), *baseline_methods(["last pose"])]
    report = evaluate(methods, store, tmp_path / "out", CONFIG)
    assert set(report.left_out) == {"c1", "c3", "c4"}
    assert "has no forecast of it" in report.left_out["c3"]
    assert "damaged" in report.left_out["c1"]
    assert report.num_clips == 2
    assert {row.clip for row in read_table(tmp_path / "out" / "rows.csv")} == {"c0", "c2"}


def test_what_the_judges_say_is_in_the_table(store, tmp_path):
    lengths = []

    def pose_judge(joints, visible):
        lengths.append(len(joints))
        moved = np.abs(joints[-1] - joints[0]).max() > 0.06
        return {"run": float(moved), "walk": float(not moved)}

    networks = MetricNetworks(
        pose_judge=pose_judge,
        frame_judge=lambda frames: {"walk": 0.75, "run": 0.25},
        extractor=lambda video: video.mean(dim=(1, 3, 4)),
        recipe=VideoRecipe(num_frames=4, size=8),
    )
    methods = baseline_methods(["last pose", "last frame", "optical flow"])
    methods += [Method(name, frames=Truth(store)) for name in ("perfect", "last_frame", "a/b")]
    evaluate(methods, store, tmp_path / "out", CONFIG, networks)
    assert set(lengths) == {10}
    rows = list(read_table(tmp_path / "out" / "rows.csv"))
    said = {(row.clip, row.method, row.metric): row.value for row in rows}
    # Clip c3 slides by 3 px a frame, 27 px of 200 in all, and it is a run.
    assert said["c3", "truth", "action accuracy"] == 1
    assert said["c3", "last pose", "action accuracy"] == 0
    assert said["c2", "last frame", "video action probability"] == 0.75
    assert said["c3", "last frame", "video action accuracy"] == 0
    assert said["*", "perfect", "fvd"] == pytest.approx(0, abs=1e-9)
    assert said["*", "last_frame", "fvd"] == pytest.approx(0, abs=1e-9)
    assert said["*", "last frame", "fvd"] > 1e-6
    summary = summarise(tmp_path / "out", num_draws=10)
    assert "*" not in summary.clips
    assert summary.totals["perfect", "fvd"] == pytest.approx(0, abs=1e-9)
    before = (tmp_path / "out" / "rows.csv").read_bytes()
    evaluate(methods, store, tmp_path / "out", CONFIG, networks)
    assert (tmp_path / "out" / "rows.csv").read_bytes() == before


class Truth:
    """Cheats: looks the future up by the seen frames."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def predict_frames(self, seen, steps):
        for clip in self._store.clips:
            frames = self._store.read_frames(clip)
            if (frames[: len(seen.frames)] == seen.frames).all():
                return frames[len(seen.frames) : len(seen.frames) + steps]
        raise AssertionError("an unknown clip")


def test_examples_are_the_best_the_middle_and_the_worst(store, runs, tmp_path):
    choice = MethodChoice(pose_run=runs[:1], image_run=runs[1], run_on=CPU)
    config = EvaluationConfig(num_past=4, steps=6, examples=1)
    evaluate(load_methods(choice, store), store, tmp_path / "out", config)
    examples = list(read_examples(tmp_path / "out"))
    # The faster a clip slides, the worse is the last pose.
    assert [(each.facts.rank, each.facts.clip_id) for each in examples] == [
        *(("best", "c0"), ("median", "c2"), ("worst", "c4"))
    ]
    worst = examples[-1]
    assert worst.facts.score == pytest.approx(0.02 * 3.5)
    assert set(worst.poses) == {"forecast", "last pose", "constant velocity"}
    assert set(worst.frames) == {"forecast", "oracle", "last frame", "optical flow"}
    assert worst.future_frames.shape == worst.frames["oracle"][0].shape == (6, SIZE, SIZE, 3)


def test_several_pose_runs_go_by_their_folders(store, runs, tmp_path):
    other = tmp_path / "deeper" / "second"
    other.parent.mkdir()
    other.symlink_to(runs[0])
    choice = MethodChoice(pose_run=(runs[0], other), baselines=(), run_on=CPU)
    assert [method.name for method in load_methods(choice, store)] == ["pose", "second"]
    with pytest.raises(ValueError, match="the same run twice"):
        load_methods(MethodChoice(pose_run=(runs[0], runs[0])), store)


def test_frames_of_another_size_are_refused(store, tmp_path):
    model = Truth(store)
    model.size = 64
    with pytest.raises(ValueError, match=r"trained on frames of 64 px.*--size 64"):
        evaluate([Method("m", frames=model)], store, tmp_path / "out", CONFIG)


def test_from_the_command_line_to_a_page(store, runs, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("posecast.cli.evaluate.Store.open", lambda _path: store)
    out, page = str(tmp_path / "numbers"), str(tmp_path / "page")
    words = ["evaluate", "--store", "s", "--out", out, "--pose-run", str(runs[0])]
    words += ["--num-past", "4", "--steps", "6", "--device", "cpu"]
    assert main(words) == 0
    assert "5 clips evaluated" in capsys.readouterr().out
    assert main(["report", out, "--out", page, "--num-draws", "20", "--title", "Five clips"]) == 0
    html = (tmp_path / "page" / "index.html").read_text()
    assert "Five clips" in html
    assert "posecast evaluate --store s" in html
    assert main([*words, "--clips.split", "test"]) == 2
    assert "no test clip" in capsys.readouterr().err
    assert main(["report", "--out", page]) == 2
    assert "needs the folder of an evaluation" in capsys.readouterr().err


def test_lively_forecasts_and_others_do_not_go_into_one_evaluation() -> None:
    lively, restful = (
        Method.of_runs("a", "forecast", [], lively=lively, poses=LastPose())
        for lively in (True, False)
    )
    assert lively.origin == {"runs": []}  # as it was before there was a choice
    assert restful.origin == {"runs": [], "lively": False}
