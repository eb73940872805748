"""Training the pose model (paper section 3.2): seen poses in, future poses out; what it is worth on
held-out clips, beside 'the last pose stays'."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from posecast.clips import PoseBatch
from posecast.computing.devices import Flat
from posecast.computing.recording import on_device
from posecast.errors import PosecastError
from posecast.geometry import crop_to_norm, crop_to_px, flatten_joints, px_to_crop, unflatten_joints
from posecast.losses import joint_distance_loss, masked_pose_loss
from posecast.metrics.pose import counted_joints, distance_sums, joint_distances, pck_hits
from posecast.networks.pose_lstm import PoseLSTM, PoseLSTMConfig, last_seen, mask_poses
from posecast.records.configs import check_at_least
from posecast.store.reading import StoredClip
from posecast.store.seen_windows import seen_and_future
from posecast.training import settings
from posecast.training.fitting import Descent, FitResult, Validation, fit
from posecast.training.pose_augmentation import PoseAugmentation, PoseAugmenter, PoseDraws
from posecast.training.session import begin
from posecast.windows import PoseTensors, PoseWindows, PoseWindowSampler, WindowChoice

LossName = Literal["squared", "distance"]


@dataclass(frozen=True)
class PoseTrainingConfig(settings.TrainingConfig):
    """How a pose model is trained; the defaults are the paper's for Penn Action."""

    KIND = "pose"

    model: PoseLSTMConfig = PoseLSTMConfig()
    skeleton: str = "penn_action"
    """Skeleton of the store's poses; `model.num_joints` has to be its number of joints."""
    windows: PoseWindows = PoseWindows()
    augmentation: PoseAugmentation = PoseAugmentation()
    loss: LossName = "squared"
    """squared: mean squared error of coordinates (paper). distance: mean distance of joints,
    with less weight on far frames."""
    fit: Flat[settings.FitConfig] = settings.FitConfig(
        steps=37_500,
        batch_size=256,
        optimizer="rmsprop",
        weight_decay=0.0,
        schedule="constant",
        clip_norm=25.0,
        validate_every=500,
        checkpoint_every=500,
    )
    validation_future: int = 64
    """Future frames that validation looks at."""
    validation_windows: int = 1
    """Windows of each validation clip, evenly spread; 1 is the start of the clip."""

    def __post_init__(self) -> None:
        settings.check_skeleton(self.skeleton, self.model.num_joints)
        check_at_least(1, self, "validation_future", "validation_windows")


def train_pose(
    config: PoseTrainingConfig, store_path: str | Path, run_path: str | Path, *, fresh: bool = False
) -> FitResult:
    """Train a pose model on a prepared store, or go on with the run in `run_path`.

    The best score is the validation ratio: distance over that of the last pose, below 1 is better.
    PosecastError where config, store or run do not fit; see also `fitting.fit`.
    """
    store = settings.open_store(store_path, config, PoseTrainingConfig, "skeleton")
    clips = settings.choose_clips(config, store)
    validation = None
    if clips.validation:
        held_out = PoseValidation.of(
            clips.validation, config.windows, config.validation_future, config.validation_windows
        )
        last_pose = {f"last_pose_{k}": value for k, value in held_out.score_last_pose().items()}
        validation = Validation(held_out.score, "validation_ratio", True, last_pose)
    fabric = config.run_on.launch()
    share = (config.fit.batch_size, settings.share_of(fabric, config.fit.batch_size))
    sampler = PoseWindowSampler(clips.train, config.windows, *share)
    augmenter = PoseAugmenter(config.augmentation, store.skeleton, *share)
    batches = PoseBatches(sampler, augmenter, config.fit.seed)
    poses = on_device(sampler.poses, fabric.device)

    def step(network: nn.Module, drawn: DrawnWindows) -> tuple[Tensor, dict[str, Tensor]]:
        return pose_step(network, batches.cut(drawn, poses), config.loss)

    with begin(config, store, clips, run_path, fabric, fresh=fresh) as session:
        network = PoseLSTM(config.model)
        return fit(Descent(network, step, session), batches, validation, session)


def pose_step(
    model: nn.Module, batch: PoseBatch, loss: LossName = "squared"
) -> tuple[Float[Tensor, ""], dict[str, Tensor]]:
    """Loss of one batch, and what to log of it."""
    poses, past = flatten_joints(batch.joints_norm), batch.num_past
    future, shown = poses[:, past:], batch.visible[:, past:]
    predicted = model(poses[:, :past], batch.visible[:, :past], future.shape[1])
    term = masked_pose_loss if loss == "squared" else joint_distance_loss
    value = term(predicted, future, shown)
    return value, {"loss": value.detach()}


class DrawnWindows(NamedTuple):
    """All that is random about a batch: little to bring to a GPU, which holds the poses."""

    choice: WindowChoice
    draws: PoseDraws | None


@dataclass(frozen=True)
class PoseBatches:
    """Varied windows, this process's share of each batch."""

    sampler: PoseWindowSampler
    augmenter: PoseAugmenter
    seed: int

    def __call__(self, number: int) -> DrawnWindows:
        """Batch number `number`, on the CPU."""
        draws = self.augmenter.draw(self.seed, number, self.sampler.config.num_past)
        return DrawnWindows(self.sampler.choose(self.seed, number), draws)

    def cut(self, drawn: DrawnWindows, poses: PoseTensors) -> PoseBatch:
        """The batch, on the device that holds the poses and what was drawn."""
        batch = poses.cut(drawn.choice, self.sampler.config.num_past)
        return self.augmenter.vary(batch, drawn.draws)


Forecast = Callable[[Tensor, Tensor, int], Tensor]
"""(past "b t 2j", mask "b t j", steps) -> "b steps 2j", as the pose LSTM."""

HORIZONS = (1, 2, 4, 8, 16, 24, 32, 48, 64)
"""Future frames that are compared with the last pose and logged one by one."""
_BATCH = 256
_PCK_THRESHOLD = 0.1
_STANDSTILL = 1e-4
"""Distances below this share of the box count as this much when divided by."""


@dataclass(frozen=True, eq=False)
class PoseValidation:
    """Fixed windows of the validation clips, ready to be forecast."""

    clips: tuple[StoredClip, ...]
    """The clip of each window."""
    joints_crop: Float[np.ndarray, "n t j 2"]
    visible: Bool[np.ndarray, "n t j"]
    num_past: int

    @classmethod
    def of(
        cls, clips: Sequence[StoredClip], config: PoseWindows, num_future: int, num_windows: int
    ) -> "PoseValidation":
        """`num_windows` windows a clip, spread evenly from its first frame to its last that can
        be seen; one window is the clip's start. PosecastError if all clips are too short."""
        seen = 1 + (config.num_past - 1) * config.stride
        long_enough = [clip for clip in clips if clip.num_frames > seen]
        if not long_enough:
            raise PosecastError(
                f"none of the {len(clips)} validation clips has the {seen + 1} frames of "
                f"{config.num_past} seen ones and a future; see fewer, or validate_every 0"
            )
        cut, owners = [], []
        for clip in long_enough:
            starts = np.linspace(0, clip.num_frames - seen - 1, num_windows).astype(int)
            for start in sorted(set(starts.tolist())):
                cut.append(seen_and_future(clip, config.num_past, num_future, start, config.stride))
                owners.append(clip)
        joints = [np.concatenate([w.past.joints_px, w.future_joints_px]) for w in cut]
        joints = [px_to_crop(each, w.past.shown) for each, w in zip(joints, cut, strict=True)]
        visible = [np.concatenate([w.past.visible, w.future_visible]) for w in cut]
        return cls(tuple(owners), np.stack(joints), np.stack(visible), config.num_past)

    def score(self, model: Forecast, device: torch.device) -> dict[str, float]:
        """Numbers of one model.

        `validation_distance_k`: mean distance of visible joints in future frame k as a share of
        the longer side of the clip's box, pooled over joints and clips; `validation_distance`:
        their mean over all future frames; `validation_pck`: PCK at 0.1 likewise;
        `validation_ratio`, by which the best weights are chosen: the distance divided by that of
        'the last pose stays', averaged over HORIZONS, so that near frames count as much as far
        ones; `validation_loss`: the paper's squared loss on these windows.
        """
        frames = self._scored_horizons()
        predicted, loss = self._forecast(model, device)
        distances, pck = self._curves(predicted)
        ratios = distances[frames] / np.maximum(self._last_pose_distances[frames], _STANDSTILL)
        return {
            "validation_loss": loss,
            "validation_ratio": float(ratios.mean()),
            "validation_distance": float(np.nanmean(distances)),
            "validation_pck": float(np.nanmean(pck)),
            **{f"validation_distance_{k + 1}": float(distances[k]) for k in frames},
        }

    def score_last_pose(self) -> dict[str, float]:
        """The same numbers of 'the last pose stays'."""
        return self.score(_last_pose_stays, torch.device("cpu"))

    @cached_property
    def _last_pose_distances(self) -> Float[np.ndarray, " f"]:
        return self._curves(self._forecast(_last_pose_stays, torch.device("cpu"))[0])[0]

    def _scored_horizons(self) -> list[int]:
        """Frames of HORIZONS, from 0, in which the validation clips have any joint to score."""
        known = np.isfinite(self._last_pose_distances)
        frames = [k - 1 for k in HORIZONS if k <= len(known) and known[k - 1]]
        if not frames:
            raise PosecastError(
                "no joint of the validation clips is visible both in a seen and in a future frame: "
                "choose other validation clips, or validate_every 0"
            )
        return frames

    @torch.no_grad()
    def _forecast(
        self, model: Forecast, device: torch.device
    ) -> tuple[Float[np.ndarray, "n f j 2"], float]:
        joints = torch.from_numpy(crop_to_norm(self.joints_crop).astype(np.float32))
        poses = flatten_joints(joints).split(_BATCH)
        masks = torch.from_numpy(self.visible).split(_BATCH)
        past, steps = self.num_past, self.visible.shape[1] - self.num_past
        with torch.autocast(device.type, enabled=False):  # as a forecaster does
            parts = [
                model(pose[:, :past].to(device), mask[:, :past].to(device), steps).cpu()
                for pose, mask in zip(poses, masks, strict=True)
            ]
        predicted = torch.cat(parts)
        loss = masked_pose_loss(predicted, torch.cat(poses)[:, past:], torch.cat(masks)[:, past:])
        return (unflatten_joints(predicted).numpy().astype(float) + 1) / 2, loss.item()

    def _curves(
        self, predicted: Float[np.ndarray, "n f j 2"]
    ) -> tuple[Float[np.ndarray, " f"], Float[np.ndarray, " f"]]:
        """Mean distance and PCK of each future frame, over all clips; NaN where none has joints."""
        distance, hits, count = np.zeros((3, predicted.shape[1]))
        for clip, joints, visible, forecast in zip(
            self.clips, self.joints_crop, self.visible, predicted, strict=True
        ):
            past, future = visible[: self.num_past], visible[self.num_past :]
            true_px = crop_to_px(joints[self.num_past :], clip.crop)
            distances = joint_distances(crop_to_px(forecast, clip.crop), true_px, clip.box_side_px)
            counted = counted_joints(past, future)
            distance += distance_sums(distances, counted)[0]
            hits += pck_hits(distances, counted, _PCK_THRESHOLD)[0]
            count += counted.sum(axis=1)
        count[count == 0] = np.nan
        return distance / count, hits / count


def _last_pose_stays(past: Tensor, mask: Tensor, steps: int) -> Tensor:
    shown = mask.to(past.dtype)
    return last_seen(mask_poses(past, shown), shown)[:, None].expand(-1, steps, -1)
