"""Poses without the jitter of their estimator."""

import numpy as np
from jaxtyping import Bool, Float

SIGMA_FRAMES = 0.6
"""0 and 1 cost up to 0.1 dB on real clips."""
REACH = 2


def smoothed(
    joints: Float[np.ndarray, "t j 2"], visible: Bool[np.ndarray, "t j"]
) -> Float[np.ndarray, "t j 2"]:
    """A Gaussian mean over neighbouring frames in which the joint is visible.

    It looks as far ahead as back, so near the ends it reaches less far: nothing lags behind.
    """
    weight = np.zeros(visible.shape)
    total = np.zeros(joints.shape)
    frames = np.arange(len(joints))
    room = np.minimum(frames, frames[::-1])
    for offset in range(-REACH, REACH + 1):
        here = frames[room >= abs(offset)]
        there = here + offset
        share = np.exp(-0.5 * (offset / SIGMA_FRAMES) ** 2) * visible[there]
        weight[here] += share
        total[here] += share[..., None] * np.where(visible[there][..., None], joints[there], 0)
    mean = total / np.maximum(weight, 1e-9)[..., None]
    return np.where(visible[..., None], mean, joints).astype(joints.dtype)
