"""The pixels of a future frame, fetched from the seen ones.

What comes from where is worked out at a coarse size (`Plan`), and fetched at that or at the frames'
own. Outside of a box around all of the person, now and then, the frame is the last seen one.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float, Int, UInt8

from posecast.carrying.camera import STILL
from posecast.carrying.plate import moved_picture

Box = tuple[slice, slice]
"""Rows and columns of a picture."""
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
    flow: Float[np.ndarray, "2 c c"]
    """What bends the last seen frame: where each place was in it, less the place."""
    camera: Float[np.ndarray, "2 3"]
    """From places of the last seen frame to those of this one."""


def owners_of(
    claims: Float[np.ndarray, "n *p"], boxes: Sequence[Box] | None = None
) -> tuple[UInt8[np.ndarray, "2 *p"], Float[np.ndarray, "2 *p"]]:
    """The parts with the best and the second best claim to each place, and these claims.

    Where one part alone has any, it is both. Outside of its box a part has none.
    """
    best, second = claims[0].copy(), np.zeros_like(claims[0])
    owners = np.zeros((2, *best.shape), np.uint8)
    for number in range(1, len(claims)):
        box = (...,) if boxes is None else boxes[number]
        claim, first, next_best = claims[number][box], best[box], second[box]
        wins, follows = claim > first, claim > next_best
        np.copyto(owners[1][box], np.uint8(number), where=follows)
        np.copyto(owners[1][box], owners[0][box], where=wins)
        np.copyto(owners[0][box], np.uint8(number), where=wins)
        next_best[...] = np.where(wins, first, np.maximum(next_best, claim))
        np.maximum(first, claim, out=first)
    np.copyto(owners[1], owners[0], where=second <= 0)
    return owners, np.stack([best, second])


class SeenPixels:
    """Seen square frames of one size, and the plate behind the person."""

    def __init__(
        self, frames: UInt8[np.ndarray, "p s s 3"], plate: UInt8[np.ndarray, "s s 3"], coarse: int
    ) -> None:
        self.frames, self.plate = frames, plate
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
        owners = self._owners(plan, box)
        person = self._carried(plan, owners[0], box)
        behind = self._carried(plan, owners[1], box, person, owners[0])
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
        self,
        plan: Plan,
        owner: UInt8[np.ndarray, "h w"],
        box: Box,
        ground: UInt8[np.ndarray, "h w 3"] | None = None,
        known: UInt8[np.ndarray, "h w"] | None = None,
    ) -> UInt8[np.ndarray, "h w 3"]:
        """Each pixel from its owner's source, by its owner's transform; known ones are there."""
        picture = np.zeros((*owner.shape, 3), np.uint8) if ground is None else ground.copy()
        for number, transform in enumerate(plan.transforms):
            owned = owner == number
            if known is not None:
                owned &= known != number
            x, y, width, height = cv2.boundingRect(owned.view(np.uint8))
            if not width:
                continue
            part = slice(y, y + height), slice(x, x + width)
            corner = np.array([x + box[1].start + 0.5, y + box[0].start + 0.5])
            # Places of the coarse size are pixels of the frames times the scale.
            back = transform.astype(float)
            back[:, 2] = back[:, :2] @ corner + back[:, 2] / self._scale - 0.5
            found = cv2.warpAffine(
                self.frames[plan.sources[number]],
                back,
                (width, height),
                flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP,
                borderMode=cv2.BORDER_REPLICATE,
            )
            cv2.copyTo(found, owned[part].view(np.uint8), picture[part])
        return picture

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
        picture[part] = remapped(last, x[part] + columns, y[part] + rows)
        return picture


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


def remapped(
    picture: np.ndarray, x: Float[np.ndarray, "h w"], y: Float[np.ndarray, "h w"]
) -> np.ndarray:
    """The picture's values at places between pixels, where (0, 0) is the first one's centre."""
    how = cv2.INTER_CUBIC if picture.ndim == 3 else cv2.INTER_LINEAR
    return cv2.remap(picture, x, y, how, borderMode=cv2.BORDER_REPLICATE)
