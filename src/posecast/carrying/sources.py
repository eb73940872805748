"""Whose pixels are whose in the seen frames, and from which of them each part is taken.

Lengths are pixels of the size at which motion is worked out, `layers.COARSE`.
"""

import numpy as np
from jaxtyping import Bool, Float, Int, UInt8

from posecast.carrying.body_parts import PARTS, Pose
from posecast.carrying.uncovering import uncovers

MASK_REACH = 2.2
"""What a mask says is believed up to so many radii from the body (`WIDEST`, where parts are widened
by it): beyond are other people."""
WIDE, WIDEST = 1.4, 2.7
"""Radii up to which a part is wholly carried, and within which what is the person's is, too."""
SHARED = 0.6
"""Radii by which neighbouring parts overlap, so that bent joints do not tear."""
LEGS = tuple(
    tuple(n for n, part in enumerate(PARTS) if part.name in (f"{side}_thigh", f"{side}_shin"))
    for side in ("left", "right")
)
SHINS = tuple(leg[1] for leg in LEGS)
WITHIN, SOFT = 1.15, 0.3
"""Radii up to which a folded leg's pixels belong to thigh and shin both, and softness of that."""
SAME_GREY = 2.5
"""Mean difference in grey levels below which a part looks the same in two seen frames: what its
joints moved between those is noise."""
SWITCHING = 0.045
"""Body sizes by which another source must be better than the part's present one: no flicker."""
AGEING = 0.002
"""Body sizes by which each frame of age counts against a source: light changes."""
COVERED = 0.1
"""Body sizes that count against a source in which an arm that is elsewhere now lies over the part:
what it hides is known from other frames, or has to be made up."""
SAME_LIGHT, OTHER_LIGHT = 4.0, 0.04
"""Grey levels by which a source's room may differ from the last frame's, and body sizes by which
each further one counts against it: a title dissolves into the first picture, a lamp goes on."""


def person_mask(
    nearest: Float[np.ndarray, "t c c"], masks: Float[np.ndarray, "t c c"] | None = None
) -> Float[np.ndarray, "t c c"]:
    """How much the person covers, from the distance to the nearest part and perhaps masks.

    The middle of a limb is the person whatever a mask says.
    """
    if masks is None:
        return np.clip((1.25 - nearest) / 0.5, 0, 1)
    believed = masks * np.clip((MASK_REACH - nearest) / 0.5, 0, 1)
    return np.maximum(believed, 0.9 * np.clip((0.75 - nearest) / 0.3, 0, 1)).astype(np.float32)


def reaching(
    distances: Float[np.ndarray, "n c c"], covers: Float[np.ndarray, "n c c"]
) -> Float[np.ndarray, "n c c"]:
    """Distances to parts as wide as what covers them shows: who lies towards the camera, or bends,
    is wider than limbs so short are."""
    wide = (covers > 0.5) & (distances < WIDEST)
    return np.where(wide, np.minimum(distances, WIDE), distances)


def widened(
    distances: Float[np.ndarray, "n c c"], mask: Float[np.ndarray, "c c"]
) -> Float[np.ndarray, "n c c"]:
    """Distances of a seen frame in which the nearest parts are as wide as a mask says."""
    nearest = distances == distances.min(axis=0)
    return reaching(distances, nearest * mask)


def at_feet(distances: Float[np.ndarray, "n c c"]) -> Float[np.ndarray, "c c"]:
    """1 where a lower leg, or what is beyond it, is nearer than other parts, else 0."""
    others = np.delete(distances, SHINS, axis=0)
    return (distances[list(SHINS)].min(axis=0) < others.min(axis=0)).astype(np.float32)


def members_of(
    mask: Float[np.ndarray, "t c c"], distances: Float[np.ndarray, "t n c c"], poses: Pose
) -> Float[np.ndarray, "t n c c"]:
    """How much of each pixel belongs to each part: the nearest one, and those not much farther.

    Where a knee is bent by more than a right angle, thigh and shin have one width between them,
    and look alike: what shows of both is of each, or they would be strips when stretched again.
    """
    nearest = distances.min(axis=1, keepdims=True)
    belongs = np.clip(1 - (distances - nearest) / SHARED, 0, 1)
    along = poses.ends[:, :, 1] - poses.ends[:, :, 0]
    for leg in LEGS:
        thigh, shin = np.moveaxis(along[:, leg], 1, 0)
        folded = np.flatnonzero((thigh * shin).sum(axis=-1) < 0)
        both = folded[:, None], np.array(leg)
        within = np.clip((WITHIN - distances[both]) / SOFT, 0, 1)
        within *= distances[both].min(axis=1, keepdims=True) <= nearest[folded]
        belongs[both] = np.maximum(belongs[both], within)
    return (mask[:, None] * belongs * poses.known[:, :, None, None]).astype(np.float32)


def taken_in(
    missed: Float[np.ndarray, "c c"],
    mask: Float[np.ndarray, "c c"],
    distances: Float[np.ndarray, "n c c"],
) -> tuple[Float[np.ndarray, "c c"], Float[np.ndarray, "n c c"]]:
    """Mask and distances of a frame in which the nearest part has what the mask missed."""
    nearest = (distances == distances.min(axis=0)) & (missed > 0.5)
    return np.maximum(mask, missed), np.where(nearest, np.minimum(distances, 1), distances)


def jitter_of(
    frames: UInt8[np.ndarray, "t c c 3"], members: Float[np.ndarray, "t n c c"], poses: Pose
) -> Float[np.ndarray, "n"]:
    """How far each part's joints were off while its pixels stayed the same."""
    change = np.abs(frames.astype(np.int16) - frames[-1]).mean(axis=-1)
    weight = members[-1] + 1e-6
    change = np.einsum("tyx,nyx->tn", change, weight) / weight.sum(axis=(1, 2))
    moved = np.abs(poses.ends - poses.ends[-1]).max(axis=(2, 3))
    same = (change < SAME_GREY) & poses.known & poses.known[-1]
    return np.where(same, moved, 0).max(axis=0)


def sources_of(
    wanted: Pose,
    seen: Pose,
    light: Float[np.ndarray, " p"],
    size: float,
    crossing: Bool[np.ndarray, "p n a"],
) -> Int[np.ndarray, "f n"]:
    """For each wanted pose and part the seen frame in which it lies most alike; -1: none.

    `light` is by how many grey levels the room of each seen frame differs from the last one's.
    """
    chosen = np.full(wanted.known.shape, -1)
    age = AGEING * np.arange(len(seen.known) - 1, -1, -1)
    age = age + OTHER_LIGHT * np.maximum(light - SAME_LIGHT, 0)
    for number in range(len(PARTS)):
        aged = np.where(seen.known[:, number], age, np.inf)
        if not np.isfinite(aged).any():
            continue
        unlike = _unlikeness(wanted, seen, number) / size + aged
        if crossing[:, number].any():
            unlike += COVERED * uncovers(wanted, seen, number, crossing)
        before = -1
        for t in np.flatnonzero(wanted.known[:, number]):
            if before >= 0:
                unlike[t, before] -= SWITCHING
            before = chosen[t, number] = int(unlike[t].argmin())
    return chosen


def _unlikeness(wanted: Pose, seen: Pose, number: int) -> Float[np.ndarray, "t p"]:
    """How much a part's shape differs between wanted and seen poses, in pixels."""
    if PARTS[number].name == "torso":
        first, second = (p.corners - p.corners.mean(1, keepdims=True) for p in (wanted, seen))
        return np.linalg.norm(first[:, None] - second, axis=-1).mean(axis=-1)
    first, second = (p.ends[:, number, 1] - p.ends[:, number, 0] for p in (wanted, seen))
    return np.linalg.norm(first[:, None] - second, axis=-1)


def still_hidden(wanted: Pose, seen: Pose, size: float) -> Bool[np.ndarray, "t n"]:
    """Which parts that the last seen frame hides stay hidden: a forecast says where an arm behind
    the body is, not whether it shows. It does where the most alike seen pose shows it."""
    unlike = _apart(wanted, seen) / size
    hidden = np.repeat(~seen.known[-1:] & seen.known[-1].any(), len(unlike), axis=0)
    for number in np.flatnonzero(hidden.any(axis=0) & seen.known.any(axis=0)):
        shows = seen.known[:, number]
        nearer = unlike[:, ~shows].min(axis=1) - unlike[:, shows].min(axis=1)
        before = True
        for t, by in enumerate(nearer):
            before = hidden[t, number] = by < (SWITCHING if before else -SWITCHING)
    return hidden


def _apart(wanted: Pose, seen: Pose) -> Float[np.ndarray, "t p"]:
    """Mean distance of the parts that the last seen frame and the wanted pose show, wherever the
    body is, in pixels; infinite where a seen pose has less than half of them."""
    told = wanted.known & seen.known[-1]
    both = told[:, None] & seen.known
    parts = both.sum(axis=2)
    share = (both / np.maximum(parts, 1)[..., None])[..., None, None]
    moved = np.where(both[..., None, None], wanted.ends[:, None] - seen.ends, 0)
    moved = moved - (moved * share).sum(axis=2, keepdims=True)
    far = np.linalg.norm(moved, axis=-1, keepdims=True) * share
    enough = 2 * parts >= told.sum(axis=1, keepdims=True)
    return np.where(enough, far.sum(axis=2).mean(axis=(2, 3)), np.inf)
