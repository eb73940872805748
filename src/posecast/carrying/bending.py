"""The last seen frame bent, where the person moved by a pixel or two: a flow knows no seams."""

import cv2
import numpy as np
from jaxtyping import Float

from posecast.carrying.body_parts import Pose, part_transform
from posecast.carrying.camera import STILL

BENT_PX, CARRIED_PX = 1.5, 4.0
"""Parts that moved by less than the first are bent, by more than the second carried."""
BACKGROUND_RADII = 1.4
"""How far a part's flow reaches."""
STILL_PX = 0.35
"""Flow of less is none: a frame fetched between pixels is softer than it was."""


def bent_flow(
    pose: Pose,
    last: Pose,
    near: Float[np.ndarray, "n c c"],
    moved: Float[np.ndarray, "n"],
    rests: Float[np.ndarray, "c c"],
    camera: Float[np.ndarray, "2 3"],
    size: float,
) -> Float[np.ndarray, "2 c c"]:
    """Where the places of the bent last frame come from: a mixture of how its parts and the camera
    move.

    `near` is the distance to each part, wanted or last, in radii, `moved` by how many pixels each
    moved, `rests` how much each place stays as it is but for the camera.
    """
    back = cv2.invertAffineTransform(camera).astype(np.float32)
    side = near.shape[-1]
    camera_flow = _movements(back, side)
    total = np.full((side, side), np.exp(-(BACKGROUND_RADII**2)), np.float32)
    flow = [total * each for each in camera_flow]
    for n in np.flatnonzero(pose.known & last.known & (moved < 3 * CARRIED_PX)).tolist():
        weight = np.exp(-np.square(near[n]))
        total += weight
        moves = _movements(part_transform(n, pose, last, size), side)
        for values, move in zip(flow, moves, strict=True):
            cv2.accumulateProduct(weight, move, values)
    rest = (1 - rests) / total
    flow = np.stack([v * rest + c * rests for v, c in zip(flow, camera_flow, strict=True)])
    if camera is STILL:
        flow *= np.clip(cv2.magnitude(*flow) / np.float32(STILL_PX) - 1, 0, 1)
    return flow


def _movements(
    transform: Float[np.ndarray, "2 3"], side: int
) -> tuple[Float[np.ndarray, "{side} {side}"], Float[np.ndarray, "{side} {side}"]]:
    """How far it moves each place, across and down."""
    (a, b, c), (d, e, f) = transform
    x = np.arange(side, dtype=np.float32) + 0.5
    y = x[:, None]
    return ((a - 1) * x + c) + b * y, d * x + ((e - 1) * y + f)
