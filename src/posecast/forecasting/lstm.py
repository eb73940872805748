"""The paper's pose LSTM as a pose forecaster."""

from collections.abc import Sequence

import numpy as np
import torch

from posecast.clips import PoseForecast, SeenVideo
from posecast.errors import PosecastError
from posecast.forecasting.protocols import Needs
from posecast.geometry import (
    crop_to_norm,
    crop_to_px,
    flatten_joints,
    norm_to_crop,
    px_to_crop,
    unflatten_joints,
)
from posecast.networks.pose_lstm import PoseLSTM
from posecast.skeletons import Skeleton


class LSTMForecaster:
    """One future, in the coordinates of the person's crop; the last seen frames are looked at."""

    def __init__(
        self,
        network: PoseLSTM,
        skeleton: Skeleton,
        num_past: int = 10,
        stride: int = 1,
        device: torch.device | None = None,
        fps: float | None = None,
    ) -> None:
        """`num_past` seen frames, `stride` apart in videos of `fps` frames a second, is what the
        network was trained with."""
        if network.config.num_joints != skeleton.num_joints:
            raise PosecastError(
                f"the pose model has {network.config.num_joints} joints, skeleton "
                f"{skeleton.name} has {skeleton.num_joints}; use a run of one data set"
            )
        self.needs = Needs(skeleton, num_past, num_past, stride, fps)
        self._device = device or torch.device("cpu")
        self._network = network.float().eval().to(self._device)

    @torch.inference_mode()
    def forecast_poses(
        self, seen: Sequence[SeenVideo], steps: int, samples: int = 1
    ) -> list[PoseForecast]:
        """As `PoseForecaster`; of fewer frames than it was trained with it makes what it can."""
        shown = [each.last(self.needs.num_past) for each in seen]
        crops = [each.person_crop for each in shown]
        pairs = zip(shown, crops, strict=True)
        joints = np.stack([px_to_crop(each.joints_px, crop) for each, crop in pairs])
        visible = np.stack([each.visible for each in shown])
        past = flatten_joints(crop_to_norm(torch.from_numpy(joints).float())).to(self._device)
        future = self._network(past, torch.from_numpy(visible).to(self._device), steps)
        # Doubles: a drawer gets the same places back from the pixels, to the last bit.
        predicted = norm_to_crop(unflatten_joints(future)).cpu().numpy().astype(np.float64)
        return [
            PoseForecast.of(each, crop_to_px(poses, crop)[None])
            for each, poses, crop in zip(shown, predicted, crops, strict=True)
        ]
