"""Left and right of one person, the same from frame to frame."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float, Int

from posecast.skeletons import Skeleton

_LEGS = ("hip", "knee", "ankle", "toe_base", "toe_end")
_FIRST = ("shoulder", "hip")
_MOVED, _CROSSED = 0.1, 0.5
"""Joints are exchanged that moved by so much of the body, and by so small a share of that, or less,
with left and right taken for each other."""
_APART = 0.1
"""Nobody can say where shoulders or hips are nearer together than this share of the body."""
_BELIEVED = 30
"""Frames after which a way is taken for right, however long the other one was found before."""
_FORGOTTEN = 8
"""Frames that a pair is not seen, after which it may have changed sides."""


def steady_sides(
    joints_px: Float[np.ndarray, "t j 2"],
    confidence: Float[np.ndarray, "t j"],
    seen: Bool[np.ndarray, "t j"],
    skeleton: Skeleton,
    shots: Sequence[int] = (),
) -> tuple[Float[np.ndarray, "t j 2"], Float[np.ndarray, "t j"]]:
    """Joints and confidence with left and right exchanged of arms or legs that had them the other
    way the frame before: estimators take people seen from behind now one way, now the other, and
    nobody turns round at once.

    Each frame depends on those before it alone. A way that is found more often than the other, or
    for `_BELIEVED` frames, is taken for right from then on: people may turn unseen. Of `shots`, the
    first frame of each frame's shot, each begins anew; where one begins is told by frames up to a
    second later, too, so give those of seen frames alone.
    """
    joints_px, confidence = joints_px.copy(), confidence.copy()
    sizes = np.array([_size(joints[s]) for joints, s in zip(joints_px, seen, strict=True)])
    cuts = sorted({*shots} - {0})
    for pairs in _parts(skeleton):
        told = (joints_px[:, pairs], np.all(seen[:, pairs], axis=2), sizes)
        each_shot = zip(*(np.split(each, cuts) for each in told), strict=True)
        exchanged = np.concatenate([_exchanged(*shot) for shot in each_shot])
        where, other = np.ix_(exchanged, pairs.ravel()), np.ix_(exchanged, pairs[:, ::-1].ravel())
        joints_px[where], confidence[where] = joints_px[other], confidence[other]
    return joints_px, confidence


def _size(joints_px: Float[np.ndarray, "n 2"]) -> float:
    return float(np.ptp(joints_px, axis=0).max()) if len(joints_px) else 0.0


def _parts(skeleton: Skeleton) -> list[Int[np.ndarray, "p 2"]]:
    """Pairs of left and right of the upper body, and of the legs; of shoulders and hips first."""
    paired = [(i, other) for i, other in enumerate(skeleton.mirror) if i < other]
    names = {pair: skeleton.joints[pair[0]].partition("_")[2] for pair in paired}
    paired.sort(key=lambda pair: names[pair] not in _FIRST)
    legs = [pair for pair in paired if names[pair] in _LEGS]
    return [np.array([pair for pair in paired if pair not in legs]), np.array(legs)]


def _exchanged(
    pairs_px: Float[np.ndarray, "t p 2 2"],
    seen: Bool[np.ndarray, "t p"],
    sizes: Float[np.ndarray, " t"],
) -> Bool[np.ndarray, " t"]:
    """Frames in which these pairs are the other way than in those before."""
    exchanged, is_other, votes = np.zeros(len(pairs_px), bool), False, 0
    known, unseen = np.full(pairs_px.shape[1:], np.nan), np.zeros(pairs_px.shape[1], int)
    for t, (found, is_seen, size) in enumerate(zip(pairs_px, seen, sizes, strict=True)):
        unseen = np.where(is_seen, 0, unseen + 1)
        known[(unseen > _FORGOTTEN) | (size == 0)] = np.nan
        if np.isnan(known).all():
            is_other, votes = False, 0
        is_other ^= _turns(found[:, ::-1] if is_other else found, known, is_seen, size)
        votes = min(votes + (-1 if is_other else 1), _BELIEVED)
        if votes < 0:
            is_other, votes = False, 0
        exchanged[t] = is_other
        known[is_seen] = (found[:, ::-1] if is_other else found)[is_seen]
    return exchanged


def _turns(
    found: Float[np.ndarray, "p 2 2"],
    known: Float[np.ndarray, "p 2 2"],
    seen: Bool[np.ndarray, " p"],
    size: float,
) -> bool:
    """Whether these pairs are where they were known, but left and right exchanged."""
    apart, now = (np.linalg.norm(each[:, 0] - each[:, 1], axis=-1) for each in (known, found))
    usable = seen & (apart > 0)
    if not usable.any() or not max(apart[0], now[0]) > _APART * size:
        return False
    away = [np.linalg.norm(each - known, axis=-1).mean(axis=-1) for each in (found, found[:, ::-1])]
    # Pairs tell as much as they are wide.
    moved, crossed = (np.average(each[usable], weights=apart[usable]) for each in away)
    return bool(moved > _MOVED * size and crossed < _CROSSED * moved)
