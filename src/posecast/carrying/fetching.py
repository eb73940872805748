"""The pixels of a future frame, fetched from the seen ones.

What comes from where is worked out at a coarse size (`Plan`), and fetched at that or at the frames'
own. Outside of a box around all of the person, now and then, the frame is the last seen one.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, Float, Int, UInt8

from posecast.carrying.camera import STILL
from posecast.carrying.plate import moved_picture

Box = tuple[slice, slice]
"""Rows and columns of a picture."""
Bounds = tuple[int, int, int, int]
"""x, y, width and height of a part in a seen frame."""
Pictures = tuple[UInt8[np.ndarray, "h w 3"], ...]
"""Layers of a frame, or of a box in it: the person, what is behind its front parts, the bent last
frame, the room."""


@dataclass(frozen=True, eq=False)
class Plan:
    """Where the pixels of a future frame come from; places and movements of the coarse size."""

    owners: UInt8[np.ndarray, "2 c c"]
    """The parts of the body with the best and the second best claim to each place."""
    claims: Float[np.ndarray, "n c c"]
    transforms: Float[np.ndarray, "n 2 3"]
    """From places of each part to the same places in its source."""
    sources: Int[np.ndarray, "n"]
    """Seen frame of each part."""
    left: Bool[np.ndarray, "n"]
    """Parts whose source shows a forearm over them that is elsewhere now."""
    flow: Float[np.ndarray, "2 c c"]
    """What bends the last seen frame: where each place was in it, less the place."""
    camera: Float[np.ndarray, "2 3"]
    """From places of the last seen frame to those of this one."""


def owners_of(
    claims: Float[np.ndarray, "n *p"],
) -> tuple[UInt8[np.ndarray, "2 *p"], Float[np.ndarray, "2 *p"]]:
    """The parts with the best and the second best claim to each place, and these claims.

    Where one part alone has any, it is both; of equal claims the earlier part's is better.
    """
    # Positive floats are ordered as their bits are: the last ones can hold the part's number.
    last = (1 << (len(claims) - 1).bit_length()) - 1
    best = np.full(claims.shape[1:], last, np.int32)
    second, lower = best.copy(), np.empty_like(best)
    for number, claim in enumerate(claims):
        key = (claim.view(np.int32) & ~last) | (last - number)
        np.minimum(best, key, out=lower)
        np.maximum(second, lower, out=second)
        np.maximum(best, key, out=best)
    keys = np.stack([best, second])
    owners, found = (last - (keys & last)).astype(np.uint8), (keys & ~last).view(np.float32)
    np.copyto(owners[1], owners[0], where=found[1] <= 0)
    return owners, found


class SeenPixels:
    """Seen square frames of one size, and the plate behind the person."""

    def __init__(
        self,
        frames: UInt8[np.ndarray, "p s s 3"],
        plate: UInt8[np.ndarray, "s s 3"],
        coarse: int,
        without_forearms: Callable[[int], UInt8[np.ndarray, "s s 3"]],
    ) -> None:
        self.frames, self.plate, self._without_forearms = frames, plate, without_forearms
        self._coarse, self._side = coarse, len(plate)
        self._scale = coarse / self._side

    def box(self, near: np.ndarray, plan: Plan) -> Box:
        """Around places of the coarse size, with as much room as pixels may come from; all of the
        picture where the camera moves."""
        if plan.camera is not STILL or not near.any():
            return slice(0, self._side), slice(0, self._side)
        x, y, width, height = cv2.boundingRect(cv2.dilate(near.astype(np.uint8), np.ones((7, 7))))
        edges = np.array([[y, y + height], [x, x + width]]) / self._scale
        rows, columns = edges.round().astype(int).tolist()
        return slice(*rows), slice(*columns)

    def fetched(self, plan: Plan, box: Box) -> Pictures:
        """The layers in the box."""
        person, behind = self._carried(plan, self._owners(plan, box), box)
        plate = moved_picture(self.plate, native(plan.camera, self._scale))
        return person, behind, self._bent(plan.flow, box), plate[box]

    def resized(self, values: Float[np.ndarray, "c2 c2 *n"], box: Box) -> np.ndarray:
        """Maps in the frames' pixels."""
        if len(values) != self._side:
            values = cv2.resize(values, (self._side, self._side))
        return np.ascontiguousarray(values[box])

    def _owners(self, plan: Plan, box: Box) -> UInt8[np.ndarray, "2 h w"]:
        """Claims are smooth in the frames' own pixels, owners are not."""
        owners, side = plan.owners, self._side
        if side == self._coarse:
            return owners[:, *box]
        places = (np.arange(side) + 0.5) * self._scale
        rows, columns = (np.minimum(places[each].astype(int), self._coarse - 1) for each in box)
        both, around = owners[0] * len(plan.claims) + owners[1], np.ones((3, 3))
        seams = cv2.dilate(both, around) != cv2.erode(both, around)
        owners = owners.take(rows, axis=1).take(columns, axis=2)
        seams = seams.take(rows, axis=0).take(columns, axis=1)
        claims = cv2.resize(np.moveaxis(plan.claims, 0, -1), (side, side))[box]
        owners[:, seams] = owners_of(np.ascontiguousarray(claims[seams].T))[0]
        return owners

    def _carried(
        self, plan: Plan, owners: UInt8[np.ndarray, "2 h w"], box: Box
    ) -> UInt8[np.ndarray, "2 h w 3"]:
        """Each pixel from its owner's source, by its owner's transform."""
        pictures = np.zeros((*owners.shape, 3), np.uint8)
        for number, transform in enumerate(plan.transforms):
            owned = (owners == number).view(np.uint8)
            x, y, width, height = cv2.boundingRect(cv2.bitwise_or(*owned))
            if not width:
                continue
            part = slice(y, y + height), slice(x, x + width)
            left, top = x + box[1].start, y + box[0].start
            source = int(plan.sources[number])
            frame = self._without_forearms(source) if plan.left[number] else self.frames[source]
            found = cv2.warpAffine(
                frame,
                from_corner(transform, left, top, self._scale),
                (width, height),
                flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP,
                borderMode=cv2.BORDER_REPLICATE,
            )
            for which in range(len(pictures)):
                cv2.copyTo(found, owned[which][part], pictures[which][part])
        return pictures

    def _bent(self, flow: Float[np.ndarray, "2 c c"], box: Box) -> UInt8[np.ndarray, "h w 3"]:
        """The last seen frame, bent."""
        last = self.frames[-1]
        x, y = (self.resized(each, box) / self._scale for each in flow)
        picture = last[box].copy()
        moves = (x != 0) | (y != 0)
        left, top, width, height = cv2.boundingRect(moves.view(np.uint8))
        if not width:
            return picture
        part = slice(top, top + height), slice(left, left + width)
        columns = np.arange(left, left + width, dtype=np.float32) + box[1].start
        rows = np.arange(top, top + height, dtype=np.float32)[:, None] + box[0].start
        places = x[part] + columns, y[part] + rows
        how, border = cv2.INTER_CUBIC, cv2.BORDER_REPLICATE
        picture[part] = cv2.remap(last, *places, how, borderMode=border)
        return picture


def bounds_of(member: Float[np.ndarray, "c c"]) -> Bounds:
    """Of the pixels of a seen frame that belong to a part."""
    x, y, width, height = cv2.boundingRect((member > 0).view(np.uint8))
    return x, y, width, height


def at_edge(bounds: Bounds, side: int) -> bool:
    """Whether the part goes on, or may, beyond the picture."""
    x, y, width, height = bounds
    return min(x, y) == 0 or max(x + width, y + height) == side


def reach(
    bounds: Bounds, transform: Float[np.ndarray, "2 3"], side: int, ends_at_edge: bool
) -> Box:
    """Where in a target a part shows that has these bounds in its source."""
    x, y, width, height = bounds
    if not width:
        return slice(0, 0), slice(0, 0)
    (a, b, c), (d, e, f) = transform.tolist()
    area = a * e - b * d
    if abs(area) < 1e-3 or (at_edge(bounds, side) and not ends_at_edge):
        return slice(0, side), slice(0, side)
    across, down = x + width / 2 - c, y + height / 2 - f
    half = width / 2 + 1, height / 2 + 1
    ranges = []
    for to_x, to_y in ((-d / area, a / area), (e / area, -b / area)):
        at, far = to_x * across + to_y * down, abs(to_x) * half[0] + abs(to_y) * half[1]
        ends = math.floor(at - far), math.ceil(at + far)
        ranges.append(slice(*(min(max(end, 0), side) for end in ends)))
    return ranges[0], ranges[1]


def from_corner(
    transform: Float[np.ndarray, "2 3"], left: int, top: int, scale: float
) -> Float[np.ndarray, "2 3"]:
    """A transform of places of the coarse size, of pixel indices of frames `scale` times as coarse,
    which on the one side count from a corner."""
    (a, b, c), (d, e, f) = transform.tolist()
    x, y = left + 0.5, top + 0.5
    return np.array(
        [[a, b, a * x + b * y + c / scale - 0.5], [d, e, d * x + e * y + f / scale - 0.5]]
    )


def native(transforms: Float[np.ndarray, "*n 2 3"], scale: float) -> Float[np.ndarray, "*n 2 3"]:
    """Transforms between pixel indices of the coarse size, as between those of frames `scale` times
    as coarse."""
    if scale == 1:
        return transforms
    # A place i of the frames is (i + 0.5) * scale - 0.5 of the coarse size.
    offset = 0.5 * scale - 0.5
    shift = (transforms[..., :2] @ np.full((2, 1), offset))[..., 0] - offset
    moved = (transforms[..., 2] + shift) / scale
    return np.concatenate([transforms[..., :2], moved[..., None]], axis=-1)
