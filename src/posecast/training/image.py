"""Training the image model: generator and discriminator, in turns (paper, section 3.3).

An iteration, in the order of the 2017 code (deviations.md 33, 36): the generator learns, it draws
the batch anew, the discriminator learns from that, and its losses after all this decide who learns
in the next iteration (`next_gate`).
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from jaxtyping import Float, UInt8
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.optim import Optimizer

from posecast.clips import ImageBatch
from posecast.computing import processes
from posecast.computing.compilation import compile_parts, is_recorded
from posecast.computing.recording import on_device, recorded
from posecast.losses import FeatureNetwork
from posecast.networks.discriminator import Discriminator
from posecast.networks.generator import Generator
from posecast.skeletons import Skeleton
from posecast.training import image_steps
from posecast.training.fitting import FitResult, Sheet, Update, Validation, fit
from posecast.training.image_setup import (
    FITTING,
    ImageTrainingConfig,
    load_feature_networks,
    pair_batches,
)
from posecast.training.image_validation import draw_samples, validate
from posecast.training.optimizers import build_optimizer, load_optimizer, optimizer_state
from posecast.training.session import begin
from posecast.training.settings import choose_clips, open_store
from posecast.villegas2017.hourglass2017 import Hourglass2017

Network = TypeVar("Network", bound=nn.Module)


def train_image(
    config: ImageTrainingConfig,
    store_path: str | Path,
    run_path: str | Path,
    *,
    fresh: bool = False,
) -> FitResult:
    """Train the image model into a run folder, or go on with the training that is there.

    The best score is the validation skill. PosecastError for settings, files or data that do not go
    together; see also `fitting.fit`.
    """
    store = open_store(store_path, config, ImageTrainingConfig, *FITTING)
    networks = load_feature_networks(config)
    clips = choose_clips(config, store)
    fabric = config.run_on.launch()
    batches = pair_batches(config, store, clips.train, fabric)
    held_out = []
    if clips.validation:
        pairs = pair_batches(config, store, clips.validation, fabric, seed=0)
        num_batches = math.ceil(config.validation_pairs / config.fit.batch_size)
        held_out = [pairs(number) for number in range(num_batches)]

    def score(generator: nn.Module, device: torch.device) -> dict[str, float]:
        shown = on_device(held_out, device)
        return validate(generator, shown, store.skeleton, config.sigma_px)

    def draw(generator: nn.Module, device: torch.device) -> UInt8[np.ndarray, "h w 3"]:
        batch = on_device(held_out[0] if held_out else batches(0), device)
        return draw_samples(generator, batch, store.skeleton, config.sigma_px)

    validation = Validation(score, "validation/skill") if held_out else None
    with begin(config, store, clips, run_path, fabric, fresh=fresh) as session:
        training = ImageTraining.start(config, fabric.device)
        ready = (ready_network(each, fabric.device, config) for each in networks)
        update = _InTurns(
            training, image_steps.FeatureNetworks(*ready), config, store.skeleton, fabric
        )
        return fit(update, batches, validation, session, Sheet(config.sample_every, draw))


@dataclass
class ImageTraining:
    """Both networks and all else that changes while they learn."""

    generator: Generator
    discriminator: Discriminator
    generator_optimizer: Optimizer
    discriminator_optimizer: Optimizer
    gate: image_steps.Gate = field(default_factory=image_steps.Gate)

    @classmethod
    def start(cls, config: ImageTrainingConfig, device: torch.device) -> "ImageTraining":
        """Fresh weights, the same in every process."""
        torch.manual_seed(config.fit.seed)
        generator = _fast(Generator(config.generator), device)
        discriminator = _fast(Discriminator(config.discriminator), device)
        processes.join_batch_moments(discriminator)
        parts = [*generator.parts_to_compile(), discriminator]
        compile_parts(parts, config.run_on.compile)
        recordable = is_recorded(config.run_on.compile, device)
        networks = (generator, discriminator)
        first, second = (build_optimizer(each, config.fit, recordable) for each in networks)
        return cls(*networks, first, second)

    def state_dict(self) -> dict[str, Any]:
        networks = {name: getattr(self, name).state_dict() for name in _NETWORKS}
        optimizers = {name: optimizer_state(getattr(self, name)) for name in _OPTIMIZERS}
        return {**networks, **optimizers, "gate": list(self.gate)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        for name in _NETWORKS:
            getattr(self, name).load_state_dict(state[name])
        for name in _OPTIMIZERS:
            load_optimizer(getattr(self, name), state[name])
        self.gate = image_steps.Gate(*state["gate"])

    def decide(self, metrics: processes.Metrics, config: ImageTrainingConfig) -> None:
        """Who learns next, by the losses after the updates; this waits for them."""
        if config.gating == "2017" and config.adversarial_weight > 0:
            after = metrics.read()
            fake = after["drawn_error"] + after["mismatched_error"]
            self.gate = image_steps.next_gate(
                self.gate, fake, after["real_error"], config.gate_margin
            )


_NETWORKS = ("generator", "discriminator")
_OPTIMIZERS = ("generator_optimizer", "discriminator_optimizer")


@dataclass
class _InTurns(Update):
    """`train_iteration` as the update of the fitting loop."""

    training: ImageTraining
    networks: image_steps.FeatureNetworks
    config: ImageTrainingConfig
    skeleton: Skeleton
    fabric: Fabric

    def __post_init__(self) -> None:
        training = self.training
        self.network = training.generator
        self.optimizers = (training.generator_optimizer, training.discriminator_optimizer)
        self.state_dict, self.load_state_dict = training.state_dict, training.load_state_dict
        self._learn = recorded(self._plainly, self.config.run_on.compile, self.fabric.device)

    def __call__(self, batch: ImageBatch) -> processes.Metrics:
        metrics = self._learn(batch, self.training.gate)
        self.training.decide(metrics, self.config)
        return metrics

    def _plainly(self, batch: ImageBatch, gate: image_steps.Gate) -> processes.Metrics:
        """`gate` is the training's; an argument because each one is recorded by itself."""
        pairs = image_steps.image_tensors(
            batch, self.skeleton, self.config.sigma_px, half_of(self.config)
        )
        return train_iteration(self.training, pairs, self.networks, self.config, self.fabric)


def train_iteration(
    training: ImageTraining,
    pairs: image_steps.ImagePairTensors,
    networks: image_steps.FeatureNetworks,
    config: ImageTrainingConfig,
    fabric: Fabric,
) -> processes.Metrics:
    """One iteration in the 2017 order; changes the networks, returns metrics over all processes.

    Who learns is `training.gate`, which `ImageTraining.decide` changes afterwards. The generator's
    terms are those before its update (absent if it rested), the discriminator's those after both
    updates, which the gating rule looks at. With an adversarial weight of 0 there is nobody to
    deceive: the generator alone learns, always.
    """
    generator, discriminator, gate = training.generator, training.discriminator, training.gate
    clip_norm, alone = config.fit.clip_norm, config.adversarial_weight == 0
    metrics: dict[str, Tensor] = {}
    if gate.generator or alone:
        with fabric.autocast():
            loss, metrics = image_steps.generator_step(
                generator, discriminator, pairs, config.weights, networks
            )
        _update(loss, generator, training.generator_optimizer, clip_norm)
    if alone:
        return processes.average_metrics(metrics)
    with fabric.autocast(), torch.no_grad():
        drawn = generator.between(pairs.source, pairs.heatmaps)
    if gate.discriminator:
        with fabric.autocast():
            loss, _ = image_steps.discriminator_step(discriminator, pairs, drawn)
        _update(loss, discriminator, training.discriminator_optimizer, clip_norm)
    with fabric.autocast(), torch.no_grad():
        _, after = image_steps.discriminator_step(discriminator, pairs, drawn)
    learned = {"generator_learned": gate.generator, "discriminator_learned": gate.discriminator}
    flags = {name: drawn.new_full((), float(flag)) for name, flag in learned.items()}
    return processes.average_metrics({**metrics, **after, **flags})


def _update(
    loss: Float[Tensor, ""], network: nn.Module, optimizer: Optimizer, clip_norm: float
) -> None:
    optimizer.zero_grad(set_to_none=True)
    # Only for this network: no gradients are computed for the weights of the other one.
    loss.backward(inputs=list(network.parameters()))
    processes.average_gradients(network)
    if clip_norm:
        nn.utils.clip_grad_norm_(network.parameters(), clip_norm)
    optimizer.step()


def _fast(network: Network, device: torch.device) -> Network:
    """On the device, and in the memory format that convolutions are fast in."""
    # Two calls: the stubs of `to` do not know both together.
    return network.to(device).to(memory_format=torch.channels_last)  # pyright: ignore


def half_of(config: ImageTrainingConfig) -> torch.dtype | None:
    """What heat maps are rounded to where all networks that read them would round them."""
    halved = config.run_on.precision == "bf16-mixed" and config.generator.output == "image"
    return torch.bfloat16 if halved else None


def ready_network(
    network: FeatureNetwork | None, device: torch.device, config: ImageTrainingConfig
) -> FeatureNetwork | None:
    """A feature network as training needs it."""
    if isinstance(network, nn.Module):
        network = _fast(network, device)
        processes.join_batch_moments(network)
        if config.run_on.precision == "bf16-mixed":
            _round_once(network)
        if isinstance(network, Hourglass2017):
            compile_parts(network.parts_to_compile(), config.run_on.compile, any_size=True)
        else:
            compile_parts([network], config.run_on.compile)
    return network


def _round_once(network: nn.Module) -> None:
    """Frozen kernels as autocast would round them each time that they are used."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            module.to(torch.bfloat16)
