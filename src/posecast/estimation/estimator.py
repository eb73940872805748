"""A trained estimator, ready to find joints in crops."""

import contextlib
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Bool, Float, UInt8

from posecast.computing.devices import Device, Precision
from posecast.computing.options import ForecasterOptions
from posecast.errors import PosecastError
from posecast.media.grey_levels import to_network
from posecast.networks.hourglass import Hourglass, estimate_heatmaps
from posecast.networks.joint_maps import decode_joint_maps
from posecast.networks.kinds import load_network
from posecast.skeletons import SKELETONS, Skeleton

Joints = tuple[Float[np.ndarray, "n j 2"], Float[np.ndarray, "n j"]]
"""Joints as shares of their crops, and confidences in [0, 1]."""


@runtime_checkable
class PoseEstimator(Protocol):
    """What finds joints in pictures of one person: a trained estimator, or a model file."""

    @property
    def skeleton(self) -> Skeleton: ...

    @property
    def size(self) -> int:
        """Height and width of the pictures it reads, in pixels."""
        ...

    @property
    def min_confidence(self) -> float:
        """Joints at least so sure count as seen."""
        ...

    def estimate(self, pictures: UInt8[np.ndarray, "n s s 3"]) -> Joints:
        """Joints of the one person in each picture, RGB, size x size."""
        ...


@dataclass(frozen=True)
class EstimatorOptions:
    """How an estimator is run."""

    mirror: bool = True
    """Look at the mirrored picture too and average: twice the work, steadier joints."""
    min_confidence: float = 0.3
    """Joints at least so sure (height of the heat map's peak, 0 to 1) count as seen."""
    device: Device = "auto"
    """Where to compute; auto takes a GPU where there is one."""
    precision: Precision = "32-true"
    """bf16-mixed is several times faster on newer processors and GPUs."""
    frames_per_batch: int = 32
    """Pictures looked at together; fewer need less memory."""

    def __post_init__(self) -> None:
        if not 0 <= self.min_confidence <= 1:
            raise PosecastError(f"min_confidence is {self.min_confidence}; give 0 to 1")
        if self.frames_per_batch < 1:
            raise PosecastError(f"frames_per_batch is {self.frames_per_batch}; give 1 or more")


class Estimator:
    """A trained hourglass, a `PoseEstimator`; make one with `Estimator.load`."""

    def __init__(
        self, network: Hourglass, skeleton: Skeleton, options: EstimatorOptions | None = None
    ) -> None:
        if network.config.num_joints != skeleton.num_joints:
            raise PosecastError(
                f"the estimator has {network.config.num_joints} joints, skeleton {skeleton.name} "
                f"has {skeleton.num_joints}; use the skeleton that it was trained on"
            )
        self.skeleton = skeleton
        self.options = options or EstimatorOptions()
        self._device = ForecasterOptions(self.options.device).pick_device()
        network = network.float().eval().requires_grad_(False).to(self._device)
        # torch's stubs know the layout for tensors only.
        self._network = network.to(memory_format=torch.channels_last)  # pyright: ignore

    @classmethod
    def load(cls, run: str | Path, options: EstimatorOptions | None = None) -> "Estimator":
        """The best weights of an estimator run; PosecastError where there are none."""
        loaded = load_network(run, Hourglass)
        return cls(loaded.network, SKELETONS[loaded.facts.skeleton], options)

    @property
    def size(self) -> int:
        """Side of the pictures that it was trained on."""
        return self._network.config.size

    @property
    def min_confidence(self) -> float:
        """As in its options."""
        return self.options.min_confidence

    @torch.inference_mode()
    def estimate(self, pictures: UInt8[np.ndarray, "n s s 3"]) -> Joints:
        """As `PoseEstimator`."""
        mirror = self.skeleton.mirror if self.options.mirror else None
        joints, confidence = [], []
        for part in torch.from_numpy(pictures).split(self.options.frames_per_batch):
            images = to_network(part.to(self._device))
            with self._autocast():
                maps = estimate_heatmaps(self._network, images, mirror)
            for results, each in zip((joints, confidence), decode_joint_maps(maps), strict=True):
                results.append(each.cpu().numpy())
        return np.concatenate(joints), np.concatenate(confidence)

    def _autocast(self) -> contextlib.AbstractContextManager[object]:
        if self.options.precision == "32-true":
            return contextlib.nullcontext()
        return torch.autocast(self._device.type, torch.bfloat16)


def seen_joints(
    confidence: Float[np.ndarray, "n j"], min_confidence: float
) -> Bool[np.ndarray, "n j"]:
    """Confidence to visibility."""
    return confidence >= min_confidence
