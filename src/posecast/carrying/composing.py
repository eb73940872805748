"""The layers of a frame put together, as they are or as a refinement would have them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from posecast.carrying.fetching import Pictures

FLOW_UNIT = 0.05
"""Flow of 1 moves by so much of half the picture's side: 3.2 of 128 pixels."""
LEAST_SHARE = 2e-3
"""A layer that does not show, or the drawing, can be called for from this share on. The bent last
frame cannot: where the person has moved far it shows a second one, a ghost that pixel errors like.
"""
BENT, LEAST_BENT = 2, 1e-9
PULL = 3.0
"""A logit of 1 multiplies a layer's share by exp of so much."""
REACH, FADING = 3.2, 0.6
"""Farther from a part that moved, in radii, nothing is changed, and little within so much of it."""
_UNSEEN = 0.01
"""A layer that shows by less is not moved: that changes hardly a pixel by a grey level."""

Planes = Sequence[Float[np.ndarray, "h w"]]


@dataclass(frozen=True, eq=False)
class FrameChanges:
    """What a refinement says of a frame; all zeros change nothing."""

    logits: Planes
    """How much more or less each layer shows, and last what is drawn."""
    drawn: Planes
    """What is drawn less the unrefined frame, red, green and blue, black to white being 2."""
    flow: Sequence[Float[np.ndarray, "d d2"]]
    """x and y for each layer, in `FLOW_UNIT`; perhaps at another size."""

    def fitted(self, fit: Callable[[np.ndarray], np.ndarray], side: int) -> "FrameChanges":
        """At another size, in grey levels and in pixels of pictures of a side."""
        level, pixel = np.float32(127.5), np.float32(FLOW_UNIT * side / 2)
        flow = [fit(each) * pixel for each in self.flow]
        drawn = [fit(each) * level for each in self.drawn]
        return FrameChanges([fit(each) for each in self.logits], drawn, flow)


def composed(
    pictures: Pictures,
    shares: Planes,
    moving: Float[np.ndarray, "h w"],
    changes: FrameChanges | None = None,
) -> UInt8[np.ndarray, "h w 3"]:
    """The layers, each as much as it shows, with `FrameChanges.fitted` near what is `moving`."""
    if changes is None:
        total = np.zeros(pictures[0].shape, np.float32)
        for picture, share in zip(pictures, shares, strict=True):
            _add(total, picture, share)
        return _rounded(total)
    acts = np.clip((REACH - moving) / FADING, 0, 1)
    before, after = _shown(shares, changes.logits)
    after = [acts * share for share in after]
    # What is drawn is the unrefined frame and a difference.
    more = 1 + after[-1] - acts * before[-1]
    weights = [
        share * more + (late - acts * early)
        for share, late, early in zip(shares, after, before, strict=False)
    ]
    total = cv2.merge([after[-1] * each for each in changes.drawn])
    for number, picture in enumerate(pictures):
        flow = changes.flow[2 * number : 2 * number + 2]
        _add_moved(total, picture, after[number], weights[number], *flow)
        _add(total, picture, weights[number])
    return _rounded(total)


def _shown(shares: Planes, logits: Planes) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """How much of each layer and of the drawing shows, unrefined and refined."""
    least = [LEAST_BENT if number == BENT else LEAST_SHARE for number in range(len(shares))]
    before = [share + each for share, each in zip(shares, least, strict=True)]
    before.append(np.full_like(before[0], LEAST_SHARE))
    after = [share * np.exp(PULL * each) for share, each in zip(before, logits, strict=True)]
    return _to_one(before), _to_one(after)


def _to_one(shares: Planes) -> list[Float[np.ndarray, "h w"]]:
    whole = 1 / reduce(np.add, shares)
    return [share * whole for share in shares]


def _add(total: Float[np.ndarray, "h w 3"], picture: np.ndarray, weight: np.ndarray) -> None:
    part = cv2.multiply(picture, cv2.merge([weight] * 3), dtype=cv2.CV_32F)
    cv2.add(total, part, dst=total)


def _add_moved(
    total: Float[np.ndarray, "h w 3"],
    picture: UInt8[np.ndarray, "h w 3"],
    weight: Float[np.ndarray, "h w"],
    still: Float[np.ndarray, "h w"],
    flow_x: Float[np.ndarray, "h w"],
    flow_y: Float[np.ndarray, "h w"],
) -> None:
    """The layer moved, where it shows; `still`, how much of it is not, is so much less there."""
    x, y, width, height = cv2.boundingRect((weight > _UNSEEN).view(np.uint8))
    if not width:
        return
    part = slice(y, y + height), slice(x, x + width)
    columns = np.arange(x, x + width, dtype=np.float32)
    rows = np.arange(y, y + height, dtype=np.float32)[:, None]
    places = flow_x[part] + columns, flow_y[part] + rows
    # Between pixels as in training.
    moved = cv2.remap(picture, *places, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    still[part] -= weight[part]
    _add(total[part], moved, weight[part])


def _rounded(levels: Float[np.ndarray, "h w 3"]) -> UInt8[np.ndarray, "h w 3"]:
    return np.clip(levels + 0.5, 0, 255).astype(np.uint8)
