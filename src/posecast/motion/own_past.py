"""Where was this person in this pose before, and what came then?

Moments of the seen motion are compared with its end: poses about their mean joint, and velocities,
the latest frames weighing most. What came after the best of them is what comes now, repeated where
the moment lies nearer than the horizon. Nothing is learned here; how well the moments fit comes
along, so that a network can learn when to trust them.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from posecast.motion.basis import HORIZON
from posecast.motion.seen import fill_hidden

NUM_MOMENTS = 10
NUM_FACTS = 8

COMPARED = 32  # frames
FORGETTING = 0.9
VELOCITY_WEIGHT = 4.0
VELOCITY_FRAMES = 2
SHORTEST_PERIOD = 6
WARM_UP = 4
APART = 4
SOFTNESS = 0.5
PULL_FRAMES = 30.0
SPREAD_FRAMES = (16, 32)  # ahead, at which the facts tell how far moments part
NO_FACTS = (0.0, 3.0, 3.0, 0.0, 0.0, 0.0, 0.0, 0.0)


@dataclass(frozen=True)
class OwnPast:
    """Continuations of one motion; displacements from its last pose in pixels."""

    moved_px: Float[np.ndarray, "n t j 2"]
    """One a moment, best first; none where too little was seen."""
    weights: Float[np.ndarray, " n"]
    """They add up to 1."""
    facts: Float[np.ndarray, " 8"]
    """How well the moments fit: any, error, error relative to other moments, period, spread after
    0.5 and 1 s, movement, how many agree."""

    @property
    def mean_px(self) -> Float[np.ndarray, "t j 2"]:
        """The weighted mean; standing still where nothing is known."""
        return np.tensordot(self.weights, self.moved_px, axes=1)

    @property
    def best_px(self) -> Float[np.ndarray, "t j 2"]:
        """As after the moment that fits best; standing still where nothing is known."""
        return self.moved_px[0] if len(self.moved_px) else self.mean_px

    @property
    def misfit(self) -> float:
        """Error of the best moment as a share of a usual one's; large where there is none."""
        return float(self.facts[2])


def own_past(
    past_px: Float[np.ndarray, "p j 2"],
    past_visible: Bool[np.ndarray, "p j"],
    steps: int = HORIZON,
) -> OwnPast:
    """Continue a seen motion (at `basis.FPS`) as it went on before."""
    if len(past_px) < WARM_UP + SHORTEST_PERIOD + 1:
        return _nothing(past_px.shape[1], steps)
    poses = fill_hidden(past_px[None], past_visible[None])[0][0]
    size = float(np.median((poses.max(axis=1) - poses.min(axis=1)).max(axis=-1))) + 1e-6
    misfit = _misfit(poses / size)
    moments = _best_moments(misfit)
    errors = misfit[moments]
    weights = np.exp(-(errors - errors[0]) / (SOFTNESS * errors[0] + 1e-9))
    weights = (weights / weights.sum()).astype(np.float32)
    moved = _continue(poses, moments, steps)
    return OwnPast(moved, weights, _facts(misfit, moments, weights, moved / size))


def _misfit(poses: Float[np.ndarray, "p j 2"]) -> Float[np.ndarray, " p"]:
    """Mean squared difference of the motion up to each frame from the motion up to the last one."""
    num_frames, num_joints = poses.shape[:2]
    flat = poses.reshape(num_frames, -1)
    centred = (poses - poses.mean(axis=1, keepdims=True)).reshape(num_frames, -1)
    velocity = np.empty_like(flat)
    velocity[VELOCITY_FRAMES:] = flat[VELOCITY_FRAMES:] - flat[:-VELOCITY_FRAMES]
    velocity[:VELOCITY_FRAMES] = velocity[VELOCITY_FRAMES]
    features = np.concatenate([centred, velocity * (VELOCITY_WEIGHT / VELOCITY_FRAMES)], axis=1)
    recent = features[-COMPARED:][::-1]
    squares = (features**2).sum(axis=1)
    distances = squares + (recent**2).sum(axis=1)[:, None] - 2 * recent @ features.T
    total, weight = np.zeros(num_frames), np.zeros(num_frames)
    for back, row in enumerate(np.maximum(distances, 0) / num_joints):
        total[back:] += FORGETTING**back * row[: num_frames - back]
        weight[back:] += FORGETTING**back
    return total / weight


def _best_moments(misfit: Float[np.ndarray, " p"]) -> Int[np.ndarray, " n"]:
    """The moments that fit best, some frames apart."""
    left = misfit.copy()
    left[:WARM_UP] = left[len(left) - SHORTEST_PERIOD :] = np.inf
    moments = []
    while len(moments) < NUM_MOMENTS and np.isfinite(left.min()):
        moments.append(int(left.argmin()))
        left[max(moments[-1] - APART, 0) : moments[-1] + APART + 1] = np.inf
    return np.array(moments)


def _continue(
    poses: Float[np.ndarray, "p j 2"], moments: Int[np.ndarray, " n"], steps: int
) -> Float[np.ndarray, "n t j 2"]:
    """Displacements from the last pose, as they were after each moment.

    The pose is drawn towards the one that was really there; where the body is stays its own.
    """
    last = len(poses) - 1
    ahead = np.arange(1, steps + 1)
    after = (ahead[None] - 1) % (last - moments)[:, None] + 1
    moved = poses[moments[:, None] + after] - poses[moments][:, None]
    off = poses[last] - poses[moments]
    off -= off.mean(axis=1, keepdims=True)
    pull = 1 - np.exp(-ahead / PULL_FRAMES)
    return (moved - pull[None, :, None, None] * off[:, None]).astype(np.float32)


def _facts(
    misfit: Float[np.ndarray, " p"],
    moments: Int[np.ndarray, " n"],
    weights: Float[np.ndarray, " n"],
    moved: Float[np.ndarray, "n t j 2"],
) -> Float[np.ndarray, " 8"]:
    mean = np.tensordot(weights, moved, axes=1)
    variance = np.tensordot(weights, ((moved - mean) ** 2).sum(axis=-1), axes=1)
    spread = np.sqrt(variance.mean(axis=-1))
    movement = np.sqrt((mean**2).sum(axis=-1).mean(axis=-1))
    at = [min(frames, len(mean)) - 1 for frames in SPREAD_FRAMES]
    usual = np.median(misfit[WARM_UP : len(misfit) - SHORTEST_PERIOD])
    facts = [
        1.0,
        np.log(misfit[moments[0]] + 1e-6) / 3,
        np.sqrt(misfit[moments[0]] / max(usual, 1e-6)),
        np.log(len(misfit) - 1 - moments[0]) / 4,
        *(5 * spread[at]),
        5 * movement[at[0]],
        1 / (weights**2).sum() / NUM_MOMENTS,
    ]
    return np.array(facts, np.float32)


def _nothing(num_joints: int, steps: int) -> OwnPast:
    moved = np.zeros((0, steps, num_joints, 2), np.float32)
    return OwnPast(moved, np.zeros(0, np.float32), np.array(NO_FACTS, np.float32))
