"""Training the outline network: how much of each pixel of a seen frame the person covers.

A run is one of the kind `carrying` without a refinement: it draws as it is, `train carrying --mask`
learns a refinement on it, and `benchmarks/ship_carrying.py` puts both into one file.
"""

from dataclasses import dataclass
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
from posecast.networks.carrying import CarryingConfig, CarryingNetwork
from posecast.skeletons import Skeleton
from posecast.store.reading import Store, StoredClip
from posecast.training import groups, outline_samples
from posecast.training.carrying_samples import FEWEST_JOINTS
from posecast.training.fitting import Descent, FitResult, Validation, fit
from posecast.training.session import begin
from posecast.training.settings import ChosenClips, FitConfig, open_store

_JUDGED = 6
"""Frames of each held-out clip that are looked at."""
_OVERLAP = 0.5
"""Weight of the lack of overlap beside the cross-entropy."""


@dataclass(frozen=True)
class OutlineTrainingConfig(groups.GroupTrainingConfig):
    """How the outline network is trained."""

    KIND = "carrying"

    model: CarryingConfig = CarryingConfig(refinement_widths=())
    frames: outline_samples.FrameConfig = outline_samples.FrameConfig()
    fit: Flat[FitConfig] = FitConfig(
        steps=4000,
        batch_size=16,
        learning_rate=2e-3,
        weight_decay=1e-3,
        average=0.998,
        validate_every=500,
        checkpoint_every=500,
        log_every=50,
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.model.mask_widths or self.model.refinement_widths:
            raise PosecastError(
                f"model is {self.model}: the outline alone is trained here, give "
                "--model.mask-widths some channels and --model.refinement-widths none"
            )


def train_outline(
    config: OutlineTrainingConfig, store_path: Path, run_path: Path, *, fresh: bool = False
) -> FitResult:
    """Train the outline on a store's clips, or go on with the run.

    PosecastError where things do not fit. The best score is the overlap with the masks of
    held-out clips: their intersection as a share of their union.
    """
    store = open_store(store_path, config, OutlineTrainingConfig, "skeleton")
    chosen = ChosenClips(
        *(_with_masks(store, clips) for clips in groups.by_group(config, store, 1))
    )
    fabric = config.run_on.launch()
    needs = "masks of somebody whose pose is seen"
    found, shares, beside = groups.sources(config, store, chosen, _is_usable, needs)
    makers = tuple(outline_samples.OutlineMaker(each, config.frames) for each in found)
    batches = outline_samples.OutlineBatches(makers, shares, config.fit.batch_size, config.fit.seed)
    skeleton = store.skeleton
    held_out = outline_samples.OutlineMaker(
        groups.ClipPool.of(store, chosen.validation), config.frames
    )
    validation = _validation(held_out, skeleton) if chosen.validation else None
    with begin(config, store, chosen, run_path, fabric, fresh=fresh, beside=beside) as session:
        network = CarryingNetwork(config.model)
        step = partial(outline_step, skeleton=skeleton)
        return fit(Descent(network, step, session), batches, validation, session)


def _is_usable(store: Store, clip: StoredClip) -> bool:
    """Whether it has masks, and in some frame enough of a person."""
    enough = clip.visible.sum(axis=1) >= FEWEST_JOINTS
    return bool(enough.any()) and store.has_masks(clip)


def _with_masks(store: Store, clips: list[StoredClip]) -> list[StoredClip]:
    """PosecastError where none of some has masks."""
    masked = [clip for clip in clips if store.has_masks(clip)]
    if clips and not masked:
        raise PosecastError(
            f"none of {len(clips)} clips of {store.path} ({clips[0].clip_id}, ...) has masks to "
            "learn from: find them with 'python -m benchmarks.outline_masks', or bring them as "
            "docs/carrying.md says"
        )
    return masked


def outline_step(
    network: nn.Module, batch: outline_samples.OutlineBatch, skeleton: Skeleton
) -> tuple[Float[Tensor, ""], dict[str, Tensor]]:
    """Cross-entropy of each pixel, and what lacks of the overlap (Dice).

    Without the latter, edges are softer and people drawn less sharp (docs/carrying-tried.md).
    """
    logits, true = find(network, batch, skeleton), batch.outlines
    entropy = functional.binary_cross_entropy_with_logits(logits, true)
    said = logits.sigmoid()
    both, all_of = (each.sum(dim=(1, 2, 3)) for each in (said * true, said + true))
    lacks = 1 - ((2 * both + 1) / (all_of + 1)).mean()
    loss = entropy + _OVERLAP * lacks
    metrics = {"loss": loss, "cross_entropy": entropy, "lacks": lacks}
    return loss, {name: each.detach() for name, each in metrics.items()}


def find(
    network: nn.Module, batch: outline_samples.OutlineBatch, skeleton: Skeleton
) -> Float[Tensor, "b 1 c c"]:
    """The outlines of a batch as logits."""
    assert isinstance(network, CarryingNetwork)
    assert network.mask is not None
    maps = body_maps(batch.joints, batch.visible, batch.size, skeleton, COARSE // 2)
    return network.mask(batch.pictures, maps).float()


def _validation(maker: outline_samples.OutlineMaker, skeleton: Skeleton) -> Validation:
    """Some frames of each held-out clip, in a view of the whole clip."""
    by_clip: list[tuple[str, outline_samples.OutlineBatch]] = []
    for clip in maker.source.clips:
        everywhere = np.arange(clip.num_frames)
        numbers = np.unique(np.linspace(0, clip.num_frames - 1, _JUDGED).round().astype(int))
        made = [maker.frame(clip, n, np.append(everywhere, n)) for n in numbers.tolist()]
        frames: list[outline_samples.Frame] = [frame for frame in made if frame is not None]
        if frames:
            by_clip.append((clip.action, outline_samples.OutlineBatch.of(frames)))

    def measure(network: nn.Module, batch: outline_samples.OutlineBatch) -> Float[Tensor, "2"]:
        logits, true = find(network, batch, skeleton), batch.outlines
        entropy = functional.binary_cross_entropy_with_logits(logits, true)
        return torch.stack([overlap(logits.sigmoid(), true).mean(), entropy])

    names = ("validation/overlap", "validation/cross_entropy")
    return groups.judged_by(by_clip, maker.source, names, measure)


def overlap(said: Float[Tensor, "b 1 c c"], true: Float[Tensor, "b 1 c c"]) -> Float[Tensor, " b"]:
    """Intersection as a share of the union, of soft masks."""
    both, either = torch.minimum(said, true), torch.maximum(said, true)
    return both.sum(dim=(1, 2, 3)) / either.sum(dim=(1, 2, 3)).clamp(min=1)
