"""Skeletons: which joints a pose has, which of them are joined, which are mirror images.

A skeleton is data. Code asks it for joints by name and never writes a joint's number.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from posecast.errors import PosecastError

JointGroup = tuple[str, ...]
"""One joint, or several whose midpoint is meant."""


@dataclass(frozen=True)
class Skeleton:
    """The joints of a data set, in the order in which its files store them."""

    name: str
    """Name used in files and on the command line."""
    joints: tuple[str, ...]
    """Joint names, one per index."""
    limbs: tuple[tuple[JointGroup, JointGroup], ...]
    """Pairs of ends; an end of two joints is their midpoint."""
    heatmaps: Literal["limbs", "joints"]
    """What the image generator sees: four points along each limb, or one point a joint."""
    left_means: Literal["left", "right"] = "left"
    """Which of the person's own sides is called left."""

    def __post_init__(self) -> None:
        known = set(self.joints)
        unknown = {name for limb in self.limbs for end in limb for name in end} - known
        if unknown:
            raise PosecastError(
                f"skeleton {self.name}: limbs name unknown joints {sorted(unknown)}"
            )

    @property
    def num_joints(self) -> int:
        return len(self.joints)

    @property
    def num_heatmaps(self) -> int:
        """Channels of the pose image: 4 a limb (2017 code) or 1 a joint."""
        return 4 * len(self.limbs) if self.heatmaps == "limbs" else self.num_joints

    def index(self, joint: str) -> int:
        """Position of a joint in the arrays; PosecastError names the known joints."""
        if joint not in self.joints:
            raise PosecastError(
                f"skeleton {self.name} has no joint {joint!r}; it has {self.joints}"
            )
        return self.joints.index(joint)

    @property
    def limb_joints(self) -> list[list[list[int]]]:
        """Of each limb both ends, as positions of their joints in the arrays."""
        return [[[self.index(name) for name in end] for end in limb] for limb in self.limbs]

    @property
    def parts(self) -> tuple[tuple[str, tuple[int, ...]], ...]:
        """What moves by itself, with its joints: arms and legs but for shoulders and hips (the left
        one's before the right one's), the upper body, and the hips."""

        def joints(kind: str, side: str) -> tuple[int, ...]:
            named = enumerate(self.joints)
            return tuple(n for n, name in named if _kind(name) == kind and name.startswith(side))

        return tuple((kind, joints(kind, side)) for kind, side in _PARTS)

    @property
    def mirror(self) -> tuple[int, ...]:
        """For each joint, the index of its mirror image (itself on the midline)."""
        return tuple(self.joints.index(other_side(name)) for name in self.joints)


_ENDS = {
    "arm": ("elbow", "wrist", "thumb", "hand"),
    "leg": ("knee", "ankle", "toe"),
    "hips": ("hip", "pelvis"),
}
_PARTS = (
    *((kind, side) for kind in ("arm", "leg") for side in ("left_", "right_")),
    ("upper", ""),
    ("hips", ""),
)


def _kind(joint: str) -> str:
    """Which kind of part a joint belongs to."""
    named = (kind for kind, words in _ENDS.items() if any(word in joint for word in words))
    return next(named, "upper")


def other_side(joint: str) -> str:
    """The name of the mirror image; the same on the midline."""
    side, _, part = joint.partition("_")
    return {"left": f"right_{part}", "right": f"left_{part}"}.get(side, joint)


def _limbs(*pairs: tuple[str, str]) -> tuple[tuple[JointGroup, JointGroup], ...]:
    """Read 'a' as the joint a, 'a+b' as the midpoint of a and b."""
    return tuple((tuple(a.split("+")), tuple(b.split("+"))) for a, b in pairs)


_SIDES = ("left", "right")
_ARMS_AND_LEGS = ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")
# With the head's, the 12 limbs of the 2017 code, in its order (channel = 4 * limb + point).
_TRUNK_ARMS_AND_LEGS = (
    ("left_shoulder", "right_shoulder"),
    ("left_shoulder", "left_elbow"),
    ("left_elbow", "left_wrist"),
    ("right_shoulder", "right_elbow"),
    ("right_elbow", "right_wrist"),
    ("left_shoulder+right_shoulder", "left_hip+right_hip"),
    ("left_hip", "right_hip"),
    ("left_hip", "left_knee"),
    ("left_knee", "left_ankle"),
    ("right_hip", "right_knee"),
    ("right_knee", "right_ankle"),
)

PENN_ACTION = Skeleton(
    name="penn_action",
    joints=("head", *(f"{side}_{part}" for part in _ARMS_AND_LEGS for side in _SIDES)),
    limbs=_limbs(("head", "left_shoulder+right_shoulder"), *_TRUNK_ARMS_AND_LEGS),
    heatmaps="limbs",
    # In people seen from the front the labelled left shoulder is left in the image (97 % of 31,812
    # frames), in those seen from behind it is right (82 % of 20,914): it is the person's right one.
    left_means="right",
)

_H36M_LEGS = ("hip", "knee", "ankle", "toe_base", "toe_end")
_H36M_ARMS = ("collar", "shoulder", "elbow", "wrist", "thumb", "thumb_end", "hand", "hand_end")

HUMAN36M = Skeleton(
    name="human36m",
    # 32 joints in the order of the distributed files; several coincide.
    joints=(
        "pelvis",
        *(f"right_{part}" for part in _H36M_LEGS),
        *(f"left_{part}" for part in _H36M_LEGS),
        *("spine_base", "spine", "neck", "head", "head_top"),
        *(f"left_{part}" for part in _H36M_ARMS),
        *(f"right_{part}" for part in _H36M_ARMS),
    ),
    limbs=_limbs(
        *pairwise(("pelvis", "right_hip", "right_knee", "right_ankle", "right_toe_base")),
        *pairwise(("pelvis", "left_hip", "left_knee", "left_ankle", "left_toe_base")),
        *pairwise(("pelvis", "spine", "neck", "head", "head_top")),
        *pairwise(("neck", "left_shoulder", "left_elbow", "left_wrist")),
        *pairwise(("neck", "right_shoulder", "right_elbow", "right_wrist")),
    ),
    heatmaps="joints",
)

COCO = Skeleton(
    name="coco",
    joints=(
        "nose",
        *(f"{side}_{part}" for part in ("eye", "ear", *_ARMS_AND_LEGS) for side in _SIDES),
    ),
    limbs=_limbs(("nose", "left_shoulder+right_shoulder"), *_TRUNK_ARMS_AND_LEGS),
    heatmaps="limbs",
)

SKELETONS = {skeleton.name: skeleton for skeleton in (PENN_ACTION, HUMAN36M, COCO)}
