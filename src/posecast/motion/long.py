"""Beyond the horizon: motion that neither freezes nor falls apart.

Who repeats a motion goes on repeating it. Else real motion of others is strung together: what
followed the nearest entry of the database, its pose drawn towards the one that was really there,
again and again. Among near entries those are taken that are as lively as what was seen and that do
not carry the person away.
"""

import numpy as np
from jaxtyping import Bool, Float

from posecast.motion.basis import HORIZON, from_cosines
from posecast.motion.neighbours import MotionBase
from posecast.motion.own_past import own_past
from posecast.motion.seen import RECENT, fill_hidden, see

REPEATS = 0.5
"""Up to this misfit the own past is repeated."""
_JOIN_FRAMES = 20.0
_REST_FRAMES = 64.0
_PIECE = 48  # frames of an entry before the next one
_HOME = 0.5  # body sizes that a person may stray
_LIVELINESS_WEIGHT = 0.5
_AWAY_WEIGHT = 4.0
_STILL = 1e-3  # body sizes a frame


def go_on(
    past_px: Float[np.ndarray, "p j 2"],
    past_visible: Bool[np.ndarray, "p j"],
    future_px: Float[np.ndarray, "h j 2"],
    steps: int,
    base: MotionBase,
    lively: bool = True,
) -> Float[np.ndarray, "{steps} j 2"]:
    """A forecast of the horizon, cut or continued to `steps` frames.

    Who does not repeat a motion comes to rest, unless it is to be `lively`.
    """
    if steps <= HORIZON:
        return future_px[:steps]
    past = fill_hidden(past_px[None], past_visible[None])[0][0]
    own = own_past(past_px, past_visible, steps)
    if own.misfit <= REPEATS:
        repeated = past[-1] + own.best_px
        off = future_px[-1] - repeated[HORIZON - 1]
        fading = np.exp(-np.arange(1, steps - HORIZON + 1) / _JOIN_FRAMES)
        later = repeated[HORIZON:] + fading[:, None, None] * off
        return np.concatenate([future_px, later.astype(future_px.dtype)])
    if lively:
        return _string_together(past, future_px, steps, base)
    moved = np.exp(-np.arange(1, steps - HORIZON + 1) / _REST_FRAMES)[:, None, None]
    rest = past[-1] + moved * (future_px[-1] - past[-1])
    return np.concatenate([future_px, rest.astype(future_px.dtype)])


def _string_together(
    past: Float[np.ndarray, "p j 2"],
    future: Float[np.ndarray, "h j 2"],
    steps: int,
    base: MotionBase,
) -> Float[np.ndarray, "{steps} j 2"]:
    size = float((past.max(axis=1) - past.min(axis=1)).max(axis=-1)[-RECENT:].max()) + 1e-6
    home = past[-1].mean(axis=0)
    lively = float(_liveliness(past[None] / size)[0]) if len(past) > 1 else None
    poses = future
    while len(poses) < steps:
        recent = poses[-RECENT:]
        seen = see(recent[None], np.ones((1, *recent.shape[:2]), bool))
        found = base.find(seen)
        moved = from_cosines(found.cosines[0])[:, :_PIECE] * size
        off = (recent[-1] - recent[-1].mean(axis=0)) - found.poses[0] * size
        pull = 1 - np.exp(-np.arange(1, _PIECE + 1) / _JOIN_FRAMES)
        pieces = recent[-1] + moved - pull[None, :, None, None] * off[:, None]
        cost = -np.log(found.weights[0]) + _strangeness(pieces / size, home / size, lively)
        poses = np.concatenate([poses, pieces[cost.argmin()].astype(poses.dtype)])
    return poses[:steps]


def _strangeness(
    pieces: Float[np.ndarray, "n t j 2"], home: Float[np.ndarray, "2"], lively: float | None
) -> Float[np.ndarray, " n"]:
    """How much livelier or stiller than what was seen, and how far from where it was."""
    away = np.linalg.norm(pieces[:, -1].mean(axis=1) - home, axis=-1)
    strange = _AWAY_WEIGHT * np.maximum(away - _HOME, 0)
    if lively is not None:
        ratio = (_liveliness(pieces) + _STILL) / (lively + _STILL)
        strange += _LIVELINESS_WEIGHT * np.abs(np.log(ratio))
    return strange


def _liveliness(poses: Float[np.ndarray, "n t j 2"]) -> Float[np.ndarray, " n"]:
    """Mean movement a frame."""
    return np.linalg.norm(np.diff(poses, axis=-3), axis=-1).mean(axis=(-1, -2))
