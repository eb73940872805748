"""The room behind a person as traceable functions, for a camera that stands still.

As `carrying.plate`, whose constants it takes, in tensors: `p` seen frames of side `s`, masks `c`.
"""

import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor
from torch.nn import functional

from posecast.carrying.plate import (
    AGREEING,
    APART,
    BRIGHTEST,
    DARK,
    FINER,
    PATCHES,
    REMAINS,
    RIM,
    SAME_ROOM,
    SELDOM,
    SHADED,
    SHOE,
    UNCOVERED,
    WHOLE,
    nearness,
)
from posecast.export.completion_graph import completed
from posecast.export.frame_graphs import to_side


def plate_of(
    pictures: UInt8[Tensor, "p s s 3"], hidden: Float[Tensor, "p c c"], feet: Float[Tensor, "c c"]
) -> tuple[UInt8[Tensor, "s s 3"], Bool[Tensor, "s s"], Bool[Tensor, "s s"], Float[Tensor, " p"]]:
    """As `plate.background_plate`: plate, holes, missed, change."""
    side = pictures.shape[1]
    seen = (to_side(hidden[:, None], side) < UNCOVERED)[:, 0, :, :, None]
    sure, shown = _without_rim(seen, RIM * side), pictures.float()
    shoes = to_side(feet[None, None], side)[0, 0, :, :, None] > 0.5
    away = _without_rim(seen, SHOE * side)
    sure = torch.cat([sure[:-1], sure[-1:] & (away[-1:] | ~shoes)])
    change, light = _lights(shown, sure)
    same = (change <= SAME_ROOM)[:, None, None, None]
    seen, sure, away = seen & same, sure & same, away & same
    often = SELDOM * seen.sum(0) >= seen.shape[0]
    holes = ~(seen.any(0) & (often | away.any(0) | seen[-1]))
    shown, last = _lit(shown, light), shown[-1]
    rest = _median(shown, sure)
    differs = (rest - last).abs().mean(-1, keepdim=True) > REMAINS
    missed = _agree(shown, sure, rest) & seen[-1] & ~sure[-1] & differs
    last = torch.where(missed, rest, last)
    plate = torch.where(seen[-1] | holes, last, _median(shown, seen))
    plate = completed(plate, holes[..., 0]).to(torch.uint8)
    return plate, holes[..., 0], missed[..., 0], change


def _lights(
    shown: Float[Tensor, "p s s 3"], sure: Bool[Tensor, "p s s 1"]
) -> tuple[Float[Tensor, " p"], Float[Tensor, "p g g 3"]]:
    """As `plate._lights`."""
    small, whole = (
        functional.avg_pool2d(each.movedim(-1, 1), shown.shape[1] // (PATCHES * FINER))
        for each in (shown, sure.float())
    )
    small = (small + 0.5).floor()  # bytes
    both = ((whole > WHOLE) & (whole[-1:] > WHOLE)).float()
    count, then, now = (
        functional.avg_pool2d(each * both, FINER) * FINER**2
        for each in (torch.ones_like(both), small, small[-1:])
    )
    far, level = (each.mean(1, keepdim=True) for each in ((now - then).abs(), then))
    change = far.sum((1, 2, 3)) / count.sum((1, 2, 3)).clamp(min=1)
    told, near = (far <= SHADED * level).float(), torch.from_numpy(nearness())
    now, then = ((told * (each + DARK * count)).flatten(2) @ near + 1e-6 for each in (now, then))
    light = (now / then).clamp(1 / BRIGHTEST, BRIGHTEST)
    return change, light.unflatten(2, (PATCHES, PATCHES)).movedim(1, -1)


def _lit(
    shown: Float[Tensor, "p s s 3"], light: Float[Tensor, "p g g 3"]
) -> Float[Tensor, "p s s 3"]:
    """As `plate._lit`."""
    times = to_side(light.movedim(-1, 1), shown.shape[1]).movedim(1, -1)
    return (shown * times).round().clamp(0, 255)


def _without_rim(seen: Bool[Tensor, "p s s 1"], width: float) -> Bool[Tensor, "p s s 1"]:
    rim = round(width)
    grown = functional.max_pool2d((~seen).float().movedim(-1, 1), 2 * rim + 1, 1, rim)
    return grown.movedim(1, -1) == 0


def _agree(shown: Tensor, seen: Tensor, middle: Tensor) -> Bool[Tensor, "s s 1"]:
    """As `plate._agreed`."""
    count = seen.sum(0)
    apart = (shown - middle).abs().mean(-1, keepdim=True) * seen
    return (count >= AGREEING) & (apart.sum(0) < APART * count)


def _median(shown: Float[Tensor, "p s s 3"], seen: Bool[Tensor, "p s s 1"]) -> Tensor:
    """The lower one of two, where any frame sees the place."""
    ordered = torch.where(seen, shown, 999.0).sort(0).values
    middle = (seen.sum(0) - 1).clamp(min=0) // 2
    return ordered.gather(0, middle.expand(-1, -1, 3)[None])[0]
