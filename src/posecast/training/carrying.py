"""Training the networks that help to carry a person: the refinement of the layers of a frame.

The samples are made of a store's clips (`carrying_samples`) while the network learns from them
(`carrying_stream`). What the network is judged by are clips of other groups of people and places.
"""

import math
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from posecast.carrying.body_maps import body_maps
from posecast.carrying.layers import COARSE
from posecast.computing.devices import Flat
from posecast.errors import PosecastError
from posecast.losses import gradient_energy, local_dissimilarity
from posecast.networks.carrying import CarryingConfig, CarryingNetwork
from posecast.networks.kinds import load_network
from posecast.pretrained import DEFAULT_DRAWER
from posecast.records.runs import checkpoints_in
from posecast.skeletons import Skeleton
from posecast.training import groups
from posecast.training.carrying_samples import MixedMaker, SampleMaker, WindowConfig
from posecast.training.carrying_stream import CarryingBatch, SampleStream, StreamConfig, stored
from posecast.training.fitting import Descent, FitResult, Validation, fit
from posecast.training.session import begin
from posecast.training.settings import FitConfig, open_store

_NEAR, _BODY = 2.0, 1.25
"""Radii around the body in which errors count three times, and in which sharpness is measured."""
_SEEN, _JUDGED = 10, (8, 16, 32)
"""Seen frames of a validation clip, and the future ones that are looked at."""


@dataclass(frozen=True)
class LossWeights:
    """Weights of the terms of the loss: what the tables of docs/results.md measure."""

    error: float = 0.1
    """Logarithm of the squared error of each frame, and of the person and around: PSNR."""
    structure: float = 1.0
    """1 - SSIM, three times as much where the person is and around."""
    sharp: float = 1.0
    """Squared lack of gradient energy of the person, as a share of the true energy."""
    enough: float = 0.8
    """The share from which on nothing lacks: blur where little is certain lowers errors."""
    time: float = 0.2
    """How the error changes from one frame to the next."""


@dataclass(frozen=True)
class CarryingTrainingConfig(groups.GroupTrainingConfig):
    """How the carrying networks are trained."""

    KIND = "carrying"

    model: CarryingConfig = CarryingConfig(
        refinement_widths=(32, 64, 128, 256), refinement_norm="batch"
    )
    mask: Path = Path(DEFAULT_DRAWER)
    """Shipped weights, run or weight file whose outline of the person is used, and kept."""
    windows: WindowConfig = WindowConfig()
    stream: StreamConfig = StreamConfig()
    weights: LossWeights = LossWeights()
    fit: Flat[FitConfig] = FitConfig(
        steps=12_000,
        batch_size=128,
        learning_rate=1.5e-3,
        weight_decay=1e-2,
        clip_norm=0.5,
        average=0.999,
        validate_every=3000,
        checkpoint_every=3000,
        log_every=50,
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.fit.batch_size % 2 or self.windows.targets % 2:
            raise PosecastError(
                f"batch_size is {self.fit.batch_size}, windows.targets {self.windows.targets}: "
                "give even numbers, frames come in pairs of neighbours"
            )


def train_carrying(
    config: CarryingTrainingConfig, store_path: Path, run_path: Path, *, fresh: bool = False
) -> FitResult:
    """Train the refinement on a store's clips, or go on with the run.

    PosecastError where things do not fit. The best score is by how many dB the network brings
    held-out frames nearer to the truth than they were.
    """
    store = open_store(store_path, config, CarryingTrainingConfig, "skeleton")
    chosen = groups.by_group(config, store, _SEEN + _JUDGED[0])
    goes_on = not fresh and bool(checkpoints_in(run_path))
    # With its own mask, whatever is at the place of that by now.
    place, weights = (run_path, "last") if goes_on else (config.mask, "best")
    mask = load_network(place, CarryingNetwork, weights).network.mask
    widths = () if mask is None else mask.widths
    config = replace(config, model=replace(config.model, mask_widths=widths))
    fabric = config.run_on.launch()
    found, shares, beside = groups.sources(
        config, store, chosen, lambda _, clip: clip.num_frames > 1, "at least two of them"
    )
    with begin(config, store, chosen, run_path, fabric, fresh=fresh, beside=beside) as session:
        network = CarryingNetwork(config.model)
        if mask is not None and network.mask is not None:
            network.mask.load_state_dict(mask.state_dict())
            network.mask.requires_grad_(False)
        settings = (mask, config.windows, config.fit.seed)
        makers = tuple(SampleMaker(each, *settings) for each in found)
        maker = MixedMaker(makers, shares, config.fit.seed)
        batches = SampleStream(maker, config.stream, config.fit, fabric.device)
        held_out = SampleMaker(groups.ClipPool.of(store, chosen.validation), *settings)
        validation = _validation(held_out, fabric.device) if chosen.validation else None
        step = partial(carrying_step, skeleton=store.skeleton, weights=config.weights)
        return fit(Descent(network, step, session), batches, validation, session)


def carrying_step(
    network: nn.Module, batch: CarryingBatch, skeleton: Skeleton, weights: LossWeights
) -> tuple[Float[Tensor, ""], dict[str, Tensor]]:
    """Loss of a batch, and what to log of it: `gain_db` is against the layers as they were."""
    true = batch.true
    drawn = draw(network, batch, skeleton).float()
    near = batch.inside * (batch.layers.distance < _NEAR)
    counts = batch.inside + 2 * near
    error = drawn - true
    logarithms = torch.stack([_error(drawn, batch, of).log() for of in (batch.inside, near)])
    structure = (local_dissimilarity(drawn, true) * counts).mean()
    body = batch.inside * (batch.layers.distance < _BODY)
    lacks = weights.enough - gradient_energy(drawn, body) / gradient_energy(true, body)
    changing = (error[::2] - error[1::2]).abs() * counts[::2]
    loss = (
        weights.error * logarithms.mean()
        + weights.structure * structure
        + weights.sharp * functional.relu(lacks).square().mean()
        + weights.time * changing.mean()
    )
    with torch.no_grad():
        before = _error(batch.layers.mixed(), batch, batch.inside).log()
        gain = (before - logarithms[0]).mean() * (10 / math.log(10))
    said = {"gain_db": gain, "structure": structure.detach(), "lacks": lacks.detach().mean()}
    return loss, {"loss": loss.detach(), **said}


def draw(network: nn.Module, batch: CarryingBatch, skeleton: Skeleton) -> Float[Tensor, "b 3 h w"]:
    """The frames of a batch as the network refines them."""
    maps = body_maps(batch.joints, batch.visible, batch.size, skeleton, COARSE // 2)
    return network(batch.layers, maps)


def _validation(maker: SampleMaker, device: torch.device) -> Validation:
    """Frames of held-out clips, each seen from its beginning, in their true poses."""
    samples: list[tuple[str, dict[str, Tensor]]] = []
    for clip in maker.source.clips:
        wanted = np.array([ahead for ahead in _JUDGED if _SEEN - 1 + ahead < clip.num_frames])
        made = maker.window(clip, np.arange(_SEEN), _SEEN - 1 + wanted, None)
        if made is not None:
            samples.append((clip.action, stored(made, device)))

    def measure(network: nn.Module, sample: dict[str, Tensor]) -> Float[Tensor, "2"]:
        batch = CarryingBatch.of(sample)
        drawn = draw(network, batch, maker.source.store.skeleton).float()
        plain = batch.layers.mixed()
        errors = (_error(each, batch, batch.inside) for each in (plain, drawn))
        closer = -torch.stack([each.log10() for each in errors]).diff(dim=0).mean() * 10
        return torch.stack([closer, _unlike(plain, batch) - _unlike(drawn, batch)])

    names = ("validation/gain_db", "validation/ssim_gain")
    return groups.judged_by(samples, maker.source, names, measure)


def _error(
    drawn: Float[Tensor, "b 3 h w"], batch: CarryingBatch, counts: Float[Tensor, "b 1 h w"]
) -> Float[Tensor, " b"]:
    """Mean squared error of each frame, with a floor at 41 dB."""
    error = (drawn - batch.true).square() * counts
    return error.sum(dim=(1, 2, 3)) / (3 * counts.sum(dim=(1, 2, 3))).clamp(min=1) + 3e-4


def _unlike(drawn: Float[Tensor, "b 3 h w"], batch: CarryingBatch) -> Float[Tensor, ""]:
    apart = local_dissimilarity(drawn, batch.true) * batch.inside
    return apart.sum() / (3 * batch.inside.sum())
