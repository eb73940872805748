"""What estimated poses are worth against labels, joint by joint."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from posecast.geometry import crop_to_px
from posecast.metrics.pose import joint_distances
from posecast.skeletons import Skeleton
from posecast.store.files import Poses
from posecast.store.reading import Store, StoredClip, mean_joints

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


@dataclass(frozen=True, eq=False)
class ClipGroup:
    """Scores of the clips that were, or were not, trained on."""

    title: str
    num_clips: int
    scores: JointScores
    mean_pose: JointScores
    visibility: VisibilityScores

    def summary(self, skeleton: Skeleton) -> str:
        """Lines for people."""
        table = score_table(self.scores, self.mean_pose, skeleton)
        head = f"{self.num_clips} clips, {self.title}:"
        return "\n".join([head, table, self.visibility.summary()])


def score_groups(
    clips: Sequence[StoredClip], estimates: dict[str, Poses], store: Store, trained: set[str]
) -> tuple[ClipGroup, ...]:
    """Of clips that were not trained on, and of those that were."""
    held_out = [clip for clip in clips if clip.clip_id not in trained]
    seen = [clip for clip in clips if clip.clip_id in trained]
    # A store of test clips alone lends its own mean pose, which flatters the baseline.
    train = [clip for clip in store.clips if clip.split == "train"]
    groups = {"not trained on": held_out, "that the estimator was trained on": seen}
    return tuple(
        _group(title, members, train or store.clips, estimates, store.skeleton)
        for title, members in groups.items()
        if members
    )


def _group(
    title: str,
    clips: Sequence[StoredClip],
    mean_of: Sequence[StoredClip],
    estimates: dict[str, Poses],
    skeleton: Skeleton,
) -> ClipGroup:
    mean = mean_joints(mean_of)
    scores = baseline = JointScores.none(skeleton.num_joints)
    visibility = VisibilityScores()
    for clip in clips:
        joints, seen = estimates[clip.clip_id]
        scores += score_clip(joints.astype(float), clip, skeleton)
        still = np.broadcast_to(crop_to_px(mean, clip.crop), joints.shape)
        baseline += score_clip(still, clip, skeleton)
        visibility += VisibilityScores.of(seen, clip)
    return ClipGroup(title, len(clips), scores, baseline, visibility)


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
