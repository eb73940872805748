"""What any forecast must beat.

Each baseline offers `predict_poses`, as the `Forecaster`, or `predict_frames`.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

import cv2
import numpy as np
import torch
from jaxtyping import Bool, Float, Int, UInt8

from posecast.errors import PosecastError
from posecast.media.grey_levels import to_bytes, to_network
from posecast.metrics.flow import backward_flow
from posecast.networks.conv_lstm import ConvLSTM
from posecast.networks.kinds import load_network


@runtime_checkable
class PosePredictor(Protocol):
    """What forecasts poses: a Forecaster with a pose model, or a baseline."""

    def predict_poses(
        self,
        past_joints_crop: Float[np.ndarray, "b p j 2"],
        past_visible: Bool[np.ndarray, "b p j"],
        steps: int,
    ) -> Float[np.ndarray, "b {steps} j 2"]:
        """Future poses as shares of the crop; coordinates of hidden joints are not looked at."""
        ...


class LastPose:
    """Every joint stays where it was seen last; a joint never seen stays in the middle."""

    name = "last pose"

    def predict_poses(
        self,
        past_joints_crop: Float[np.ndarray, "b p j 2"],
        past_visible: Bool[np.ndarray, "b p j"],
        steps: int,
    ) -> Float[np.ndarray, "b {steps} j 2"]:
        """Shares of the crop, as `Forecaster.predict_poses`."""
        last = last_seen_joints(past_joints_crop, past_visible)
        return np.repeat(last[:, None], steps, axis=1)


class ConstantVelocity:
    """Every joint goes on as it moved between the first and the last of its recent sightings.

    `window` is how many of the seen frames are looked at: one step back is mostly labelling noise.
    """

    name = "constant velocity"

    def __init__(self, window: int = 4) -> None:
        if window < 2:
            raise PosecastError(f"window is {window}; a velocity needs at least 2 frames")
        self._window = window

    def predict_poses(
        self,
        past_joints_crop: Float[np.ndarray, "b p j 2"],
        past_visible: Bool[np.ndarray, "b p j"],
        steps: int,
    ) -> Float[np.ndarray, "b {steps} j 2"]:
        """Shares of the crop, as `Forecaster.predict_poses`."""
        last = last_seen_joints(past_joints_crop, past_visible)
        velocity = self._velocity(past_joints_crop, past_visible)
        ahead = np.arange(1, steps + 1, dtype=last.dtype)[None, :, None, None]
        return last[:, None] + ahead * velocity[:, None]

    def _velocity(
        self, joints: Float[np.ndarray, "b p j 2"], visible: Bool[np.ndarray, "b p j"]
    ) -> Float[np.ndarray, "b j 2"]:
        """Movement per frame; 0 for joints seen once or never in the window."""
        joints, visible = joints[:, -self._window :], visible[:, -self._window :]
        first, last = visible.argmax(axis=1), last_seen_index(visible)
        moved = _take_frames(joints, last) - _take_frames(joints, first)
        duration = np.maximum(last - first, 1)
        velocity = moved / duration[..., None].astype(joints.dtype)
        return np.where(np.any(visible, axis=1)[..., None], velocity, 0)


class MeanPose:
    """Every joint at its mean place in the training clips, the same for every clip and frame."""

    name = "mean training pose"

    def __init__(self, mean_joints_crop: Float[np.ndarray, "j 2"]) -> None:
        self._mean = mean_joints_crop

    def predict_poses(
        self,
        past_joints_crop: Float[np.ndarray, "b p j 2"],
        past_visible: Bool[np.ndarray, "b p j"],
        steps: int,
    ) -> Float[np.ndarray, "b {steps} j 2"]:
        """Shares of the crop, as `Forecaster.predict_poses`."""
        mean = self._mean.astype(past_joints_crop.dtype)
        return np.broadcast_to(mean, (len(past_joints_crop), steps, *mean.shape)).copy()


def mean_pose(
    joints_crop: Float[np.ndarray, "n j 2"], visible: Bool[np.ndarray, "n j"]
) -> Float[np.ndarray, "j 2"]:
    """Mean place of each joint over the frames in which it is visible; the middle if in none."""
    counts = visible.sum(axis=0)[:, None]
    total = np.where(visible[..., None], joints_crop, 0).sum(axis=0)
    return np.where(counts > 0, total / np.maximum(counts, 1), 0.5)


def last_seen_index(visible: Bool[np.ndarray, "b p j"]) -> Int[np.ndarray, "b j"]:
    """The last frame in which each joint is visible; the last frame for joints never seen."""
    return visible.shape[1] - 1 - visible[:, ::-1].argmax(axis=1)


def last_seen_joints(
    joints_crop: Float[np.ndarray, "b p j 2"], visible: Bool[np.ndarray, "b p j"]
) -> Float[np.ndarray, "b j 2"]:
    """Where each joint was seen last, a hidden joint included; 0.5 for joints never seen."""
    joints = _take_frames(joints_crop, last_seen_index(visible))
    return np.where(np.any(visible, axis=1)[..., None], joints, 0.5).astype(joints_crop.dtype)


def _take_frames(
    joints: Float[np.ndarray, "b p j 2"], frames: Int[np.ndarray, "b j"]
) -> Float[np.ndarray, "b j 2"]:
    return np.take_along_axis(joints, frames[:, None, :, None], axis=1)[:, 0]


# --- frames ---------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class SeenVideo:
    """What a forecast of frames may look at."""

    frames: UInt8[np.ndarray, "p h w 3"]
    """Seen frames: crops, RGB."""
    joints_crop: Float[np.ndarray, "p j 2"]
    visible: Bool[np.ndarray, "p j"]
    crop_hw: tuple[int, int]
    """Height and width of the crop in source pixels."""


@runtime_checkable
class FramePredictor(Protocol):
    """What forecasts frames from seen frames alone, without forecast poses."""

    def predict_frames(self, seen: SeenVideo, steps: int) -> UInt8[np.ndarray, "{steps} h w 3"]:
        """Future frames of the same crop."""
        ...


class LastFrame:
    """The last seen frame stays."""

    name = "last frame"

    def predict_frames(self, seen: SeenVideo, steps: int) -> UInt8[np.ndarray, "{steps} h w 3"]:
        """As `FramePredictor`."""
        return np.repeat(seen.frames[-1:], steps, axis=0)


class OpticalFlow:
    """Every pixel goes on as it moved between the last two seen frames.

    Dense flow of Farneback (2003), from the last frame back to the one before; future frame k is
    the last frame with each pixel fetched from k times that flow. Pixels fetched from outside
    repeat the border. The strongest pixel baseline of one to three frames, a smear after ten.
    """

    name = "optical flow"

    def predict_frames(self, seen: SeenVideo, steps: int) -> UInt8[np.ndarray, "{steps} h w 3"]:
        """As `FramePredictor`; a single seen frame stays."""
        last = seen.frames[-1]
        if len(seen.frames) < 2:
            return np.repeat(last[None], steps, axis=0)
        flow = backward_flow(seen.frames[-2], last)
        height, width = last.shape[:2]
        grid = np.stack(np.meshgrid(np.arange(width), np.arange(height)), axis=-1)
        grid = grid.astype(np.float32)
        return np.stack([_fetch(last, grid + ahead * flow) for ahead in range(1, steps + 1)])


def _fetch(
    frame: UInt8[np.ndarray, "h w 3"], places: Float[np.ndarray, "h w 2"]
) -> UInt8[np.ndarray, "h w 3"]:
    """The frame's colours at places (x, y), between pixels by their neighbours."""
    x, y = places[..., 0], places[..., 1]
    return cv2.remap(frame, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


class TrainedConvLSTM:
    """The ConvLSTM baseline of a run."""

    name = "ConvLSTM"

    def __init__(self, network: ConvLSTM, device: torch.device | None = None) -> None:
        self._device = device or torch.device("cpu")
        self._network = network.eval().to(self._device)

    @classmethod
    def load(cls, run_path: str | Path, device: torch.device | None = None) -> "TrainedConvLSTM":
        """The best weights of a run of `training.conv_lstm`; PosecastError for another run."""
        return cls(load_network(run_path, ConvLSTM).network, device)

    @property
    def size(self) -> int:
        """Side of the frames that it was trained on."""
        return self._network.config.size

    @torch.inference_mode()
    def predict_frames(self, seen: SeenVideo, steps: int) -> UInt8[np.ndarray, "{steps} h w 3"]:
        """As `FramePredictor`."""
        past = to_network(torch.from_numpy(seen.frames).to(self._device))
        drawn = self._network(past[None], steps)[0]
        return to_bytes(drawn).cpu().numpy()
