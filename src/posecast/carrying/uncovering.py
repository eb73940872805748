"""What arms hide of the person in a seen frame, for when they have moved away.

Trunk, head and thighs would take a forearm's picture along, and it would be there twice. They are
taken from frames that show them free (`uncovers`), or the body goes on beneath it.
"""

import cv2
import numpy as np
from jaxtyping import Bool, Float, Int, UInt8

from posecast.carrying.body_parts import PARTS, Pose
from posecast.carrying.completion import as_bytes, grown

FOREARMS = tuple(n for n, part in enumerate(PARTS) if part.name.endswith("forearm"))
ARMS = (*FOREARMS, *(n for n, part in enumerate(PARTS) if part.name.endswith("upper_arm")))
BEHIND = tuple(n for n, part in enumerate(PARTS) if part.name.endswith(("torso", "head", "thigh")))
"""Parts before which arms are seen."""
OVER, PLACES = 0.9, 8
"""An arm lies over a part that is as near, in radii, in more than so many places."""
LEFT_PX = 6.0
"""An arm that is farther from where it lay on a part has left it."""
ARM = 1.2
"""Radii from a forearm up to which a place shows it, or its shadow."""
SURE, BODY, FEWEST = 0.6, 1.0, 20
"""Places of the body show what it looks like: their mask, radii from the nearest part, number."""
EDGE = 1.0
"""Softness of a forearm's edge."""


def crossed(distances: Float[np.ndarray, "p n c c"]) -> Bool[np.ndarray, "p n a"]:
    """Whether each of `ARMS` lies over each part in each seen frame."""
    near = distances < OVER
    over = [(near & near[:, arm, None]).sum(axis=(2, 3)) > PLACES for arm in ARMS]
    behind = np.isin(np.arange(len(PARTS)), BEHIND)
    return np.stack(over, axis=-1) & behind[:, None]


def uncovers(
    wanted: Pose, seen: Pose, number: int, crossing: Bool[np.ndarray, "p n a"]
) -> Bool[np.ndarray, "t p"]:
    """Whether each seen frame shows an arm over a part that is elsewhere, beside that, in each
    wanted pose."""
    arms = list(ARMS)
    beside = [
        p.ends[:, arms] - p.ends[:, number].mean(axis=1)[:, None, None] for p in (wanted, seen)
    ]
    moved = np.abs(beside[0][:, None] - beside[1]).max(axis=(3, 4)) > LEFT_PX
    return (moved & wanted.known[:, None, arms] & crossing[:, number]).any(axis=2)


def has_left(
    pose: Pose,
    seen: Pose,
    sources: Int[np.ndarray, " n"],
    transforms: Float[np.ndarray, "n 2 3"],
    crossing: Bool[np.ndarray, "p n a"],
) -> Bool[np.ndarray, " n"]:
    """Parts of a wanted pose whose source shows a forearm over them that is elsewhere now.

    `sources` are seen frames (-1: none), `transforms` lead from places to those in the source.
    """
    parts, arms = np.arange(len(PARTS)), list(FOREARMS)
    ends = np.einsum("nij,aej->naei", transforms[:, :, :2], pose.ends[arms])
    ends = ends + transforms[:, None, None, :, 2]
    moved = np.abs(ends - seen.ends[sources][:, arms]).max(axis=(2, 3)) > LEFT_PX
    # Where a forearm is hidden nobody knows that it has left.
    moved &= pose.known[arms] & crossing[sources, parts, : len(arms)]
    return moved.any(axis=1) & (sources >= 0)


def without_forearms(
    frame: UInt8[np.ndarray, "s s 3"],
    mask: Float[np.ndarray, "c c"],
    distances: Float[np.ndarray, "n c c"],
) -> UInt8[np.ndarray, "s s 3"]:
    """A seen frame in which the body goes on where forearms are: colours grow in from around."""
    side, arm = len(frame), distances[list(FOREARMS)].min(axis=0)
    body = (mask > SURE) & (arm > ARM) & (distances[list(BEHIND)].min(axis=0) < BODY)
    if body.sum() < FEWEST:
        return frame
    hidden = cv2.GaussianBlur((arm < ARM).astype(np.float32), (0, 0), EDGE)
    body, hidden = (cv2.resize(each.astype(np.float32), (side, side)) for each in (body, hidden))
    hidden = hidden[..., None]
    return as_bytes(frame * (1 - hidden) + grown(frame, body > 0.5) * hidden)
