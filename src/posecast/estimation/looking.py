"""One look at a part of a frame, and what can be said of the pose found there."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, UInt8
from numpy.typing import ArrayLike

from posecast.errors import PosecastError
from posecast.estimation.estimator import JointFinder, Joints
from posecast.geometry import Crop, crop_to_px, cut_crop
from posecast.records.brief import Brief

_SUREST = 0.6
_FEWEST_JOINTS = 3
_SMALLEST_PX = 4
_FAR_OUTSIDE = 10.0
"""Sides of the picture; no estimator of shares says more."""


@dataclass(frozen=True, eq=False, repr=False)
class Pose(Brief):
    """Joints of one person in one frame."""

    joints_px: Float[np.ndarray, "j 2"]
    confidence: Float[np.ndarray, " j"]
    min_confidence: float
    """Joints at least so sure count as seen."""
    doubted: Bool[np.ndarray, " j"] | bool = False
    """Joints that may as well be elsewhere: good enough to follow the person by."""

    @property
    def seen(self) -> Bool[np.ndarray, " j"]:
        """Joints that count as seen."""
        return self.confidence >= self.min_confidence

    @property
    def sureness(self) -> float:
        """Mean confidence of the surest 60 % of the joints: the others may be hidden."""
        count = max(round(_SUREST * len(self.confidence)), 1)
        return float(np.sort(self.confidence)[-count:].mean())

    @property
    def extent(self) -> Float[np.ndarray, "4"]:
        """Box around the seen joints: x1, y1, x2, y2 in pixels."""
        joints = self.joints_px[self.seen]
        return np.concatenate([joints.min(axis=0), joints.max(axis=0)])

    @property
    def side(self) -> float:
        """Longer side of the extent, in pixels."""
        return box_side(self.extent)

    def is_person(self, least_sureness: float) -> bool:
        """Whether it is so sure, and more than a point."""
        if self.seen.sum() < _FEWEST_JOINTS or self.sureness < least_sureness:
            return False
        return self.side >= _SMALLEST_PX


def box_side(box: Float[np.ndarray, "4"]) -> float:
    """Longer side of x1, y1, x2, y2."""
    return float(np.ptp(box.reshape(2, 2), axis=0).max())


def look(
    frame: UInt8[np.ndarray, "h w 3"], crops: Sequence[Crop], estimator: JointFinder
) -> list[Pose]:
    """The person in each crop of a frame, however unsure; PosecastError where the estimator says
    something else than joints."""
    pictures = np.stack([cut_crop(frame, crop, estimator.size, "area") for crop in crops])
    found = zip(crops, *_checked(*estimator.estimate(pictures), len(crops), estimator), strict=True)
    return [
        Pose(crop_to_px(j.astype(float), crop), np.abs(c), estimator.min_confidence, c < 0)
        for crop, j, c in found
    ]


def _checked(said: ArrayLike, sureness: ArrayLike, count: int, estimator: JointFinder) -> Joints:
    """What an estimator said, also one of a user's own."""
    joints, sure = np.asarray(said), np.asarray(sureness)
    wanted = (count, estimator.skeleton.num_joints)
    if joints.shape != (*wanted, 2) or sure.shape != wanted:
        raise PosecastError(
            f"the estimator gave joints {joints.shape} and confidences {sure.shape}; expected "
            f"{(*wanted, 2)} and {wanted}, of skeleton {estimator.skeleton.name}"
        )
    joints = np.where(np.isfinite(joints) | (sure != 0)[..., None], joints, 0)
    if not np.isfinite(joints).all() or not np.isfinite(sure).all():
        raise PosecastError("the estimator gave NaN: give joints that it lacks the confidence 0")
    if np.abs(joints).max() > _FAR_OUTSIDE:
        raise PosecastError(
            f"the estimator gave places up to {np.abs(joints).max():.0f}: expected shares of the "
            "picture, 0 to 1 inside of it, not pixels"
        )
    return joints, sure


def distance(a: Pose, b: Pose) -> float:
    """Median distance of the joints that both see, as a share of the larger one's side; infinite
    where they share fewer than three."""
    both = a.seen & b.seen
    if both.sum() < _FEWEST_JOINTS:
        return np.inf
    apart = np.linalg.norm(a.joints_px[both] - b.joints_px[both], axis=1)
    return float(np.median(apart)) / max(a.side, b.side, 1e-9)
