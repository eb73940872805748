"""Joint names of the programs that write keypoints, and from them the joints of a skeleton.

`left` and `right` are the person's own sides here. A skeleton that calls them the other way round
(`Skeleton.left_means`, as Penn Action does) gets its left joints from the person's right ones.
"""

import re
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from posecast.keypoints.detections import KeypointError
from posecast.skeletons import COCO, Skeleton, other_side

_ARM, _LEG = ("shoulder", "elbow", "wrist"), ("hip", "knee", "ankle")


def _limbs(side: str, parts: Sequence[str]) -> tuple[str, ...]:
    return tuple(f"{side}_{part}" for part in parts)


_ARMS = (*_limbs("right", _ARM), *_limbs("left", _ARM))
_LEGS = (*_limbs("right", _LEG), *_limbs("left", _LEG))
_FACE = ("right_eye", "left_eye", "right_ear", "left_ear")
_FEET = ("big_toe", "small_toe", "heel")
_TOES = (*_limbs("left", _FEET), *_limbs("right", _FEET))

OPENPOSE = (
    # BODY_25
    ("nose", "neck", *_ARMS, "pelvis", *_LEGS, *_FACE, *_TOES),
    # COCO, 18 points
    ("nose", "neck", *_ARMS, *_LEGS, *_FACE),
    # MPI, 15 points
    ("head_top", "neck", *_ARMS, *_LEGS, "chest"),
)
"""Orders of OpenPose's body models."""

HALPE = (
    *COCO.joints,
    *("head_top", "neck", "pelvis"),
    *(f"{side}_{part}" for part in _FEET for side in ("left", "right")),
)
"""AlphaPose's 26 points; its 136 begin with them."""

WHOLE_BODY = (*COCO.joints, *(f"{side}_{part}" for side in ("left", "right") for part in _FEET))
"""The first of COCO-WholeBody's 133 points; face and hands follow."""

BODY_POINTS = {17: COCO.joints, 26: HALPE, 133: WHOLE_BODY, 136: HALPE}
"""Names of the first points of detections of so many points (COCO, AlphaPose, MMPose)."""

MEDIAPIPE = (
    "nose",
    *(f"{side}_eye{part}" for side in ("left", "right") for part in ("_inner", "", "_outer")),
    *("left_ear", "right_ear", "left_mouth", "right_mouth"),
    *(f"{side}_{part}" for part in _ARM for side in ("left", "right")),
    *(f"{side}_{part}" for part in ("pinky", "index", "thumb") for side in ("left", "right")),
    *(f"{side}_{part}" for part in _LEG for side in ("left", "right")),
    *(f"{side}_{part}" for part in ("heel", "foot_index") for side in ("left", "right")),
)
"""The 33 landmarks of MediaPipe's pose landmarker."""

_NECK = (("neck",), ("left_shoulder", "right_shoulder"))
_PELVIS = (("pelvis",), ("left_hip", "right_hip"))

# Skeleton joint -> sources, the best first; several points mean their middle. A joint that is not
# listed here comes from the point of its own name.
_SOURCES: dict[str, tuple[tuple[str, ...], ...]] = {
    "head": (
        ("head",),
        ("left_ear", "right_ear"),
        ("nose", "left_ear"),
        ("nose", "right_ear"),
        ("left_eye", "right_eye"),
        ("nose",),
        ("head_top", "neck"),
    ),
    "neck": _NECK,
    "pelvis": _PELVIS,
    "spine_base": (("spine_base",), *_PELVIS),
    "spine": (("spine",), ("left_shoulder", "right_shoulder", "left_hip", "right_hip")),
}
for _side in ("left", "right"):
    _SOURCES[f"{_side}_collar"] = ((f"{_side}_collar",), *_NECK)
    _SOURCES[f"{_side}_thumb"] = ((f"{_side}_thumb",), (f"{_side}_wrist",))
    _SOURCES[f"{_side}_hand"] = ((f"{_side}_hand",), (f"{_side}_wrist",))
    _SOURCES[f"{_side}_toe_base"] = (
        (f"{_side}_toe_base",),
        (f"{_side}_big_toe", f"{_side}_small_toe"),
        (f"{_side}_foot_index",),
    )
    _SOURCES[f"{_side}_toe_end"] = (
        (f"{_side}_toe_end",),
        (f"{_side}_big_toe",),
        (f"{_side}_foot_index",),
    )

_ALIASES: dict[str, str] = dict.fromkeys(("mid_hip", "hips", "root"), "pelvis")
_ALIASES |= {"thorax": "neck", "top_head": "head_top"}
_SIDES = {"l": "left", "r": "right", "left": "left", "right": "right"}
_PARTS = "shoulder|elbow|wrist|hip|knee|ankle|eye|ear|foot|heel|hand|thumb"


def plain_name(name: str) -> str:
    """A joint name as written here: "LShoulder", "left-shoulder", "shoulder_l", "lshoulder" are
    one."""
    words = re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name.strip())
    plain = re.sub(r"[\s\-_.]+", "_", words).lower()
    before = re.fullmatch(rf"(left|right)_?(.+)|([lr])(?:_(.+)|({_PARTS}))", plain)
    after = re.fullmatch(r"(.+)_(left|right|l|r)", plain)
    if before:
        side, rest, short, short_rest, part = before.groups()
        plain = f"{_SIDES[side or short]}_{rest or short_rest or part}"
    elif after:
        plain = f"{_SIDES[after[2]]}_{after[1]}"
    return _ALIASES.get(plain, plain)


def own_side_name(joint: str, skeleton: Skeleton) -> str:
    """The name of a skeleton's joint by the person's own left and right."""
    return joint if skeleton.left_means == "left" else other_side(joint)


def own_side_names(skeleton: Skeleton) -> list[str]:
    """Those of all joints, in their order."""
    return [own_side_name(joint, skeleton) for joint in skeleton.joints]


def joint_sources(names: Sequence[str], skeleton: Skeleton) -> list[list[list[int]]]:
    """For each joint of the skeleton the columns of the points that it comes from, best first;
    several columns mean their middle. KeypointError where no joint has a source."""
    place = {name: index for index, name in enumerate(names)}
    found = []
    for joint in skeleton.joints:
        own = own_side_name(joint, skeleton)
        sources = _SOURCES.get(own, ((own,),))
        known = [source for source in sources if all(name in place for name in source)]
        found.append([[place[name] for name in source] for source in known])
    if not any(found):
        raise KeypointError(
            f"none of the points ({', '.join(names[:8])} ...) is a joint of skeleton "
            f"{skeleton.name} ({', '.join(skeleton.joints[:4])} ...): name them so"
        )
    return found


def to_skeleton(
    points: Float[np.ndarray, "t k 2"],
    confidence: Float[np.ndarray, "t k"],
    names: Sequence[str],
    skeleton: Skeleton,
) -> tuple[Float[np.ndarray, "t j 2"], Float[np.ndarray, "t j"]]:
    """Joints of the skeleton and their confidences, derived from named points.

    Points of confidence 0 are not used; a joint is as sure as the least sure of its points, and a
    joint without a source is at 0, 0 with confidence 0. KeypointError where no joint has a source.
    """
    joints = np.zeros((len(points), skeleton.num_joints, 2))
    sure = np.zeros((len(points), skeleton.num_joints))
    for number, sources in enumerate(joint_sources(names, skeleton)):
        for columns in sources:
            least = confidence[:, columns].min(axis=1)
            use = (least > 0) & (sure[:, number] == 0)
            joints[use, number] = points[use][:, columns].mean(axis=1)
            sure[use, number] = least[use]
    return joints, sure
