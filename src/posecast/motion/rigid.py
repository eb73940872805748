"""Points that nobody forecasts, carried along with the limb that they kept to most while seen."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Complex, Float

from posecast.motion.seen import fill_hidden

_REACH = 0.1
"""What distance from a limb costs, beside how much a point moves about in the limb's own frame."""
_SHORTEST = 0.2
"""A limb seen so short, as a share of its longest, points towards the camera: it does not turn."""
_LAST_RESORT = 1e6

Limb = Sequence[Sequence[int]]
"""Joints whose mean is one end, and those of the other."""
_Ride = tuple[Complex[np.ndarray, " u"], Complex[np.ndarray, " u"], Bool[np.ndarray, " t"], float]
"""Origin and direction of a limb over past and future, when it was seen, and what it costs."""


def carry(
    points: Float[np.ndarray, "t n 2"],
    seen: Bool[np.ndarray, "t n"],
    joints: Float[np.ndarray, "t j 2"],
    visible: Bool[np.ndarray, "t j"],
    future: Float[np.ndarray, "f j 2"],
    limbs: Sequence[Limb],
) -> Float[np.ndarray, "f n 2"]:
    """Where each point goes with its limb; where none was seen with it, with the mean joint.

    From the last frame in which both were seen, so that it goes on where it was. Joints that were
    never visible are not looked at. Points never seen are at 0.
    """
    known = np.any(visible, axis=0)
    whole = np.concatenate([fill_hidden(joints[None], visible[None])[0][0], future])
    rides = [
        _ride(whole, limb, np.all(visible[:, [*limb[0], *limb[1]]], axis=1))
        for limb in limbs
        if known[[*limb[0], *limb[1]]].all()
    ]
    middle = _complex(whole[:, known].mean(axis=1))
    rides.append((middle, np.ones_like(middle), np.ones(len(joints), bool), _LAST_RESORT))
    size = max(float(np.ptp(joints[visible], axis=0).max()), 1e-9)
    result = np.zeros((len(future), points.shape[1], 2))
    for n in np.flatnonzero(seen.any(axis=0)):
        moved = _carried(_complex(points[:, n]), seen[:, n], rides, size)
        result[:, n] = np.stack([np.real(moved), np.imag(moved)], axis=-1)[len(joints) :]
    return result


def _carried(
    place: Complex[np.ndarray, " t"],
    seen: Bool[np.ndarray, " t"],
    rides: Sequence[_Ride],
    size: float,
) -> Complex[np.ndarray, " u"]:
    best, moved = np.inf, place
    for origin, turn, shown, extra in rides:
        both = np.flatnonzero(seen & shown)
        if not len(both):
            continue
        local = (place[both] - origin[both]) / turn[both]
        moves = np.abs(local - local.mean()).mean() + _REACH * np.abs(local).mean()
        if moves / size + extra < best:
            best, moved = moves / size + extra, origin + turn * local[-1]
    return moved


def _ride(whole: Float[np.ndarray, "u j 2"], limb: Limb, shown: Bool[np.ndarray, " t"]) -> _Ride:
    start, end = (_complex(whole[:, list(ends)].mean(axis=1)) for ends in limb)
    along = end - start
    length = np.abs(along)
    is_long = length >= max(_SHORTEST * length.max(), 1e-9)
    # A short limb keeps the direction that it had last.
    source = np.maximum.accumulate(np.where(is_long, np.arange(len(whole)), -1))
    turn = np.where(source < 0, 1, (along / np.maximum(length, 1e-9))[source])
    return (start + end) / 2, turn, shown, 0.0


def _complex(places: Float[np.ndarray, "t 2"]) -> Complex[np.ndarray, " t"]:
    return places[:, 0] + 1j * places[:, 1]
