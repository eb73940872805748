"""Own past as a traceable function: `motion.own_past` of many motions of one length at once."""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from posecast.motion import own_past as past
from posecast.motion import recall
from posecast.motion.basis import HORIZON
from posecast.networks.moment_weights import MomentWeights

HUGE = 1e30
"""Of what does not count, where the least is looked for."""


def own_past_of(
    joints: Float[Tensor, "b p j 2"], learned: MomentWeights | None
) -> dict[str, Tensor]:
    """As `own_past.own_past`: likely and best displacements in pixels, and the facts."""
    sides = (joints.amax(dim=2) - joints.amin(dim=2)).amax(dim=-1)
    size = _median(sides, torch.ones_like(sides, dtype=torch.bool)) + 1e-6
    unit = size[:, None, None, None]
    poses = joints / unit
    ends, tried = _ends(poses)
    misfits = _misfits(poses, poses, ends, tried)
    moments, weights, errors = _best_moments(misfits[:, -1:], ends[-1:], recall.NUM_MOMENTS)
    ahead = torch.arange(1, HORIZON + 1, device=poses.device)
    moved = _continue(poses, ends[-1:], moments, ahead)[:, 0]
    is_any = (weights[:, 0, :1] > 0)[..., None, None]
    if learned is None:
        likely = torch.einsum("bn,bntjc->btjc", weights[:, 0], moved)
    else:
        forth = (moments[:, 0], errors[:, 0], moved)
        likely = _weighed(learned, poses, forth, _turned(poses, ends[-1:], tried[-1:]))
    likely = likely * is_any
    fit = _fit_facts(misfits[:, -1], moments[:, 0], weights[:, 0], errors[:, 0], moved)
    few = _best_moments(misfits[:, :-1], ends[:-1], past.TRIED_MOMENTS)
    trial = _trial_facts(poses, ends[:-1], tried[:-1], few[0], few[1])
    nothing = torch.tensor(past.NO_FACTS, device=poses.device)
    facts = torch.where(is_any[:, :, 0, 0], torch.cat([fit, trial], dim=1), nothing)
    return {"likely": likely * unit, "best": moved[:, 0] * is_any * unit, "facts": facts}


def _weighed(
    learned: MomentWeights, poses: Float[Tensor, "b p j 2"], *found: tuple[Tensor, Tensor, Tensor]
) -> Float[Tensor, "b t j 2"]:
    """The mean over moments, then turned ones (frames, errors, how it went on), as was learned."""
    frames, errors, moved = (torch.cat(pair, dim=1) for pair in zip(*found, strict=True))
    turned = torch.arange(frames.shape[1], device=poses.device) >= recall.NUM_MOMENTS
    shares = learned(poses, frames, errors, errors < HUGE, turned.expand_as(frames))
    return (shares[..., None] * moved).sum(dim=1)


def _turned(
    poses: Float[Tensor, "b p j 2"], end: Int[Tensor, "1"], tried: Bool[Tensor, "1"]
) -> tuple[Tensor, Tensor, Tensor]:
    """As `recall._turned`: frames, errors and how it went on."""
    history = poses.flip(1)
    misfits = _misfits(poses, history, end, tried)
    moments, _, errors = _best_moments(misfits, end, recall.NUM_TURNED)
    ahead = torch.arange(1, HORIZON + 1, device=poses.device)
    frames = torch.minimum(moments[..., None] + ahead, end)
    return moments[:, 0], errors[:, 0], _moved(history, poses[:, end], moments, frames, ahead)[:, 0]


def _ends(poses: Float[Tensor, "b p j 2"]) -> tuple[Int[Tensor, " e"], Bool[Tensor, " e"]]:
    """Frames from which the own past is tried, the last one last, and which of them there are."""
    last = poses.shape[1] - 1
    count = recall.TRIED_FRAMES // recall.TRIED_EVERY
    back = torch.arange(count, device=poses.device) * recall.TRIED_EVERY + past.TRIED_AHEAD[1]
    ends = torch.cat([last - back, last - torch.zeros_like(back[:1])])
    tried = torch.cat([last - back > recall.TRIED_FROM, torch.zeros_like(back[:1]) < 1])
    return ends.clamp(min=0), tried


def _misfits(
    poses: Float[Tensor, "b p j 2"],
    history: Float[Tensor, "b p j 2"],
    ends: Int[Tensor, " e"],
    tried: Bool[Tensor, " e"],
) -> Float[Tensor, "b e p"]:
    """As `recall.misfits_of`; row k of the distances is of the frame k before the last."""
    count, device = poses.shape[1], poses.device
    frames = torch.arange(count, device=device)
    backs = torch.arange(recall.TRIED_FRAMES + recall.SETTLED, device=device)
    features = _features(history)
    middle = features.mean(dim=1, keepdim=True)
    recent = _features(poses)[:, (count - 1 - backs).clamp(min=0)] - middle
    features = features - middle
    squares, recents = features.square().sum(dim=2), recent.square().sum(dim=2)
    distances = squares[:, None] + recents[..., None] - 2 * recent @ features.transpose(1, 2)
    distances = distances.clamp(min=0) / poses.shape[2]
    back_of_end = count - 1 - ends
    row = (back_of_end[:, None] + backs).clamp(max=len(backs) - 1)
    column = frames - backs[:, None]
    size = (poses.shape[0], len(ends), -1, -1)
    places = column.clamp(min=0).expand(*size)
    along = distances[:, row].gather(3, places)
    first = (torch.where(tried, ends, count).min() - recall.SETTLED).clamp(min=0)
    there = ((ends[:, None] - backs) >= first)[..., None] & (column >= 0)
    weight = (recall.MEMORY**backs)[:, None] * there
    return (along * weight).sum(dim=2) / weight.sum(dim=1).clamp(min=1e-9)


def _features(poses: Float[Tensor, "b p j 2"]) -> Float[Tensor, "b p d"]:
    """As `recall._features`."""
    count = poses.shape[1]
    frames = torch.arange(count, device=poses.device)
    later = frames.clamp(min=recall.VELOCITY_FRAMES).clamp(max=count - 1)
    earlier = (later - recall.VELOCITY_FRAMES).clamp(min=0)
    velocity = (poses[:, later] - poses[:, earlier]) * (
        recall.VELOCITY_WEIGHT / recall.VELOCITY_FRAMES
    )
    centred = poses - poses.mean(dim=2, keepdim=True)
    return torch.cat([centred.flatten(2), velocity.flatten(2)], dim=2)


def _best_moments(
    misfits: Float[Tensor, "b e p"], ends: Int[Tensor, " e"], most: int
) -> tuple[Int[Tensor, "b e n"], Float[Tensor, "b e n"], Float[Tensor, "b e n"]]:
    """The moments that fit best, their weights (0: it is none) and their errors."""
    left = torch.where(_may_be_moments(misfits, ends), misfits, HUGE)
    left = torch.cat([left, torch.full_like(left[..., :1], HUGE).expand(-1, -1, most)], dim=2)
    errors, moments = left.topk(most, dim=2, largest=False)
    best = errors[..., :1]
    weights = torch.exp(-(errors - best) / (past.SOFTNESS * best + 1e-9)) * (errors < HUGE)
    weights = weights / weights.sum(dim=2, keepdim=True).clamp(min=1e-9)
    latest = (ends - recall.SHORTEST_PERIOD).clamp(min=0)[:, None]
    return torch.minimum(moments, latest), weights, errors


def _may_be_moments(
    misfits: Float[Tensor, "b e p"], ends: Int[Tensor, " e"]
) -> Bool[Tensor, "b e p"]:
    frames = torch.arange(misfits.shape[2], device=misfits.device)
    fits = (frames >= recall.WARM_UP) & (frames <= ends[:, None] - recall.SHORTEST_PERIOD)
    return fits & torch.ones_like(misfits, dtype=torch.bool)


def _continue(
    poses: Float[Tensor, "b p j 2"],
    ends: Int[Tensor, " e"],
    moments: Int[Tensor, "b e n"],
    ahead: Int[Tensor, " t"],
) -> Float[Tensor, "b e n t j 2"]:
    """As `recall.continued`."""
    period = (ends[:, None] - moments).clamp(min=1)
    frames = moments[..., None] + (ahead - 1) % period[..., None] + 1
    return _moved(poses, poses[:, ends], moments, frames, ahead)


def _moved(
    history: Float[Tensor, "b p j 2"],
    now: Float[Tensor, "b e j 2"],
    moments: Int[Tensor, "b e n"],
    frames: Int[Tensor, "b e n t"],
    ahead: Int[Tensor, " t"],
) -> Float[Tensor, "b e n t j 2"]:
    """As `recall.moved_on`."""
    flat = history.flatten(2)

    def at(wanted: Int[Tensor, "b *n"]) -> Float[Tensor, "b *n j 2"]:
        index = wanted.clamp(max=history.shape[1] - 1).flatten(1)[..., None]
        rows = flat.gather(1, index.expand(-1, -1, flat.shape[2]))
        return rows.unflatten(2, history.shape[2:]).unflatten(1, wanted.shape[1:])

    then = at(moments)
    off = now[:, :, None] - then
    off = off - off.mean(dim=3, keepdim=True)
    pull = 1 - torch.exp(-ahead / recall.PULL_FRAMES)
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


def _median(values: Float[Tensor, "b n"], counted: Bool[Tensor, "b n"]) -> Float[Tensor, " b"]:
    """Of the values that count; the mean of the middle two of an even number."""
    ordered = torch.where(counted, values, HUGE).sort(dim=1).values
    last = counted.sum(dim=1, keepdim=True) - 1
    middle = torch.cat([last.clamp(min=0) // 2, (last + 1) // 2], dim=1)
    return ordered.gather(1, middle).mean(dim=1)
