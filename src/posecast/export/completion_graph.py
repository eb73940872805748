"""`posecast.carrying.completion` as traceable functions, for sides that are a multiple of `COARSE`.

Every place is a patch's middle here, wanted or not, since an exporter knows no lists of unknown
length; `g` is the side of a grid, and `g*g` numbers its places row by row.
"""

import math
from dataclasses import dataclass
from itertools import product

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional

from posecast.carrying.completion import DEEPEST, FEWEST, GREY, GRIDS, MIDDLE, PATCH, ROUNDS, TRUST
from posecast.export.body_graph import HUGE
from posecast.export.frame_graphs import averaged, to_side

_REACH = PATCH // 2


def completed(
    picture: Float[Tensor, "s s 3"], holes: Bool[Tensor, "s s"]
) -> Float[Tensor, "s s 3"]:
    """As `completion.completed`."""
    planes, hidden = picture.movedim(-1, 0)[None], holes[None, None]
    side = planes.shape[-1]
    start = torch.where(hidden, (grown(planes, ~hidden) + 0.5).clamp(0, 255).floor(), planes)
    rooms, colours = [Room.of(hidden, grid) for grid in GRIDS], start
    for room, rounds in zip(rooms, ROUNDS, strict=True):
        coarse = averaged(start, side // room.side)
        colours = torch.where(room.hole, _fitted(colours, room.side), coarse)
        for _ in range(rounds):
            laid = room.laid(colours, *room.likened(colours))
            colours = torch.where(room.hole & room.likenable, laid, colours)
    room = rooms[-1]
    blocks = functional.pixel_unshuffle(start, side // room.side)
    laid = room.laid(blocks, *room.likened(colours), MIDDLE)
    laid = functional.pixel_shuffle(laid, side // room.side)
    reached = room.wanted & room.likenable
    reached = functional.interpolate(reached.float(), (side, side), mode="nearest") > 0
    laid = laid + grown(start - laid, reached & ~hidden)
    filled = torch.where(reached & hidden, (laid + 0.5).clamp(0, 255).floor(), start)
    return filled[0].movedim(0, -1)


@dataclass(frozen=True, eq=False)
class Room:
    """As `completion.Room`, of maps in place of lists."""

    hole: Bool[Tensor, "1 1 g g"]
    trust: Float[Tensor, "1 1 g g"]
    seen: Bool[Tensor, "1 1 g g"]
    wanted: Bool[Tensor, "1 1 g g"]

    @classmethod
    def of(cls, hidden: Bool[Tensor, "1 1 s s"], grid: int) -> "Room":
        shown = averaged((~hidden).float(), hidden.shape[-1] // grid)
        hole, part = shown <= 0.5, (shown <= 0.999).float()
        depth, left = torch.zeros_like(shown), hole.float()
        for _ in range(DEEPEST):
            depth, left = depth + left, 1 - functional.max_pool2d(1 - left, 3, 1, 1)
        part = functional.pad(part, (_REACH,) * 4, value=1.0)
        wanted = functional.max_pool2d(hole.float(), PATCH, 1, _REACH) > 0
        return cls(hole, TRUST**-depth, functional.max_pool2d(part, PATCH, 1) == 0, wanted)

    @property
    def side(self) -> int:
        return self.hole.shape[-1]

    @property
    def likenable(self) -> Bool[Tensor, ""]:
        return (self.seen.sum() >= FEWEST) & self.wanted.any()

    def likened(
        self, colours: Float[Tensor, "1 3 g g"]
    ) -> tuple[Int[Tensor, "1 1 g g"], Float[Tensor, "1 1 g g"]]:
        """The most similar seen patch of each place, and how much it counts; 0: not wanted."""
        patches, trust = _patches(colours - GREY), _patches(self.trust).repeat(3, 1)
        unlike = (patches**2).T @ trust - 2 * patches.T @ (trust * patches)
        unlike = torch.where(self.seen.reshape(-1, 1), unlike, HUGE)
        error, best = unlike.min(0)
        error = (error + (trust * patches**2).sum(0)).clamp(min=0) / trust.sum(0)
        error, best = error.reshape(self.hole.shape), best.reshape(self.hole.shape)
        mean = (error * self.wanted).sum() / self.wanted.sum().clamp(min=1)
        return best, torch.exp(-error / (2 * mean + 2)) * self.trust * self.wanted

    def laid(
        self,
        shown: Float[Tensor, "1 c g g"],
        alike: Int[Tensor, "1 1 g g"],
        counts: Float[Tensor, "1 1 g g"],
        middle: float = math.inf,
    ) -> Float[Tensor, "1 c g g"]:
        """What the found patches show at each place they reach, in the mean; 0 elsewhere."""
        flat, last = shown.flatten(2), self.side**2 - 1
        total, weight = torch.zeros_like(shown), torch.zeros_like(counts)
        for down, right in product(range(-_REACH, _REACH + 1), repeat=2):
            share = math.exp(-(down**2 + right**2) / (2 * middle**2))
            count = _moved(counts * share, down, right)
            source = _moved(alike, down, right) + down * self.side + right
            total = total + count * flat[..., source.clamp(0, last).flatten()].reshape(shown.shape)
            weight = weight + count
        return total / weight.clamp(min=1e-9)


def _moved(values: Tensor, down: int, right: int) -> Tensor:
    """Each place has what lies so far up and left of it; 0 beyond the border."""
    padded, side = functional.pad(values, (_REACH,) * 4), values.shape[-1]
    top, left = _REACH - down, _REACH - right
    return padded[..., top : top + side, left : left + side]


def _patches(values: Float[Tensor, "1 c g g"]) -> Float[Tensor, "d g*g"]:
    """Of each place the square around it; the border goes on."""
    framed = functional.pad(values, (_REACH,) * 4, mode="replicate")
    return functional.unfold(framed, PATCH)[0]


def _fitted(values: Float[Tensor, "1 c s s"], side: int) -> Float[Tensor, "1 c g g"]:
    if values.shape[-1] > side:
        return averaged(values, values.shape[-1] // side)
    return to_side(values, side)


def grown(
    values: Float[Tensor, "1 c s s"], known: Bool[Tensor, "1 1 s s"]
) -> Float[Tensor, "1 c s s"]:
    """As `completion.grown`."""
    weight = known.float()
    sums, levels = values * weight, []
    while weight.shape[-1] > 2:
        levels.append((sums, weight))
        sums, weight = (functional.avg_pool2d(each, 2) for each in (sums, weight))
    inner = sums / weight.clamp(min=1e-6)
    for sums, weight in reversed(levels):
        inner = sums + (1 - weight) * to_side(inner, weight.shape[-1])
    return inner
