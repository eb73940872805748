"""Pose metrics, per clip and per frame, in numpy.

Every metric here is a sum over joints with the number of joints that it sums over, so that curves
can be pooled over joints and clips (as PCK is in the literature) or averaged per clip.
"""

import numpy as np
from jaxtyping import Bool, Float

from posecast.errors import PosecastError


def counted_joints(
    past_visible: Bool[np.ndarray, "p j"], future_visible: Bool[np.ndarray, "t j"]
) -> Bool[np.ndarray, "t j"]:
    """Joints that a forecast can be held to: visible in the target and in some seen frame.

    Weakness: a joint first seen after the seen frames is never scored.
    """
    return future_visible & past_visible.any(axis=0)


def joint_distances(
    predicted: Float[np.ndarray, "t j 2"], true: Float[np.ndarray, "t j 2"], length: float
) -> Float[np.ndarray, "t j"]:
    """Distance of each predicted joint from the true one, as a share of `length`.

    Both poses are in pixels of the same image and `length` is in the same pixels (for Penn Action
    the longer side of the clip's annotated box). Weakness: a length that includes the whole clip's
    movement makes lively clips look easier.
    """
    if not length > 0:
        raise PosecastError(f"the normalising length must be positive, got {length}")
    if np.shape(predicted) != np.shape(true) or np.ndim(true) != 3:
        raise PosecastError(
            f"predicted joints are {np.shape(predicted)}, true ones {np.shape(true)}; expected two "
            "of (t, j, 2), one future at a time"
        )
    return np.linalg.norm(predicted - true, axis=-1) / length


def pck_hits(
    distances: Float[np.ndarray, "t j"], counted: Bool[np.ndarray, "t j"], threshold: float
) -> tuple[Float[np.ndarray, " t"], Float[np.ndarray, " t"]]:
    """Joints nearer than `threshold` in each frame, and joints counted there.

    PCK (percentage of correct keypoints, Yang and Ramanan, 2013) of any set of frames is the sum
    of the first over the sum of the second. Weakness: blind to how far a miss misses.
    """
    hits = (distances < threshold) & counted
    return hits.sum(axis=1).astype(float), counted.sum(axis=1).astype(float)


def distance_sums(
    distances: Float[np.ndarray, "t j"], counted: Bool[np.ndarray, "t j"]
) -> tuple[Float[np.ndarray, " t"], Float[np.ndarray, " t"]]:
    """Sum of distances over counted joints in each frame, and how many joints those are.

    Weakness: the mean is ruled by a few joints far away.
    """
    return np.where(counted, distances, 0.0).sum(axis=1), counted.sum(axis=1).astype(float)


def velocity_error_sums(
    predicted: Float[np.ndarray, "t j 2"],
    true: Float[np.ndarray, "t j 2"],
    counted: Bool[np.ndarray, "t j"],
    length: float,
) -> tuple[Float[np.ndarray, " t"], Float[np.ndarray, " t"]]:
    """Error of the frame-to-frame displacement, as a share of `length` per frame.

    Frame 0 has no predecessor among the future frames and counts nothing. A joint counts where it
    is counted in both frames. Weakness: rewards standing still where motion is jittery.
    """
    both = np.zeros_like(counted)
    both[1:] = counted[1:] & counted[:-1]
    steps = np.diff(predicted, axis=0) - np.diff(true, axis=0)
    errors = np.concatenate([np.zeros((1, counted.shape[1])), np.linalg.norm(steps, axis=-1)])
    return distance_sums(errors / length, both)


def sample_spread(
    futures: Float[np.ndarray, "s t j 2"], counted: Bool[np.ndarray, "t j"], length: float
) -> tuple[Float[np.ndarray, " t"], Float[np.ndarray, " t"]]:
    """Mean distance between two of several futures, as a share of `length`, summed over joints.

    The mean over all pairs of different futures; 0 for a single one. Says how much a forecaster
    thinks possible, and nothing of whether it is right.
    """
    samples = len(futures)
    pairs = [(a, b) for a in range(samples) for b in range(a)]
    apart = [np.linalg.norm(futures[a] - futures[b], axis=-1) / length for a, b in pairs]
    return distance_sums(np.mean(apart, axis=0) if pairs else np.zeros(counted.shape), counted)
