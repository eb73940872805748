"""What no seen frame shows of the room, out of what they do show.

Every patch that reaches into a hole is likened to the most similar patch of the seen room, and
every place of the hole becomes the mean of what such patches show there; again and again, first on
a coarse grid (Wexler, Shechtman and Irani, "Space-Time Completion of Video", PAMI 2007). In the end
the same patches are laid in the picture's own pixels, and their light brought to that around the
hole (as in Perez, Gangnet and Blake, "Poisson Image Editing", SIGGRAPH 2003). So a curtain keeps
its folds and a court its lines, where an average of the surroundings is fog.
"""

from dataclasses import dataclass
from itertools import product

import cv2
import numpy as np
from jaxtyping import Bool, Float, Int, UInt8

GRIDS, ROUNDS = (32, 64), (4, 2)
"""Sides of the grids, and how often patches are sought on each."""
PATCH = 7
FEWEST = 60
"""Patches of the seen room below which none is likened: the surroundings' average stays."""
TRUST, DEEPEST = 1.3, 8
"""By how much a place counts less for each step deeper in a hole, and for how many steps."""
GREY = 128.0  # about which colours are compared: squares of small numbers round off less
MIDDLE = 2.0
"""Places from a patch's middle within which it counts most, when it is laid in the end."""


def completed(
    picture: UInt8[np.ndarray, "s s 3"], holes: Bool[np.ndarray, "s s"]
) -> UInt8[np.ndarray, "s s 3"]:
    """The picture with its holes filled: by patches of the rest, or by the average of the
    surroundings (`filled`) where hardly a patch is seen whole."""
    if not holes.any():
        return picture
    start, rooms = filled(picture, holes), [Room.of(holes, side) for side in GRIDS]
    if not rooms[-1].likenable:
        return start
    colours = start
    for room, rounds in zip(rooms, ROUNDS, strict=True):
        before, colours = colours, _fitted(start, len(room.hole))
        colours[room.hole] = _fitted(before, len(room.hole))[room.hole]
        for _ in range(rounds if room.likenable else 0):
            colours[room.hole] = room.laid(colours, *room.likened(colours))[room.hole]
    laid, reached = _in_pixels(start, rooms[-1], colours), rooms[-1].reached(len(start))
    laid += grown(start - laid, reached & ~holes)
    return np.where((reached & holes)[..., None], as_bytes(laid), start)


@dataclass(frozen=True, eq=False)
class Room:
    """Where a picture has holes, on a grid of `g` by `g` places, numbered row by row."""

    hole: Bool[np.ndarray, "g g"]
    trust: Float[np.ndarray, "g g"]
    """How much each place counts when patches are compared."""
    seen: Int[np.ndarray, " n"]
    """Middles of patches that are seen whole."""
    wanted: Int[np.ndarray, " m"]
    """Middles of patches that reach into a hole."""

    @classmethod
    def of(cls, holes: Bool[np.ndarray, "s s"], side: int) -> "Room":
        """On a grid of so many places along a side."""
        shown, patch = _fitted((~holes).astype(np.float32), side), np.ones((PATCH, PATCH), np.uint8)
        hole = (shown <= 0.5).view(np.uint8)
        depth = cv2.distanceTransform(hole, cv2.DIST_C, 3)
        whole = cv2.erode((shown > 0.999).view(np.uint8), patch, borderValue=0)
        reaching = cv2.dilate(hole, patch)
        trust = np.float32(TRUST) ** -np.minimum(depth, DEEPEST)
        return cls(hole.view(bool), trust, np.flatnonzero(whole), np.flatnonzero(reaching))

    @property
    def likenable(self) -> bool:
        """Whether there is something to liken, and enough to liken it to."""
        return len(self.seen) >= FEWEST and len(self.wanted) > 0

    def reached(self, side: int) -> Bool[np.ndarray, "{side} {side}"]:
        """Where patches are wanted, in a picture's pixels."""
        wanted = np.zeros(self.hole.shape, np.uint8)
        wanted.ravel()[self.wanted] = 1
        return cv2.resize(wanted, (side, side), interpolation=cv2.INTER_NEAREST).view(bool)

    def likened(
        self, colours: Float[np.ndarray, "g g 3"]
    ) -> tuple[Int[np.ndarray, " m"], Float[np.ndarray, " m"]]:
        """For each wanted patch the seen one that is most alike, and how much it counts."""
        patches, trust = _patches(colours - GREY), _patches(self.trust)[self.wanted]
        # Trust is the same of all three colours, whose squares are summed before the product.
        squares = (patches**2).reshape(-1, 3, PATCH**2).sum(axis=1)
        weighted = patches[self.wanted] * np.tile(trust, 3)
        known = np.concatenate([squares, patches], axis=1)[self.seen]
        unlike = np.concatenate([trust, -2 * weighted], axis=1) @ known.T
        best = unlike.argmin(axis=1)
        error = unlike[np.arange(len(best)), best] + (trust * squares[self.wanted]).sum(axis=1)
        error = np.maximum(error, 0) / (3 * trust.sum(axis=1))
        counts = np.exp(-error / (2 * error.mean() + 2)) * self.trust.ravel()[self.wanted]
        return self.seen[best], counts

    def laid(
        self,
        shown: Float[np.ndarray, "g g *c"],
        alike: Int[np.ndarray, " m"],
        counts: Float[np.ndarray, " m"],
        middle: float = np.inf,
    ) -> Float[np.ndarray, "g g *c"]:
        """What the found patches show at each place they reach, in the mean; 0 elsewhere."""
        side, reach = len(self.hole), PATCH // 2
        total = np.zeros((side + 2 * reach,) * 2 + shown.shape[2:], np.float32)
        weight = np.zeros((side + 2 * reach,) * 2 + (1,) * (shown.ndim - 2), np.float32)
        flat, counts = shown.reshape(-1, *shown.shape[2:]), counts.reshape(-1, *weight.shape[2:])
        for down, right in product(range(-reach, reach + 1), repeat=2):
            count = counts * np.float32(np.exp(-(down**2 + right**2) / (2 * middle**2)))
            place = self.wanted // side + down + reach, self.wanted % side + right + reach
            total[place] += count * flat[alike + down * side + right]
            weight[place] += count
        inner = slice(reach, reach + side)
        return (total / np.maximum(weight, 1e-9))[inner, inner]


def _in_pixels(
    start: UInt8[np.ndarray, "s s 3"], room: Room, colours: Float[np.ndarray, "g g 3"]
) -> Float[np.ndarray, "s s 3"]:
    """Patches that are alike on the grid, laid in the picture's own pixels."""
    side, grid = len(start), len(room.hole)
    size = -(-side // grid)
    even = _fitted(start, size * grid)
    blocks = even.reshape(grid, size, grid, size, 3).swapaxes(1, 2)
    laid = room.laid(blocks, *room.likened(colours), MIDDLE)
    return _fitted(laid.swapaxes(1, 2).reshape(even.shape), side)


def _patches(values: Float[np.ndarray, "g g *c"]) -> Float[np.ndarray, "g*g d"]:
    """Of each place the square around it, as one row; the border goes on."""
    reach = PATCH // 2
    framed = cv2.copyMakeBorder(values, reach, reach, reach, reach, cv2.BORDER_REPLICATE)
    windows = np.lib.stride_tricks.sliding_window_view(framed, (PATCH, PATCH), axis=(0, 1))
    return windows.reshape(values.shape[0] * values.shape[1], -1)


def _fitted(values: np.ndarray, side: int) -> Float[np.ndarray, "{side} {side} *c"]:
    how = cv2.INTER_AREA if len(values) > side else cv2.INTER_LINEAR
    return cv2.resize(values.astype(np.float32), (side, side), interpolation=how)


def filled(
    picture: UInt8[np.ndarray, "s s 3"], holes: Bool[np.ndarray, "s s"]
) -> UInt8[np.ndarray, "s s 3"]:
    """The picture with its holes filled from around, smoother the farther from their edge."""
    if not holes.any():
        return picture
    return np.where(holes[..., None], as_bytes(grown(picture, ~holes)), picture)


def grown(
    values: UInt8[np.ndarray, "s s 3"] | Float[np.ndarray, "s s 3"], known: Bool[np.ndarray, "s s"]
) -> Float[np.ndarray, "s s 3"]:
    """Known values, and elsewhere what grows inwards from them.

    Pull and push (Gortler et al., SIGGRAPH 1996): averages of known values at halved sizes, the
    finest known of which is taken.
    """
    weight = known.astype(np.float32)
    sums = values.astype(np.float32) * weight[..., None]
    levels = []
    while min(weight.shape) > 2:
        levels.append((sums, weight))
        half = (-(-weight.shape[1] // 2), -(-weight.shape[0] // 2))
        sums, weight = (
            cv2.resize(each, half, interpolation=cv2.INTER_AREA) for each in (sums, weight)
        )
    inner = sums / np.maximum(weight, 1e-6)[..., None]
    for sums, weight in reversed(levels):
        coarse = cv2.resize(inner, weight.shape[::-1], interpolation=cv2.INTER_LINEAR)
        inner = sums + (1 - weight[..., None]) * coarse
    return inner


def as_bytes(values: Float[np.ndarray, "s s 3"]) -> UInt8[np.ndarray, "s s 3"]:
    """Grey levels from 0 to 255, rounded."""
    return (values + 0.5).clip(0, 255).astype(np.uint8)
