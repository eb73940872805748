"""Training the image model: generator and discriminator, in turns (paper, section 3.3).

An iteration, in the order of the 2017 code (deviations.md 33, 36): the generator learns, it draws
the
batch anew, the discriminator learns from that, and its losses after all this decide who learns in
the next iteration (`gating`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar

import torch
from jaxtyping import Float
from lightning_fabric import Fabric
from torch import Tensor, nn

from posecast.computing.compilation import compile_parts
from posecast.computing.devices import build_fabric
from posecast.computing.processes import (
    any_process,
    average_gradients,
    average_metrics,
    join_batch_moments,
)
from posecast.errors import PosecastError
from posecast.losses import FeatureNetwork
from posecast.networks.discriminator import Discriminator
from posecast.networks.generator import Generator
from posecast.networks.kinds import load_network
from posecast.records.runs import Run
from posecast.records.training_runs import training_run
from posecast.store.reading import Store
from posecast.training.gating import Gate, next_gate
from posecast.training.image_inputs import ImagePairTensors, image_tensors
from posecast.training.image_setup import (
    ImageData,
    ImageTrainingConfig,
    load_feature_networks,
    open_data,
)
from posecast.training.image_steps import FeatureNetworks, discriminator_step, generator_step
from posecast.training.image_validation import draw_samples, validate
from posecast.training.loop import Progress, check_finite
from posecast.training.optimizers import TFAdam
from posecast.villegas2017.hourglass2017 import Hourglass2017

__all__ = [
    "ImageTraining",
    "ImageTrainingConfig",
    "ImageTrainingResult",
    "discriminator_step",
    "generator_step",
    "ready_network",
    "train_image",
    "train_iteration",
]

MAY_CHANGE = (
    *("steps", "device", "num_devices", "num_nodes", "compile"),
    *("log_every", "checkpoint_every", "sample_every", "validate_every"),
)
"""Settings that a run may be continued with other values of: they do not change what is learned,
only how long, where, and how often it is looked at."""


@dataclass(frozen=True)
class ImageTrainingResult:
    """How a training ended."""

    step: int
    """Iterations done, in this and earlier starts of the run."""
    best_skill: float | None
    """Validation skill of the best weights; None without validation."""
    ended: Literal["all steps", "stopped"]


@dataclass
class ImageTraining:
    """All that changes while training: what a checkpoint holds."""

    generator: Generator
    discriminator: Discriminator
    generator_optimizer: TFAdam
    discriminator_optimizer: TFAdam
    gate: Gate = field(default_factory=Gate)
    step: int = 0
    """Iterations done."""
    best_skill: float = -float("inf")
    """Best validation so far."""

    @classmethod
    def start(cls, config: ImageTrainingConfig, device: torch.device) -> "ImageTraining":
        """Fresh weights, the same in every process."""
        torch.manual_seed(config.seed)
        generator = _fast(Generator(config.generator), device)
        discriminator = _fast(Discriminator(config.discriminator), device)
        join_batch_moments(discriminator)
        compile_parts([*generator.parts_to_compile(), discriminator], config.compile, device)
        betas = (config.beta1, 0.999)
        return cls(
            generator,
            discriminator,
            TFAdam(generator.parameters(), config.learning_rate, betas),
            TFAdam(discriminator.parameters(), config.learning_rate, betas),
        )

    def state_dict(self) -> dict[str, Any]:
        """Nested dicts of tensors and plain values."""
        return {
            "generator": self.generator.state_dict(),
            "discriminator": self.discriminator.state_dict(),
            "generator_optimizer": self.generator_optimizer.state_dict(),
            "discriminator_optimizer": self.discriminator_optimizer.state_dict(),
            "gate": list(self.gate),
            "best_skill": self.best_skill,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state_dict` gave, plus its "step"."""
        for name in (
            *("generator", "discriminator"),
            *("generator_optimizer", "discriminator_optimizer"),
        ):
            getattr(self, name).load_state_dict(state[name])
        self.gate = Gate(*state["gate"])
        self.best_skill = state["best_skill"]
        self.step = state["step"]


def train_iteration(
    training: ImageTraining,
    pairs: ImagePairTensors,
    networks: FeatureNetworks,
    config: ImageTrainingConfig,
    fabric: Fabric,
) -> dict[str, float]:
    """One iteration in the 2017 order; changes `training`, returns metrics over all processes.

    The generator's terms are those before its update (absent if it rested), the discriminator's
    those after both updates, which the gating rule looks at. With an adversarial weight of 0
    there is nobody to deceive: the generator alone learns, always.
    """
    if config.adversarial_weight == 0:
        return _train_generator_alone(training, pairs, networks, config, fabric)
    generator, discriminator, gate = training.generator, training.discriminator, training.gate
    metrics: dict[str, Tensor] = {}
    if gate.generator:
        with fabric.autocast():
            loss, metrics = generator_step(
                generator, discriminator, pairs, config.weights, networks
            )
        _update(loss, generator, training.generator_optimizer)
    with fabric.autocast(), torch.no_grad():
        drawn = generator(pairs.source, pairs.source_heatmaps, pairs.target_heatmaps)
    if gate.discriminator:
        with fabric.autocast():
            loss, _ = discriminator_step(discriminator, pairs, drawn)
        _update(loss, discriminator, training.discriminator_optimizer)
    with fabric.autocast(), torch.no_grad():
        _, after = discriminator_step(discriminator, pairs, drawn)
    means = average_metrics({**metrics, **after})
    if config.gating == "2017":
        fake = means["drawn_error"] + means["mismatched_error"]
        training.gate = next_gate(gate, fake, means["real_error"], config.gate_margin)
    learned = {"generator_learned": gate.generator, "discriminator_learned": gate.discriminator}
    return means | {name: float(flag) for name, flag in learned.items()}


def _train_generator_alone(
    training: ImageTraining,
    pairs: ImagePairTensors,
    networks: FeatureNetworks,
    config: ImageTrainingConfig,
    fabric: Fabric,
) -> dict[str, float]:
    with fabric.autocast():
        loss, metrics = generator_step(
            training.generator, training.discriminator, pairs, config.weights, networks
        )
    _update(loss, training.generator, training.generator_optimizer)
    return average_metrics(metrics)


def _update(loss: Float[Tensor, ""], network: nn.Module, optimizer: TFAdam) -> None:
    optimizer.zero_grad(set_to_none=True)
    # Only for this network: no gradients are computed for the weights of the other one.
    loss.backward(inputs=list(network.parameters()))
    average_gradients(network)
    optimizer.step()


def train_image(
    config: ImageTrainingConfig, store_path: Path, run_path: Path, *, fresh: bool = False
) -> ImageTrainingResult:
    """Train the image model into a run folder, or go on with the training that is there.

    A resumed training gives the same weights as one that was never stopped. Ctrl-C and SIGTERM
    save first. PosecastError for settings, files or data that do
    not go together; DivergedError if a loss is no number any more, the last checkpoint is kept.
    """
    networks = load_feature_networks(config)
    fabric = build_fabric(config.device, config.num_devices, config.num_nodes, config.precision)
    data = open_data(config, Store.open(store_path), fabric)
    networks = FeatureNetworks(*(ready_network(each, fabric.device, config) for each in networks))
    with training_run(
        run_path,
        config,
        "image",
        data.record,
        fresh=fresh,
        may_change=MAY_CHANGE,
        writes=fabric.is_global_zero,
    ) as run:
        training = ImageTraining.start(config, fabric.device)
        with fabric.rank_zero_first():
            state = run.load_checkpoint()
        if state:
            training.load_state_dict(state)
        elif config.init_from is not None:
            _start_from(training.generator, config)
        _loop(config, data, networks, training, run, fabric)
    best = training.best_skill if training.best_skill > -float("inf") else None
    return ImageTrainingResult(
        training.step, best, "all steps" if training.step >= config.steps else "stopped"
    )


def _start_from(generator: Generator, config: ImageTrainingConfig) -> None:
    """Take over the generator of another run; PosecastError where it has another shape."""
    assert config.init_from is not None
    earlier = load_network(config.init_from, Generator).network
    if earlier.config != config.generator:
        raise PosecastError(
            f"init_from {config.init_from} has the generator {earlier.config}, these settings "
            f"{config.generator}; give the same --generator settings"
        )
    generator.load_state_dict(earlier.state_dict())


Network = TypeVar("Network", bound=nn.Module)


def _fast(network: Network, device: torch.device) -> Network:
    """On the device, and in the memory format that convolutions are fast in."""
    # Two calls: the stubs of `to` do not know both together.
    return network.to(device).to(memory_format=torch.channels_last)  # pyright: ignore


def ready_network(
    network: FeatureNetwork | None, device: torch.device, config: ImageTrainingConfig
) -> FeatureNetwork | None:
    """A feature network as training needs it."""
    if isinstance(network, nn.Module):
        network = _fast(network, device)
        join_batch_moments(network)
        if config.precision == "bf16-mixed":
            _round_once(network)
        if isinstance(network, Hourglass2017):
            compile_parts(network.parts_to_compile(), config.compile, device)
    return network


def _round_once(network: nn.Module) -> None:
    """Frozen kernels as autocast would round them each time that they are used."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            module.to(torch.bfloat16)


def _loop(
    config: ImageTrainingConfig,
    data: ImageData,
    networks: FeatureNetworks,
    training: ImageTraining,
    run: Run,
    fabric: Fabric,
) -> None:
    progress = Progress(training.step + 1, config.steps, shown=fabric.is_global_zero)
    for step in range(training.step + 1, config.steps + 1):
        batch = data.sampler.batch(config.seed, step - 1).to(fabric.device)
        pairs = image_tensors(batch, data.skeleton, config.sigma_px)
        metrics = train_iteration(training, pairs, networks, config, fabric)
        check_finite(metrics, step, f"pairs of seed {config.seed}, number {step - 1}")
        training.step = step
        stop = any_process(run.stop_requested, fabric.device)
        progress.update(step, metrics)
        if _due(config.log_every, training, config):
            run.log(step, metrics)
        if _due(config.sample_every, training, config):
            _show_samples(config, data, training, run, fabric)
        if _due(config.validate_every, training, config):
            _validate(config, data, training, run, fabric)
        if _due(config.checkpoint_every, training, config) or stop:
            run.save_weights("last", training.generator, step)
            run.save_checkpoint(step, training.state_dict())
        if stop:
            break


def _due(every: int, training: ImageTraining, config: ImageTrainingConfig) -> bool:
    """Every so many steps, and at the end."""
    return every > 0 and (training.step % every == 0 or training.step == config.steps)


def _validate(
    config: ImageTrainingConfig,
    data: ImageData,
    training: ImageTraining,
    run: Run,
    fabric: Fabric,
) -> None:
    """Log the scores of the held-out pairs; keep the weights if they are the best so far."""
    batches = [batch.to(fabric.device) for batch in data.validation]
    with fabric.autocast():
        scores = validate(training.generator, batches, data.skeleton, config.sigma_px)
    run.log(training.step, {f"validation/{name}": score for name, score in scores.items()})
    if scores["skill"] > training.best_skill:
        training.best_skill = scores["skill"]
        run.save_weights("best", training.generator, training.step)


def _show_samples(
    config: ImageTrainingConfig,
    data: ImageData,
    training: ImageTraining,
    run: Run,
    fabric: Fabric,
) -> None:
    if fabric.is_global_zero:
        batch = data.validation[0] if data.validation else data.sampler.batch(config.seed, 0)
        with fabric.autocast():
            sheet = draw_samples(
                training.generator, batch.to(fabric.device), data.skeleton, config.sigma_px
            )
        run.save_picture(f"step-{training.step:08d}", sheet)
