"""The estimator and the networks of the carried drawer as traceable functions; the whole chain."""

import itertools
from dataclasses import fields

import numpy as np
import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor, nn

from posecast.carrying.body_maps import body_maps
from posecast.carrying.layers import COARSE
from posecast.errors import PosecastError
from posecast.estimation.estimator import PoseEstimator
from posecast.export.carrying_graph import LayersGraph, LookGraph
from posecast.export.frame_graphs import BeginGraph, CutGraph, PasteGraph, PlaceGraph, to_side
from posecast.export.graphs import CHAIN, Graph
from posecast.geometry import Crop, cut_crop
from posecast.keypoints.names import joint_sources
from posecast.media.grey_levels import to_bytes, to_network
from posecast.media.videos import read_video
from posecast.motion.seen import RECENT
from posecast.networks.carrying import NUM_LAYERS, CarryingNetwork, Changes, LayerBatch, refined
from posecast.networks.hourglass import Hourglass
from posecast.networks.movenet import MoveNet
from posecast.sample import SAMPLE
from posecast.skeletons import COCO, Skeleton


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
        """Pictures to joints as shares of them, and confidences; negative: perhaps elsewhere."""
        points, sure = self._estimator.find(to_network(pictures))
        if self._sources is None:
            return points, sure
        # Scores of MoveNet are not 0, so that the best source always counts.
        columns = [sources[0] if sources else [] for sources in self._sources]
        joints = [points[:, each].mean(dim=1) if each else 0 * points[:, 0] for each in columns]
        least = [sure[:, each].abs().amin(dim=1) if each else 0 * sure[:, 0] for each in columns]
        is_doubted = [(sure[:, each] < 0).any(dim=1) for each in columns]
        doubt = 1 - 2 * torch.stack(is_doubted, dim=1).to(sure.dtype)
        return torch.stack(joints, dim=1), doubt * torch.stack(least, dim=1)


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


class ComposeGraph(nn.Module):
    """As `composing.composed`, of layers whose pictures are finer than what is said of them."""

    def forward(
        self,
        fine_pictures: UInt8[Tensor, "b s s 12"],
        shares: Float[Tensor, "b 4 c c"],
        moving: Float[Tensor, "b 1 c c"],
        holes: Float[Tensor, "b 1 c c"],
        logits: Float[Tensor, "b 5 c c"],
        drawn: Float[Tensor, "b 3 c c"],
        flow: Float[Tensor, "b 8 d d"],
    ) -> UInt8[Tensor, "b s s 3"]:
        """Layers and changes to frames."""
        pictures = to_network(fine_pictures)
        coarse = (shares, moving, holes, logits, drawn)
        *facts, logits, drawn = (to_side(each, pictures.shape[-1]) for each in coarse)
        return to_bytes(refined(LayerBatch(pictures, *facts), Changes(logits, drawn, flow)))


def estimator_graph(network: Hourglass | MoveNet, estimator: PoseEstimator) -> Graph:
    """Of a network that finds joints, as the estimator that was made of it uses it."""
    frames = itertools.islice(read_video(SAMPLE), 2)  # of nobody a network may say anything
    squares = [cut_crop(each, Crop(140, 0, 500, 360), estimator.size, "area") for each in frames]
    pictures = {"pictures": torch.from_numpy(np.stack(squares))}
    return Graph.of_batch("estimator", EstimatorGraph(network, estimator), pictures)


def drawer_graphs(network: CarryingNetwork, skeleton: Skeleton) -> dict[str, Graph]:
    """Of the networks of a carried drawer; none where nothing was learned."""
    if network.mask is None and network.refinement is None:
        return {}
    torch.manual_seed(0)
    poses = {
        "joints_crop": torch.rand(2, skeleton.num_joints, 2),
        "visible": torch.ones(2, skeleton.num_joints, dtype=torch.bool),
        "body_size": torch.full((2, 1, 1), 0.3),
    }
    graphs = {"maps": Graph.of_batch("maps", MapsGraph(skeleton), poses)}
    maps = {"maps": graphs["maps"].function(*poses.values())}
    pictures = 2 * torch.rand(2, 3 * NUM_LAYERS, COARSE, COARSE) - 1
    if network.mask is not None:
        seen = {"pictures": pictures[:, :3].contiguous(), **maps}
        graphs["mask"] = Graph.of_batch("mask", network.mask, seen)
    if network.refinement is not None:
        shares = torch.rand(2, NUM_LAYERS, COARSE, COARSE).softmax(1)
        layers = LayerBatch(pictures, shares, *torch.rand(2, 2, 1, COARSE, COARSE).unbind())
        inputs = {**vars(layers), **maps}
        graphs["refinement"] = Graph.of_batch(
            "refinement", RefinementGraph(network.refinement), inputs
        )
    return graphs


def chain_graphs(
    networks: dict[str, Graph], skeleton: Skeleton, side: int, min_confidence: float
) -> dict[str, Graph]:
    """Of what lies between the networks, whose graphs are given: the whole `CHAIN`.

    PosecastError where `side` is no multiple of `COARSE`.
    """
    if side < COARSE or side % COARSE:
        raise PosecastError(f"--side {side}: expected a multiple of {COARSE}, such as 256")
    modules = {
        "cut": CutGraph(networks["estimator"].inputs["pictures"].shape[1]),
        "place": PlaceGraph(min_confidence),
        "begin": BeginGraph(skeleton, side),
        "look": LookGraph(skeleton),
        "layers": LayersGraph(skeleton),
        "compose": ComposeGraph(),
        "paste": PasteGraph(),
    }
    graphs, known = {}, _whole_example(skeleton)
    for name in (name for names in CHAIN.values() for name in names):
        graph = networks.get(name) or Graph.between(name, modules[name], known)
        with torch.no_grad():
            said = graph.function(*(known[each] for each in graph.inputs))
        known |= zip(graph.outputs, said if isinstance(said, tuple) else (said,), strict=True)
        graphs[name] = graph
    return graphs


def _whole_example(skeleton: Skeleton) -> dict[str, Tensor]:
    """Some frames of somebody."""
    torch.manual_seed(0)
    # Not noise: where nothing is like anything else, each rounding decides what is most alike.
    frames = to_side(torch.rand(1, 3, 12, 12), 470).mul(255).byte()[0, :, :310].movedim(0, -1)
    frames = frames.repeat(5, 1, 1, 1)
    poses = torch.rand(1, RECENT + 1, skeleton.num_joints, 2) * 200 + 50
    seen = torch.ones(poses.shape[:3], dtype=torch.bool)
    return {
        "frame": frames[0],
        "where": torch.zeros(3),
        "past_joints_px": poses,
        "past_visible": seen,
        "last_frames": frames,
        "last_joints_px": poses[0, :5],
        "last_visible": seen[0, :5],
        "numbers": torch.tensor([0, 1]),
    }
