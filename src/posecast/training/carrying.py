"""Training the networks that help to carry a person: the refinement of the layers of a frame.

The samples are made of a store's clips (`carrying_samples`) while the network learns from them
(`carrying_stream`). What the network is judged by are clips of other groups of people and places.
"""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
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
from posecast.networks.carrying import CarryingConfig, CarryingNetwork, PersonMask
from posecast.networks.kinds import load_network
from posecast.pretrained import DEFAULT_DRAWER
from posecast.records.configs import check_at_least
from posecast.skeletons import SKELETONS, Skeleton
from posecast.store.reading import ClipSelection, Store, StoredClip
from posecast.training.beginning import (
    ChosenClips,
    TrainingConfig,
    begin,
    check_store_skeleton,
    long_enough,
)
from posecast.training.carrying_samples import MixedMaker, SampleMaker, WindowConfig
from posecast.training.carrying_stream import (
    CarryingBatch,
    SampleStream,
    StoredSamples,
    StreamConfig,
)
from posecast.training.fitting import Descent, FitConfig, FitResult, Validation, fit

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
class CarryingTrainingConfig(TrainingConfig):
    """How the carrying networks are trained."""

    KIND = "carrying"

    model: CarryingConfig = CarryingConfig(
        refinement_widths=(32, 64, 128, 256), refinement_norm="batch"
    )
    mask: Path = Path(DEFAULT_DRAWER)
    """Shipped weights, run or weight file whose outline of the person is used, and kept."""
    skeleton: str = "penn_action"
    """Skeleton of the store's poses."""
    clips: ClipSelection = ClipSelection("all", with_frames=True)
    """Clips to train on, but for those of the held out groups."""
    hold_out_every: int = 5
    """The clips of every so-manieth action, the folders of `posecast prepare videos`, are held out
    and choose the best weights: in a folder lie the videos of one group of people and places."""
    more: tuple[Path, ...] = ()
    """Other stores, all of whose clips are trained on; those of two frames are pairs of photos."""
    more_share: float = 0.35
    """Share of the samples that is made of them."""
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
        check_at_least(2, self, "hold_out_every")
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
    store = Store.open(store_path)
    check_store_skeleton(store, config.skeleton)
    chosen = _by_group(config, store)
    mask = load_network(config.mask, CarryingNetwork).network.mask
    widths = () if mask is None else mask.widths
    config = replace(config, model=replace(config.model, mask_widths=widths))
    fabric = config.run_on.launch()
    with begin(config, store, chosen, run_path, fabric, fresh=fresh) as session:
        network = CarryingNetwork(config.model)
        if mask is not None and network.mask is not None:
            network.mask.load_state_dict(mask.state_dict())
            network.mask.requires_grad_(False)
        maker = _mixed_maker(config, store, chosen.train, mask)
        settings = (config.windows.targets, config.stream, config.fit, fabric.device)
        step = CarryingStep(SKELETONS[config.skeleton], config.weights)
        with SampleStream(maker, *settings) as batches:  # makes samples from here on
            held_out = _maker(config, store, chosen.validation, mask)
            validation = _validation(held_out, fabric.device) if chosen.validation else None
            return fit(Descent(network, step, session), batches, validation, session)


def _by_group(config: CarryingTrainingConfig, store: Store) -> ChosenClips:
    """Clips of some groups, to train on, and of the others."""
    clips = store.select(config.clips)
    groups = sorted({clip.action for clip in clips})
    apart = set(groups[:: config.hold_out_every]) if config.fit.validate_every else set()
    held_out = long_enough([clip for clip in clips if clip.action in apart], _SEEN + _JUDGED[0])
    known = [clip for clip in clips if clip.action not in apart]
    if not known:
        raise PosecastError(
            f"all clips of {store.path} are of one group ({groups[0]!r}): put the videos of each "
            "group of people and places into a folder of its own, or train without choosing the "
            "best weights: --validate-every 0"
        )
    return ChosenClips(known, held_out)


def _maker(
    config: CarryingTrainingConfig,
    store: Store,
    clips: Sequence[StoredClip],
    mask: PersonMask | None,
) -> SampleMaker:
    """A group of many clips does not drown the others."""
    counts = Counter(clip.action for clip in clips)
    chances = np.array([counts[clip.action] ** -0.5 for clip in clips])
    chances = chances / chances.sum() if len(clips) else chances
    return SampleMaker(store, tuple(clips), chances, mask, config.windows, config.fit.seed)


def _mixed_maker(
    config: CarryingTrainingConfig,
    store: Store,
    clips: Sequence[StoredClip],
    mask: PersonMask | None,
) -> MixedMaker:
    makers = [_maker(config, store, clips, mask)]
    for path in config.more:
        other = Store.open(path)
        check_store_skeleton(other, config.skeleton)
        chosen = [clip for clip in other.clips if clip.has_frames and clip.num_frames > 1]
        makers.append(_maker(config, other, chosen, mask))
    rest = [config.more_share / len(config.more)] * len(config.more) if config.more else []
    return MixedMaker(tuple(makers), (1.0 - sum(rest), *rest), config.fit.seed)


class CarryingStep:
    """Loss of a batch."""

    def __init__(self, skeleton: Skeleton, weights: LossWeights) -> None:
        self._skeleton, self._weights = skeleton, weights

    def __call__(
        self, network: nn.Module, batch: CarryingBatch
    ) -> tuple[Float[Tensor, ""], dict[str, Tensor]]:
        """The loss, and what to log of it: `gain_db` is against the layers as they were."""
        true, weights = batch.true, self._weights
        drawn = draw(network, batch, self._skeleton).float()
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
    samples: list[tuple[str, StoredSamples]] = []
    for clip in maker.clips:
        wanted = np.array([ahead for ahead in _JUDGED if _SEEN - 1 + ahead < clip.num_frames])
        made = maker.window(clip, np.arange(_SEEN), _SEEN - 1 + wanted, None)
        if made is not None:
            samples.append((clip.action, StoredSamples.of(made, device)))
    skeleton = maker.store.skeleton

    def score(network: nn.Module, device: torch.device) -> dict[str, float]:
        groups: dict[str, list[Float[Tensor, 2]]] = {}
        for group, stored in samples:
            batch = CarryingBatch.of(stored)
            drawn, plain = draw(network, batch, skeleton).float(), batch.layers.mixed()
            errors = (_error(each, batch, batch.inside) for each in (plain, drawn))
            closer = -torch.stack([each.log10() for each in errors]).diff(dim=0).mean() * 10
            alike = _unlike(plain, batch) - _unlike(drawn, batch)
            groups.setdefault(group, []).append(torch.stack([closer, alike]))
        means = torch.stack([torch.stack(rows).mean(dim=0) for rows in groups.values()])
        gain, structure = means.mean(dim=0).tolist()
        return {"validation/gain_db": gain, "validation/ssim_gain": structure}

    return Validation(score, "validation/gain_db")


def _error(
    drawn: Float[Tensor, "b 3 h w"], batch: CarryingBatch, counts: Float[Tensor, "b 1 h w"]
) -> Float[Tensor, " b"]:
    """Mean squared error of each frame, with a floor at 41 dB."""
    error = (drawn - batch.true).square() * counts
    return error.sum(dim=(1, 2, 3)) / (3 * counts.sum(dim=(1, 2, 3))).clamp(min=1) + 3e-4


def _unlike(drawn: Float[Tensor, "b 3 h w"], batch: CarryingBatch) -> Float[Tensor, ""]:
    apart = local_dissimilarity(drawn, batch.true) * batch.inside
    return apart.sum() / (3 * batch.inside.sum())
