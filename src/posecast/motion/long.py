"""Beyond the horizon: motion that neither freezes nor falls apart.

Who repeats a motion goes on repeating it. Else pieces of what was seen and forecast so far, as it
was or played backwards, follow each other: again and again what came after a moment like this one,
its pose drawn towards the one that was really there. So nobody does what they never did. Moments
are preferred that go on as lively as what was seen and that do not carry the person away.
"""

import numpy as np
from jaxtyping import Bool, Float

from posecast.motion.basis import HORIZON
from posecast.motion.own_past import SOFTNESS, own_past
from posecast.motion.recall import SETTLED, WARM_UP, misfits_of, moved_on
from posecast.motion.seen import RECENT, fill_hidden

REPEATS = 0.5
"""Up to this misfit the own past is repeated."""
_JOIN_FRAMES = 20.0  # in which two thirds of what parts two motions at a join are gone
_REST_FRAMES = 64.0  # in which who comes to rest has gone two thirds of the way back
_PIECE = 24  # frames that follow a moment before the next one
_HOME = 0.5  # body sizes that a person may stray
_AWAY_WEIGHT = 4.0  # of each body size beyond; being e times as lively counts 1
_STILL = 1e-3  # body sizes a frame; who moves less stands as still as another
_ALIKE = 1e-4  # misfits that differ by far less are alike: of a hundredth of the body


def go_on(
    past_px: Float[np.ndarray, "p j 2"],
    past_visible: Bool[np.ndarray, "p j"],
    future_px: Float[np.ndarray, "h j 2"],
    steps: int,
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
        return _piece_by_piece(past, future_px, steps)
    moved = np.exp(-np.arange(1, steps - HORIZON + 1) / _REST_FRAMES)[:, None, None]
    rest = past[-1] + moved * (future_px[-1] - past[-1])
    return np.concatenate([future_px, rest.astype(future_px.dtype)])


def _piece_by_piece(
    past: Float[np.ndarray, "p j 2"], future: Float[np.ndarray, "h j 2"], steps: int
) -> Float[np.ndarray, "{steps} j 2"]:
    size = float((past.max(axis=1) - past.min(axis=1)).max(axis=-1)[-RECENT:].max()) + 1e-6
    known = (np.concatenate([past, future]) / size).astype(np.float32)
    home = known[len(past) - 1].mean(axis=0)
    lively = float(_liveliness(known[None, : max(len(past), 2)])[0])
    poses = known[len(past) :]
    while len(poses) < steps:
        ways = [_pieces(poses[-SETTLED:], history) for history in (known, known[::-1])]
        misfit, pieces = (np.concatenate(each) for each in zip(*ways, strict=True))
        best = misfit.min()
        cost = (misfit - best) / (SOFTNESS * best + _ALIKE) + _strangeness(pieces, home, lively)
        poses = np.concatenate([poses, pieces[cost.argmin()]])
    later = poses[len(future) : steps] * size
    return np.concatenate([future, later.astype(future.dtype)])


def _pieces(
    recent: Float[np.ndarray, "r j 2"], history: Float[np.ndarray, "p j 2"]
) -> tuple[Float[np.ndarray, " n"], Float[np.ndarray, "n t j 2"]]:
    """How badly each moment of a history fits the end of a motion, and how that goes on from it."""
    moments = np.arange(WARM_UP, len(history) - _PIECE)
    misfit = misfits_of(recent, history, np.array([len(recent) - 1]))[0, moments]
    ahead = np.arange(1, _PIECE + 1)
    frames = moments[:, None] + ahead
    moved = moved_on(history, recent[-1:], moments[None], frames[None], ahead, _JOIN_FRAMES)
    return misfit, recent[-1] + moved[0]


def _strangeness(
    pieces: Float[np.ndarray, "n t j 2"], home: Float[np.ndarray, "2"], lively: float
) -> Float[np.ndarray, " n"]:
    """How much livelier or stiller than what was seen, and how far from where it was."""
    away = np.linalg.norm(pieces[:, -1].mean(axis=1) - home, axis=-1)
    ratio = (_liveliness(pieces) + _STILL) / (lively + _STILL)
    return _AWAY_WEIGHT * np.maximum(away - _HOME, 0) + np.abs(np.log(ratio))


def _liveliness(poses: Float[np.ndarray, "n t j 2"]) -> Float[np.ndarray, " n"]:
    """Mean movement a frame."""
    return np.linalg.norm(np.diff(poses, axis=-3), axis=-1).mean(axis=(-1, -2))
