"""A trained estimator, ready to find joints in crops."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor

from posecast.computing.ahead import workers
from posecast.computing.devices import Device, Precision, RunOn, in_precision
from posecast.errors import PosecastError
from posecast.keypoints.names import to_skeleton
from posecast.media.grey_levels import to_network
from posecast.networks.hourglass import Hourglass, decode_joint_maps, estimate_heatmaps
from posecast.networks.kinds import load_network
from posecast.networks.movenet import MoveNet
from posecast.pretrained import DEFAULT_ESTIMATOR
from posecast.records.arguments import check_is, check_settings
from posecast.records.configs import check_at_least
from posecast.skeletons import COCO, PENN_ACTION, SKELETONS, Skeleton

Joints = tuple[Float[np.ndarray, "n j 2"], Float[np.ndarray, "n j"]]
"""Joints as shares of their crops, and confidences in [0, 1]; negative where a joint may as well be
elsewhere: it counts for where somebody is, but not as seen."""

Pixels = Literal["auto", "imagenet", "zero_one", "minus_one_one", "bytes"]
"""Range of pixels that a model file reads."""

_Found = tuple[Float[Tensor, "n j 2"], Float[Tensor, "n j"]]
_TOGETHER = 4
"""Pictures that MoveNet looks at together on a processor: of 1, 2, 4, 8 the soonest."""
_FAR = 0.1
"""Two looks that differ by more than this share of the body do not see the same joint."""


@runtime_checkable
class JointFinder(Protocol):
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
    pixels: Pixels = "auto"
    """What an .onnx file was trained on: colours normalised as for ImageNet, from 0 to 1, from -1
    to 1, or bytes; auto takes what the file says, or tries all on the first frames."""

    def __post_init__(self) -> None:
        check_at_least(0, self, "min_confidence", most=1)
        check_at_least(1, self, "frames_per_batch")


class PoseEstimator:
    """A trained network that finds joints, a `JointFinder`.

    Make one with `PoseEstimator.pretrained` or `PoseEstimator.load`.
    """

    def __init__(
        self,
        network: Hourglass | MoveNet,
        skeleton: Skeleton,
        options: EstimatorOptions | None = None,
    ) -> None:
        """`skeleton` is the one that a hourglass was trained on, and any for MoveNet."""
        check_is(skeleton, Skeleton, "skeleton", "one of posecast.SKELETONS")
        if isinstance(network, Hourglass) and network.config.num_joints != skeleton.num_joints:
            raise PosecastError(
                f"the estimator has {network.config.num_joints} joints, skeleton {skeleton.name} "
                f"has {skeleton.num_joints}; use the skeleton that it was trained on"
            )
        self.skeleton = skeleton
        self.options = check_settings(options or EstimatorOptions(), EstimatorOptions, "options")
        self._device = RunOn(self.options.device).pick_device()
        network = network.float().eval().requires_grad_(False).to(self._device)
        # torch's stubs know the layout for tensors only.
        self._network = network.to(memory_format=torch.channels_last)  # pyright: ignore

    def __repr__(self) -> str:
        network = type(self._network).__name__
        return f"PoseEstimator({network} of {self.skeleton.name} on {self._device})"

    @classmethod
    def pretrained(
        cls,
        name: str = DEFAULT_ESTIMATOR,
        options: EstimatorOptions | None = None,
        skeleton: Skeleton = PENN_ACTION,
    ) -> "PoseEstimator":
        """Weights that ship with posecast; see 'posecast models'."""
        return cls.load(name, options, skeleton)

    @classmethod
    def load(
        cls,
        source: str | Path,
        options: EstimatorOptions | None = None,
        skeleton: Skeleton = PENN_ACTION,
    ) -> "PoseEstimator":
        """The estimator of a shipped name, a run folder (its best weights) or a weight file.

        `skeleton` is what the joints of COCO that MoveNet finds are mapped to; a trained hourglass
        has its own. PosecastError where there are no such weights.
        """
        loaded = load_network(source, (Hourglass, MoveNet))
        if isinstance(loaded.network, Hourglass):
            skeleton = SKELETONS[loaded.facts.skeleton]
        return cls(loaded.network, skeleton, options)

    @property
    def size(self) -> int:
        """Side of the pictures that it was trained on."""
        return self._network.config.size

    @property
    def min_confidence(self) -> float:
        return self.options.min_confidence

    @torch.inference_mode()
    def estimate(self, pictures: UInt8[np.ndarray, "n s s 3"]) -> Joints:
        """As `JointFinder`. PosecastError: no bytes, or not `size` x `size` x 3."""
        if pictures.dtype != np.uint8 or pictures.shape[1:] != (self.size, self.size, 3):
            raise PosecastError(
                f"pictures are {pictures.dtype} {pictures.shape}; expected uint8 "
                f"(n, {self.size}, {self.size}, 3), RGB from 0 to 255"
            )
        joints, confidence = [], []
        is_small = isinstance(self._network, MoveNet) and self._device.type == "cpu"
        network = self._by_workers if is_small else self._network
        for part in torch.from_numpy(pictures).split(self.options.frames_per_batch):
            images = to_network(part.to(self._device))
            with in_precision(self.options.precision, self._device):
                found = self.find(images, network)
            for results, each in zip((joints, confidence), found, strict=True):
                results.append(each.float().cpu().numpy())
        found = np.concatenate(joints), np.concatenate(confidence)
        if isinstance(self._network, MoveNet):
            points, sure = (each.astype(float) for each in found)
            joints, least = to_skeleton(points, np.abs(sure), COCO.joints, self.skeleton)
            # Doubted as any of its points is. Points of confidence 0 would not count.
            trust = np.where(sure < 0, 0.5, 1.0)
            is_doubted = to_skeleton(points, trust, COCO.joints, self.skeleton)[1] < 1
            return joints, np.where(is_doubted, -least, least)
        return found

    def find(
        self, images: Float[Tensor, "n 3 s s"], network: Callable[[Tensor], Any] | None = None
    ) -> _Found:
        """What the network, or what runs it, says of pictures in [-1, 1]: of MoveNet the joints of
        COCO."""
        network = network or self._network
        if isinstance(self._network, MoveNet):
            return _ask_movenet(network, images, self.options.mirror)
        mirror = self.skeleton.mirror if self.options.mirror else None
        return decode_joint_maps(estimate_heatmaps(network, images, mirror))

    def _by_workers(self, images: Float[Tensor, "n 3 s s"]) -> _Found:
        """What MoveNet says of a few pictures at a time, a core each: all its work is small."""
        few = images.split(min(-(-len(images) // 2), _TOGETHER))
        joints, scores = zip(*workers().map(self._look, few), strict=True)
        return torch.cat(joints), torch.cat(scores)

    @torch.inference_mode()
    def _look(self, images: Float[Tensor, "n 3 s s"]) -> _Found:
        with in_precision(self.options.precision, self._device):
            return self._network(images)


def _ask_movenet(
    network: Callable[[Tensor], _Found], images: Float[Tensor, "n 3 s s"], mirror: bool
) -> _Found:
    """Joints and scores; with `mirror` the mean of both looks, weighted by their scores. These are
    negative where both are far apart: of people seen from behind one may take left for right, and
    the mean has no width."""
    if not mirror:
        return network(images)
    joints, scores = network(torch.cat([images, images.flip(-1)]))
    half, order = images.shape[0], list(COCO.mirror)
    straight, turned, sure, sure_turned = joints[:half], joints[half:], scores[:half], scores[half:]
    turned, sure_turned = turned[:, order], sure_turned[:, order]
    turned = torch.stack([1 - turned[..., 0], turned[..., 1]], dim=-1)
    share = (sure / (sure + sure_turned).clamp(min=1e-6))[..., None]
    sign = 1 - 2 * _is_far(straight, turned).to(sure.dtype)
    return turned + share * (straight - turned), sign * (sure + sure_turned) / 2


def _is_far(first: Float[Tensor, "n j 2"], second: Float[Tensor, "n j 2"]) -> Bool[Tensor, "n j"]:
    """Joints that two looks find far apart, beside the size of the smaller body."""
    looks = torch.stack([first, second])
    sizes = (looks.amax(dim=2) - looks.amin(dim=2)).amax(dim=-1).amin(dim=0)
    return (first - second).norm(dim=-1) > _FAR * sizes[:, None]
