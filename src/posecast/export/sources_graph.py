"""Whose pixels are whose, and from where each part is taken, as traceable functions.

As `carrying.sources`, whose constants it takes, in tensors: `p` seen frames, `n` parts, `t` wanted
poses, pictures of side `c`.
"""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from posecast.carrying.sources import (
    AGEING,
    COVERED,
    LEGS,
    MASK_REACH,
    OTHER_LIGHT,
    SAME_GREY,
    SAME_LIGHT,
    SHARED,
    SHINS,
    SOFT,
    SWITCHING,
    WIDE,
    WIDEST,
    WITHIN,
)
from posecast.export import body_graph as body
from posecast.export.uncovering_graph import uncovers


def person_mask(
    nearest: Float[Tensor, "p c c"], mask: Float[Tensor, "p c c"]
) -> Float[Tensor, "p c c"]:
    """As `sources.person_mask`."""
    believed = mask * ((MASK_REACH - nearest) / 0.5).clamp(0, 1)
    return torch.maximum(believed, 0.9 * ((0.75 - nearest) / 0.3).clamp(0, 1))


def reaching(
    distances: Float[Tensor, "b n c c"], covers: Float[Tensor, "b n c c"]
) -> Float[Tensor, "b n c c"]:
    """As `sources.reaching`."""
    wide = (covers > 0.5) & (distances < WIDEST)
    return torch.where(wide, distances.clamp(max=WIDE), distances)


def widened(
    distances: Float[Tensor, "p n c c"], masks: Float[Tensor, "p c c"]
) -> Float[Tensor, "p n c c"]:
    """As `sources.widened`."""
    nearest = distances == distances.amin(1, keepdim=True)
    return reaching(distances, nearest * masks[:, None])


def at_feet(distances: Float[Tensor, "n c c"]) -> Float[Tensor, "c c"]:
    """As `sources.at_feet`."""
    others = [n for n in range(distances.shape[0]) if n not in SHINS]
    return (distances[list(SHINS)].amin(0) < distances[others].amin(0)).float()


def taken_in(
    missed: Float[Tensor, "c c"], mask: Float[Tensor, "c c"], distances: Float[Tensor, "n c c"]
) -> tuple[Float[Tensor, "c c"], Float[Tensor, "n c c"]]:
    """As `sources.taken_in`."""
    nearest = (distances == distances.amin(0)) & (missed > 0.5)
    return torch.maximum(mask, missed), torch.where(nearest, distances.clamp(max=1), distances)


def members_of(
    mask: Float[Tensor, "p c c"], distances: Float[Tensor, "p n c c"], seen: body.Bodies
) -> Float[Tensor, "p n c c"]:
    """As `sources.members_of`."""
    nearest = distances.amin(1, keepdim=True)
    belongs = list((1 - (distances - nearest) / SHARED).clamp(0, 1).unbind(1))
    along = seen.ends[:, :, 1] - seen.ends[:, :, 0]
    for leg in map(list, LEGS):
        thigh, shin = along[:, leg].unbind(1)
        folded = (thigh * shin).sum(-1) < 0
        shared = (distances[:, leg].amin(1) <= nearest[:, 0]) & folded[:, None, None]
        for n in leg:
            within = ((WITHIN - distances[:, n]) / SOFT).clamp(0, 1) * shared
            belongs[n] = torch.maximum(belongs[n], within)
    return mask[:, None] * torch.stack(belongs, 1) * seen.known[..., None, None]


def jitter_of(
    frames: Float[Tensor, "p 3 c c"], members: Float[Tensor, "p n c c"], seen: body.Bodies
) -> Float[Tensor, " n"]:
    """As `sources.jitter_of`."""
    change = (frames - frames[-1]).abs().mean(1)
    weight = members[-1] + 1e-6
    change = torch.einsum("pyx,nyx->pn", change, weight) / weight.sum((1, 2))
    moved = (seen.ends - seen.ends[-1]).abs().amax((2, 3))
    same = (change < SAME_GREY) & seen.known & seen.known[-1]
    return torch.where(same, moved, 0.0).amax(0)


def sources_of(
    wanted: body.Bodies,
    seen: body.Bodies,
    light: Float[Tensor, " p"],
    size: Float[Tensor, ""],
    crossing: Bool[Tensor, "p n a"],
) -> Int[Tensor, "t n"]:
    """As `sources.sources_of`."""
    vectors = [each.ends[:, 1:, 1] - each.ends[:, 1:, 0] for each in (wanted, seen)]
    unlike = (vectors[0][:, None] - vectors[1]).norm(dim=-1)
    corners = [each.corners - each.corners.mean(1, keepdim=True) for each in (wanted, seen)]
    torso = (corners[0][:, None] - corners[1]).norm(dim=-1).mean(-1)
    count = seen.known.shape[0]
    age = AGEING * (count - 1 - torch.arange(count))
    age = age + OTHER_LIGHT * (light - SAME_LIGHT).clamp(min=0)
    unlike = torch.cat([torso[..., None], unlike], -1) / size + age[:, None]
    unlike = unlike + COVERED * uncovers(wanted, seen, crossing)
    unlike = torch.where(seen.known, unlike, body.HUGE)
    usable = seen.known.any(0) & wanted.known
    frames, chosen = torch.arange(count)[:, None], []
    before = torch.full_like(seen.known[0], -1, dtype=torch.long)
    for t in range(wanted.known.shape[0]):
        kept = SWITCHING * (frames == before)
        before = torch.where(usable[t], (unlike[t] - kept).argmin(0), before)
        chosen.append(torch.where(usable[t], before, -1))
    return torch.stack(chosen)


def still_hidden(
    wanted: body.Bodies, seen: body.Bodies, size: Float[Tensor, ""]
) -> Bool[Tensor, "t n"]:
    """As `sources.still_hidden`."""
    last = seen.known[-1]
    unlike = _apart(wanted, seen)[..., None] / size
    hides, shows = (
        torch.where(which, unlike, body.HUGE).amin(1) for which in (~seen.known, seen.known)
    )
    nearer, hidden = hides - shows, []
    before = torch.ones_like(last)
    for t in range(wanted.known.shape[0]):
        before = nearer[t] < torch.where(before, SWITCHING, -SWITCHING)
        hidden.append(before)
    return torch.stack(hidden) & ~last & last.any()


def _apart(wanted: body.Bodies, seen: body.Bodies) -> Float[Tensor, "t p"]:
    """As `sources._apart`."""
    told = wanted.known & seen.known[-1]
    both = told[:, None] & seen.known
    parts = both.float().sum(2)
    share = (both / parts.clamp(min=1)[..., None])[..., None, None]
    moved = torch.where(both[..., None, None], wanted.ends[:, None] - seen.ends, 0.0)
    moved = moved - (moved * share).sum(2, keepdim=True)
    far = moved.norm(dim=-1, keepdim=True) * share
    enough = 2 * parts >= told.float().sum(1, keepdim=True)
    return torch.where(enough, far.sum(2).mean((2, 3)), body.HUGE)
