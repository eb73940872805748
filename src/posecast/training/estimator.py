"""Training the pose estimator on a store's labels: pictures in, joints out.

A stacked hourglass learns heat maps with intermediate supervision (Newell, Yang and Deng, ECCV
2016; the loss differs, see `estimator_step`).
"""

from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from posecast.computing.options import Flat
from posecast.errors import PosecastError
from posecast.networks.hourglass import STRIDE, Hourglass, HourglassConfig
from posecast.networks.joint_maps import draw_joint_maps
from posecast.records.configs import check_at_least
from posecast.store.reading import Store
from posecast.training.beginning import (
    ChosenClips,
    FrameTrainingConfig,
    begin,
    check_skeleton,
    check_store_size,
    check_store_skeleton,
    choose_clips,
)
from posecast.training.estimator_data import (
    EstimatorBatch,
    EstimatorBatches,
    FrameAugmentation,
    FramesToVary,
)
from posecast.training.estimator_validation import EstimatorValidation
from posecast.training.fitting import Descent, FitConfig, FitResult, Validation, fit


@dataclass(frozen=True)
class EstimatorTrainingConfig(FrameTrainingConfig):
    """How a pose estimator is trained; the defaults take about an hour on two CPU cores."""

    KIND = "estimator"

    model: HourglassConfig = HourglassConfig()
    skeleton: str = "penn_action"
    """Skeleton of the store's poses; `model.num_joints` has to be its number of joints."""
    augmentation: FrameAugmentation = FrameAugmentation()
    sigma: float = 1.5
    """Width of the blobs that are learnt, in pixels of the heat maps."""
    fit: Flat[FitConfig] = FitConfig(
        steps=6000, weight_decay=1e-4, validate_every=500, checkpoint_every=250
    )
    """`batch_size` is even, since each clip gives two frames."""
    validation_frames: int = 256
    """Frames that validation looks at, the same ones every time."""

    def __post_init__(self) -> None:
        check_skeleton(self.skeleton, self.model.num_joints)
        check_at_least(1, self, "validation_frames")
        if not self.sigma > 0:
            raise PosecastError(f"sigma is {self.sigma}; it must be positive")
        if self.fit.batch_size % 2:
            raise PosecastError(f"batch_size is {self.fit.batch_size}; it must be even")


def train_estimator(
    config: EstimatorTrainingConfig, store_path: Path, run_path: Path, *, fresh: bool = False
) -> FitResult:
    """Train a pose estimator on a prepared store, or go on with the run in `run_path`.

    The best score is the validation PCK@0.1. PosecastError where config, store or run do not fit;
    see also `fitting.fit`.
    """
    store = Store.open(store_path)
    check_store_skeleton(store, config.skeleton)
    check_store_size(store, config.model.size)
    clips = choose_clips(config, store)
    validation = _validation(config, store, clips) if clips.validation else None
    fabric = config.run_on.launch()
    share = (config.fit.batch_size, config.fit.seed, fabric.global_rank, fabric.world_size)
    batches = EstimatorBatches(store, clips.train, *share)

    def step(network: nn.Module, frames: FramesToVary) -> tuple[Tensor, dict[str, Tensor]]:
        batch = frames.vary(config.augmentation, store.skeleton)
        return estimator_step(network, batch, config.sigma)

    with begin(config, store, clips, run_path, fabric, fresh=fresh) as session:
        network = Hourglass(config.model).to(memory_format=torch.channels_last)  # pyright: ignore
        return fit(Descent(network, step, session), batches, validation, session)


def estimator_step(
    network: nn.Module, batch: EstimatorBatch, sigma: float
) -> tuple[Float[Tensor, ""], dict[str, Tensor]]:
    """Loss of one batch over the heat maps of all stacks, and what to log of it.

    Cross-entropy of each pixel. The squared error of the paper first learns to draw nothing, since
    nearly all pixels are empty: after 300 steps on seven real clips it finds a third of the joints
    (PCK@0.1 on the training frames), cross-entropy 97 %.
    """
    size = batch.images.shape[-1] // STRIDE
    target = draw_joint_maps(batch.joints_crop, batch.visible, size, sigma)
    logits = network(batch.images).float()
    losses = functional.binary_cross_entropy_with_logits(
        logits, target.expand_as(logits), reduction="none"
    ).mean(dim=(1, 2, 3, 4))
    value = losses.mean()
    return value, {"loss": value.detach(), "last_stack_loss": losses[-1].detach()}


def _validation(config: EstimatorTrainingConfig, store: Store, clips: ChosenClips) -> Validation:
    validation = EstimatorValidation.of(store, clips.validation, config.validation_frames)
    mean_pose = validation.score_mean_pose(clips.train)
    return Validation(validation.score, "validation_pck_0.1", reference=mean_pose)
