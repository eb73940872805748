"""The estimator and the networks of the carried drawer as traceable functions, with examples.

An example is what an exporter follows the function with; its sizes say nothing but which of them
are fixed.
"""

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor, nn

from posecast.carrying.body_maps import body_maps
from posecast.carrying.layers import COARSE
from posecast.clips import SeenVideo
from posecast.computing.options import ForecasterOptions
from posecast.estimation.estimator import PoseEstimator
from posecast.forecasting.carried import CarriedDrawer
from posecast.keypoints.names import joint_sources
from posecast.media.grey_levels import to_network
from posecast.networks.carrying import CarryingNetwork, Changes, LayerBatch
from posecast.networks.hourglass import Hourglass
from posecast.networks.movenet import MoveNet
from posecast.skeletons import COCO, Skeleton


@dataclass(frozen=True, eq=False)
class Graph:
    """One function to export."""

    function: nn.Module
    inputs: dict[str, Tensor]
    """Example inputs by name."""
    free: dict[str, tuple[str, ...]]
    """The names of each input's axes; numbers stay as they are, others may take any size."""
    outputs: tuple[str, ...]
    note: str
    """What it does, in which units and ranges."""


class EstimatorGraph(nn.Module):
    """As `PoseEstimator.estimate`."""

    def __init__(self, network: Hourglass | MoveNet, estimator: PoseEstimator) -> None:
        super().__init__()
        self.network, self._estimator = network, estimator
        of_coco = isinstance(network, MoveNet)
        self._sources = joint_sources(COCO.joints, estimator.skeleton) if of_coco else None

    def forward(
        self, pictures: UInt8[Tensor, "b s s 3"]
    ) -> tuple[Float[Tensor, "b j 2"], Float[Tensor, "b j"]]:
        """Pictures to joints as shares of them, and confidences."""
        points, sure = self._estimator.find(to_network(pictures))
        if self._sources is None:
            return points, sure
        # Scores of MoveNet are above 0, so that the best source always counts.
        columns = [sources[0] if sources else [] for sources in self._sources]
        joints = [points[:, each].mean(dim=1) if each else 0 * points[:, 0] for each in columns]
        least = [sure[:, each].amin(dim=1) if each else 0 * sure[:, 0] for each in columns]
        return torch.stack(joints, dim=1), torch.stack(least, dim=1)


class MapsGraph(nn.Module):
    """As `body_maps`, at the size that the drawer's networks read."""

    def __init__(self, skeleton: Skeleton) -> None:
        super().__init__()
        self._skeleton = skeleton

    def forward(
        self,
        joints_crop: Float[Tensor, "b j 2"],
        visible: Bool[Tensor, "b j"],
        body_size: Float[Tensor, "b 1 1"],
    ) -> Float[Tensor, "b m d d"]:
        """Poses to maps of their parts."""
        return body_maps(joints_crop, visible, body_size, self._skeleton, COARSE // 2)


class RefinementGraph(nn.Module):
    """The refinement with the fields of `LayerBatch` and of `Changes` one by one."""

    def __init__(self, refinement: nn.Module) -> None:
        super().__init__()
        self.refinement = refinement

    def forward(self, *values: Tensor) -> tuple[Tensor, ...]:
        """Layers and, last, maps to changes."""
        changes = self.refinement(LayerBatch(*values[:-1]), values[-1])
        return tuple(getattr(changes, each.name) for each in fields(Changes))


def estimator_graph(network: Hourglass | MoveNet, estimator: PoseEstimator) -> Graph:
    """Of a network that finds joints, as the estimator that was made of it uses it."""
    side = estimator.size
    pictures = torch.zeros(2, side, side, 3, dtype=torch.uint8)
    return Graph(
        EstimatorGraph(network, estimator).eval(),
        {"pictures": pictures},
        {"pictures": ("batch", str(side), str(side), "3")},
        ("joints_crop", "confidence"),
        "RGB bytes to joints (x, y), shares of the picture from 0 to 1, and confidences from 0 to "
        "1. It is meant for one person in the middle of each picture, with some room around.",
    )


def drawer_graphs(network: CarryingNetwork, skeleton: Skeleton) -> dict[str, Graph]:
    """Of the networks of a carried drawer; none where nothing was learned."""
    drawer = CarriedDrawer(network, skeleton, ForecasterOptions(device="cpu"))
    seen = _example(skeleton)
    shown: dict[str, tuple[Any, ...]] = {}
    learned = {"mask": network.mask, "refinement": network.refinement}
    hooks = [
        part.register_forward_pre_hook(_keep(shown, name))
        for name, part in learned.items()
        if part is not None
    ]
    drawer.draw_frames(seen, seen.joints_px[-2:] + 4, seen.visible[-2:])
    for hook in hooks:
        hook.remove()
    return {**_maps(skeleton, shown), **_mask(network, shown), **_refinement(network, shown)}


def _maps(skeleton: Skeleton, shown: dict[str, tuple[Any, ...]]) -> dict[str, Graph]:
    if not shown:
        return {}
    joints = str(skeleton.num_joints)
    inputs = {
        "joints_crop": torch.rand(2, skeleton.num_joints, 2),
        "visible": torch.ones(2, skeleton.num_joints, dtype=torch.bool),
        "body_size": torch.full((2, 1, 1), 0.3),
    }
    axes = {
        "joints_crop": ("batch", joints, "2"),
        "visible": ("batch", joints),
        "body_size": ("batch", "1", "1"),
    }
    note = (
        "joints as shares of the square crop, and the body's size (the longer of torso and the "
        "parts of a leg, posecast.carrying.body_parts.body_size) likewise, to maps of the body's "
        "parts, 0 to 1; input 'maps' of mask and refinement."
    )
    return {"maps": Graph(MapsGraph(skeleton).eval(), inputs, axes, ("maps",), note)}


def _mask(network: CarryingNetwork, shown: dict[str, tuple[Any, ...]]) -> dict[str, Graph]:
    if network.mask is None:
        return {}
    inputs: dict[str, Tensor] = dict(zip(("pictures", "maps"), shown["mask"], strict=True))
    axes = {name: ("batch", *map(str, value.shape[1:])) for name, value in inputs.items()}
    note = (
        f"seen pictures, RGB from -1 to 1, channels first, the person's crop at {COARSE} x "
        f"{COARSE}, and maps of their poses, to logits of the person's mask."
    )
    return {"mask": Graph(network.mask, inputs, axes, ("mask_logits",), note)}


def _refinement(network: CarryingNetwork, shown: dict[str, tuple[Any, ...]]) -> dict[str, Graph]:
    if network.refinement is None:
        return {}
    layers, maps = shown["refinement"]
    inputs = {each.name: getattr(layers, each.name) for each in fields(LayerBatch)}
    inputs["maps"] = maps
    axes = {name: ("batch", *map(str, value.shape[1:])) for name, value in inputs.items()}
    note = (
        f"layers of future frames (posecast.networks.carrying.LayerBatch, made by posecast."
        f"carrying.layers; pictures from -1 to 1) at {COARSE} x {COARSE} and maps of the poses to "
        "what posecast.networks.carrying.refined changes of them, at whatever size they have."
    )
    outputs = tuple(each.name for each in fields(Changes))
    return {
        "refinement": Graph(RefinementGraph(network.refinement).eval(), inputs, axes, outputs, note)
    }


def _keep(
    shown: dict[str, tuple[Any, ...]], name: str
) -> Callable[[nn.Module, tuple[Any, ...]], None]:
    """What notes the arguments of a network's call."""

    def hook(_: nn.Module, inputs: tuple[Any, ...]) -> None:
        shown[name] = inputs

    return hook


def _example(skeleton: Skeleton) -> SeenVideo:
    """Some frames of somebody, larger than the size that the networks work at."""
    rng, side = np.random.default_rng(0), 3 * COARSE
    joints = rng.uniform(0.25 * side, 0.75 * side, (3, skeleton.num_joints, 2))
    frames = rng.integers(0, 256, (3, side, side, 3), np.uint8)
    return SeenVideo(joints, np.ones(joints.shape[:2], bool), 30.0, (side, side), frames)
