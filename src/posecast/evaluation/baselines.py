"""What any forecast must beat.

Each baseline is a `PoseForecaster` that knows one future, or a `FramePredictor`.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

import cv2
import numpy as np
import torch
from jaxtyping import Bool, Float, UInt8

from posecast.clips import PoseForecast, SeenVideo
from posecast.errors import PosecastError
from posecast.geometry import crop_to_px
from posecast.media.grey_levels import to_bytes, to_network
from posecast.metrics.image import backward_flow
from posecast.motion.seen import fill_hidden
from posecast.networks.conv_lstm import ConvLSTM
from posecast.networks.kinds import load_network


class _OneFuture:
    """A `PoseForecaster` that says where all joints will be, in the same way for all clips."""

    def forecast_poses(
        self, seen: Sequence[SeenVideo], steps: int, samples: int = 1
    ) -> list[PoseForecast]:
        pairs = zip(seen, self._futures(seen, steps), strict=True)
        return [PoseForecast.of(each, joints[None]) for each, joints in pairs]

    def _futures(self, seen: Sequence[SeenVideo], steps: int) -> Float[np.ndarray, "b t j 2"]: ...


class LastPose(_OneFuture):
    """Every joint stays where it was seen last; a joint never seen stays in the middle."""

    name = "last pose"

    def _futures(self, seen: Sequence[SeenVideo], steps: int) -> Float[np.ndarray, "b t j 2"]:
        joints = np.stack([each.joints_px for each in seen]).astype(np.float64)
        visible = np.stack([each.visible for each in seen])
        middles = np.stack([crop_to_px(np.full(2, 0.5), each.shown) for each in seen])
        last = fill_hidden(joints, visible)[0][:, -1]
        last = np.where(np.any(visible, axis=1)[..., None], last, middles[:, None])
        ahead = np.arange(1, steps + 1)[None, :, None, None]
        return last[:, None] + ahead * self._velocity(joints, visible)[:, None]

    def _velocity(
        self, joints: Float[np.ndarray, "b p j 2"], visible: Bool[np.ndarray, "b p j"]
    ) -> Float[np.ndarray, "b j 2"]:
        return np.zeros_like(joints[:, 0])


class ConstantVelocity(LastPose):
    """Every joint goes on as it moved between the first and the last of its recent sightings.

    `window` is how many of the seen frames are looked at: one step back is mostly labelling noise.
    """

    name = "constant velocity"

    def __init__(self, window: int = 4) -> None:
        if window < 2:
            raise PosecastError(f"window is {window}; a velocity needs at least 2 frames")
        self.window = window

    def _velocity(
        self, joints: Float[np.ndarray, "b p j 2"], visible: Bool[np.ndarray, "b p j"]
    ) -> Float[np.ndarray, "b j 2"]:
        """0 for joints seen once or never in the window."""
        joints, visible = joints[:, -self.window :], visible[:, -self.window :]
        places, last = fill_hidden(joints, visible)
        frames = np.maximum(last - visible.argmax(axis=1), 1)
        velocity = (places[:, -1] - places[:, 0]) / frames[..., None]
        return np.where(np.any(visible, axis=1)[..., None], velocity, 0)


class MeanPose(_OneFuture):
    """Every joint at its mean place in the crops of the training clips, the same in every crop."""

    name = "mean training pose"

    def __init__(self, mean_joints_crop: Float[np.ndarray, "j 2"]) -> None:
        self._mean = mean_joints_crop.astype(np.float64)

    def _futures(self, seen: Sequence[SeenVideo], steps: int) -> Float[np.ndarray, "b t j 2"]:
        places = np.stack([crop_to_px(self._mean, each.shown) for each in seen])
        return np.repeat(places[:, None], steps, axis=1)


@runtime_checkable
class FramePredictor(Protocol):
    """What forecasts frames from seen frames alone, without forecast poses."""

    def predict_frames(self, seen: SeenVideo, steps: int) -> UInt8[np.ndarray, "{steps} h w 3"]:
        """Future frames that show what the seen ones show."""
        ...


class LastFrame:
    """The last seen frame stays."""

    name = "last frame"

    def predict_frames(self, seen: SeenVideo, steps: int) -> UInt8[np.ndarray, "{steps} h w 3"]:
        return np.repeat(seen.pictures[-1:], steps, axis=0)


class OpticalFlow:
    """Every pixel goes on as it moved between the last two seen frames.

    Dense flow of Farneback (2003), from the last frame back to the one before; future frame k is
    the last frame with each pixel fetched from k times that flow. Pixels fetched from outside
    repeat the border. The strongest pixel baseline of one to three frames, a smear after ten.
    """

    name = "optical flow"

    def predict_frames(self, seen: SeenVideo, steps: int) -> UInt8[np.ndarray, "{steps} h w 3"]:
        """As `FramePredictor`; a single seen frame stays."""
        last = seen.pictures[-1]
        if len(seen.pictures) < 2:
            return np.repeat(last[None], steps, axis=0)
        flow = backward_flow(seen.pictures[-2], last)
        height, width = last.shape[:2]
        grid = np.stack(np.meshgrid(np.arange(width), np.arange(height)), axis=-1)
        grid = grid.astype(np.float32)
        places = ((grid + ahead * flow).transpose(2, 0, 1) for ahead in range(1, steps + 1))
        how, border = cv2.INTER_LINEAR, cv2.BORDER_REPLICATE
        return np.stack([cv2.remap(last, x, y, how, borderMode=border) for x, y in places])


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
        return self._network.config.size

    @torch.inference_mode()
    def predict_frames(self, seen: SeenVideo, steps: int) -> UInt8[np.ndarray, "{steps} h w 3"]:
        past = to_network(torch.from_numpy(seen.pictures).to(self._device))
        drawn = self._network(past[None], steps)[0]
        return to_bytes(drawn).cpu().numpy()
