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

from posecast.motion import bones, neighbours
from posecast.motion import own_past as past
from posecast.motion.basis import HORIZON
from posecast.motion.neighbours import LOOKED_AT, NUM_NEIGHBOURS, MotionBase
from posecast.motion.seen import BACK, LONGEST_UNSEEN, RECENT
from posecast.networks.moment_weights import MomentWeights
from posecast.networks.motion_residual import MotionResidual
from posecast.networks.motion_values import MotionInputs, flip
from posecast.skeletons import SKELETONS, Skeleton

_HUGE = 1e30


class MotionGraph(nn.Module):
    """Own past, neighbours, the network and the limbs' lengths."""

    def __init__(self, network: MotionResidual, base: MotionBase) -> None:
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
        own = _own_past(joints, self.network.moments)
        others, others_facts = self.others(inputs)
        basis, unit = self.network.basis, size[:, None, None, None]
        inputs |= {
            "own": _to_cosines(own["likely"] / unit, basis),
            "own_best": _to_cosines(own["best"] / unit, basis),
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
    filled: Float[Tensor, "b p j 2"],
    visible: Bool[Tensor, "b p j"],
    last_seen: Int[Tensor, "b j"],
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


def _own_past(joints: Float[Tensor, "b p j 2"], learned: MomentWeights | None) -> dict[str, Tensor]:
    """As `own_past.own_past`: likely and best displacements in pixels, and the facts."""
    sides = (joints.amax(dim=2) - joints.amin(dim=2)).amax(dim=-1)
    size = _median(sides, torch.ones_like(sides, dtype=torch.bool)) + 1e-6
    unit = size[:, None, None, None]
    poses = joints / unit
    ends, tried = _ends(poses)
    misfits = _misfits(poses, ends, tried)
    moments, weights, errors = _best_moments(misfits[:, -1:], ends[-1:], past.NUM_MOMENTS)
    ahead = torch.arange(1, HORIZON + 1, device=poses.device)
    moved = _continue(poses, ends[-1:], moments, ahead)[:, 0]
    is_any = (weights[:, 0, :1] > 0)[..., None, None]
    shares = weights[:, 0, :, None].expand(-1, -1, HORIZON)
    if learned is not None:
        shares = learned(poses, moments[:, 0], errors[:, 0], errors[:, 0] < _HUGE)
    likely = torch.einsum("bnt,bntjc->btjc", shares, moved) * is_any
    fit = _fit_facts(misfits[:, -1], moments[:, 0], weights[:, 0], errors[:, 0], moved)
    few = _best_moments(misfits[:, :-1], ends[:-1], past.TRIED_MOMENTS)
    trial = _trial_facts(poses, ends[:-1], tried[:-1], few[0], few[1])
    nothing = torch.tensor(past.NO_FACTS, device=poses.device)
    facts = torch.where(is_any[:, :, 0, 0], torch.cat([fit, trial], dim=1), nothing)
    return {"likely": likely * unit, "best": moved[:, 0] * is_any * unit, "facts": facts}


def _ends(poses: Float[Tensor, "b p j 2"]) -> tuple[Int[Tensor, " e"], Bool[Tensor, " e"]]:
    """Frames from which the own past is tried, the last one last, and which of them there are."""
    last = poses.shape[1] - 1
    count = past.TRIED_FRAMES // past.TRIED_EVERY
    back = torch.arange(count, device=poses.device) * past.TRIED_EVERY + past.TRIED_AHEAD[1]
    ends = torch.cat([last - back, last - torch.zeros_like(back[:1])])
    tried = torch.cat([last - back > past.TRIED_FROM, torch.zeros_like(back[:1]) < 1])
    return ends.clamp(min=0), tried


def _misfits(
    poses: Float[Tensor, "b p j 2"], ends: Int[Tensor, " e"], tried: Bool[Tensor, " e"]
) -> Float[Tensor, "b e p"]:
    """As `own_past._misfits`; row k of the distances is of the frame k before the last."""
    count, device = poses.shape[1], poses.device
    frames = torch.arange(count, device=device)
    later = frames.clamp(min=past.VELOCITY_FRAMES).clamp(max=count - 1)
    earlier = (later - past.VELOCITY_FRAMES).clamp(min=0)
    velocity = (poses[:, later] - poses[:, earlier]) * (past.VELOCITY_WEIGHT / past.VELOCITY_FRAMES)
    centred = poses - poses.mean(dim=2, keepdim=True)
    features = torch.cat([centred.flatten(2), velocity.flatten(2)], dim=2)
    backs = torch.arange(past.TRIED_FRAMES + past.SETTLED, device=device)
    recent = features[:, (count - 1 - backs).clamp(min=0)]
    squares, recents = features.square().sum(dim=2), recent.square().sum(dim=2)
    distances = squares[:, None] + recents[..., None] - 2 * recent @ features.transpose(1, 2)
    distances = distances.clamp(min=0) / poses.shape[2]
    back_of_end = count - 1 - ends
    row = (back_of_end[:, None] + backs).clamp(max=len(backs) - 1)
    column = frames - backs[:, None]
    size = (poses.shape[0], len(ends), -1, -1)
    places = column.clamp(min=0).expand(*size)
    along = distances[:, row].gather(3, places)
    first = (torch.where(tried, ends, count).min() - past.SETTLED).clamp(min=0)
    there = ((ends[:, None] - backs) >= first)[..., None] & (column >= 0)
    weight = (past.MEMORY**backs)[:, None] * there
    return (along * weight).sum(dim=2) / weight.sum(dim=1).clamp(min=1e-9)


def _best_moments(
    misfits: Float[Tensor, "b e p"], ends: Int[Tensor, " e"], most: int
) -> tuple[Int[Tensor, "b e n"], Float[Tensor, "b e n"], Float[Tensor, "b e n"]]:
    """The moments that fit best, their weights (0: it is none) and their errors."""
    left = torch.where(_may_be_moments(misfits, ends), misfits, _HUGE)
    left = torch.cat([left, torch.full_like(left[..., :1], _HUGE).expand(-1, -1, most)], dim=2)
    errors, moments = left.topk(most, dim=2, largest=False)
    best = errors[..., :1]
    weights = torch.exp(-(errors - best) / (past.SOFTNESS * best + 1e-9)) * (errors < _HUGE)
    weights = weights / weights.sum(dim=2, keepdim=True).clamp(min=1e-9)
    latest = (ends - past.SHORTEST_PERIOD).clamp(min=0)[:, None]
    return torch.minimum(moments, latest), weights, errors


def _may_be_moments(
    misfits: Float[Tensor, "b e p"], ends: Int[Tensor, " e"]
) -> Bool[Tensor, "b e p"]:
    frames = torch.arange(misfits.shape[2], device=misfits.device)
    fits = (frames >= past.WARM_UP) & (frames <= ends[:, None] - past.SHORTEST_PERIOD)
    return fits & torch.ones_like(misfits, dtype=torch.bool)


def _continue(
    poses: Float[Tensor, "b p j 2"],
    ends: Int[Tensor, " e"],
    moments: Int[Tensor, "b e n"],
    ahead: Int[Tensor, " t"],
) -> Float[Tensor, "b e n t j 2"]:
    """As `own_past._continue`."""
    period = (ends[:, None] - moments).clamp(min=1)
    frames = moments[..., None] + (ahead - 1) % period[..., None] + 1
    flat = poses.flatten(2)

    def at(wanted: Int[Tensor, "b *n"]) -> Float[Tensor, "b *n j 2"]:
        index = wanted.clamp(max=poses.shape[1] - 1).flatten(1)[..., None]
        rows = flat.gather(1, index.expand(-1, -1, flat.shape[2]))
        return rows.unflatten(2, poses.shape[2:]).unflatten(1, wanted.shape[1:])

    then = at(moments)
    off = poses[:, ends][:, :, None] - then
    off = off - off.mean(dim=3, keepdim=True)
    pull = 1 - torch.exp(-ahead / past.PULL_FRAMES)
    return at(frames) - then[:, :, :, None] - pull[:, None, None] * off[:, :, :, None]


def _fit_facts(
    misfit: Float[Tensor, "b p"],
    moments: Int[Tensor, "b n"],
    weights: Float[Tensor, "b n"],
    errors: Float[Tensor, "b n"],
    moved: Float[Tensor, "b n t j 2"],
) -> Float[Tensor, "b 8"]:
    mean = torch.einsum("bn,bntjc->btjc", weights, moved)
    apart = (moved - mean[:, None]).square().sum(dim=-1)
    spread = torch.einsum("bn,bntj->btj", weights, apart).mean(dim=-1).sqrt()
    movement = mean.square().sum(dim=-1).mean(dim=-1).sqrt()
    last = misfit.shape[1] - 1
    at_end = torch.zeros_like(moments[0, :1]) + last
    usual = _median(misfit, _may_be_moments(misfit[:, None], at_end)[:, 0])
    best = errors[:, 0].clamp(max=1e6)
    columns = [
        torch.ones_like(best),
        torch.log(best + 1e-6) / 3,
        torch.sqrt(best / usual.clamp(min=1e-6)),
        torch.log((last - moments[:, 0]).clamp(min=1).float()) / 4,
        *(5 * spread[:, frames - 1] for frames in past.SPREAD_FRAMES),
        5 * movement[:, past.SPREAD_FRAMES[0] - 1],
        1 / weights.square().sum(dim=1).clamp(min=1e-9) / 10,
    ]
    return torch.stack(columns, dim=1)


def _trial_facts(
    poses: Float[Tensor, "b p j 2"],
    ends: Int[Tensor, " e"],
    tried: Bool[Tensor, " e"],
    moments: Int[Tensor, "b e n"],
    weights: Float[Tensor, "b e n"],
) -> Float[Tensor, "b 15"]:
    """As `own_past._trial_facts`; 0 where nothing was tried."""
    last = poses.shape[1] - 1
    ahead = torch.tensor(past.TRIED_AHEAD, device=poses.device)
    moved = torch.einsum("ben,bentjc->betjc", weights, _continue(poses, ends, moments, ahead))
    frames = ends[:, None] + ahead
    came = poses[:, frames.clamp(max=last)] - poses[:, ends][:, :, None]
    seen = ((frames <= last) & tried[:, None]).float()

    def total(values: Float[Tensor, "b e t j"]) -> Float[Tensor, "b t"]:
        return (values.mean(dim=-1) * seen).sum(dim=1)

    noise = past.NOISE * seen.sum(dim=0) + 1e-3
    error = total((moved - came).norm(dim=-1)) + noise
    still = total(came.norm(dim=-1)) + noise
    square = total(moved.square().sum(dim=-1)) + past.NOISE * noise
    share = total((moved * came).sum(dim=-1)) + past.USUAL_SHARE * past.NOISE * noise
    count = tried.float().mean() + torch.zeros_like(error[:, :1])
    facts = [count, torch.log(error / still), (share / square).clamp(-1, 2)]
    return torch.cat(facts, dim=1) * tried.any()


class _Others(nn.Module):
    """As `MotionBase.find`; the database stays packed."""

    def __init__(self, base: MotionBase) -> None:
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
        columns = [BACK.index(frames) for frames in LOOKED_AT]
        weights = neighbours.MOVEMENT_WEIGHT / torch.tensor(LOOKED_AT).sqrt()
        moved = seen["was"][:, columns] * weights[:, None, None]
        features = torch.cat([seen["pose"][:, None], moved], dim=1)
        features = features.clamp(-neighbours.FARTHEST, neighbours.FARTHEST)
        known = torch.cat([torch.ones_like(seen["exists"][:, :1]), seen["exists"][:, columns]], 1)
        entries = self._rows("features", slice(None))
        squares = entries.square().unflatten(1, (known.shape[1], -1)).sum(dim=2)
        both = [features, flip(features, mirror)]
        far = torch.cat([_squared(each, known, entries, squares) for each in both], dim=1)
        far, nearest = torch.topk(far, NUM_NEIGHBOURS, dim=1, largest=False)
        return self._of_nearest(far.clamp(min=0), nearest, entries.shape[0])

    def _of_nearest(
        self, far: Float[Tensor, "b n"], nearest: Int[Tensor, "b n"], count: int
    ) -> tuple[Float[Tensor, "b m j 2"], Float[Tensor, "b 4"]]:
        mirror = self.get_buffer("mirror")
        shape = (-1, mirror.shape[0], 2)
        cosines = self._rows("futures", nearest % count).unflatten(2, shape)
        turned = (nearest >= count)[..., None, None, None]
        cosines = torch.where(turned, flip(cosines, mirror), cosines)
        weights = torch.exp(-far / far[:, -1:].clamp(min=1e-6))
        weights = weights / weights.sum(dim=1, keepdim=True)
        mean = torch.einsum("bn,bnmjc->bmjc", weights, cosines)
        apart = (cosines - mean[:, None]).square().mean(dim=(3, 4)) / HORIZON
        variance = torch.einsum("bn,bnm->bm", weights, apart)
        facts = [
            torch.log(far[:, 0] + 1e-3) / 3,
            torch.log(far[:, -1] + 1e-3) / 3,
            5 * variance.sum(dim=1).sqrt(),
            5 * variance[:, 2:].sum(dim=1).sqrt(),
        ]
        return mean, torch.stack(facts, dim=1)

    def _rows(self, name: str, rows: slice | Tensor) -> Float[Tensor, "*n d"]:
        parts = (self.get_buffer(f"{name}_{key}") for key in ("codes", "steps", "components"))
        codes, steps, components = parts
        return (codes[rows].float() * steps) @ components + self.get_buffer(f"{name}_mean")


def _squared(
    features: Float[Tensor, "b f j 2"],
    known: Float[Tensor, "b f"],
    entries: Float[Tensor, "n d"],
    squares: Float[Tensor, "n f"],
) -> Float[Tensor, "b n"]:
    query = (features * known[..., None, None]).flatten(1)
    own = query.square().sum(dim=1, keepdim=True)
    return own - 2 * query @ entries.T + known @ squares.T


def _hold_limbs(
    future: Float[Tensor, "b t j 2"],
    seen: Float[Tensor, "b p j 2"],
    visible: Bool[Tensor, "b p j"],
    skeleton: Skeleton,
) -> Float[Tensor, "b t j 2"]:
    """As `bones.hold_limbs`."""
    joints = list(future.unbind(dim=2))
    for limb in skeleton.limbs:
        parents, ends = ([skeleton.index(name) for name in end] for end in limb)
        if len(ends) > 1:
            continue
        shown = visible[:, :, [*parents, *ends]].all(dim=2)
        lengths = (seen[:, :, ends[0]] - seen[:, :, parents].mean(dim=2)).norm(dim=-1)
        lengths = torch.where(shown, lengths, _HUGE).sort(dim=1).values
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


def _to_cosines(
    moved: Float[Tensor, "b t j 2"], basis: Float[Tensor, "t m"]
) -> Float[Tensor, "b m j 2"]:
    return torch.einsum("btjc,tm->bmjc", moved, basis)


def _median(values: Float[Tensor, "b n"], counted: Bool[Tensor, "b n"]) -> Float[Tensor, " b"]:
    """Of the values that count; the mean of the middle two of an even number."""
    ordered = torch.where(counted, values, _HUGE).sort(dim=1).values
    last = counted.sum(dim=1, keepdim=True) - 1
    middle = torch.cat([last.clamp(min=0) // 2, (last + 1) // 2], dim=1)
    return ordered.gather(1, middle).mean(dim=1)
