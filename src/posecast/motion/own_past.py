"""Where was this person in this pose before, and what came then?

Moments of the seen motion are compared with its end: poses about their mean joint, and velocities,
the latest frames weighing most. What came after the best of them is what comes now, repeated where
the moment lies nearer than the horizon. Nothing is learned here; what the moments count can be
(`networks.moment_weights`), and then moments of the motion played backwards count as well: who sat
down gets up the same way. How well the moments fit comes along, and how well this would have
forecast the last seconds that were seen, so that a network can learn when to trust it.
"""

from collections.abc import Callable
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
TRIED_AHEAD = (1, 2, 4, 8, 16, 32, 64)
"""Frames ahead at which the own past is tried on what was seen."""
NUM_FACTS = 9 + 2 * len(TRIED_AHEAD)

MEMORY = 0.9
SETTLED = 32  # frames after which older ones hardly weigh
VELOCITY_WEIGHT, VELOCITY_FRAMES = 4.0, 4
SHORTEST_PERIOD, WARM_UP = 6, 4
FEWEST_FRAMES = WARM_UP + SHORTEST_PERIOD + 1
SOFTNESS = 0.5
PULL_FRAMES = 90.0
_APART = 4
TRIED_FRAMES, TRIED_EVERY = 90, 4
TRIED_MOMENTS, TRIED_FROM = 12, 16
NOISE = 0.02  # body sizes: errors below it are all alike
USUAL_SHARE = 0.8  # of the movement, where hardly anything moves
SPREAD_FRAMES = (16, 32)  # ahead, at which the facts tell how far moments part
NO_FACTS = (0.0, 3.0, 3.0, *[0.0] * (NUM_FACTS - 3))

_Poses = Float[np.ndarray, "p j 2"]
_Ends = Int[np.ndarray, " e"]
_OfEach = Float[np.ndarray, "e n"]
"""A whole motion, some of its frames, and a number for each moment of each of them."""


@dataclass(frozen=True)
class Moments:
    """Moments of a motion and how it went on from them, lengths in sizes of the body.

    First those of the motion as it was, then those of it played backwards, of both kinds those that
    fit best first.
    """

    poses: _Poses
    size_px: float
    turned: Bool[np.ndarray, " n"]
    """Whether it is played backwards from there; `frames` then count backwards from the end."""
    frames: Int[np.ndarray, " n"]
    misfits: Float[np.ndarray, " n"]
    counted: Bool[np.ndarray, " n"]
    """Whether they are moments at all."""
    moved: Float[np.ndarray, "n t j 2"]


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
    past_px: _Poses,
    past_visible: Bool[np.ndarray, "p j"],
    steps: int = HORIZON,
    weigh: Weigh | None = None,
) -> OwnPast:
    """Continue a seen motion (at `basis.FPS`) as it went on before; `weigh` is of `HORIZON`."""
    if len(past_px) < FEWEST_FRAMES:
        none, still = np.zeros(0), np.zeros((0, steps, *past_px.shape[1:]), np.float32)
        facts = np.array(NO_FACTS, np.float32)
        return OwnPast(still, none.astype(np.float32), still.sum(axis=0), none.astype(int), facts)
    found = Recalled.of(past_px, past_visible, steps)
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


@dataclass(frozen=True)
class Recalled:
    """A seen motion, and for some of its frames, the last one among them, the moments before."""

    poses: _Poses
    size_px: float
    ends: _Ends
    misfits: Float[np.ndarray, "e p"]
    moments: Int[np.ndarray, "e n"]
    errors: _OfEach
    """Misfits of the moments."""
    counted: Bool[np.ndarray, "e n"]
    moved: Float[np.ndarray, "n t j 2"]
    """How it went on from the moments of the last one."""

    @classmethod
    def of(
        cls, past_px: _Poses, past_visible: Bool[np.ndarray, "p j"], steps: int = HORIZON
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
        moved = _continue(poses, ends[-1:], best[0][-1:], np.arange(1, steps + 1))[0]
        return cls(poses, size, ends, misfits, *best, moved)

    def both_ways(self) -> Moments:
        """The moments before the last frame, and those of the motion played backwards."""
        forth = (self.moments[-1], self.errors[-1], self.counted[-1], self.moved)
        back = _turned(self.poses, self.ends[-1:], self.moved.shape[1])
        both = [np.concatenate(pair) for pair in zip(forth, back, strict=True)]
        turned = np.arange(len(both[0])) >= len(self.moved)
        return Moments(self.poses, self.size_px, turned, *both)


def _turned(
    poses: _Poses, end: Int[np.ndarray, "1"], steps: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """As `Moments` has them, of the motion played backwards, to its beginning at most."""
    history = poses[::-1]
    best = _best_moments(misfits_of(poses, history, end), end, NUM_TURNED)
    ahead = np.arange(1, steps + 1)
    frames = np.minimum(best[0][..., None] + ahead, end)
    moved = moved_on(history, poses[end], best[0], frames, ahead)
    return best[0][0], best[1][0], best[2][0], moved[0]


def misfits_of(
    poses: Float[np.ndarray, "m j 2"], history: _Poses, ends: _Ends
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


def _features(poses: _Poses) -> Float[np.ndarray, "p d"]:
    """Poses about their mean joint, and velocities."""
    flat = poses.reshape(len(poses), -1)
    centred = (poses - poses.mean(axis=1, keepdims=True)).reshape(len(poses), -1)
    velocity = np.empty_like(flat)
    velocity[VELOCITY_FRAMES:] = flat[VELOCITY_FRAMES:] - flat[:-VELOCITY_FRAMES]
    velocity[:VELOCITY_FRAMES] = velocity[VELOCITY_FRAMES]
    return np.concatenate([centred, velocity * (VELOCITY_WEIGHT / VELOCITY_FRAMES)], axis=1)


def _best_moments(
    misfit: Float[np.ndarray, "e p"], ends: _Ends, most: int
) -> tuple[Int[np.ndarray, "e n"], _OfEach, Bool[np.ndarray, "e n"]]:
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


def _weights(errors: _OfEach, counted: Bool[np.ndarray, "e n"]) -> _OfEach:
    """Of moments, best first."""
    best = errors[:, :1]
    weights = np.where(counted, np.exp(-(errors - best) / (SOFTNESS * best + 1e-9)), 0)
    return (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)


def _continue(
    poses: _Poses, ends: _Ends, moments: Int[np.ndarray, "e n"], ahead: Int[np.ndarray, " t"]
) -> Float[np.ndarray, "e n t j 2"]:
    """Displacements from each end, as they were after its moments, repeated."""
    period = np.maximum(ends[:, None] - moments, 1)
    frames = moments[..., None] + (ahead - 1) % period[..., None] + 1
    return moved_on(poses, poses[ends], moments, frames, ahead)


def moved_on(
    history: _Poses,
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
    usual = np.median(misfit[WARM_UP : len(misfit) - SHORTEST_PERIOD])
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
    poses: _Poses, ends: _Ends, moments: Int[np.ndarray, "e n"], weights: _OfEach
) -> Float[np.ndarray, " 15"]:
    """How well the own past would have forecast what was seen after each end."""
    if not len(ends):
        return np.zeros(1 + 2 * len(TRIED_AHEAD))
    ahead = np.array(TRIED_AHEAD)
    weights = weights / weights.sum(axis=1, keepdims=True)
    moved = np.einsum("en,entjc->etjc", weights, _continue(poses, ends, moments, ahead))
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
    count = TRIED_FRAMES // TRIED_EVERY
    return np.concatenate([[len(ends) / count], np.log(error / still), np.clip(share, -1, 2)])
