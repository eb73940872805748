import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from made_runs import check_goes_on, same_weights
from posecast.clips import PoseBatch
from posecast.geometry import Crop
from posecast.losses import joint_distance_loss
from posecast.networks.kinds import facts_of
from posecast.networks.pose_lstm import PoseLSTM, PoseLSTMConfig
from posecast.records.runs import Run, RunError
from posecast.store.reading import ClipSelection, StoredClip
from posecast.training import pose
from posecast.training.fitting import FitResult
from posecast.training.pose import PoseTrainingConfig, PoseValidation, pose_step, train_pose
from posecast.training.pose_augmentation import PoseAugmentation
from posecast.training.progress import DivergedError
from posecast.training.settings import FitConfig
from posecast.windows import PoseWindows
from small_store import stored_clip, write_store

TINY = PoseTrainingConfig(
    model=PoseLSTMConfig(hidden=8, encoder=4),
    windows=PoseWindows(num_past=4, num_future=6),
    validation_future=8,
).but(steps=4, batch_size=6, validate_every=1, checkpoint_every=100, log_every=1, device="cpu")
EVERYTHING_ON = TINY.but(
    model=PoseLSTMConfig(hidden=8, encoder=4, output="residual", inputs="motion", dropout=0.3),
    augmentation=PoseAugmentation(
        mirror=True, scale=0.1, shift=0.1, rotation_degrees=5.0, noise=0.01, hide=0.1
    ),
    loss="distance",
    optimizer="adam",
    schedule="cosine",
    weight_decay=0.01,
)


def waving_clip(number: int, split: str) -> StoredClip:
    """Joints go round in circles, some of them hidden; 12 to 21 frames."""
    num_frames = 12 + number
    phase = np.arange(num_frames)[:, None] / 5 + np.arange(13) + number
    joints = 50 + 30 * np.stack([np.cos(phase), np.sin(phase)], axis=-1)
    visible = np.random.default_rng(number).random((num_frames, 13)) > 0.2
    facts = {"crop": Crop(0, 0, 100, 100), "box_px": (10.0, 20.0, 90.0, 70.0)}
    facts |= {"image_hw": (120, 120), "official_split": split}
    return stored_clip(f"{number:04}", joints.astype(np.float32), visible, **facts)


CLIPS = [waving_clip(number, "test" if number == 9 else "train") for number in range(10)]


@pytest.fixture(scope="module")
def store_path(tmp_path_factory) -> Path:
    """8 training clips, 1 validation clip (0008), 1 test clip (0009)."""
    path = tmp_path_factory.mktemp("stores") / "store"
    return write_store(path, [(clip, None) for clip in CLIPS], validation_share=0.11)


@pytest.mark.parametrize("config", [TINY, EVERYTHING_ON], ids=["paper", "everything-on"])
def test_stop_and_resume_equals_straight_through(config, store_path, tmp_path, monkeypatch):
    def train(run: Path) -> FitResult:
        return train_pose(config, store_path, run)

    check_goes_on(train, pose, "pose_step", tmp_path, monkeypatch)


def test_more_steps_continue_a_finished_run(store_path, tmp_path):
    train_pose(TINY, store_path, tmp_path / "straight")
    train_pose(TINY.but(steps=2), store_path, tmp_path / "longer")
    train_pose(TINY, store_path, tmp_path / "longer")
    assert same_weights(tmp_path / "straight", tmp_path / "longer")
    again = train_pose(TINY, store_path, tmp_path / "longer")
    assert (again.step, again.ended) == (4, "all steps")


def test_another_configuration_is_refused(store_path, tmp_path):
    train_pose(TINY.but(steps=1), store_path, tmp_path / "run")
    with pytest.raises(RunError, match="learning_rate"):
        train_pose(TINY.but(learning_rate=0.5), store_path, tmp_path / "run")


def test_best_weights_are_those_of_the_best_validation(store_path, tmp_path):
    result = train_pose(TINY.but(steps=6), store_path, tmp_path / "run")
    run = Run.open(tmp_path / "run", "pose")
    ratios = {
        record["step"]: record["validation_ratio"]
        for record in run.read_metrics()
        if "validation_ratio" in record
    }
    assert sorted(ratios) == [1, 2, 3, 4, 5, 6]
    best = min(ratios, key=ratios.__getitem__)
    assert facts_of(run.path, "best").step == best
    assert result.best_score == ratios[best]


def test_patience_ends_a_training_that_no_longer_improves(store_path, tmp_path, monkeypatch):
    worse = iter(range(1, 100))

    def score(*_) -> dict[str, float]:
        return {"validation_ratio": float(next(worse))}

    monkeypatch.setattr(PoseValidation, "score", score)
    config = TINY.but(steps=50, patience=3)
    result = train_pose(config, store_path, tmp_path / "run")
    # The first score is that of 'last pose stays', the second that of step 1.
    assert (result.step, result.best_score, result.ended) == (4, 2.0, "patience")
    assert train_pose(config, store_path, tmp_path / "run") == result


def test_nan_stops_and_keeps_the_last_checkpoint(store_path, tmp_path, monkeypatch):
    config = TINY.but(checkpoint_every=2)
    calls = []

    def step(*arguments):
        calls.append(1)
        loss, metrics = pose_step(*arguments)
        return (loss * float("nan"), metrics) if len(calls) == 4 else (loss, metrics)

    with monkeypatch.context() as patch:
        patch.setattr(pose, "pose_step", step)
        with pytest.raises(DivergedError, match=r"step 4 .*number 3 of seed 0"):
            train_pose(config, store_path, tmp_path / "run")
    checkpoint = Run.open(tmp_path / "run").load_checkpoint()
    assert checkpoint["step"] == 2
    train_pose(config, store_path, tmp_path / "run")
    train_pose(config, store_path, tmp_path / "straight")
    assert same_weights(tmp_path / "run", tmp_path / "straight")


def test_training_learns_the_waves(store_path, tmp_path):
    config = TINY.but(
        model=PoseLSTMConfig(hidden=48, encoder=32, output="residual", inputs="motion"),
        loss="distance",
        optimizer="adam",
        learning_rate=1e-2,
        clip_norm=1.0,
        steps=150,
        validate_every=150,
        batch_size=16,
    )
    result = train_pose(config, store_path, tmp_path / "run")
    assert result.best_score < 0.5


def test_training_without_validation(store_path, tmp_path):
    config = TINY.but(validate_every=0, clips=ClipSelection(clips=("0009",)))
    assert train_pose(config, store_path, tmp_path / "run").best_score is None
    assert not (tmp_path / "run" / "weights-best.safetensors").exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"validation": ClipSelection(clips=("0009",))}, "0009"),
        ({"validation": ClipSelection(split="test")}, "0009.* are test clips"),
        ({"validation": ClipSelection(clips=("0001",))}, "0001"),
        (
            {"skeleton": "human36m", "model": PoseLSTMConfig(num_joints=32)},
            "the store needs penn_action",
        ),
        ({"windows": PoseWindows(num_past=40)}, "41 frames"),
    ],
)
def test_configurations_that_do_not_fit_the_store(changes, message, store_path, tmp_path):
    with pytest.raises(ValueError, match=message):
        train_pose(TINY.but(**changes), store_path, tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"steps": 0}, "steps is 0"),
        ({"seed": -1}, "seed is -1"),
        ({"clip_norm": -1.0}, "clip_norm is -1"),
        ({"learning_rate": 0.0}, "learning_rate is 0"),
        ({"average": 1.0}, "average is 1"),
        ({"skeleton": "human36m"}, "32 joints"),
        ({"skeleton": "human3.6m"}, "did you mean 'human36m'"),
    ],
)
def test_impossible_configurations(changes, message):
    with pytest.raises(ValueError, match=message):
        TINY.but(**changes)


def test_cosine_schedule_ends_near_zero():
    config = FitConfig(schedule="cosine", steps=100)
    assert config.rate_factor(0) == 1
    assert config.rate_factor(50) == pytest.approx(0.5)
    assert 0 < config.rate_factor(99) < 0.002


# Steps and losses


def a_batch(rows: int = 6, seed: int = 0) -> PoseBatch:
    generator = torch.Generator().manual_seed(seed)
    visible = torch.rand(rows, 10, 13, generator=generator) > 0.3
    joints = (torch.rand(rows, 10, 13, 2, generator=generator) * 2 - 1) * visible[..., None]
    return PoseBatch(joints, visible, 4)


def test_gradients_of_two_shares_average_to_those_of_the_batch():
    torch.manual_seed(0)
    model, batch = PoseLSTM(TINY.model), a_batch()
    pose_step(model, batch)[0].backward()
    whole = [param.grad.clone() for param in model.parameters() if param.grad is not None]
    model.zero_grad()
    for rank in range(2):
        share = PoseBatch(batch.joints_norm[rank::2], batch.visible[rank::2], batch.num_past)
        (pose_step(model, share)[0] / 2).backward()
    halves = [param.grad for param in model.parameters() if param.grad is not None]
    torch.testing.assert_close(whole, halves)


def test_distance_loss_is_the_distance_of_visible_joints():
    far, hidden = [3.0, float("nan"), 4.0, 0.0], [0.0] * 4  # x1 x2 y1 y2
    target = torch.tensor([[far, hidden, hidden, far]])
    mask = torch.tensor([[[True, False], [False] * 2, [False] * 2, [True, False]]])
    predicted = torch.zeros(1, 4, 4, requires_grad=True)
    loss = joint_distance_loss(predicted, target, mask)
    assert loss.item() == pytest.approx((5 / 1 + 5 / 2) / 8)
    loss.backward()
    assert torch.isfinite(predicted.grad).all()


# Validation


def test_validation_scores_a_known_offset():
    clips = [dataclasses.replace(CLIPS[3], split="validation")]
    validation = PoseValidation.of(clips, TINY.windows, num_future=8, num_windows=1)
    true = torch.from_numpy(validation.joints_crop[:, 4:]).float() * 2 - 1
    offset = torch.tensor([4 / 100, 3 / 100]) * 2  # 5 px of a box side of 80 px

    def almost(past, mask, steps):
        return (true + offset).transpose(-1, -2).reshape(1, steps, 26)

    scores = validation.score(almost, torch.device("cpu"))
    assert scores["validation_distance"] == pytest.approx(5 / 80, rel=1e-5)
    assert scores["validation_distance_8"] == pytest.approx(5 / 80, rel=1e-5)
    assert scores["validation_pck"] == 1
    visible = validation.visible[:, 4:].mean()
    squared = (offset.square().sum() / 2).item()
    assert scores["validation_loss"] == pytest.approx(squared * visible, rel=1e-4)


def test_last_pose_stays_of_a_person_at_rest_is_perfect():
    still = CLIPS[5]
    joints = np.repeat(still.joints_px[:1], still.num_frames, axis=0)
    clip = dataclasses.replace(still, joints_px=joints)
    validation = PoseValidation.of([clip], TINY.windows, num_future=8, num_windows=1)
    assert validation.score_last_pose()["validation_distance"] == pytest.approx(0, abs=1e-6)


def test_last_pose_has_ratio_one_and_the_truth_zero():
    validation = PoseValidation.of(CLIPS, TINY.windows, num_future=17, num_windows=2)
    scores = validation.score_last_pose()
    assert scores["validation_ratio"] == pytest.approx(1)
    assert scores["validation_distance_4"] > 0.05
    true = torch.from_numpy(validation.joints_crop[:, 4:]).float() * 2 - 1
    features = true.transpose(-1, -2).reshape(len(true), 17, 26)
    perfect = validation.score(lambda past, mask, steps: features, torch.device("cpu"))
    assert perfect["validation_ratio"] == pytest.approx(0, abs=1e-5)


def test_validation_without_any_joint_is_refused():
    clip = dataclasses.replace(CLIPS[5], visible=np.zeros_like(CLIPS[5].visible))
    validation = PoseValidation.of([clip], TINY.windows, num_future=8, num_windows=1)
    with pytest.raises(ValueError, match="no joint of the validation clips is visible"):
        validation.score_last_pose()


def test_validation_windows_spread_over_a_clip():
    # 21 frames, the last seen one at most the last but one: starts at 0, 8 and 16.
    validation = PoseValidation.of([CLIPS[9]], TINY.windows, num_future=8, num_windows=3)
    starts = [0, 8, 16]
    for window, start in zip(validation.joints_crop, starts, strict=True):
        np.testing.assert_allclose(window[0], CLIPS[9].joints_crop[start])
    assert not validation.visible[2, 5:].any()  # the clip has ended


def test_weights_remember_what_they_were_trained_on(store_path, tmp_path):
    windows = dataclasses.replace(TINY.windows, stride=2)
    train_pose(dataclasses.replace(TINY, windows=windows), store_path, tmp_path / "run")
    facts = facts_of(tmp_path / "run")
    assert (facts.fps, facts.stride, facts.crop_side_px) == (30.0, 2, 100.0)
    assert (facts.kind, facts.skeleton) == ("pose", "penn_action")
    assert facts.trained_on["train"] == [f"000{number}" for number in range(8)]


def test_the_way_out_names_the_flag_of_what_is_wrong(store_path, tmp_path):
    """Two selections have a split: the hint is of the validation's where that one is empty."""
    config = dataclasses.replace(TINY, validation=ClipSelection("test", without=("0009",)))
    with pytest.raises(ValueError, match=r"choose another split \(--validation\.split\)"):
        train_pose(config, store_path, tmp_path / "run")
