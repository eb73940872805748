"""The pose forecaster as one traceable function: seen joints in, future joints out.

The same mathematics as `motion.seen`, `motion.own_past`, `motion.neighbours` and `motion.bones`,
whose constants it takes, and the network of `networks.motion_residual`: in tensors, for several
people at once and without branches, so that an exporter can follow it for any number of frames.
What is not there (moments, frames, joints) is masked instead of left out.
"""

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from posecast.export.own_past_graph import HUGE, own_past_of
from posecast.motion import bones, neighbours
from posecast.motion.basis import HORIZON
from posecast.motion.seen import BACK, LONGEST_UNSEEN, RECENT
from posecast.networks.motion_residual import MotionResidual
from posecast.networks.motion_values import MotionInputs
from posecast.skeletons import SKELETONS, Skeleton


class MotionGraph(nn.Module):
    """Own past, neighbours, the network and the limbs' lengths."""

    def __init__(self, network: MotionResidual, base: neighbours.MotionBase) -> None:
        super().__init__()
        self.network = network
        self.others = _Others(base)
        self._skeleton = SKELETONS[network.config.skeleton]

    def forward(
        self, past_joints_px: Float[Tensor, "b p j 2"], past_visible: Bool[Tensor, "b p j"]
    ) -> tuple[Float[Tensor, "b t j 2"], Float[Tensor, "b t j 2"], Float[Tensor, "b 2 t j"]]:
        """Seen joints at `basis.FPS` to those of the horizon.

        Returns the joints in pixels; their displacements from the last seen pose before limbs are
        held, in sizes of the seen body; and the radii in pixels that hold half and nine tenths of
        the truths.
        """
        joints, last_seen = _fill_hidden(past_joints_px, past_visible)
        inputs, size, last = _see(joints, past_visible, last_seen)
        own = own_past_of(joints, self.network.moments)
        others, others_facts = self.others(inputs)
        unit = size[:, None, None, None]
        own_cosines, best_cosines = (
            torch.einsum("btjc,tm->bmjc", own[name] / unit, self.network.basis)
            for name in ("likely", "best")
        )
        inputs |= {
            "trimmed": -torch.ones_like(size),  # videos of one's own
            "own": own_cosines,
            "own_best": best_cosines,
            "own_facts": own["facts"],
            "others": others,
            "others_facts": others_facts,
        }
        said = self.network.both_ways(MotionInputs(**inputs))
        future = last[:, None] + said.moved * unit
        future = _hold_limbs(future, joints, past_visible, self._skeleton)
        return future, said.moved, said.log_radius.exp() * unit


def _fill_hidden(
    joints: Float[Tensor, "b p j 2"], visible: Bool[Tensor, "b p j"]
) -> tuple[Float[Tensor, "b p j 2"], Int[Tensor, "b j"]]:
    """As `seen.fill_hidden`: by the numbers of the visible frames, sorted, hidden ones last."""
    count = visible.shape[1]
    frames = torch.arange(count, device=joints.device)[:, None]
    shown = torch.where(visible, frames, count).sort(dim=1).values
    so_far = visible.long().cumsum(dim=1)
    source = shown.gather(1, (so_far - 1).clamp(min=0)).clamp(max=count - 1)
    clean = torch.where(visible[..., None], joints, 0.0)
    filled = clean.gather(1, source[..., None].expand(-1, -1, -1, 2))
    known = visible.any(dim=1)[:, None, :, None]
    mean = (filled * known).sum(dim=2, keepdim=True) / known.sum(dim=2, keepdim=True).clamp(min=1)
    return torch.where(known, filled, mean), source[:, -1]


def _see(
    filled: Float[Tensor, "b p j 2"], visible: Bool[Tensor, "b p j"], last_seen: Int[Tensor, "b j"]
) -> tuple[dict[str, Tensor], Float[Tensor, " b"], Float[Tensor, "b j 2"]]:
    """As `seen.see`: what of `MotionInputs` it says, the bodies' sizes and the last poses."""
    count, device = filled.shape[1], filled.device
    never = ~visible.any(dim=1)
    recently = count - 1 - torch.arange(RECENT, device=device)
    recent = filled[:, recently.clamp(min=0)]
    size = (recent.amax(dim=2) - recent.amin(dim=2)).amax(dim=(1, 2)) + 1e-6
    last = filled[:, -1]
    back = count - 1 - torch.tensor(BACK, device=device)
    unit = size[:, None, None]
    shown = visible[:, recently.clamp(min=0)] & (recently >= 0)[None, :, None]
    unseen = torch.where(never, LONGEST_UNSEEN, count - 1 - last_seen).clamp(max=LONGEST_UNSEEN)
    ones = torch.ones_like(size)
    inputs = {
        "pose": (last - last.mean(dim=1, keepdim=True)) / unit,
        "was": (filled[:, back.clamp(min=0)] - last[:, None]) / unit[:, None],
        "exists": (back >= 0).float() * ones[:, None],
        "visible": shown.float(),
        "unseen": unseen.float() / LONGEST_UNSEEN,
        "never": never.float(),
        "num_seen": ones * count,
    }
    return inputs, size, last


class _Others(nn.Module):
    """As `MotionBase.find`; the database stays packed."""

    def __init__(self, base: neighbours.MotionBase) -> None:
        super().__init__()
        for name, packed in base.packed.items():
            for key, values in vars(packed).items():
                self.register_buffer(f"{name}_{key}", torch.from_numpy(np.array(values)))
        self.register_buffer("mirror", base.mirror)

    def forward(
        self, seen: dict[str, Tensor]
    ) -> tuple[Float[Tensor, "b m j 2"], Float[Tensor, "b 4"]]:
        """The neighbours' mean displacement as cosines, and the facts."""
        mirror = self.get_buffer("mirror")
        weights = neighbours.MOVEMENT_WEIGHT / torch.tensor(neighbours.LOOKED_AT).sqrt()
        moved = seen["was"][:, neighbours.COLUMNS] * weights[:, None, None]
        features = torch.cat([seen["pose"][:, None], moved], dim=1)
        features = features.clamp(-neighbours.FARTHEST, neighbours.FARTHEST)
        known = torch.cat(
            [torch.ones_like(seen["exists"][:, :1]), seen["exists"][:, neighbours.COLUMNS]], 1
        )
        entries = self._rows("features", slice(None))
        squares = entries.square().unflatten(1, (known.shape[1], -1)).sum(dim=2)
        both = [features, neighbours.flip(features, mirror)]
        distances = [neighbours.squared_distances(each, known, entries, squares) for each in both]
        far = torch.cat(distances, dim=1)
        far, nearest = torch.topk(far, neighbours.NUM_NEIGHBOURS, dim=1, largest=False)
        return self._of_nearest(far.clamp(min=0), nearest, entries.shape[0])

    def _of_nearest(
        self, far: Float[Tensor, "b n"], nearest: Int[Tensor, "b n"], count: int
    ) -> tuple[Float[Tensor, "b m j 2"], Float[Tensor, "b 4"]]:
        mirror = self.get_buffer("mirror")
        shape = (-1, mirror.shape[0], 2)
        cosines = self._rows("futures", nearest % count).unflatten(2, shape)
        turned = (nearest >= count)[..., None, None, None]
        cosines = torch.where(turned, neighbours.flip(cosines, mirror), cosines)
        weights = neighbours.weights_of(far)
        mean = torch.einsum("bn,bnmjc->bmjc", weights, cosines)
        return mean, neighbours.facts_of(cosines, weights, far)

    def _rows(self, name: str, rows: slice | Tensor) -> Float[Tensor, "*n d"]:
        parts = (self.get_buffer(f"{name}_{key}") for key in ("codes", "steps", "components"))
        codes, steps, components = parts
        return (codes[rows].float() * steps) @ components + self.get_buffer(f"{name}_mean")


def _hold_limbs(
    future: Float[Tensor, "b t j 2"],
    seen: Float[Tensor, "b p j 2"],
    visible: Bool[Tensor, "b p j"],
    skeleton: Skeleton,
) -> Float[Tensor, "b t j 2"]:
    """As `bones.hold_limbs`."""
    joints = list(future.unbind(dim=2))
    for parents, ends in skeleton.limb_joints:
        if len(ends) > 1:
            continue
        shown = visible[:, :, [*parents, *ends]].all(dim=2)
        lengths = (seen[:, :, ends[0]] - seen[:, :, parents].mean(dim=2)).norm(dim=-1)
        lengths = torch.where(shown, lengths, HUGE).sort(dim=1).values
        others = (shown.sum(dim=1, keepdim=True) - 1).clamp(min=0)
        place = bones.KEPT_TENTHS * others // 10  # whole numbers: exporters round products
        longest = bones.SLACK * lengths.gather(1, place)[..., None]
        vector = future[:, :, ends[0]] - future[:, :, parents].mean(dim=2)
        length = vector.norm(dim=-1, keepdim=True)
        start = torch.stack([joints[parent] for parent in parents]).mean(dim=0)
        joints[ends[0]] = start + vector * (longest / length.clamp(min=1e-9)).clamp(max=1)
    held = torch.stack(joints, dim=2)
    yet = torch.exp(-torch.arange(1, HORIZON + 1, device=held.device) / bones.IN_FORCE_FRAMES)
    return held + yet[:, None, None] * (future - held)
