"""The room without the person: one picture of the background from all seen frames."""

from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np
from jaxtyping import Bool, Float, UInt8

from posecast.carrying.completion import completed

UNCOVERED = 0.25
"""A place is background where the person's mask, widened, is below this."""
RIM, REMAINS = 2 / 128, 24.0
"""Width of the strip around the person, as a share of the picture's side, in which the mask may
have missed something (a shoe's tip); grey levels by which the last frame differs, where it did,
from the room that others show there."""
SHOE = 8 / 128
"""Width of that strip at the feet, as a share of the side: no joint says where shoes end, nor which
way they point, and a fast one is a blur."""
SELDOM = 10
"""What less than one frame in so many shows, each within so wide a strip of the person, is no room:
masks miss shoes and hands now and then."""
AGREEING, APART = 3, 8.0
"""So many other frames are needed for that, whose mean distance from what they show is less."""
PATCHES, FINER, WHOLE = 16, 4, 0.99
"""Along a side, in which backgrounds are compared; places along a side of one of them; least share
of such a place that has to be seen."""
SHADED, NEAR = 0.25, 4
"""Share by which a patch of another background differs that shows no other light, but other things;
power of the distance by which a patch of known light tells less of another."""
BRIGHTEST = 2.0
"""Times as bright as another frame the last one can be, or the other way round: of a colour that a
wall has nothing of, what little it has says nothing."""
DARK = 8.0
"""Grey levels that count as the same in both: of what is black nothing can be told."""
SAME_ROOM = 12.0
"""Mean difference in grey levels between two backgrounds above which they are not of one room, or
not in one light: a title that dissolves into the first picture, a lamp that goes on."""


@dataclass(frozen=True, eq=False)
class Background:
    """The room as the last frame's camera sees it."""

    plate: UInt8[np.ndarray, "s s 3"]
    holes: Bool[np.ndarray, "s s"]
    """What no frame shows."""
    missed: Bool[np.ndarray, "s s"]
    """Where the last frame shows something else near the person: what the mask missed of it."""
    change: Float[np.ndarray, " t"]
    """By how many grey levels each frame's room differs from the last one's."""


def background_plate(
    frames: UInt8[np.ndarray, "t s s 3"],
    covered: Float[np.ndarray, "t s s"],
    to_last: Float[np.ndarray, "t 2 3"],
    feet: Bool[np.ndarray, "s s"],
) -> Background:
    """The room, gathered from all frames, in the light of the last one.

    `covered` is how much the person covers (0 to 1), `to_last` as from `camera_path`, `feet` where
    feet may be in the last frame. Where that shows the background, the plate is that frame bit for
    bit, but for what remains of the person's edge (`RIM`, `SHOE`); where others do, their median;
    elsewhere what is likely (`completed`).
    """
    seen = np.stack([_seen(*pair) for pair in zip(covered, to_last, strict=True)])
    moved = np.stack([moved_picture(*pair) for pair in zip(frames, to_last, strict=True)])
    side = frames.shape[1]
    sure = np.stack([_without_rim(each, RIM * side) for each in seen])
    away = np.stack([_without_rim(each, SHOE * side) for each in seen])
    sure[-1] &= away[-1] | ~feet
    change, light = _lights(moved, sure)
    same = (change <= SAME_ROOM)[:, None, None]
    seen, sure, away = seen & same, sure & same, away & same
    often = SELDOM * seen.sum(axis=0) >= len(frames)
    ever = np.asarray(seen.any(axis=0) & (often | away.any(axis=0) | seen[-1]))
    plate = frames[-1].copy()
    still = all(map(_is_still, to_last))  # else edges differ because others are a little off
    rim, wanted = sure.any(axis=0) & seen[-1] & ~sure[-1] & still, ever & ~seen[-1]
    places = rim | wanted
    lit = _lit(moved, light, places)
    room, agree = _agreed(lit[:, rim[places]], sure[:, rim])
    remains = agree & (np.abs(room - plate[rim].astype(np.int16)).mean(axis=-1) > REMAINS)
    plate[rim] = np.where(remains[:, None], room, plate[rim])
    missed = np.zeros_like(rim)
    missed[rim] = remains
    plate[wanted] = _median(lit[:, wanted[places]], seen[:, wanted])
    holes = np.asarray(~ever)
    return Background(completed(plate, holes), holes, missed, change)


def _without_rim(seen: Bool[np.ndarray, "s s"], width: float) -> Bool[np.ndarray, "s s"]:
    around = np.ones((2 * round(width) + 1,) * 2, np.uint8)
    return cv2.erode(seen.view(np.uint8), around).view(bool)


def _lights(
    frames: UInt8[np.ndarray, "t s s 3"], sure: Bool[np.ndarray, "t s s"]
) -> tuple[Float[np.ndarray, " t"], Float[np.ndarray, "t g g 3"]]:
    """From each background to the last one, in patches, since leaves and water move: the mean
    distance, and how many times as bright the last is; where no patch tells, as near ones do."""
    grid = (PATCHES * FINER,) * 2
    small, whole = (
        np.stack([cv2.resize(one, grid, interpolation=cv2.INTER_AREA) for one in each])
        for each in (frames, (one.astype(np.float32) for one in sure))
    )
    both = (whole > WHOLE) & (whole[-1] > WHOLE)
    count = _in_patches(both)
    then, now = (_in_patches(each * both[..., None]) for each in (small, small[-1]))
    far, level = np.abs(now - then).mean(axis=-1), then.mean(axis=-1)
    change = far.sum(axis=(1, 2)) / np.maximum(count.sum(axis=(1, 2)), 1)
    told = (far <= SHADED * level)[..., None]
    sums = (told * (each + DARK * count[..., None]) for each in (now, then))
    now, then = (nearness() @ each.reshape(len(count), -1, 3) + 1e-6 for each in sums)
    light = (now / then).clip(1 / BRIGHTEST, BRIGHTEST)
    return change, light.reshape(*count.shape, 3).astype(np.float32)


def _in_patches(values: np.ndarray) -> np.ndarray:
    """Sums over the places of each patch."""
    split = values.reshape(len(values), PATCHES, FINER, PATCHES, FINER, *values.shape[3:])
    return split.sum(axis=2, dtype=np.float32).sum(axis=3)  # both at once take four times as long


@cache
def nearness() -> Float[np.ndarray, "n n"]:
    """How much each patch tells of the light in each other one."""
    places = np.moveaxis(np.indices((PATCHES, PATCHES)), 0, -1).reshape(-1, 1, 2)
    far = np.square(places - places.swapaxes(0, 1)).sum(axis=-1)
    return (far + 0.05).astype(np.float32) ** (-NEAR / 2)


def _lit(
    frames: UInt8[np.ndarray, "t s s 3"],
    light: Float[np.ndarray, "t g g 3"],
    places: Bool[np.ndarray, "s s"],
) -> UInt8[np.ndarray, "t n 3"]:
    """The frames at some places, in the light of the last one."""
    times = (cv2.resize(each, places.shape) for each in light)
    lit = (cv2.multiply(*pair, dtype=cv2.CV_8U) for pair in zip(frames, times, strict=True))
    at = np.flatnonzero(places)  # by booleans it takes ten times as long
    return np.stack([np.asarray(each).reshape(-1, 3).take(at, axis=0) for each in lit])


def _seen(
    covered: Float[np.ndarray, "s s"], to_last: Float[np.ndarray, "2 3"]
) -> Bool[np.ndarray, "s s"]:
    """Where a frame shows the background, in the last frame's places."""
    if _is_still(to_last):
        return covered < UNCOVERED
    side = covered.shape[0]
    return cv2.warpAffine(covered, to_last, (side, side), borderValue=1.0) < UNCOVERED


def moved_picture(
    picture: UInt8[np.ndarray, "s s 3"], transform: Float[np.ndarray, "2 3"]
) -> UInt8[np.ndarray, "s s 3"]:
    """The picture after a movement of the camera; the very picture if there was none."""
    if _is_still(transform):
        return picture
    return warped(picture, transform)


def warped(picture: np.ndarray, transform: Float[np.ndarray, "2 3"]) -> np.ndarray:
    """The square picture, bytes or numbers, by a transform of its places; its border goes on."""
    side, how = len(picture), cv2.INTER_CUBIC if picture.ndim == 3 else cv2.INTER_LINEAR
    return cv2.warpAffine(
        picture, transform, (side, side), flags=how, borderMode=cv2.BORDER_REPLICATE
    )


def _is_still(transform: Float[np.ndarray, "2 3"]) -> bool:
    return np.array_equal(transform, np.eye(2, 3))


def _agreed(
    colours: UInt8[np.ndarray, "t n 3"], seen: Bool[np.ndarray, "t n"]
) -> tuple[UInt8[np.ndarray, "n 3"], Bool[np.ndarray, "n"]]:
    """As `_median`, and where the frames agree on it."""
    middle, count = _median(colours, seen), seen.sum(axis=0)
    apart = np.abs(colours - middle.astype(np.int16)).mean(axis=-1) * seen
    return middle, (count >= AGREEING) & (apart.sum(axis=0) < APART * count)


def _median(
    colours: UInt8[np.ndarray, "t n 3"], seen: Bool[np.ndarray, "t n"]
) -> UInt8[np.ndarray, "n 3"]:
    """Median over the frames that see each place; the lower one of two."""
    ordered = np.sort(np.where(seen[..., None], colours.astype(np.int16), 999), axis=0)
    middle = (seen.sum(axis=0) - 1) // 2
    return np.take_along_axis(ordered, middle[None, :, None], axis=0)[0].astype(np.uint8)
