"""A seen motion as numbers that place, size and frame rate do not change.

Everything is relative to the last seen pose and divided by the size of the seen body, the longer
side of the box around it in the last frames. Nothing that came later is looked at.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from jaxtyping import Bool, Float, Int

T = TypeVar("T")

BACK = (*range(1, 10), 11, 13, 16, 19, 23, 28, 34, 41, 50, 60, 75, 90)
"""How many frames back the seen motion is looked at: the last ten one by one, older ones ever more
sparsely. What lies further back still is left to `own_past`."""
RECENT = 10
LONGEST_UNSEEN = 30


@dataclass(frozen=True)
class SeenShape:
    """What networks read of one or more seen motions; lengths in sizes of the seen body."""

    pose: Float[np.ndarray, "b j 2"]
    """The last pose, its mean joint at 0. The last seen place stands in for a hidden joint."""
    was: Float[np.ndarray, "b o j 2"]
    """Where each joint was `BACK` frames before, relative to `pose`."""
    exists: Bool[np.ndarray, "b o"]
    """Which of those frames were seen at all."""
    visible: Float[np.ndarray, "b 10 j"]
    """Whether the joint was visible in the last ten frames, the last one first."""
    unseen: Float[np.ndarray, "b j"]
    """Seconds since the joint was visible, at most 1."""
    never: Bool[np.ndarray, "b j"]
    """Joints never visible; they are put at the mean of the others."""
    num_seen: Float[np.ndarray, " b"]
    """Frames seen."""


@dataclass(frozen=True)
class SeenMotion(SeenShape):
    """The same, and where it was."""

    size_px: Float[np.ndarray, " b"]
    """Longer side of the seen body in pixels."""
    last_px: Float[np.ndarray, "b j 2"]
    """The last pose in pixels."""


def see(
    past_px: Float[np.ndarray, "b p j 2"], past_visible: Bool[np.ndarray, "b p j"]
) -> SeenMotion:
    """Describe seen poses, at `basis.FPS` frames a second, the last one last.

    Coordinates of hidden joints are not looked at.
    """
    num_seen = past_px.shape[1]
    filled, last_seen = fill_hidden(past_px, past_visible)
    never = ~np.any(past_visible, axis=1)
    recent = filled[:, -RECENT:]
    size = (recent.max(axis=2) - recent.min(axis=2)).max(axis=(1, 2)) + 1e-6
    last = filled[:, -1]
    back = num_seen - 1 - np.array(BACK)
    unit = size[:, None, None]
    was = (filled[:, np.maximum(back, 0)] - last[:, None]) / unit[:, None]
    recently = num_seen - 1 - np.arange(RECENT)
    visible = past_visible[:, np.maximum(recently, 0)] & (recently >= 0)[None, :, None]
    unseen = np.where(never, LONGEST_UNSEEN, num_seen - 1 - last_seen)
    return SeenMotion(
        pose=((last - last.mean(axis=1, keepdims=True)) / unit).astype(np.float32),
        was=was.astype(np.float32),
        exists=np.repeat((back >= 0)[None], len(past_px), axis=0),
        visible=visible.astype(np.float32),
        unseen=(np.minimum(unseen, LONGEST_UNSEEN) / LONGEST_UNSEEN).astype(np.float32),
        never=never,
        num_seen=np.full(len(past_px), num_seen, np.float32),
        size_px=size.astype(np.float32),
        last_px=last.astype(np.float32),
    )


def joined(parts: Sequence[T]) -> T:
    """Dataclasses of arrays as one, the rows of each after those of the one before."""
    columns = {name: [vars(part)[name] for part in parts] for name in vars(parts[0])}
    return type(parts[0])(**{name: np.concatenate(each) for name, each in columns.items()})


def fill_hidden(
    joints: Float[np.ndarray, "b p j 2"], visible: Bool[np.ndarray, "b p j"]
) -> tuple[Float[np.ndarray, "b p j 2"], Int[np.ndarray, "b j"]]:
    """Hidden joints at the place where they were seen last, and in which frame that was at the end.

    Before its first sighting a joint stands where it is seen first; a joint never seen at the mean
    of the others.
    """
    frames = np.arange(joints.shape[1])[:, None]
    held = np.maximum.accumulate(np.where(visible, frames, -1), axis=1)
    source = np.where(held < 0, visible.argmax(axis=1)[:, None], held)
    filled = np.take_along_axis(joints, source[..., None], axis=1)
    never = ~np.any(visible, axis=1)
    if never.any():
        known = ~never[:, None, :, None]
        total = np.where(known, filled, 0).sum(axis=2, keepdims=True)
        mean = total / np.maximum(known.sum(axis=2, keepdims=True), 1)
        filled = np.where(known, filled, mean)
    return filled, held[:, -1]


def resample(
    joints: Float[np.ndarray, "t j 2"], visible: Bool[np.ndarray, "t j"], rate: float
) -> tuple[Float[np.ndarray, "n j 2"], Bool[np.ndarray, "n j"]]:
    """Every `rate`-th frame counted from the last one, between frames by interpolation.

    A joint is visible where it is visible in all frames that it was interpolated from.
    """
    if abs(rate - 1) < 0.02:
        return joints, visible
    last = len(joints) - 1
    places = (last - np.arange(int(last / rate) + 1) * rate)[::-1]
    before = np.clip(np.floor(places).astype(int), 0, max(last - 1, 0))
    after = np.minimum(before + 1, last)
    share = (places - before)[:, None]
    mixed = joints[before] * (1 - share[..., None]) + joints[after] * share[..., None]
    shown = (visible[before] | (share > 1 - 1e-6)) & (visible[after] | (share < 1e-6))
    return mixed.astype(joints.dtype), shown
