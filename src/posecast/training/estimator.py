"""Training the pose estimator on a store's labels: pictures in, joints out.

A stacked hourglass learns heat maps with intermediate supervision (Newell, Yang and Deng, ECCV
2016; the loss differs, see `estimator_step`). Held-out frames say what it is worth beside the mean
pose.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor, nn
from torch.nn import functional

from posecast.computing.devices import Flat
from posecast.errors import PosecastError
from posecast.geometry import crop_to_px
from posecast.media.grey_levels import to_network
from posecast.metrics.pose import distance_sums, joint_distances, pck_hits
from posecast.networks import hourglass
from posecast.records.configs import check_at_least, check_over_zero
from posecast.skeletons import Skeleton
from posecast.store.reading import Store, StoredClip, mean_joints
from posecast.training import estimator_data, settings
from posecast.training.fitting import Descent, FitResult, Validation, fit
from posecast.training.session import begin


@dataclass(frozen=True)
class EstimatorTrainingConfig(settings.FrameTrainingConfig):
    """How a pose estimator is trained; the defaults take about an hour on two CPU cores."""

    KIND = "estimator"

    model: hourglass.HourglassConfig = hourglass.HourglassConfig()
    skeleton: str = "penn_action"
    """Skeleton of the store's poses; `model.num_joints` has to be its number of joints."""
    augmentation: estimator_data.FrameAugmentation = estimator_data.FrameAugmentation()
    sigma: float = 1.5
    """Width of the blobs that are learnt, in pixels of the heat maps."""
    fit: Flat[settings.FitConfig] = settings.FitConfig(
        steps=6000, weight_decay=1e-4, validate_every=500, checkpoint_every=250
    )
    """`batch_size` is even, since each clip gives two frames."""
    validation_frames: int = 256
    """Frames that validation looks at, the same ones every time."""

    def __post_init__(self) -> None:
        settings.check_skeleton(self.skeleton, self.model.num_joints)
        check_at_least(1, self, "validation_frames")
        check_over_zero(self, "sigma")
        if self.fit.batch_size % 2:
            raise PosecastError(f"batch_size is {self.fit.batch_size}; it must be even")


def train_estimator(
    config: EstimatorTrainingConfig, store_path: Path, run_path: Path, *, fresh: bool = False
) -> FitResult:
    """Train a pose estimator on a prepared store, or go on with the run in `run_path`.

    The best score is the validation PCK@0.1. PosecastError where config, store or run do not fit;
    see also `fitting.fit`.
    """
    store = settings.open_store(
        store_path, config, EstimatorTrainingConfig, "skeleton", "model.size"
    )
    clips = settings.choose_clips(config, store)
    validation = None
    if clips.validation:
        held_out = EstimatorValidation.of(store, clips.validation, config.validation_frames)
        mean_pose = held_out.score_mean_pose(clips.train)
        validation = Validation(held_out.score, "validation_pck_0.1", reference=mean_pose)
    fabric = config.run_on.launch()
    size = config.fit.batch_size
    share = settings.share_of(fabric, size, of_each=2)
    batches = estimator_data.estimator_batches(store, clips.train, size, config.fit.seed, share)

    def step(
        network: nn.Module, frames: estimator_data.FramesToVary
    ) -> tuple[Tensor, dict[str, Tensor]]:
        batch = frames.vary(config.augmentation, store.skeleton)
        return estimator_step(network, batch, config.sigma)

    with begin(config, store, clips, run_path, fabric, fresh=fresh) as session:
        network = hourglass.Hourglass(config.model).to(memory_format=torch.channels_last)  # pyright: ignore
        return fit(Descent(network, step, session), batches, validation, session)


def estimator_step(
    network: nn.Module, batch: estimator_data.EstimatorBatch, sigma: float
) -> tuple[Float[Tensor, ""], dict[str, Tensor]]:
    """Loss of one batch over the heat maps of all stacks, and what to log of it.

    Cross-entropy of each pixel. The squared error of the paper first learns to draw nothing, since
    nearly all pixels are empty: after 300 steps on seven real clips it finds a third of the joints
    (PCK@0.1 on the training frames), cross-entropy 97 %.
    """
    size = batch.images.shape[-1] // hourglass.STRIDE
    target = hourglass.draw_joint_maps(batch.joints_crop, batch.visible, size, sigma)
    logits = network(batch.images).float()
    losses = functional.binary_cross_entropy_with_logits(
        logits, target.expand_as(logits), reduction="none"
    ).mean(dim=(1, 2, 3, 4))
    value = losses.mean()
    return value, {"loss": value.detach(), "last_stack_loss": losses[-1].detach()}


_BATCH = 32
PCK_THRESHOLDS = (0.2, 0.1, 0.05)
"""Shares of the longer side of the clip's box."""


@dataclass(frozen=True, eq=False)
class EstimatorValidation:
    """Fixed frames of the validation clips, held in memory."""

    clips: tuple[StoredClip, ...]
    frames: tuple[UInt8[np.ndarray, "_ h w 3"], ...]
    """The chosen frames of each clip."""
    joints_crop: tuple[Float[np.ndarray, "_ j 2"], ...]
    visible: tuple[Bool[np.ndarray, "_ j"], ...]
    skeleton: Skeleton

    @classmethod
    def of(
        cls, store: Store, clips: Sequence[StoredClip], num_frames: int
    ) -> "EstimatorValidation":
        """About `num_frames` frames, as many of each clip, spread evenly over it."""
        each = max(num_frames // len(clips), 1)
        counts = [min(each, clip.num_frames) for clip in clips]
        chosen = [  # the middle of each of so many equal parts
            ((np.arange(count) + 0.5) * clip.num_frames / count).astype(int)
            for clip, count in zip(clips, counts, strict=True)
        ]
        pairs = list(zip(clips, chosen, strict=True))
        return cls(
            tuple(clips),
            tuple(store.read_frames(clip, numbers) for clip, numbers in pairs),
            tuple(clip.joints_crop[numbers] for clip, numbers in pairs),
            tuple(clip.visible[numbers] for clip, numbers in pairs),
            store.skeleton,
        )

    def score(self, network: nn.Module, device: torch.device) -> dict[str, float]:
        """Numbers of a network in evaluation mode, with the mirrored picture's help.

        `validation_pck_0.2` (and 0.1, 0.05): share of visible joints nearer than that share of
        the longer side of the clip's box, by which the best weights are chosen (at 0.1: 0.2 soon
        stands still); `validation_distance`: mean distance as such a share;
        `validation_confidence_shown` and `_hidden`: mean confidence of visible and of invisible
        joints.
        """
        images = torch.from_numpy(np.concatenate(self.frames))
        joints, confidence = _estimate(network, images, self.skeleton, device)
        visible = np.concatenate(self.visible)
        scores = self._score_joints(joints)
        for name, joints_meant in (("shown", visible), ("hidden", ~visible)):
            if joints_meant.any():
                scores[f"confidence_{name}"] = float(confidence[joints_meant].mean())
        return {f"validation_{name}": value for name, value in scores.items()}

    def score_mean_pose(self, clips: Sequence[StoredClip]) -> dict[str, float]:
        """The same numbers of the mean pose of (training) clips, as `mean_pose_...`."""
        mean = mean_joints(clips)
        everywhere = np.broadcast_to(mean, (sum(map(len, self.frames)), *mean.shape))
        scores = self._score_joints(everywhere)
        return {f"mean_pose_{name}": value for name, value in scores.items()}

    def _score_joints(self, joints_crop: Float[np.ndarray, "n j 2"]) -> dict[str, float]:
        """PCK and mean distance, pooled over joints and frames of all clips."""
        totals = np.zeros(len(PCK_THRESHOLDS) + 2)
        ends = np.cumsum([len(frames) for frames in self.frames])[:-1]
        for clip, predicted, true, visible in zip(
            self.clips, np.split(joints_crop, ends), self.joints_crop, self.visible, strict=True
        ):
            predicted_px = crop_to_px(predicted.astype(float), clip.crop)
            true_px = crop_to_px(true.astype(float), clip.crop)
            distances = joint_distances(predicted_px, true_px, clip.box_side_px)
            hits = [pck_hits(distances, visible, share)[0].sum() for share in PCK_THRESHOLDS]
            total, count = distance_sums(distances, visible)
            totals += [*hits, total.sum(), count.sum()]
        means = totals[:-1] / max(totals[-1], 1)
        names = [*(f"pck_{share}" for share in PCK_THRESHOLDS), "distance"]
        return dict(zip(names, means.tolist(), strict=True))


@torch.no_grad()
def _estimate(
    network: nn.Module,
    images: UInt8[torch.Tensor, "n h w 3"],
    skeleton: Skeleton,
    device: torch.device,
) -> tuple[Float[np.ndarray, "n j 2"], Float[np.ndarray, "n j"]]:
    """Joints as shares of the crop, and confidences."""
    found = []
    for part in images.split(_BATCH):
        maps = hourglass.estimate_heatmaps(network, to_network(part.to(device)), skeleton.mirror)
        found.append(hourglass.decode_joint_maps(maps))
    joints, confidence = (torch.cat(each).cpu().numpy() for each in zip(*found, strict=True))
    return joints, confidence
