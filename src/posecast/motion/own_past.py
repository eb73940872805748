"""What comes now, by what came after earlier moments of the same person (`motion.recall`).

Nothing is learned here; what the moments count can be (`networks.moment_weights`), and then those
of the motion played backwards count as well. How well the moments fit comes along, and how well
this would have forecast the last seconds that were seen, so that a network can learn when to trust
it.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from posecast.motion import recall
from posecast.motion.basis import HORIZON
from posecast.motion.recall import Ends, Moments, OfEach, Poses

TRIED_AHEAD = (1, 2, 4, 8, 16, 32, 64)
"""Frames ahead at which the own past is tried on what was seen."""
NUM_FACTS = 9 + 2 * len(TRIED_AHEAD)

SOFTNESS = 0.5
_APART = 4
TRIED_MOMENTS = 12
NOISE = 0.02  # body sizes: errors below it are all alike
USUAL_SHARE = 0.8  # of the movement, where hardly anything moves
SPREAD_FRAMES = (16, 32)  # ahead, at which the facts tell how far moments part
NO_FACTS = (0.0, 3.0, 3.0, *[0.0] * (NUM_FACTS - 3))

Weigh = Callable[[Moments], Float[np.ndarray, "n t q"]]
"""What each of them counts over the horizon, for each joint, or for all alike (q is 1)."""


@dataclass(frozen=True)
class OwnPast:
    """Continuations of one motion; displacements from its last pose in pixels."""

    moved_px: Float[np.ndarray, "n t j 2"]
    """One a moment, best first; none where too little was seen."""
    weights: Float[np.ndarray, " n"]
    """They add up to 1."""
    likely_px: Float[np.ndarray, "t j 2"]
    """What comes now: the mean as `weigh` has it, else `mean_px`."""
    moments: Int[np.ndarray, " n"]
    """Frames of the past that they continue."""
    facts: Float[np.ndarray, " 23"]
    """How well the moments fit: any, error, error relative to other moments, period, spread after
    0.5 and 1 s, movement, how many agree; how often it was tried on the last three seconds, and for
    each of `TRIED_AHEAD` the logarithm of its error over that of standing still, and the share of
    its movement that would have been best."""

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

    def ways_px(self) -> Float[np.ndarray, "m t j 2"]:
        """Continuations of moments that lie some frames apart, best first."""
        chosen: list[int] = []
        for row, moment in enumerate(self.moments):
            if all(abs(moment - self.moments[other]) > _APART for other in chosen):
                chosen.append(row)
        return self.moved_px[chosen]


def own_past(
    past_px: Poses,
    past_visible: Bool[np.ndarray, "p j"],
    steps: int = HORIZON,
    weigh: Weigh | None = None,
) -> OwnPast:
    """Continue a seen motion (at `basis.FPS`) as it went on before; `weigh` is of `HORIZON`."""
    if len(past_px) < recall.FEWEST_FRAMES:
        none, still = np.zeros(0), np.zeros((0, steps, *past_px.shape[1:]), np.float32)
        facts = np.array(NO_FACTS, np.float32)
        return OwnPast(still, none.astype(np.float32), still.sum(axis=0), none.astype(int), facts)
    found = recall.Recalled.of(past_px, past_visible, steps)
    moments, moved, size = found.moments[-1], found.moved, found.size_px
    weights = _weights(found.errors, found.counted)
    fit = _fit_facts(found.misfits[-1], moments, weights[-1], moved)
    few = np.s_[:-1, :TRIED_MOMENTS]
    trial = _trial_facts(found.poses, found.ends[:-1], found.moments[few], weights[few])
    facts = np.concatenate([fit, trial]).astype(np.float32)
    if weigh is None:
        likely = np.tensordot(weights[-1], moved, axes=1)
    else:
        both = found.both_ways()
        likely = (weigh(both)[..., None] * both.moved).sum(axis=0)
    some = weights[-1] > 0
    return OwnPast(moved[some] * size, weights[-1][some], likely * size, moments[some], facts)


def _weights(errors: OfEach, counted: Bool[np.ndarray, "e n"]) -> OfEach:
    """Of moments, best first."""
    best = errors[:, :1]
    weights = np.where(counted, np.exp(-(errors - best) / (SOFTNESS * best + 1e-9)), 0)
    return (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)


def _fit_facts(
    misfit: Float[np.ndarray, " p"],
    moments: Int[np.ndarray, " n"],
    weights: Float[np.ndarray, " n"],
    moved: Float[np.ndarray, "n t j 2"],
) -> Float[np.ndarray, " 8"]:
    moved = moved[:, [min(frames, moved.shape[1]) - 1 for frames in SPREAD_FRAMES]]
    mean = np.tensordot(weights, moved, axes=1)
    variance = np.tensordot(weights, ((moved - mean) ** 2).sum(axis=-1), axes=1)
    spread = np.sqrt(variance.mean(axis=-1))
    movement = np.sqrt((mean[0] ** 2).sum(axis=-1).mean())
    usual = np.median(misfit[recall.WARM_UP : len(misfit) - recall.SHORTEST_PERIOD])
    facts = [
        1.0,
        np.log(misfit[moments[0]] + 1e-6) / 3,
        np.sqrt(misfit[moments[0]] / max(usual, 1e-6)),
        np.log(len(misfit) - 1 - moments[0]) / 4,
        *(5 * spread),
        5 * movement,
        1 / (weights**2).sum() / 10,
    ]
    return np.array(facts)


def _trial_facts(
    poses: Poses, ends: Ends, moments: Int[np.ndarray, "e n"], weights: OfEach
) -> Float[np.ndarray, " 15"]:
    """How well the own past would have forecast what was seen after each end."""
    if not len(ends):
        return np.zeros(1 + 2 * len(TRIED_AHEAD))
    ahead = np.array(TRIED_AHEAD)
    weights = weights / weights.sum(axis=1, keepdims=True)
    moved = np.einsum("en,entjc->etjc", weights, recall.continued(poses, ends, moments, ahead))
    frames = ends[:, None] + ahead
    came = poses[np.minimum(frames, len(poses) - 1)] - poses[ends][:, None]
    seen = frames < len(poses)

    def total(values: Float[np.ndarray, "e t j"]) -> Float[np.ndarray, " t"]:
        return (values.mean(axis=-1) * seen).sum(axis=0)

    noise = NOISE * seen.sum(axis=0) + 1e-3
    error = total(np.linalg.norm(moved - came, axis=-1)) + noise
    still = total(np.linalg.norm(came, axis=-1)) + noise
    square = total((moved**2).sum(axis=-1)) + NOISE * noise
    share = (total((moved * came).sum(axis=-1)) + USUAL_SHARE * NOISE * noise) / square
    count = recall.TRIED_FRAMES // recall.TRIED_EVERY
    return np.concatenate([[len(ends) / count], np.log(error / still), np.clip(share, -1, 2)])
