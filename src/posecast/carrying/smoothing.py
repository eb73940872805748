"""Poses without the jitter of their estimator, and without its gaps."""

import numpy as np
from jaxtyping import Bool, Float, Int

from posecast.carrying.body_parts import TORSO_CORNERS
from posecast.skeletons import Skeleton

SIGMA_FRAMES = 0.6
"""0 and 1 cost up to 0.1 dB on real clips."""
REACH = 2
LEGS = tuple((f"{side}_knee", f"{side}_ankle") for side in ("left", "right"))
BLURRED = 5
"""An ankle, or a knee with it, that is hidden for so many frames at most is one that the estimator
lost in a blur: hidden in the last frame, its leg would stand there for good. A knee alone, between
hip and ankle, is where no guess finds it."""


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


def without_gaps(
    joints: Float[np.ndarray, "t j 2"], visible: Bool[np.ndarray, "t j"], skeleton: Skeleton
) -> tuple[Float[np.ndarray, "t j 2"], Bool[np.ndarray, "t j"]]:
    """Hidden shoulders and hips, and legs that are hidden for a few frames (`BLURRED`), where the
    body took them from when they were seen last, and will take them until they are seen next: arms
    before a trunk hide its joints, not the trunk.

    In any unit. All joints, others as they were given, and which are visible or were so guessed."""
    frames, count = np.arange(len(joints))[:, None], len(joints)
    told = np.where(visible[..., None], joints, 0)
    before = np.maximum.accumulate(np.where(visible, frames, -1))
    after = np.minimum.accumulate(np.where(visible, frames, count)[::-1])[::-1]
    total, weight = np.zeros(joints.shape), np.zeros(visible.shape)
    for source in (before, after):
        guess, known = _taken_along(told, visible, source.clip(0, count - 1))
        near = known / np.maximum(abs(source - frames), 1)
        total, weight = total + guess * near[..., None], weight + near
    trunk = np.isin(skeleton.joints, TORSO_CORNERS)
    lost = ends_of_legs(skeleton)
    short = (lost >= 0) & ~visible[:, lost] & (after - before <= BLURRED + 1)
    guessed = (weight > 0) & ~visible & (trunk | short)
    mean = (total / np.maximum(weight, 1e-9)[..., None]).astype(joints.dtype)
    return np.where(guessed[..., None], mean, joints), visible | guessed


def ends_of_legs(skeleton: Skeleton) -> Int[np.ndarray, " j"]:
    """Of each knee and ankle the number of the ankle, of other joints -1."""
    ends = {joint: leg[-1] for leg in LEGS for joint in leg}
    return np.array([skeleton.index(ends[e]) if e in ends else -1 for e in skeleton.joints])


def _taken_along(
    joints: Float[np.ndarray, "t j 2"],
    visible: Bool[np.ndarray, "t j"],
    source: Int[np.ndarray, "t j"],
) -> tuple[Float[np.ndarray, "t j 2"], Bool[np.ndarray, "t j"]]:
    """Each joint from a source frame of its own, moved as those that are visible in both frames,
    and whether it is visible there and any of those is; the nearer one is, the more it tells."""
    there = np.take_along_axis(joints, source[..., None], axis=0)
    others, shown = joints[source], visible[source] & visible[:, None]
    far = np.square(others - there[:, :, None]).sum(axis=-1)
    weight = shown / np.maximum(far, 1e-9)
    moved = (weight[..., None] * (joints[:, None] - others)).sum(axis=2)
    moved /= np.maximum(weight.sum(axis=2), 1e-9)[..., None]
    return there + moved, np.take_along_axis(visible, source, axis=0) & shown.any(axis=2)
