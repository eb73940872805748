"""What a person looks like: colours at places on the body, to tell one from another."""

import cv2
import numpy as np
from jaxtyping import Bool, Float, UInt8

from posecast.estimation.looking import Pose
from posecast.skeletons import Skeleton

_ALONG = (0.25, 0.5, 0.75)
"""Places on each limb that are looked at, as shares of its length."""
_PATCH = 0.015
"""Half the side of a patch, as a share of the person's size."""
_LIGHTNESS = 0.5
"""Weight of lightness beside colour: shadows change it."""
_FEWEST = 6
_LEARNING_RATE = 0.1

Colours = tuple[Float[np.ndarray, "n 3"], Bool[np.ndarray, " n"]]
"""CIE Lab at the places, and which of them are seen."""


class Appearance:
    """The colours of one person, learned while it is followed."""

    def __init__(self, skeleton: Skeleton) -> None:
        self._weights = _place_weights(skeleton)
        count = len(self._weights)
        self._colours, self._known = np.zeros((count, 3)), np.zeros(count, bool)

    def difference(self, frame: UInt8[np.ndarray, "h w 3"], pose: Pose) -> float:
        """Median difference in colour (Delta E) from what was learned; 0 where nothing compares."""
        colours, seen = self._look(frame, pose)
        both = seen & self._known
        if both.sum() < _FEWEST:
            return 0.0
        return float(np.median(np.linalg.norm(colours[both] - self._colours[both], axis=1)))

    def learn(self, frame: UInt8[np.ndarray, "h w 3"], pose: Pose) -> None:
        """Add a frame in which it is surely this person."""
        colours, seen = self._look(frame, pose)
        rate = np.where(self._known, _LEARNING_RATE, 1.0)[seen, None]
        self._colours[seen] += rate * (colours[seen] - self._colours[seen])
        self._known |= seen

    def forget(self) -> None:
        """Begin anew, with whoever is learned next."""
        self._known[:] = False

    def _look(self, frame: UInt8[np.ndarray, "h w 3"], pose: Pose) -> Colours:
        places = self._weights @ pose.joints_px
        seen = ~((self._weights > 0) & ~pose.seen).any(axis=1)
        half = max(int(_PATCH * pose.side), 1)
        rows, columns = np.indices((2 * half + 1, 2 * half + 1)).reshape(2, -1) - half
        x, y = places.astype(int).T
        inside = (x >= half) & (y >= half)
        inside &= (x < frame.shape[1] - half) & (y < frame.shape[0] - half)
        seen = seen & inside
        colours = np.zeros((len(places), 3))
        if seen.any():
            patches = frame[y[seen, None] + rows, x[seen, None] + columns]
            means = (patches.mean(axis=1, keepdims=True) / 255).astype(np.float32)
            colours[seen] = cv2.cvtColor(means, cv2.COLOR_RGB2Lab)[:, 0]
        return colours * [_LIGHTNESS, 1, 1], seen


def _place_weights(skeleton: Skeleton) -> Float[np.ndarray, "n j"]:
    """What each joint counts for each place."""
    places = []
    for limb in skeleton.limb_joints:
        ends = np.zeros((2, skeleton.num_joints))
        for end, joints in zip(ends, limb, strict=True):
            end[joints] = 1 / len(joints)
        places += [(1 - share) * ends[0] + share * ends[1] for share in _ALONG]
    return np.array(places)
