"""The prediction stage on a tiny store: files, truth beside forecast, resuming, bad clips."""

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from made_runs import make_run
from posecast.clips import SeenVideo
from posecast.computing.devices import ForecasterOptions
from posecast.forecasting import forecast_files
from posecast.forecasting.forecaster import Forecaster
from posecast.forecasting.loading import load_frame_drawer
from posecast.forecasting.prediction import PredictionConfig, predict_store
from posecast.geometry import Crop
from posecast.media import videos
from posecast.media.pictures import PREDICTED, SEEN
from posecast.networks.discriminator import DiscriminatorConfig
from posecast.networks.generator import Generator, GeneratorConfig
from posecast.networks.pose_lstm import PoseLSTM, PoseLSTMConfig
from posecast.records.files import FileError
from posecast.records.locks import locked
from posecast.records.versions import FormatVersionError
from posecast.store.files import read_poses, write_poses
from posecast.store.reading import ClipSelection, Store, StoredClip
from posecast.training.image import ImageTrainingConfig
from posecast.training.pose import PoseTrainingConfig
from posecast.windows import PoseWindows
from small_store import stored_clip, write_store

SIZE, NUM_PAST, STEPS = 16, 4, 6
LENGTHS = {"0001": 20, "0002": 7, "0003": 4, "0004": 12, "0005": 12, "0006": 12}
"""0002 ends before the forecast does, 0003 with the seen frames, 0004 has no frames, and in
0005 no joint is visible in the seen frames."""
CPU = ForecasterOptions(device="cpu", frames_per_batch=4)
CONFIG = PredictionConfig(steps=STEPS, view_scale=1, run_on=CPU)


def make_clip(clip_id: str) -> StoredClip:
    rng = np.random.default_rng(int(clip_id))
    num_frames = LENGTHS[clip_id]
    visible = rng.random((num_frames, 13)) < 0.8
    visible[:, 5] = False
    if clip_id == "0005":
        visible[:10] = False
    facts = {"action": "jump", "split": "test", "fps": 25.0, "has_frames": clip_id != "0004"}
    facts["official_split"] = "train" if clip_id == "0006" else "test"
    facts |= {"image_hw": (120, 160), "crop": Crop(10, 20, 90, 110)}
    facts["box_px"] = (20.0, 30.0, 80.0, 100.0)
    joints = rng.uniform(30, 80, (num_frames, 13, 2)).astype(np.float32)
    return stored_clip(clip_id, joints, visible, **facts)


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> Path:
    return make_store(tmp_path_factory.mktemp("prediction") / "store")


def make_store(path: Path) -> Path:
    clips = []
    for clip_id, num_frames in LENGTHS.items():
        rng = np.random.default_rng(int(clip_id))
        pictures = rng.integers(0, 255, (num_frames, SIZE, SIZE, 3), np.uint8)
        clips.append((make_clip(clip_id), None if clip_id == "0004" else pictures))
    return write_store(path, clips, size=SIZE, validation_share=0.0)


@pytest.fixture(scope="module")
def pose_run(tmp_path_factory) -> Path:
    return write_pose_run(tmp_path_factory.mktemp("prediction") / "pose")


def write_pose_run(path: Path) -> Path:
    torch.manual_seed(0)
    config = PoseTrainingConfig(
        model=PoseLSTMConfig(hidden=8, encoder=4), windows=PoseWindows(NUM_PAST, 5)
    )
    model = PoseLSTM(config.model)
    torch.nn.init.normal_(model.decoder.weight, std=0.5)
    run = make_run(path, config, "pose")
    run.save_weights("best", model, step=7)
    return run.path


@pytest.fixture(scope="module")
def image_run(tmp_path_factory) -> Path:
    return write_image_run(tmp_path_factory.mktemp("prediction") / "image")


def write_image_run(path: Path) -> Path:
    torch.manual_seed(1)
    config = ImageTrainingConfig(
        generator=GeneratorConfig(width=4, size=SIZE),
        discriminator=DiscriminatorConfig(width=4, size=SIZE),
        sigma_px=6.0,
    )
    model = Generator(config.generator)
    torch.nn.init.normal_(model.to_image.weight, std=20.0)
    run = make_run(path, config, "image")
    run.save_weights("best", model, step=9)
    return run.path


@pytest.fixture(scope="module")
def predicted(store, pose_run, image_run, tmp_path_factory):
    """One prediction with everything on: its folder and report."""
    out = tmp_path_factory.mktemp("prediction") / "out"
    return out, predict_store(CONFIG, store, pose_run, image_run, out)


def test_a_forecast_of_each_usable_clip(predicted, store, pose_run, image_run):
    out, report = predicted
    assert (report.num_forecast, report.num_kept) == (2, 0)
    assert [facts.clip_id for facts in forecast_files.read_index(out)] == ["0001", "0002"]
    forecaster = Forecaster.load(pose_run, image_run, CPU)
    opened = Store.open(store)
    for stored in forecast_files.read_forecasts(out):
        clip = opened.clip(stored.facts.clip_id)
        alone = forecaster.predict_clip(opened, clip, STEPS)
        np.testing.assert_allclose(stored.predicted_joints_px, alone.joints_px, atol=1e-4)
        np.testing.assert_array_equal(stored.predicted_visible, alone.visible)
        frames = forecast_files.read_frames(out / "clips" / clip.clip_id)
        assert frames.shape == (1, STEPS, SIZE, SIZE, 3)
        np.testing.assert_array_equal(stored.weights, [1.0])
        facts = (stored.facts.num_samples, stored.facts.stride, stored.facts.format_version)
        assert facts == (1, 1, forecast_files.FORMAT_VERSION)
        assert np.abs(frames.astype(int) - alone.frames).max() <= 1


def test_truth_lies_beside_the_forecast(predicted, store):
    out, _ = predicted
    clip = Store.open(store).clip("0002")
    stored = forecast_files.read_forecast(out / "clips" / "0002")
    facts = stored.facts
    assert (facts.num_past, facts.steps, facts.num_truth, facts.start) == (4, 6, 3, 0)
    assert (facts.fps, facts.action, facts.split) == (25.0, "jump", "test")
    assert stored.crop == clip.crop
    np.testing.assert_allclose(stored.past_joints_px, clip.joints_px[:4], atol=1e-4)
    np.testing.assert_allclose(stored.future_joints_px[:3], clip.joints_px[4:7], atol=1e-4)
    np.testing.assert_array_equal(stored.future_visible[:3], clip.visible[4:7])
    assert np.isnan(stored.future_joints_px[3:]).all()
    assert not stored.future_visible[3:].any()
    assert not stored.predicted_visible[:, 5].any()


def test_unusable_clips_are_left_out_and_named(predicted):
    out, report = predicted
    assert sorted(report.left_out) == ["0003", "0004", "0005"]
    assert "leave nothing to forecast" in report.left_out["0003"]
    assert "no frames" in report.left_out["0004"]
    assert "no visible joint" in report.left_out["0005"]
    lines = (out / "left_out.jsonl").read_text().splitlines()
    assert [json.loads(line)["clip_id"] for line in lines] == ["0003", "0004", "0005"]


def test_movies_show_what_was_seen_and_what_was_forecast(predicted):
    out, _ = predicted
    info = videos.probe_video(out / "clips" / "0002" / "forecast.mp4")
    frames = list(videos.read_video(out / "clips" / "0002" / "forecast.mp4"))
    assert (info.fps, len(frames)) == (25.0, NUM_PAST + STEPS)
    corners = [frame[-2, 1].astype(int) for frame in frames]
    for corner in corners[:NUM_PAST]:
        assert np.abs(corner - SEEN).max() < 60
    for corner in corners[NUM_PAST:]:
        assert np.abs(corner - PREDICTED).max() < 60
    # The clip has 7 frames: after the third forecast one the panel of the truth is plain.
    middle = frames[0].shape[1] // 2
    spread = [int(np.ptp(frame[-16:-6, middle - 6 : middle + 6])) for frame in frames]
    assert min(spread[:7]) > 60
    assert max(spread[7:]) < 50
    assert (out / "clips" / "0002" / "forecast.gif").stat().st_size > 1000


def test_how_it_was_made_is_noted(predicted):
    settings = forecast_files.read_settings(predicted[0])
    assert settings["pose_run"]["weights_step"] == 7
    assert settings["image_run"]["weights_step"] == 9
    assert settings["config"]["steps"] == STEPS
    assert settings["method"] == "forecast"


def contents(folder: Path) -> dict[str, bytes]:
    files = [path for path in folder.rglob("*") if path.is_file() and path.suffix != ".mp4"]
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(files)}


def test_a_stopped_prediction_goes_on(predicted, store, pose_run, image_run, tmp_path, monkeypatch):
    calls, write_frames = [], forecast_files.write_frames

    def stops_at_the_second(folder, *rest):
        calls.append(folder)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return write_frames(folder, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(forecast_files, "write_frames", stops_at_the_second)
        with pytest.raises(KeyboardInterrupt):
            predict_store(CONFIG, store, pose_run, image_run, tmp_path / "out")
    assert [path.name for path in (tmp_path / "out" / "clips").iterdir()] == ["0001"]
    with pytest.raises(forecast_files.ForecastError, match="goes on where it stopped"):
        forecast_files.read_index(tmp_path / "out")
    left_behind = tmp_path / "out" / "clips" / ".0002.123.part"  # by a kill
    left_behind.mkdir()
    report = predict_store(CONFIG, store, pose_run, image_run, tmp_path / "out")
    assert (report.num_forecast, report.num_kept) == (1, 1)
    assert not left_behind.exists()
    assert contents(tmp_path / "out") == contents(predicted[0])
    faster = dataclasses.replace(
        CONFIG, run_on=ForecasterOptions(device="cpu", frames_per_batch=16)
    )
    again = predict_store(faster, store, pose_run, image_run, tmp_path / "out")
    assert (again.num_forecast, again.num_kept) == (0, 2)


def test_other_settings_need_another_folder(predicted, store, pose_run, image_run, tmp_path):
    longer = dataclasses.replace(CONFIG, steps=9)
    with pytest.raises(ValueError, match=r"config.steps: 6 -> 9"):
        predict_store(longer, store, pose_run, image_run, predicted[0])
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(ValueError, match="holds files but no forecasts"):
        predict_store(CONFIG, store, pose_run, image_run, tmp_path)


def test_a_store_may_move_but_not_change_meanwhile(store, pose_run, tmp_path):
    config = dataclasses.replace(CONFIG, frames="none", mp4=False, gif=False)
    moved, out = tmp_path / "moved", tmp_path / "out"
    shutil.copytree(store, moved)
    num_kept = len(predict_store(config, store, pose_run, None, out).left_out)
    again = predict_store(config, moved, pose_run, None, out)
    assert (again.num_forecast, again.num_kept, len(again.left_out)) == (0, 3, num_kept)
    poses = read_poses(moved / "poses.npz")
    joints, visible = poses["0002"]
    write_poses(moved / "poses.npz", poses | {"0002": (joints + 1, visible)})
    with pytest.raises(ValueError, match="poses_checksum: '"):
        predict_store(config, moved, pose_run, None, out)
    # Of what an earlier posecast began the place alone is known.
    settings = forecast_files.read_settings(out)
    del settings["poses_checksum"]
    (out / "prediction.json").write_text(json.dumps(settings))
    predict_store(config, store, pose_run, None, out)
    with pytest.raises(ValueError, match="store: '"):
        predict_store(config, moved, pose_run, None, out)


def test_two_predictions_into_one_folder(store, pose_run, tmp_path):
    config = dataclasses.replace(CONFIG, frames="none", mp4=False, gif=False)
    predict_store(config, store, pose_run, None, tmp_path / "out")
    before = contents(tmp_path / "out")
    held = locked(tmp_path / "out", FileError("held"))
    with held, pytest.raises(ValueError, match=r"another process is predicting into .*out: wait"):
        predict_store(config, store, pose_run, None, tmp_path / "out")
    assert contents(tmp_path / "out") == before


def test_poses_only(predicted, store, pose_run, tmp_path):
    config = dataclasses.replace(CONFIG, frames="none", gif=False)
    report = predict_store(config, store, pose_run, None, tmp_path / "out")
    # 0004 has no frames, but poses.
    assert [facts.clip_id for facts in forecast_files.read_index(tmp_path / "out")] == [
        *("0001", "0002", "0004")
    ]
    assert sorted(report.left_out) == ["0003", "0005"]
    with_frames = forecast_files.read_forecast(predicted[0] / "clips" / "0001")
    poses_only = forecast_files.read_forecast(tmp_path / "out" / "clips" / "0001")
    np.testing.assert_allclose(
        poses_only.predicted_joints_px, with_frames.predicted_joints_px, atol=1e-4
    )
    files = {path.name for path in (tmp_path / "out" / "clips" / "0001").iterdir()}
    assert files == {"facts.json", "joints.npz", "forecast.mp4"}
    with pytest.raises(ValueError, match="holds poses only"):
        forecast_files.read_frames(tmp_path / "out" / "clips" / "0001")


def test_true_poses_through_the_image_model(store, image_run, tmp_path):
    config = dataclasses.replace(
        CONFIG, poses="true", frames="png", mp4=False, gif=False, clips=ClipSelection("test")
    )
    # Without a pose run ten frames are seen.
    predict_store(config, store, None, image_run, tmp_path / "out")
    (facts,) = forecast_files.read_index(tmp_path / "out")
    assert (facts.clip_id, facts.num_past, facts.num_truth) == ("0001", 10, 6)
    stored = forecast_files.read_forecast(tmp_path / "out" / "clips" / "0001")
    shown = stored.future_visible
    np.testing.assert_array_equal(stored.predicted_visible, shown)
    np.testing.assert_allclose(
        stored.predicted_joints_px[0][shown], stored.future_joints_px[shown], atol=1e-3
    )
    clip = Store.open(store).clip("0001")
    drawer = load_frame_drawer(image_run, CPU)
    frame = Store.open(store).read_frames(clip, [9])
    seen = SeenVideo(
        clip.joints_px[9:10], clip.visible[9:10], 25.0, clip.image_hw, frame, clip.crop
    )
    expected = drawer.draw_frames(seen, clip.joints_px[10:16], clip.visible[10:16])[None]
    frames = forecast_files.read_frames(tmp_path / "out" / "clips" / "0001")
    assert np.abs(frames.astype(int) - expected).max() <= 1


def test_true_poses_end_with_the_clip(store, pose_run, image_run, tmp_path):
    config = dataclasses.replace(CONFIG, poses="true", mp4=False, gif=False)
    predict_store(config, store, pose_run, image_run, tmp_path / "out")
    steps = {facts.clip_id: facts.steps for facts in forecast_files.read_index(tmp_path / "out")}
    assert steps == {"0001": 6, "0002": 3}


def test_seen_poses_from_estimates(store, pose_run, tmp_path):
    opened = Store.open(store)
    clip = opened.clip("0001")
    estimate = clip.joints_px + 3, np.ones_like(clip.visible)
    opened.write_estimates({"0001": estimate})
    config = dataclasses.replace(
        CONFIG, seen_poses="estimated", frames="none", mp4=False, gif=False
    )
    predict_store(config, store, pose_run, None, tmp_path / "out")
    stored = forecast_files.read_forecast(tmp_path / "out" / "clips" / "0001")
    np.testing.assert_allclose(stored.past_joints_px, clip.joints_px[:4] + 3, atol=1e-3)
    np.testing.assert_allclose(stored.future_joints_px, clip.joints_px[4:10], atol=1e-3)
    assert stored.predicted_visible.all()
    opened.write_estimates({"0001": (estimate[0] + 1, estimate[1])})
    with pytest.raises(ValueError, match="poses_checksum: '"):  # half of it from other estimates
        predict_store(config, store, pose_run, None, tmp_path / "out")


def test_from_the_middle(store, pose_run, tmp_path):
    config = dataclasses.replace(
        CONFIG, start="middle", frames="none", mp4=False, gif=False, steps=3
    )
    predict_store(config, store, pose_run, None, tmp_path / "out")
    starts = {facts.clip_id: facts.start for facts in forecast_files.read_index(tmp_path / "out")}
    assert starts["0001"] == 10


def test_what_does_not_fit_is_said(store, pose_run, image_run, tmp_path):
    def predict(config=CONFIG, pose=pose_run, image=image_run):
        predict_store(config, store, pose, image, tmp_path / "out")

    with pytest.raises(ValueError, match="no pose run given"):
        predict(pose=None)
    with pytest.raises(ValueError, match="no image run given"):
        predict(image=None)
    with pytest.raises(ValueError, match="kind 'image', expected 'pose'"):
        predict(pose=image_run)
    with pytest.raises(ValueError, match="unknown clip '0099'"):
        predict(dataclasses.replace(CONFIG, clips=ClipSelection(clips=("0099",))))
    with pytest.raises(ValueError, match=r"not one clip could be forecast.*0003"):
        predict(dataclasses.replace(CONFIG, clips=ClipSelection(clips=("0003",))))
    with pytest.raises(ValueError, match="nothing to forecast"):
        dataclasses.replace(CONFIG, poses="true", frames="none")
    with pytest.raises(ValueError, match="steps is 0"):
        PredictionConfig(steps=0)


def test_sizes_must_agree(store, pose_run, tmp_path):
    config = ImageTrainingConfig(generator=GeneratorConfig(width=4, size=32))
    run = make_run(tmp_path / "image", config, "image")
    run.save_weights("last", Generator(config.generator), step=1)
    with pytest.raises(ValueError, match="prepare the store with --size 32"):
        predict_store(CONFIG, store, pose_run, run.path, tmp_path / "out")


def test_a_damaged_forecast_is_named(predicted, tmp_path):
    with pytest.raises(ValueError, match="0009"):
        forecast_files.read_forecast(predicted[0] / "clips" / "0009")
    folder = tmp_path / "0001"
    folder.mkdir()
    for name in ("facts.json", "joints.npz", "frames.npy"):
        whole = (predicted[0] / "clips" / "0001" / name).read_bytes()
        (folder / name).write_bytes(whole if name == "facts.json" else whole[: len(whole) // 2])
    with pytest.raises(ValueError, match=r"joints.npz is damaged"):
        forecast_files.read_forecast(folder)
    with pytest.raises(ValueError, match="frames are damaged"):
        forecast_files.read_frames(folder)


def test_more_seen_frames_than_the_model_looks_at_are_refused(store, pose_run, tmp_path):
    config = dataclasses.replace(CONFIG, frames="none", num_past=5)
    with pytest.raises(ValueError, match="trained to see 4 frames, 1 apart; shown are 5"):
        predict_store(config, store, pose_run, None, tmp_path / "out")


def test_forecasts_of_a_newer_posecast_are_refused(predicted, tmp_path):
    shutil.copytree(predicted[0], tmp_path / "out")
    path = tmp_path / "out" / "clips" / "0001" / "facts.json"
    path.write_text(path.read_text().replace('"format_version": 2', '"format_version": 3'))
    with pytest.raises(FormatVersionError, match=r"clip 0001 has format version 3, .* up to 2"):
        forecast_files.read_forecast(path.parent)
    index = tmp_path / "out" / "index.jsonl"
    index.write_text(index.read_text().replace('"format_version": 2', '"format_version": 3'))
    with pytest.raises(FormatVersionError, match=r"clip 0001 has format version 3, .* up to 2"):
        forecast_files.read_index(tmp_path / "out")
