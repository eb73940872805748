"""Estimator training: it learns, resumes as stated, varies frames and joints alike."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional

from made_runs import check_goes_on, weights_of
from posecast.networks.hourglass import Hourglass, HourglassConfig, decode_joint_maps
from posecast.networks.kinds import load_network
from posecast.records.runs import Run, RunError
from posecast.skeletons import PENN_ACTION
from posecast.store.reading import ClipSelection, Store, StoredClip
from posecast.training import estimator
from posecast.training.estimator import (
    EstimatorTrainingConfig,
    EstimatorValidation,
    estimator_step,
    train_estimator,
)
from posecast.training.estimator_data import (
    Draws,
    EstimatorBatch,
    FrameAugmentation,
    estimator_batches,
    vary,
)
from posecast.training.fitting import FitResult
from posecast.training.progress import DivergedError
from posecast.windows import WHOLE
from small_store import stored_clip, write_store

SIZE = 32
NO_CHANGE = FrameAugmentation(
    mirror=False, scale=0.0, shift=0.0, rotation_degrees=0.0, colour=0.0, window=0.0
)
TINY = EstimatorTrainingConfig(
    model=HourglassConfig(stacks=1, width=8, depth=2, size=SIZE), validation_frames=4
).but(steps=4, batch_size=4, device="cpu", log_every=1, checkpoint_every=100, validate_every=2)


def lights(number: int, split: str) -> tuple[StoredClip, np.ndarray]:
    """Eight frames in which a red light walks to the right; all joints are there, no head seen."""
    frames = np.full((8, SIZE, SIZE, 3), 40, np.uint8)
    joints = np.empty((8, 13, 2), np.float32)
    for t in range(8):
        x, y = 4 + 3 * t, 6 + 2 * number
        frames[t, y - 2 : y + 2, x - 2 : x + 2] = (250, 30, 30)
        joints[t] = x, y
    visible = np.ones((8, 13), bool)
    visible[:, PENN_ACTION.index("head")] = False
    facts = {"image_hw": (SIZE, SIZE), "box_px": (2.0, 2.0, 27.0, 22.0), "has_frames": True}
    return stored_clip(f"{number:04d}", joints, visible, official_split=split, **facts), frames


@pytest.fixture(scope="module")
def store_path(tmp_path_factory) -> Path:
    """Clips 0000..0007 to train on, 0008 to validate on, 0009 a test clip."""
    clips = [lights(number, "test" if number == 9 else "train") for number in range(10)]
    path = tmp_path_factory.mktemp("stores") / "store"
    return write_store(path, clips, size=SIZE, validation_share=0.11)


def test_stop_and_resume_equals_straight_through(store_path, tmp_path, monkeypatch):
    def train(run: Path) -> FitResult:
        return train_estimator(TINY, store_path, run)

    check_goes_on(train, estimator, "estimator_step", tmp_path, monkeypatch)


def test_it_finds_the_light_and_says_what_is_hidden(store_path, tmp_path):
    config = TINY.but(
        model=HourglassConfig(stacks=1, width=16, depth=2, size=SIZE),
        augmentation=replace(NO_CHANGE, mirror=True),
        steps=60,
        batch_size=16,
        learning_rate=5e-3,
        sigma=1.0,
        validate_every=30,
        validation_frames=8,
    )
    result = train_estimator(config, store_path, tmp_path / "run")
    run = Run.open(tmp_path / "run", "estimator")
    records = {record["step"]: record for record in run.read_metrics() if "loss" not in record}
    assert records[60]["validation_pck_0.2"] > 0.9 > records[0]["mean_pose_pck_0.2"]
    assert records[60]["validation_distance"] < 0.1
    assert records[60]["validation_confidence_shown"] > 0.5
    assert records[60]["validation_confidence_hidden"] < 0.3
    assert result.best_score == max(records[step]["validation_pck_0.1"] for step in (30, 60))
    network = load_network(tmp_path / "run", Hourglass).network
    assert not network.training
    store = Store.open(store_path)
    validation = EstimatorValidation.of(store, [store.clip("0008")], 8)
    best = validation.score(network, torch.device("cpu"))["validation_pck_0.1"]
    assert best == pytest.approx(result.best_score)


def test_nan_stops_with_step_and_batch(store_path, tmp_path, monkeypatch):
    def bad_step(network, batch, sigma):
        loss, metrics = estimator_step(network, batch, sigma)
        return loss * math.nan, {name: value * math.nan for name, value in metrics.items()}

    monkeypatch.setattr(estimator, "estimator_step", bad_step)
    with pytest.raises(DivergedError, match="step 1 is not a finite number"):
        train_estimator(TINY, store_path, tmp_path / "run")


def test_step_averages_the_losses_of_all_stacks():
    network = Hourglass(replace(TINY.model, stacks=2))
    batch = EstimatorBatch(
        torch.zeros(2, 3, SIZE, SIZE), torch.full((2, 13, 2), 0.5), torch.zeros(2, 13).bool()
    )
    loss, metrics = estimator_step(network, batch, 1.0)
    empty = functional.softplus(network(batch.images))  # nothing is visible: all maps are empty
    assert loss.item() == pytest.approx(empty.mean().item(), rel=1e-5)
    assert metrics["last_stack_loss"].item() == pytest.approx(empty[1].mean().item(), rel=1e-5)


def lit_batch(joints: torch.Tensor) -> EstimatorBatch:
    """Pictures of 64 x 64 with one blob of light per picture, where joint 0 is."""
    place = (torch.arange(64) + 0.5) / 64
    x, y = joints[:, 0, 0, None, None], joints[:, 0, 1, None, None]
    light = torch.exp(-((place - x) ** 2 + (place[:, None] - y) ** 2) / (2 * 0.04**2))
    images = light[:, None].expand(-1, 3, -1, -1) * 2 - 1
    return EstimatorBatch(images, joints, torch.ones(joints.shape[:2], dtype=torch.bool))


def random_draws(num_pairs: int, seed: int = 0) -> Draws:
    return Draws.of(np.random.default_rng(seed), num_pairs, slice(None))


def test_variation_moves_light_and_joint_alike():
    joints = 0.35 + 0.3 * torch.rand(8, 13, 2, generator=torch.Generator().manual_seed(1))
    config = FrameAugmentation(colour=0.0, shift=0.03)
    varied = vary(lit_batch(joints), random_draws(4), config, PENN_ACTION)
    found, _ = decode_joint_maps((varied.images[:, :1] + 1) / 2)
    inside = varied.visible[:, 0]
    assert inside.sum() >= 6
    assert (found[:, 0] - varied.joints_crop[:, 0])[inside].abs().max() < 0.01
    assert (varied.joints_crop - joints).abs().max() > 0.05


def test_mirroring_swaps_left_and_right():
    joints = torch.rand(2, 13, 2, generator=torch.Generator().manual_seed(1))
    draws = replace(random_draws(1), mirrored=torch.tensor([True, False]))
    batch = lit_batch(joints)
    batch.visible[0, PENN_ACTION.index("left_knee")] = False
    varied = vary(batch, draws, replace(NO_CHANGE, mirror=True), PENN_ACTION)
    right, left = PENN_ACTION.index("right_knee"), PENN_ACTION.index("left_knee")
    x, y = joints[0, right].tolist()
    assert varied.joints_crop[0, left].tolist() == pytest.approx([1 - x, y], abs=1e-6)
    assert not varied.visible[0, right]
    assert torch.allclose(varied.images[0], batch.images[0].flip(-1), atol=1e-4)
    assert torch.allclose(varied.images[1], batch.images[1], atol=1e-4)
    assert torch.allclose(varied.joints_crop[1], joints[1], atol=1e-6)


def test_joints_moved_out_of_the_picture_are_invisible():
    joints = torch.full((2, 13, 2), 0.98)
    draws = replace(random_draws(1), shift=torch.tensor([[1.0, 0.0], [-1.0, -1.0]]))
    varied = vary(lit_batch(joints), draws, replace(NO_CHANGE, shift=0.1), PENN_ACTION)
    assert not varied.visible[0].any()
    assert varied.visible[1].all()
    assert varied.joints_crop[1, 0].tolist() == pytest.approx([0.88, 0.88], abs=1e-6)


def test_a_window_shows_its_part_of_the_picture_and_the_joints_in_it():
    joints = torch.tensor([[0.3, 0.7], [0.3, 0.3]])[:, None].expand(-1, 13, -1)
    # Half the picture, at its lower left.
    draws = replace(random_draws(1), window=torch.tensor([[0.0, 0.0, 0.0, 1.0]] * 2))
    varied = vary(lit_batch(joints), draws, replace(NO_CHANGE, window=0.1), PENN_ACTION)
    assert varied.visible[0].all()
    assert not varied.visible[1].any()
    assert varied.joints_crop[0, 0].tolist() == pytest.approx([0.6, 0.4], abs=1e-6)
    found, _ = decode_joint_maps((varied.images[:1, :1] + 1) / 2)
    assert (found[0, 0] - varied.joints_crop[0, 0]).abs().max() < 0.01
    assert varied.images[1].max() < 0


def test_windows_are_shown_as_often_as_asked():
    joints = torch.full((200, 13, 2), 0.5)
    varied = vary(lit_batch(joints), random_draws(100), replace(NO_CHANGE, window=0.3), PENN_ACTION)
    assert 0.2 < (varied.joints_crop[:, 0] != 0.5).any(dim=1).float().mean() < 0.4


def test_starts_from_another_run(store_path, tmp_path):
    train_estimator(TINY, store_path, tmp_path / "first")
    first = tmp_path / "first"
    still = TINY.but(init_from=first, learning_rate=1e-12, weight_decay=0.0, steps=1, seed=7)
    train_estimator(still, store_path, tmp_path / "second")
    expected = weights_of(first, "best")
    found = weights_of(tmp_path / "second")
    for name, _ in Hourglass(TINY.model).named_parameters():
        torch.testing.assert_close(found[name], expected[name], atol=1e-9, rtol=0)
    other = still.but(model=replace(TINY.model, width=12))
    with pytest.raises(ValueError, match=r"init_from .* give the same --model settings"):
        train_estimator(other, store_path, tmp_path / "third")
    assert not (tmp_path / "third").exists()


def test_goes_on_without_the_run_that_it_started_from(store_path, tmp_path):
    train_estimator(TINY, store_path, tmp_path / "first")
    config = TINY.but(init_from=tmp_path / "first")
    train_estimator(config, store_path, tmp_path / "second")
    (tmp_path / "first").rename(tmp_path / "moved")
    assert train_estimator(config, store_path, tmp_path / "second").step == TINY.fit.steps


def test_colours_stay_in_range_and_change():
    batch = lit_batch(torch.rand(4, 13, 2))
    varied = vary(batch, random_draws(2), replace(NO_CHANGE, colour=0.3), PENN_ACTION)
    assert varied.images.abs().max() <= 1
    assert (varied.images - batch.images).abs().max() > 0.05


def test_batches_are_functions_of_the_step_and_processes_share_them(store_path):
    store = Store.open(store_path)
    clips = store.select(ClipSelection())

    def batch(share=WHOLE, step=3):
        data = estimator_batches(store, clips, 8, 5, share)
        return data(step).vary(FrameAugmentation(), PENN_ACTION)

    whole = batch()
    assert whole.images.shape == (8, 3, SIZE, SIZE)
    assert torch.equal(whole.images, batch().images)
    assert not torch.equal(whole.images, batch(step=4).images)
    halves = [batch(slice(rank, None, 2)) for rank in range(2)]
    for name in ("images", "joints_crop", "visible"):
        # Rows are the four sources, then the four targets; each process has every second pair.
        parts = [getattr(half, name).chunk(2) for half in halves]
        joined = torch.cat([torch.stack([p[k] for p in parts], 1).flatten(0, 1) for k in range(2)])
        assert torch.allclose(joined.float(), getattr(whole, name).float(), atol=1e-6)


def test_mean_pose_is_that_of_the_clips(store_path):
    store = Store.open(store_path)
    clips = store.select(ClipSelection())
    validation = EstimatorValidation.of(store, [store.clip("0008")], 8)
    scores = validation.score_mean_pose(clips)
    mean = np.mean([clip.joints_px[:, 1:] for clip in clips], axis=(0, 1, 2))
    true = store.clip("0008").joints_px[:, 1]
    distance = np.linalg.norm(true - mean, axis=-1).mean() / 25
    assert scores["mean_pose_distance"] == pytest.approx(distance, rel=1e-5)


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({"batch_size": 5}, "batch_size is 5; it must be even"),
        ({"steps": 0}, "steps is 0"),
        ({"learning_rate": 0.0}, "learning_rate is 0.0; it must be over 0"),
        ({"skeleton": "human36m"}, "set model.num_joints to 32"),
        ({"skeleton": "pen_action"}, "penn_action"),
    ],
)
def test_impossible_settings_are_refused(values, problem):
    with pytest.raises(ValueError, match=problem):
        TINY.but(**values)


def test_settings_that_do_not_fit_the_store_are_refused(store_path, tmp_path):
    wrong_size = TINY.but(model=replace(TINY.model, size=64))
    test_clips = TINY.but(validation=ClipSelection(split="test", with_frames=True))
    train_clips = TINY.but(validation=ClipSelection(clips=("0000",)))
    for config, problem in (
        (wrong_size, "model.size is 64, the store needs 32"),
        (test_clips, "0009.* are test clips or trained on"),
        (train_clips, "0000.* are test clips or trained on"),
    ):
        with pytest.raises(ValueError, match=problem):
            train_estimator(config, store_path, tmp_path / "run")


def test_another_configuration_is_refused(store_path, tmp_path):
    train_estimator(TINY.but(steps=1, schedule="constant"), store_path, tmp_path / "run")
    other = TINY.but(steps=1, schedule="constant", learning_rate=0.5)
    with pytest.raises(RunError, match="learning_rate"):
        train_estimator(other, store_path, tmp_path / "run")
