"""Training of the classifiers and the ConvLSTM: they learn, resume exactly, and judge forecasts."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from made_runs import same_weights
from posecast.clips import SeenVideo
from posecast.evaluation.baselines import TrainedConvLSTM
from posecast.evaluation.judges import NetworkFiles, load_networks
from posecast.networks.action_classifier import FlowClassifierConfig, PoseClassifierConfig
from posecast.networks.conv_lstm import ConvLSTMConfig
from posecast.records.runs import Run
from posecast.records.weights import WeightsError
from posecast.store.reading import ClipSelection, Store
from posecast.training import action, conv_lstm
from posecast.training.action import (
    FlowActionTrainingConfig,
    PoseActionTrainingConfig,
    train_flow_classifier,
    train_pose_classifier,
)
from posecast.training.conv_lstm import ConvLSTMTrainingConfig, train_conv_lstm
from posecast.training.settings import FitConfig
from small_store import SIZE, a_clip, a_store

FIT = FitConfig(steps=4, batch_size=4, validate_every=2, checkpoint_every=2, log_every=1)
POSE = PoseActionTrainingConfig(
    model=PoseClassifierConfig(width=8, dropout=0.1), num_frames=12, fit=FIT
).but(device="cpu")
FLOW = FlowActionTrainingConfig(
    model=FlowClassifierConfig(num_flows=3, width=8), fit=replace(FIT, batch_size=2)
).but(device="cpu")
CONV = ConvLSTMTrainingConfig(
    model=ConvLSTMConfig(width=4, layers=1, kernel=3, size=SIZE),
    num_past=3,
    num_future=2,
    fit=replace(FIT, batch_size=2),
).but(device="cpu")
KINDS = {
    "pose": (train_pose_classifier, POSE),
    "flow": (train_flow_classifier, FLOW),
    "conv": (train_conv_lstm, CONV),
}


def wave(clip, hz: float):
    """Let the left wrist of a clip move up and down."""
    clip.joints_px[:, 5, 1] += 20 * np.sin(hz * np.arange(clip.num_frames))
    return clip


@pytest.fixture
def store(tmp_path, monkeypatch) -> Store:
    """Two actions: slow and fast waving, with frames."""
    clips = [
        wave(
            a_clip(f"{split[:2]}{n}", 0.5, split, 20, ["slow", "fast"][n % 2], True),
            [0.2, 1.5][n % 2],
        )
        for split in ("train", "validation", "test")
        for n in range(4)
    ]
    made = a_store(tmp_path / "store", *clips)
    for module in (action, conv_lstm):
        monkeypatch.setattr(module.Store, "open", lambda _path: made)
    return made


@pytest.mark.parametrize("kind", KINDS)
def test_stop_and_resume_equals_straight_through(store, tmp_path, kind):
    train, config = KINDS[kind]
    straight = train(config, store.path, tmp_path / "straight")
    assert (straight.step, straight.ended) == (4, "all steps")
    run = Run.open(tmp_path / "straight")
    # A copy that lost all after step 2 goes on to the same weights.
    stopped = tmp_path / "stopped"
    train(config, store.path, stopped)
    (stopped / "checkpoints" / "step-00000004.pt").unlink()
    train(config, store.path, stopped)
    assert same_weights(run.path, stopped)
    assert json.loads((tmp_path / "straight" / "data.json").read_text())["train"] == [
        "tr0", "tr1", "tr2", "tr3",
    ]  # fmt: skip


def test_the_pose_classifier_learns_to_tell_actions(store, tmp_path):
    fit = replace(FIT, steps=60, batch_size=8, learning_rate=5e-3, validate_every=20)
    model = PoseClassifierConfig(width=16, dropout=0.0)
    config = POSE.but(model=model, fit=fit, noise=0.0, hidden_share=0.0)
    train_pose_classifier(config, store.path, tmp_path / "run")
    judge = load_networks(NetworkFiles(pose_action_run=tmp_path / "run")).pose_judge
    for clip in store.select(ClipSelection(split="test")):
        answer = judge(clip.joints_crop, clip.visible)
        assert max(answer, key=lambda name: answer[name]) == clip.action
        assert sum(answer.values()) == pytest.approx(1)


def test_flow_and_conv_lstm_runs_can_be_used(store, tmp_path):
    train_flow_classifier(FLOW, store.path, tmp_path / "flow")
    train_conv_lstm(CONV, store.path, tmp_path / "conv")
    judge = load_networks(NetworkFiles(flow_action_run=tmp_path / "flow")).frame_judge
    frames = store.read_frames(store.clips[0])
    assert set(judge(frames)) == {"fast", "slow"}
    assert judge(frames[:2]) == {}
    seen = SeenVideo(np.zeros((3, 13, 2)), np.ones((3, 13), bool), 30.0, (200, 200), frames[:3])
    trained = TrainedConvLSTM.load(tmp_path / "conv")
    assert trained.predict_frames(seen, 7).shape == (7, SIZE, SIZE, 3)
    with pytest.raises(WeightsError, match="expected 'conv_lstm'"):
        TrainedConvLSTM.load(tmp_path / "flow")


def test_the_conv_lstm_overfits_a_moving_wave(store, tmp_path):
    fit = replace(FIT, steps=50, learning_rate=1e-2, validate_every=25)
    model = ConvLSTMConfig(width=16, layers=1, kernel=3, size=SIZE)
    result = train_conv_lstm(CONV.but(model=model, fit=fit), store.path, tmp_path / "run")
    assert result.best_score > 0.5  # half of the error of 'the last frame stays' is gone
    scores = Run.open(tmp_path / "run").read_metrics()[-1]
    # Of pictures in [-1, 1]: a mean, whose ratio is the skill; a sum would be in the thousands.
    assert scores["validation_mse"] < scores["validation_mse_of_last_frame"] < 4
    ratio = scores["validation_mse"] / scores["validation_mse_of_last_frame"]
    assert scores["validation_skill"] == pytest.approx(1 - ratio)


def test_what_does_not_fit_is_said(store, tmp_path):
    one = ClipSelection(clips=("tr0", "tr2"))
    with pytest.raises(ValueError, match="two actions or more"):
        train_pose_classifier(POSE.but(clips=one), store.path, tmp_path / "a")
    tested = ClipSelection(split="all")
    with pytest.raises(ValueError, match="are test clips or trained on"):
        train_pose_classifier(POSE.but(validation=tested), store.path, tmp_path / "b")
    no_size = "skeleton is human36m, the store needs penn_action.* or give these values$"
    with pytest.raises(ValueError, match=no_size):
        train_pose_classifier(POSE.but(skeleton="human36m"), store.path, tmp_path / "c")
    wrong_size = CONV.but(model=ConvLSTMConfig(size=32))
    with pytest.raises(ValueError, match=r"model\.size is 32, the store needs 16.* --size$"):
        train_conv_lstm(wrong_size, store.path, tmp_path / "d")
    with pytest.raises(ValueError, match="at least 103"):
        train_conv_lstm(CONV.but(num_future=100), store.path, tmp_path / "e")
    with pytest.raises(ValueError, match="batch_size is 0"):
        FitConfig(batch_size=0)
    with pytest.raises(ValueError, match="num_past is 0"):
        ConvLSTMTrainingConfig(num_past=0)


def test_no_networks_no_metrics():
    networks = load_networks(NetworkFiles())
    assert not networks.frame_metrics
    assert networks.facts == {}
    with pytest.raises(ValueError, match="there is no file"):
        load_networks(NetworkFiles(alexnet_file=Path("absent.pth")))
