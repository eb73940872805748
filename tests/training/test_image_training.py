"""Image training: it learns, rests and resumes as stated, and says what is wrong with its input."""

import json
import math
import os
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import torch
from drawn_squares import SIZE, TINY, write_squares
from lightning_fabric import Fabric
from torch import Tensor, nn

from made_runs import make_run, weights_of
from posecast.losses import ImageLossWeights
from posecast.networks.generator import GeneratorConfig
from posecast.networks.hourglass import Hourglass, HourglassConfig
from posecast.networks.kinds import facts_of
from posecast.records.configs import config_from_dict
from posecast.records.runs import Run, RunError
from posecast.store.reading import ClipSelection, Store
from posecast.training import image, image_steps
from posecast.training.image import ImageTraining, ImageTrainingConfig, train_image, train_iteration
from posecast.training.image_steps import (
    FeatureNetworks,
    Gate,
    ImagePairTensors,
    discriminator_step,
    generator_step,
    image_tensors,
)
from posecast.training.progress import DivergedError
from posecast.windows import ImagePairSampler

NO_NETWORKS = FeatureNetworks()


@pytest.fixture(scope="module")
def store_path(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("data") / "store"
    write_squares(path)
    return path


@pytest.fixture(scope="module")
def pairs(store_path: Path) -> ImagePairTensors:
    store = Store.open(store_path)
    sampler = ImagePairSampler(store, store.clips, TINY.pairs, batch_size=4)
    return image_tensors(sampler.batch(seed=0, step=0), store.skeleton, sigma_px=2.0)


@pytest.fixture(scope="module")
def fabric() -> Fabric:
    return Fabric(accelerator="cpu", devices=1)


def _tensors(state: object) -> dict[str, Tensor]:
    """All tensors of a nested dict, by dotted name."""
    if isinstance(state, Tensor):
        return {"": state}
    if not isinstance(state, dict | list | tuple):
        return {"": torch.tensor(float(state))} if isinstance(state, int | float) else {}
    items = state.items() if isinstance(state, dict) else enumerate(state)
    return {f"{k}.{name}": t for k, value in items for name, t in _tensors(value).items()}


def _train(config: ImageTrainingConfig, store_path: Path, run_path: Path, **options) -> Run:
    train_image(config, store_path, run_path, **options)
    return Run.open(run_path, "image")


def _checkpoint(run: Run) -> dict[str, Tensor]:
    state = Run.open(run.path).load_checkpoint()
    assert state is not None
    return _tensors(state)


def test_training_leaves_all_that_a_run_holds(store_path: Path, tmp_path: Path) -> None:
    run = _train(TINY, store_path, tmp_path / "run")
    records = run.read_metrics()
    assert [r["step"] for r in records if "pixel_loss" in r or "real_error" in r] == [1, 2, 3, 4]
    scores = [r for r in records if "validation/skill" in r]
    assert [r["step"] for r in scores] == [2, 4]
    assert scores[0]["validation/psnr_copy"] == scores[1]["validation/psnr_copy"]
    assert facts_of(run.path, "last").step == 4
    best = max(scores, key=lambda r: r["validation/skill"])
    assert facts_of(run.path, "best").step == best["step"]
    assert sorted(p.name for p in (run.path / "samples").iterdir()) == [
        "step-00000002.png",
        "step-00000004.png",
    ]
    data = json.loads((run.path / "data.json").read_text())
    assert (data["train"], data["validation"]) == (["0000", "0001", "0002", "0003"], ["0004"])
    assert config_from_dict(ImageTrainingConfig, Run.open(run.path, "image").config_dict) == TINY


def test_stop_and_resume_equals_straight_through(store_path: Path, tmp_path: Path) -> None:
    """Both networks, both optimisers, the gate, the best score and the metrics file."""
    straight = _train(TINY.but(gate_margin=0.49), store_path, tmp_path / "a")
    config = TINY.but(gate_margin=0.49, steps=2)
    train_image(config, store_path, tmp_path / "b")
    resumed = _train(config.but(steps=4), store_path, tmp_path / "b")
    expected, got = _checkpoint(straight), _checkpoint(resumed)
    assert expected.keys() == got.keys()
    assert len(expected) > 100
    assert [name for name in expected if not torch.equal(expected[name], got[name])] == []
    assert straight.read_metrics() == resumed.read_metrics()


def test_a_kill_between_checkpoints_costs_only_the_steps_after_the_last(
    store_path: Path, tmp_path: Path
) -> None:
    straight = _train(TINY.but(steps=3), store_path, tmp_path / "a")
    killed = _train(TINY.but(steps=3), store_path, tmp_path / "b")
    (killed.path / "checkpoints" / "step-00000003.pt").write_bytes(b"half")
    resumed = _train(TINY.but(steps=3), store_path, tmp_path / "b")
    assert straight.read_metrics() == resumed.read_metrics()
    expected, got = _checkpoint(straight), _checkpoint(resumed)
    assert [name for name in expected if not torch.equal(expected[name], got[name])] == []


def test_a_signal_saves_first(store_path: Path, tmp_path: Path, monkeypatch) -> None:
    iterate = image.train_iteration

    def iterate_and_ask_to_stop(training, *rest):
        os.kill(os.getpid(), 15)
        return iterate(training, *rest)

    monkeypatch.setattr(image, "train_iteration", iterate_and_ask_to_stop)
    result = train_image(TINY, store_path, tmp_path / "run")
    assert (result.ended, result.step) == ("stopped", 1)
    run = Run.open(tmp_path / "run")
    state = run.load_checkpoint()
    assert state["step"] == 1
    assert facts_of(run.path, "last").step == 1


def test_nan_stops_and_keeps_the_last_checkpoint(
    store_path: Path, tmp_path: Path, monkeypatch
) -> None:
    tensors = image_steps.image_tensors
    calls = iter(range(100))

    def poisoned(*told):
        pairs = tensors(*told)
        if next(calls) == 2:
            pairs.source[0, 0, 0, 0] = math.nan
        return pairs

    monkeypatch.setattr(image_steps, "image_tensors", poisoned)
    with pytest.raises(DivergedError, match=r"step 3 is not a finite number.*number 2"):
        train_image(TINY, store_path, tmp_path / "run")
    state = Run.open(tmp_path / "run").load_checkpoint()
    assert state["step"] == 2
    assert all(torch.isfinite(t).all() for t in _tensors(state).values())


def test_overfits_one_batch(pairs: ImagePairTensors, fabric: Fabric) -> None:
    """Better than copying the source frame; slower learning means a gradient is missing."""
    config = TINY.but(
        generator=GeneratorConfig(width=8, size=SIZE),
        adversarial_weight=0.001,
        learning_rate=3e-3,
        gating="off",
    )
    training = ImageTraining.start(config, fabric.device)
    losses = [
        train_iteration(training, pairs, NO_NETWORKS, config, fabric).read()["pixel_loss"]
        for _ in range(120)
    ]
    copy = 0.5 * (pairs.source - pairs.target).square().mean().item()
    assert losses[-1] < 0.5 * copy
    assert losses[-1] < 0.2 * losses[0]


def test_resting_networks_do_not_move(pairs: ImagePairTensors, fabric: Fabric) -> None:
    for gate, moved in ((Gate(True, False), "generator"), (Gate(False, True), "discriminator")):
        training = ImageTraining.start(TINY, fabric.device)
        training.gate = gate
        before = _tensors(training.state_dict())
        metrics = train_iteration(training, pairs, NO_NETWORKS, TINY, fabric).read()
        after = _tensors(training.state_dict())
        changed = {name.split("_")[0].split(".")[0] for name in after.keys() - before.keys()}
        changed |= {
            name.split("_")[0].split(".")[0]
            for name in before
            if not torch.equal(before[name], after[name]) and not name.startswith("gate")
        }
        assert changed == {moved}
        assert ("pixel_loss" in metrics) == gate.generator


def test_the_gate_follows_the_losses_after_the_updates(
    pairs: ImagePairTensors, fabric: Fabric
) -> None:
    """A margin that every loss is below lets both rest, and so wakes both; 1 rests one."""
    training = ImageTraining.start(TINY, fabric.device)
    wide = TINY.but(gate_margin=0.0)
    told = train_iteration(training, pairs, NO_NETWORKS, wide, fabric)
    training.decide(told, wide)
    metrics = told.read()
    with torch.no_grad():
        drawn = training.generator.between(pairs.source, pairs.heatmaps)
        _, after = discriminator_step(training.discriminator, pairs, drawn)
    assert metrics["real_error"] == pytest.approx(after["real_error"].item(), rel=1e-6)
    fake = metrics["drawn_error"] + metrics["mismatched_error"]
    assert training.gate == Gate(max(fake, metrics["real_error"]) <= 1, True)


def test_gating_off_trains_both_always(pairs: ImagePairTensors, fabric: Fabric) -> None:
    config = TINY.but(gating="off", gate_margin=0.49)
    training = ImageTraining.start(config, fabric.device)
    for _ in range(3):
        training.decide(train_iteration(training, pairs, NO_NETWORKS, config, fabric), config)
    assert training.gate == Gate(True, True)


class _Features(nn.Module):
    """A small stand-in for a frozen feature network."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(3, 6, 3, stride=2).requires_grad_(False)

    def forward(self, images: Tensor) -> Tensor:
        return torch.relu(self.convolution(images))


def test_without_an_adversarial_weight_the_generator_alone_learns(
    pairs: ImagePairTensors, fabric: Fabric
) -> None:
    config = TINY.but(adversarial_weight=0.0)
    training = ImageTraining.start(config, fabric.device)
    training.gate = Gate(generator=False, discriminator=True)
    before = {name: value.clone() for name, value in _tensors(training.state_dict()).items()}
    metrics = train_iteration(training, pairs, FeatureNetworks(), config, fabric).read()
    after = _tensors(training.state_dict())
    moved = {
        name.split(".")[0]
        for name in after
        if name not in before or not torch.equal(after[name], before[name])
    }
    assert "generator" in moved
    assert not moved & {"discriminator", "discriminator_optimizer"}
    assert metrics["generator_loss"] == metrics["pixel_loss"]


def test_starts_from_another_run(store_path: Path, tmp_path: Path) -> None:
    first = _train(TINY, store_path, tmp_path / "first")
    still = TINY.but(init_from=first.path, learning_rate=1e-12, steps=1, seed=7)
    second = _train(still, store_path, tmp_path / "second")
    expected = weights_of(first.path, "best")
    for name, weight in weights_of(second.path).items():
        torch.testing.assert_close(weight, expected[name], atol=1e-9, rtol=0)
    other = still.but(generator=replace(TINY.generator, width=6))
    with pytest.raises(ValueError, match=r"init_from .* give the same --generator settings"):
        _train(other, store_path, tmp_path / "third")


def test_feature_networks_stay_frozen_and_count(pairs: ImagePairTensors, fabric: Fabric) -> None:
    config = TINY.but(feature_weight=2.0, pose_feature_weight=3.0)
    networks = FeatureNetworks(_Features(), _Features())
    before = [network.convolution.weight.clone() for network in networks]
    training = ImageTraining.start(config, fabric.device)
    metrics = train_iteration(training, pairs, networks, config, fabric).read()
    for network, weight in zip(networks, before, strict=True):
        assert torch.equal(network.convolution.weight, weight)
        assert network.convolution.weight.grad is None
    assert metrics["generator_loss"] == pytest.approx(
        metrics["pixel_loss"]
        + 2 * metrics["feature_loss"]
        + 3 * metrics["pose_feature_loss"]
        + metrics["adversarial_loss"],
        rel=1e-5,
    )
    assert metrics["feature_loss"] > 0


def test_features_of_the_truth_keep_no_gradient(pairs: ImagePairTensors) -> None:
    training, learning = ImageTraining.start(TINY, pairs.target.device), []

    def network(pictures: Tensor) -> Tensor:
        learning.append((pictures is pairs.target, torch.is_grad_enabled()))
        return pictures[:, :1]

    networks = FeatureNetworks(network, None)
    told = (training.generator, training.discriminator, pairs)
    loss, _ = generator_step(*told, ImageLossWeights(), networks)
    assert learning == [(True, False), (False, True)]
    assert loss.requires_grad


def test_a_feature_network_of_weight_0_is_not_run(pairs: ImagePairTensors, fabric: Fabric) -> None:
    training = ImageTraining.start(TINY, fabric.device)
    networks = FeatureNetworks(_not_to_be_run, _not_to_be_run)
    metrics = train_iteration(training, pairs, networks, TINY, fabric).read()
    assert metrics["feature_loss"] == metrics["pose_feature_loss"] == 0


def _not_to_be_run(images: Tensor) -> Tensor:
    raise AssertionError(images.shape)


@dataclass(frozen=True)
class _EstimatorConfig:
    model: HourglassConfig


def test_an_estimator_run_serves_as_pose_network(store_path: Path, tmp_path: Path) -> None:
    model = HourglassConfig(stacks=1, width=8, depth=2, size=SIZE)
    network = Hourglass(model)
    estimator = make_run(tmp_path / "estimator", _EstimatorConfig(model), "estimator")
    estimator.save_weights("best", network, step=1)
    config = TINY.but(pose_feature_weight=1.0, pose_features=estimator.path, steps=1)
    run = _train(config, store_path, tmp_path / "run")
    assert run.read_metrics()[0]["pose_feature_loss"] > 0
    after = weights_of(estimator.path, "best")
    assert all(torch.equal(after[name], value) for name, value in network.state_dict().items())


def test_each_step_gives_gradients_to_its_network_alone(pairs: ImagePairTensors) -> None:
    training = ImageTraining.start(TINY, torch.device("cpu"))
    generator, discriminator = training.generator, training.discriminator
    drawn = generator.between(pairs.source, pairs.heatmaps)
    loss, _ = discriminator_step(discriminator, pairs, drawn)
    loss.backward()
    assert all(param.grad is None for param in generator.parameters())
    assert all(param.grad is not None for param in discriminator.parameters())
    loss, _ = generator_step(generator, discriminator, pairs, ImageLossWeights(), NO_NETWORKS)
    loss.backward(inputs=list(generator.parameters()))
    assert all(param.grad is not None for param in generator.parameters())


def test_steps_work_in_double_precision(pairs: ImagePairTensors) -> None:
    training = ImageTraining.start(TINY, torch.device("cpu"))
    generator, discriminator = training.generator.double(), training.discriminator.double()
    wide = ImagePairTensors(**{name: t.double() for name, t in vars(pairs).items()})
    loss, metrics = generator_step(generator, discriminator, wide, ImageLossWeights(), NO_NETWORKS)
    assert {loss.dtype, *(value.dtype for value in metrics.values())} == {torch.float64}


def test_mixed_precision_stays_close(store_path: Path, tmp_path: Path) -> None:
    exact = _train(TINY, store_path, tmp_path / "a").read_metrics()
    mixed = _train(TINY.but(precision="bf16-mixed"), store_path, tmp_path / "b").read_metrics()
    for one, other in zip(exact, mixed, strict=True):
        assert one["step"] == other["step"]
        if "pixel_loss" in one and "pixel_loss" in other:
            assert other["pixel_loss"] == pytest.approx(one["pixel_loss"], rel=0.03)


def test_a_run_is_not_continued_with_other_settings_or_data(
    store_path: Path, tmp_path: Path
) -> None:
    config = TINY.but(steps=1, validate_every=0)
    train_image(config, store_path, tmp_path / "run")
    with pytest.raises(RunError, match=r"learning_rate: 0\.0001 -> 0\.01"):
        train_image(config.but(learning_rate=0.01), store_path, tmp_path / "run")
    fewer = ClipSelection(clips=("0001",), with_frames=True)
    with pytest.raises(ValueError, match="clips"):
        train_image(config.but(clips=fewer), store_path, tmp_path / "run")
    run = _train(config.but(learning_rate=0.01), store_path, tmp_path / "run", fresh=True)
    assert facts_of(run.path, "last").step == 1
