"""The room behind a person as traceable functions, for a camera that stands still.

As `carrying.plate`, whose constants it takes, in tensors: `p` seen frames of side `s`, masks `c`.
"""

import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor
from torch.nn import functional

from posecast.carrying.plate import PATCHES, REMAINS, RIM, SAME_ROOM, UNCOVERED, WHOLE
from posecast.export.completion_graph import completed
from posecast.export.frame_graphs import to_side


def plate_of(
    pictures: UInt8[Tensor, "p s s 3"], hidden: Float[Tensor, "p c c"]
) -> tuple[UInt8[Tensor, "s s 3"], Bool[Tensor, "s s"], Float[Tensor, " p"]]:
    """As `plate.background_plate`."""
    side = pictures.shape[1]
    seen, rim = to_side(hidden[:, None], side) < UNCOVERED, round(RIM * side)
    grown = functional.max_pool2d((~seen).float(), 2 * rim + 1, 1, rim)
    seen, sure, shown = seen[:, 0, :, :, None], grown[:, 0, :, :, None] == 0, pictures.float()
    patches, whole = (
        functional.avg_pool2d(each.movedim(-1, 1), side // PATCHES)
        for each in (shown, sure.float())
    )
    change, both = (patches - patches[-1]).abs().mean(1, keepdim=True), whole.minimum(whole[-1:])
    both = (both > WHOLE).float()
    change = (change * both).sum((1, 2, 3)) / both.sum((1, 2, 3)).clamp(min=1)
    same = (change <= SAME_ROOM)[:, None, None, None]
    seen, sure = seen & same, sure & same
    rest, last, holes = _median(shown, sure), shown[-1], ~seen.any(0)
    left = sure.any(0) & ~sure[-1] & ((rest - last).abs().mean(-1, keepdim=True) > REMAINS)
    last = torch.where(left, rest, last)
    plate = torch.where(seen[-1] | holes, last, _median(shown, seen))
    return completed(plate, holes[..., 0]).to(torch.uint8), holes[..., 0], change


def _median(shown: Float[Tensor, "p s s 3"], seen: Bool[Tensor, "p s s 1"]) -> Tensor:
    """The lower one of two, where any frame sees the place."""
    ordered = torch.where(seen, shown, 999.0).sort(0).values
    middle = (seen.sum(0) - 1).clamp(min=0) // 2
    return ordered.gather(0, middle.expand(-1, -1, 3)[None])[0]
