"""What estimated poses are worth against labels, joint by joint."""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from posecast.metrics.pose import joint_distances
from posecast.skeletons import Skeleton
from posecast.store.reading import StoredClip

BOX_SHARE, HEAD_SHARE = 0.2, 0.5


@dataclass(frozen=True, eq=False)
class JointScores:
    """Hits of each joint over all frames in which the labels show it."""

    counts: Float[np.ndarray, " j"]
    near_box: Float[np.ndarray, " j"]
    """Nearer than 0.2 of the longer side of the clip's box (PCK@0.2)."""
    near_head: Float[np.ndarray, " j"]
    """Nearer than half the way from the head to the middle of the shoulders (like PCKh, whose
    head boxes our data sets do not have; median over the clip)."""
    distance: Float[np.ndarray, " j"]
    """Sum of distances, as shares of the box."""

    def __add__(self, other: "JointScores") -> "JointScores":
        names = self.__dataclass_fields__
        return JointScores(*(getattr(self, name) + getattr(other, name) for name in names))

    @classmethod
    def none(cls, num_joints: int) -> "JointScores":
        return cls(*np.zeros((4, num_joints)))

    @property
    def pck(self) -> float:
        """PCK@0.2 over all joints, in percent; NaN without a labelled joint."""
        return 100 * _ratio(self.near_box.sum(), self.counts.sum())

    @property
    def pckh(self) -> float:
        """The same with the length of the head."""
        return 100 * _ratio(self.near_head.sum(), self.counts.sum())

    @property
    def mean_distance(self) -> float:
        """As a share of the box."""
        return _ratio(self.distance.sum(), self.counts.sum())


def score_clip(
    predicted_px: Float[np.ndarray, "t j 2"], clip: StoredClip, skeleton: Skeleton
) -> JointScores:
    """Compare estimated joints with the labels of a clip, all visible joints, however unsure."""
    shown = clip.visible
    distances = joint_distances(predicted_px, clip.joints_px.astype(float), clip.box_side_px)
    head = HEAD_SHARE * _head_length(clip, skeleton) / clip.box_side_px
    return JointScores(
        shown.sum(axis=0).astype(float),
        ((distances < BOX_SHARE) & shown).sum(axis=0).astype(float),
        ((distances < head) & shown).sum(axis=0).astype(float),
        np.where(shown, distances, 0.0).sum(axis=0),
    )


@dataclass(frozen=True)
class VisibilityScores:
    """Whether joints that count as seen are those that the labels show."""

    shown: int = 0
    """Joints that the labels show."""
    shown_seen: int = 0
    hidden: int = 0
    hidden_seen: int = 0

    def __add__(self, other: "VisibilityScores") -> "VisibilityScores":
        names = self.__dataclass_fields__
        return VisibilityScores(*(getattr(self, name) + getattr(other, name) for name in names))

    @classmethod
    def of(cls, seen: Bool[np.ndarray, "t j"], clip: StoredClip) -> "VisibilityScores":
        shown = clip.visible
        numbers = (shown.sum(), (seen & shown).sum(), (~shown).sum(), (seen & ~shown).sum())
        return cls(*(int(number) for number in numbers))

    def summary(self) -> str:
        seen, false = _ratio(self.shown_seen, self.shown), _ratio(self.hidden_seen, self.hidden)
        shown = f"{100 * seen:.1f} % of the joints that the labels show"
        hidden = f"{100 * false:.1f} % of those that they hide" if self.hidden else "they hide none"
        return f"count as seen: {shown}, {hidden}"


def score_table(scores: JointScores, baseline: JointScores, skeleton: Skeleton) -> str:
    """Lines for people: every joint, and all together, beside the mean pose."""
    lines = [
        f"{'joint':16}{'labels':>8}{'PCK@0.2':>9}{'mean pose':>11}{'~PCKh':>8}{'mean pose':>11}"
    ]
    columns = ((scores, "near_box"), (baseline, "near_box"))
    columns += ((scores, "near_head"), (baseline, "near_head"))
    for number, joint in enumerate(skeleton.joints):
        shares = [
            100 * _ratio(getattr(each, name)[number], scores.counts[number])
            for each, name in columns
        ]
        lines.append(_line(joint, scores.counts[number], shares))
    shares = [scores.pck, baseline.pck, scores.pckh, baseline.pckh]
    lines.append(_line("all", scores.counts.sum(), shares))
    lines.append(
        f"mean distance {scores.mean_distance:.4f} of the box "
        f"(mean pose {baseline.mean_distance:.4f})"
    )
    return "\n".join(lines)


def _line(name: str, count: float, shares: list[float]) -> str:
    a, b, c, d = ("-" if math.isnan(share) else f"{share:.1f}" for share in shares)
    return f"{name:16}{count:8.0f}{a:>9}{b:>11}{c:>8}{d:>11}"


def _head_length(clip: StoredClip, skeleton: Skeleton) -> float:
    """Median distance in pixels of the head from the shoulders' middle; a tenth of the box where
    they are never seen together."""
    names = ("head" if "head" in skeleton.joints else "nose", "left_shoulder", "right_shoulder")
    places = [skeleton.index(name) for name in names]
    both = clip.visible[:, places].all(axis=1)
    if not both.any():
        return 0.1 * clip.box_side_px
    head, left, right = (clip.joints_px[both, place].astype(float) for place in places)
    return float(np.median(np.linalg.norm(head - (left + right) / 2, axis=-1)))


def _ratio(part: float | int, whole: float | int) -> float:
    return float(part) / float(whole) if whole else float("nan")
