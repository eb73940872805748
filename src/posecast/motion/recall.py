"""Where was this person in this pose before, and how did it go on from there?

Moments of the seen motion are compared with its end: poses about their mean joint, and velocities,
the latest frames weighing most. What came after the best of them comes again, repeated where the
moment lies nearer than the horizon. Moments of the motion played backwards are found as well: who
sat down gets up the same way.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from jaxtyping import Bool, Float, Int

from posecast.motion.basis import HORIZON
from posecast.motion.seen import fill_hidden

NUM_MOMENTS = 50
NUM_TURNED = 30
"""Moments at which the motion, played backwards, was as it is now."""

MEMORY = 0.9
SETTLED = 32  # frames after which older ones hardly weigh
VELOCITY_WEIGHT, VELOCITY_FRAMES = 4.0, 4
SHORTEST_PERIOD, WARM_UP = 6, 4
FEWEST_FRAMES = WARM_UP + SHORTEST_PERIOD + 1
PULL_FRAMES = 90.0
TRIED_FRAMES, TRIED_EVERY, TRIED_FROM = 90, 4, 16
"""At which frames moments are looked for, too, so that it can be tried on what came after them."""

Poses = Float[np.ndarray, "p j 2"]
Ends = Int[np.ndarray, " e"]
OfEach = Float[np.ndarray, "e n"]
"""A whole motion, some of its frames, and a number for each moment of each of them."""


@dataclass(frozen=True)
class Moments:
    """Moments of a motion and how it went on from them, lengths in sizes of the body.

    First those of the motion as it was, then those of it played backwards, of both kinds those that
    fit best first.
    """

    poses: Poses
    size_px: float
    turned: Bool[np.ndarray, " n"]
    """Whether it is played backwards from there; `frames` then count backwards from the end."""
    frames: Int[np.ndarray, " n"]
    misfits: Float[np.ndarray, " n"]
    counted: Bool[np.ndarray, " n"]
    """Whether they are moments at all."""
    moved: Float[np.ndarray, "n t j 2"]


@dataclass(frozen=True)
class Recalled:
    """A seen motion, and for some of its frames, the last one among them, the moments before."""

    poses: Poses
    size_px: float
    ends: Ends
    misfits: Float[np.ndarray, "e p"]
    moments: Int[np.ndarray, "e n"]
    errors: OfEach
    """Misfits of the moments."""
    counted: Bool[np.ndarray, "e n"]
    moved: Float[np.ndarray, "n t j 2"]
    """How it went on from the moments of the last one."""

    @classmethod
    def of(
        cls, past_px: Poses, past_visible: Bool[np.ndarray, "p j"], steps: int = HORIZON
    ) -> "Recalled":
        """Of `FEWEST_FRAMES` at least."""
        poses = fill_hidden(past_px[None], past_visible[None])[0][0]
        size = float(np.median((poses.max(axis=1) - poses.min(axis=1)).max(axis=-1))) + 1e-6
        poses = (poses / size).astype(np.float32)
        last = len(poses) - 1
        tried = np.arange(last - 2, max(last - TRIED_FRAMES, TRIED_FROM), -TRIED_EVERY)
        ends = np.append(tried[::-1], last)
        misfits = misfits_of(poses, poses, ends)
        best = _best_moments(misfits, ends, NUM_MOMENTS)
        moved = continued(poses, ends[-1:], best[0][-1:], np.arange(1, steps + 1))[0]
        return cls(poses, size, ends, misfits, *best, moved)

    def both_ways(self) -> Moments:
        """The moments before the last frame, and those of the motion played backwards."""
        forth = (self.moments[-1], self.errors[-1], self.counted[-1], self.moved)
        back = _turned(self.poses, self.ends[-1:], self.moved.shape[1])
        both = [np.concatenate(pair) for pair in zip(forth, back, strict=True)]
        turned = np.arange(len(both[0])) >= len(self.moved)
        return Moments(self.poses, self.size_px, turned, *both)


def _turned(
    poses: Poses, end: Int[np.ndarray, "1"], steps: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """As `Moments` has them, of the motion played backwards, to its beginning at most."""
    history = poses[::-1]
    best = _best_moments(misfits_of(poses, history, end), end, NUM_TURNED)
    ahead = np.arange(1, steps + 1)
    frames = np.minimum(best[0][..., None] + ahead, end)
    moved = moved_on(history, poses[end], best[0], frames, ahead)
    return best[0][0], best[1][0], best[2][0], moved[0]


def misfits_of(
    poses: Float[np.ndarray, "m j 2"], history: Poses, ends: Ends
) -> Float[np.ndarray, "e p"]:
    """Mean squared difference of the history up to each frame from the motion up to each end."""
    num_frames, num_joints = history.shape[:2]
    first = max(int(ends[0]) - SETTLED, 0)
    features = _features(history)
    latest = (features if history is poses else _features(poses))[first:]
    middle = features.mean(axis=0)  # else differences of what hardly moves drown in rounding
    features, latest = features - middle, latest - middle
    squares = (features**2).sum(axis=1)
    # By torch: threads of numpy's products and those of the networks would wait for each other.
    product = (torch.from_numpy(latest) @ torch.from_numpy(features).T).numpy()
    distances = squares + (latest**2).sum(axis=1)[:, None] - 2 * product
    distances = np.maximum(distances, 0) / num_joints
    # Each becomes a sum of all before it, ever less of them.
    for before, row in pairwise(distances):
        row[1:] += MEMORY * before[:-1]
    numbers = (ends - first)[:, None]
    count = np.minimum(numbers, np.arange(num_frames)) + 1
    return distances[numbers[:, 0]] * ((1 - MEMORY) / (1 - MEMORY**count)).astype(np.float32)


def _features(poses: Poses) -> Float[np.ndarray, "p d"]:
    """Poses about their mean joint, and velocities."""
    flat = poses.reshape(len(poses), -1)
    centred = (poses - poses.mean(axis=1, keepdims=True)).reshape(len(poses), -1)
    velocity = np.empty_like(flat)
    velocity[VELOCITY_FRAMES:] = flat[VELOCITY_FRAMES:] - flat[:-VELOCITY_FRAMES]
    velocity[:VELOCITY_FRAMES] = velocity[VELOCITY_FRAMES]
    return np.concatenate([centred, velocity * (VELOCITY_WEIGHT / VELOCITY_FRAMES)], axis=1)


def _best_moments(
    misfit: Float[np.ndarray, "e p"], ends: Ends, most: int
) -> tuple[Int[np.ndarray, "e n"], OfEach, Bool[np.ndarray, "e n"]]:
    """The moments that fit best, best first, their misfits, and whether they are any: those that
    come too early or late are last and do not count."""
    frames, latest = np.arange(misfit.shape[1]), ends[:, None] - SHORTEST_PERIOD
    left = np.where((frames >= WARM_UP) & (frames <= latest), misfit, np.inf)
    count = min(NUM_MOMENTS, left.shape[1])
    best = np.argpartition(left, count - 1, axis=1)[:, :count]
    order = np.argsort(np.take_along_axis(left, best, axis=1), axis=1, kind="stable")
    best = np.take_along_axis(best, order[:, :most], axis=1)
    best = np.minimum(best, latest)
    counted = np.arange(best.shape[1]) < latest + 1 - WARM_UP
    return best, np.take_along_axis(misfit, best, axis=1), counted


def continued(
    poses: Poses, ends: Ends, moments: Int[np.ndarray, "e n"], ahead: Int[np.ndarray, " t"]
) -> Float[np.ndarray, "e n t j 2"]:
    """Displacements from each end, as they were after its moments, repeated."""
    period = np.maximum(ends[:, None] - moments, 1)
    frames = moments[..., None] + (ahead - 1) % period[..., None] + 1
    return moved_on(poses, poses[ends], moments, frames, ahead)


def moved_on(
    history: Poses,
    now: Float[np.ndarray, "e j 2"],
    moments: Int[np.ndarray, "e n"],
    frames: Int[np.ndarray, "e n t"],
    ahead: Int[np.ndarray, " t"],
    pull_frames: float = PULL_FRAMES,
) -> Float[np.ndarray, "e n t j 2"]:
    """From moments of a history to the frames that follow them.

    The pose is drawn towards the one that was really there, by two thirds in `pull_frames`; where
    the body is stays its own.
    """
    was = history[moments]
    off = now[:, None] - was
    off -= off.mean(axis=2, keepdims=True)
    pull = (1 - np.exp(-ahead / pull_frames)).astype(np.float32)
    return history[frames] - was[:, :, None] - pull[:, None, None] * off[:, :, None]
