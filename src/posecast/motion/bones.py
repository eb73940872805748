"""Limbs of forecasts never grow longer than they were seen to be.

In the image a limb grows shorter as it turns towards the camera, but no longer than it is. So the
longest seen length, and a little, is the most that a forecast may show. A last pose that shows more
(estimators err) is not left at once: the limit comes into force within half a second.
"""

import numpy as np
from jaxtyping import Bool, Float

from posecast.skeletons import Skeleton

SLACK = 1.1
"""A forecast limb may be this many times as long as the longest that was seen."""
IN_FORCE_FRAMES = 8.0  # of `basis.FPS`
KEPT_TENTHS = 9  # of the seen frames: a few wrong ones do not make a longer limb


def hold_limbs(
    future_px: Float[np.ndarray, "*s t j 2"],
    past_px: Float[np.ndarray, "p j 2"],
    past_visible: Bool[np.ndarray, "p j"],
    skeleton: Skeleton,
    rate: float = 1.0,
) -> Float[np.ndarray, "*s t j 2"]:
    """Poses whose limbs are shortened where they are too long; what hangs on them moves along.

    A limb that was never seen with both its ends is left alone. `rate`: frames of `basis.FPS` from
    one of these poses to the next.
    """
    held = future_px.copy()
    for parents, (child, *more) in skeleton.limb_joints:
        seen = past_visible[:, parents].all(axis=1) & past_visible[:, child]
        if more or not seen.any():
            continue
        lengths = np.sort(np.linalg.norm(_from_parents(past_px[seen], parents, child), axis=-1))
        longest = SLACK * lengths[KEPT_TENTHS * (len(lengths) - 1) // 10]
        vector = _from_parents(future_px, parents, child)
        length = np.linalg.norm(vector, axis=-1, keepdims=True)
        vector = vector * np.minimum(1, longest / np.maximum(length, 1e-9))
        held[..., child, :] = held[..., parents, :].mean(axis=-2) + vector
    ahead = rate * np.arange(1, future_px.shape[-3] + 1)
    yet = np.exp(-ahead / IN_FORCE_FRAMES).astype(held.dtype)[:, None, None]
    return held + yet * (future_px - held)


def _from_parents(
    joints: Float[np.ndarray, "*t j 2"], parents: list[int], child: int
) -> Float[np.ndarray, "*t 2"]:
    return joints[..., child, :] - joints[..., parents, :].mean(axis=-2)
