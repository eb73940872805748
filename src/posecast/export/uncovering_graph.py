"""`posecast.carrying.uncovering` as traceable functions."""

import torch
from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor

from posecast.carrying import uncovering
from posecast.export.body_graph import Bodies, blurred
from posecast.export.completion_graph import grown
from posecast.export.frame_graphs import to_side

_FOREARMS, _ARMS = list(uncovering.FOREARMS), list(uncovering.ARMS)


def crossed(distances: Float[Tensor, "p n c c"]) -> Bool[Tensor, "p n a"]:
    """As `uncovering.crossed`."""
    near = distances < uncovering.OVER
    over = (near[:, :, None] & near[:, None, _ARMS]).sum((3, 4)) > uncovering.PLACES
    behind = torch.isin(torch.arange(distances.shape[1]), torch.tensor(uncovering.BEHIND))
    return over & behind[:, None]


def uncovers(
    wanted: Bodies, seen: Bodies, crossing: Bool[Tensor, "p n a"]
) -> Bool[Tensor, "t p n"]:
    """As `uncovering.uncovers`, of each part."""
    beside = [
        each.ends[:, None, _ARMS] - each.ends.mean(2)[:, :, None, None] for each in (wanted, seen)
    ]
    moved = (beside[0][:, None] - beside[1]).abs().amax((4, 5)) > uncovering.LEFT_PX
    return (moved & wanted.known[:, None, None, _ARMS] & crossing).any(-1)


def has_left(
    pose: Bodies,
    seen: Bodies,
    sources: Int[Tensor, "b n"],
    transforms: Float[Tensor, "b n 2 3"],
    crossing: Bool[Tensor, "p n a"],
) -> Bool[Tensor, "b n"]:
    """As `uncovering.has_left`."""
    taken = sources.clamp(min=0)
    ends = torch.einsum("bnij,baej->bnaei", transforms[..., :2], pose.ends[:, _FOREARMS])
    ends = ends + transforms[..., 2][:, :, None, None]
    moved = (ends - seen.ends[:, _FOREARMS][taken]).abs().amax((3, 4)) > uncovering.LEFT_PX
    over = crossing[taken, torch.arange(crossing.shape[1]), : len(_FOREARMS)]
    return (moved & pose.known[:, None, _FOREARMS] & over).any(-1) & (sources >= 0)


def without_forearms(
    pictures: UInt8[Tensor, "p s s 3"],
    mask: Float[Tensor, "p c c"],
    distances: Float[Tensor, "p n c c"],
) -> UInt8[Tensor, "p s s 3"]:
    """As `uncovering.without_forearms`, of each frame."""
    side, planes = pictures.shape[1], pictures.movedim(-1, 1).float()
    arm = distances[:, _FOREARMS].amin(1)
    body = (
        (mask > uncovering.SURE)
        & (arm > uncovering.ARM)
        & (distances[:, list(uncovering.BEHIND)].amin(1) < uncovering.BODY)
    )
    enough = body.sum((1, 2))[:, None, None, None] >= uncovering.FEWEST
    hidden = to_side(blurred((arm < uncovering.ARM).float(), uncovering.EDGE)[:, None], side)
    inner = grown(planes, to_side(body.float()[:, None], side) > 0.5)
    bare = (planes * (1 - hidden) + inner * hidden + 0.5).clamp(0, 255).floor()
    return torch.where(enough, bare, planes).movedim(1, -1).to(torch.uint8)
