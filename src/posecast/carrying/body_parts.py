"""The parts of a body that are carried along, and how each moves between two poses.

A part is a capsule between two places of the pose; the torso is the four-cornered shape of its
joints. Every part has a transform of its own (Balakrishnan et al., CVPR 2018: limb masks and
similarity transforms). Coordinates are continuous pixels of one square picture, as `joints_px`.
"""

import math
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, Float

from posecast.skeletons import Skeleton

SHOULDERS = ("left_shoulder", "right_shoulder")
HIPS = ("left_hip", "right_hip")
TORSO_CORNERS = (*SHOULDERS, *HIPS)
MAX_STRETCH = 2.5
"""A limb is stretched or shrunk by no more: what turns to the camera is not made of rubber."""
LEAST_TORSO = 0.6
"""Pixels of a seen torso that one of a future one stands for in any direction, at least."""
FAR = 9.0
"""Distance, in radii, from a part whose joints are not known."""


@dataclass(frozen=True)
class BodyPart:
    """One part; lengths are shares of the body size (`body_size`)."""

    name: str
    start: tuple[str, ...]
    """Joints whose middle is where it starts."""
    end: tuple[str, ...]
    radius: float
    beyond: float = 0.0
    """How far it goes on beyond its end: hands and feet have no joint."""


def _limb(side: str, name: str, start: str, end: str, radius: float, beyond: float) -> BodyPart:
    return BodyPart(f"{side}_{name}", (f"{side}_{start}",), (f"{side}_{end}",), radius, beyond)


_SIDES = ("left", "right")
PARTS = (
    BodyPart("torso", SHOULDERS, HIPS, 0.16),
    *(_limb(side, "upper_arm", "shoulder", "elbow", 0.16, 0.0) for side in _SIDES),
    *(_limb(side, "thigh", "hip", "knee", 0.21, 0.0) for side in _SIDES),
    *(_limb(side, "shin", "knee", "ankle", 0.16, 0.15) for side in _SIDES),
    BodyPart("head", SHOULDERS, ("head",), 0.30),
    *(_limb(side, "forearm", "elbow", "wrist", 0.13, 0.25) for side in _SIDES),
)
"""From the back to the front: where two parts claim a place alike, the later one has it."""

TORSO = 0


@dataclass(frozen=True, eq=False)
class Pose:
    """The parts of one or more poses."""

    ends: Float[np.ndarray, "*t n 2 2"]
    """Start and end of each part, (x, y)."""
    corners: Float[np.ndarray, "*t 4 2"]
    """Joints of the torso."""
    known: Bool[np.ndarray, "*t n"]
    """Parts whose joints are all visible."""

    def __getitem__(self, frames: int | slice) -> "Pose":
        return Pose(self.ends[frames], self.corners[frames], self.known[frames])


def joint_index(skeleton: Skeleton, joint: str) -> int:
    """As `Skeleton.index`; a skeleton without a head has a nose."""
    return skeleton.index("nose" if joint == "head" and "head" not in skeleton.joints else joint)


def partners(skeleton: Skeleton) -> list[int]:
    """The other one of each shoulder and hip, and of any other joint itself.

    One that is hidden counts as where its partner is: seen from the side it is behind it, and
    without it there would be neither torso nor head.
    """
    others = list(range(skeleton.num_joints))
    for pair in (SHOULDERS, HIPS):
        first, second = (joint_index(skeleton, name) for name in pair)
        others[first], others[second] = second, first
    return others


def pose_of(
    joints: Float[np.ndarray, "t j 2"],
    visible: Bool[np.ndarray, "t j"],
    skeleton: Skeleton,
    size: float,
) -> Pose:
    """The parts of poses of a body of a size (`body_size`)."""
    joints, other = joints.astype(np.float32), partners(skeleton)
    joints = np.where(visible[..., None], joints, joints[:, other])
    visible = visible | visible[:, other]
    ends = np.zeros((len(joints), len(PARTS), 2, 2), np.float32)
    known = np.zeros((len(joints), len(PARTS)), bool)
    for number, part in enumerate(PARTS):
        groups = [[joint_index(skeleton, name) for name in end] for end in (part.start, part.end)]
        start, end = (joints[:, group].mean(1) for group in groups)
        known[:, number] = visible[:, groups[0] + groups[1]].all(1)
        along = end - start
        if part.name == "head":  # the neck is no part of it
            start, end = start + 0.45 * along, start + 1.2 * along
        elif part.beyond:
            length = np.linalg.norm(along, axis=-1, keepdims=True)
            reach = np.minimum(part.beyond * size, 0.6 * length)
            end = end + along / np.maximum(length, 1e-3) * reach
        ends[:, number] = np.stack([start, end], axis=1)
    corners = joints[:, [joint_index(skeleton, name) for name in TORSO_CORNERS]]
    return Pose(ends, corners, known)


def body_size(
    joints: Float[np.ndarray, "t j 2"], visible: Bool[np.ndarray, "t j"], skeleton: Skeleton
) -> float:
    """Length of the torso or of a part of a leg, whichever is longer, in pixels.

    The 80th percentile over the frames: the height of a person who lies or bends says nothing, and
    single joints are wrong at times. 0 where no such length is seen.
    """
    lengths = np.zeros(len(joints))
    pairs = [(SHOULDERS, HIPS), (SHOULDERS[:1], SHOULDERS[1:])]
    for side in _SIDES:
        leg = [(f"{side}_{joint}",) for joint in ("hip", "knee", "ankle")]
        pairs += [(leg[0], leg[1]), (leg[1], leg[2])]
    for pair in pairs:
        first, second = ([joint_index(skeleton, name) for name in group] for group in pair)
        length = np.linalg.norm(joints[:, first].mean(1) - joints[:, second].mean(1), axis=-1)
        lengths = np.maximum(lengths, length * visible[:, first + second].all(1))
    lengths = lengths[lengths > 0]
    return float(np.percentile(lengths, 80)) if len(lengths) else 0.0


def part_distances(pose: Pose, side: int, size: float) -> Float[np.ndarray, "n {side} {side}"]:
    """Distance of each pixel of a square picture to each part of one pose, in the part's radii."""
    distances = np.full((len(PARTS), side, side), FAR, np.float32)
    radii = np.array([part.radius for part in PARTS], np.float32) * np.float32(size)
    if pose.known[TORSO]:
        distances[TORSO] = np.minimum(_shape_distance(pose.corners, side) / radii[TORSO], FAR)
    limbs = np.flatnonzero(pose.known & (np.arange(len(PARTS)) != TORSO))
    far = _segment_distances(pose.ends[limbs], radii[limbs], side)
    distances[limbs] = np.minimum(far, FAR, out=far)
    return distances


def _segment_distances(
    ends: Float[np.ndarray, "n 2 2"], radii: Float[np.ndarray, "n"], side: int
) -> Float[np.ndarray, "n {side} {side}"]:
    """All at once and in place: few passes, which let other threads work."""
    start, end = np.moveaxis(ends / radii[:, None, None], 1, 0)[..., None, None]
    along = end - start
    centres = (np.arange(side, dtype=np.float32) + 0.5) / radii[:, None]
    x, y = centres[:, None] - start[:, 0], centres[:, :, None] - start[:, 1]
    by_length = along / np.maximum((along * along).sum(axis=1, keepdims=True), 1e-9)
    share = x * by_length[:, 0] + y * by_length[:, 1]
    np.clip(share, 0, 1, out=share)
    across = share * along[:, 0]
    np.subtract(x, across, out=across)
    share *= along[:, 1]
    np.subtract(y, share, out=share)
    across *= across
    share *= share
    across += share
    return np.sqrt(across, out=across)


def _shape_distance(
    corners: Float[np.ndarray, "4 2"], side: int
) -> Float[np.ndarray, "{side} {side}"]:
    """0 inside of the corners' hull."""
    hull = cv2.convexHull(corners.astype(np.float32) - 0.5)
    outside = np.ones((side, side), np.uint8)
    cv2.fillConvexPoly(outside, np.round(hull * 16).astype(np.int32), 0, shift=4)
    return cv2.distanceTransform(outside, cv2.DIST_L2, 3)


def part_transform(
    number: int, target: Pose, source: Pose, size: float
) -> Float[np.ndarray, "2 3"]:
    """From places of a part in the target pose to the same places in the source pose."""
    if number == TORSO:
        return _affine(target.corners, source.corners, 0.3 * size)
    return _similarity(target.ends[number], source.ends[number], 0.12 * size)


def _similarity(
    target: Float[np.ndarray, "2 2"], source: Float[np.ndarray, "2 2"], shortest: float
) -> Float[np.ndarray, "2 3"]:
    """Turn and shift of a limb by its two ends; stretched along the limb, not across it.

    A limb that points to the camera is short, but as wide as before: stretching both ways costs
    0.3 dB on real clips.
    """
    (x, y, length), (wanted_x, wanted_y, wanted_length) = _direction(source), _direction(target)
    stretch = max(length, shortest) / max(wanted_length, shortest)
    stretch = min(max(stretch, 1 / MAX_STRETCH), MAX_STRETCH)
    # Stretched from one direction to the other, and turned alike across.
    a, b = stretch * x * wanted_x + y * wanted_y, stretch * x * wanted_y - y * wanted_x
    c, d = stretch * y * wanted_x - x * wanted_y, stretch * y * wanted_y + x * wanted_x
    (from_x, from_y), (to_x, to_y) = target[0].tolist(), source[0].tolist()
    rows = (a, b, to_x - a * from_x - b * from_y), (c, d, to_y - c * from_x - d * from_y)
    return np.array(rows, np.float32)


def _direction(ends: Float[np.ndarray, "2 2"]) -> tuple[float, float, float]:
    """x, y and length."""
    (x, y), (end_x, end_y) = ends.tolist()
    x, y = end_x - x, end_y - y
    length = math.hypot(x, y)
    return x / max(length, 1e-3), y / max(length, 1e-3), length


def _without_smear(linear: Float[np.ndarray, "2 2"]) -> Float[np.ndarray, "2 2"]:
    """What a trunk that turns round needs: it passes through a line, which may not be drawn out to
    a torso's width, and comes out as it was, not mirrored."""
    (a, b), (c, d) = linear.tolist()
    turn, mirror = math.hypot(a + d, c - b) / 2, math.hypot(a - d, b + c) / 2
    more = max(turn, LEAST_TORSO) / max(turn, 1e-9)
    less = min(mirror, max(turn - LEAST_TORSO, 0)) / max(mirror, 1e-9)
    turning = np.array([[a + d, b - c], [c - b, a + d]]) / 2
    return more * turning + less * (linear - turning)


def _affine(
    target: Float[np.ndarray, "n 2"], source: Float[np.ndarray, "n 2"], steady: float
) -> Float[np.ndarray, "2 3"]:
    """Least squares from target to source points, drawn towards their similarity.

    `steady` (pixels) is how far apart the points must lie before they are believed: seen from the
    side the joints of a torso lie on one line.
    """
    from_middle, to_middle = target.mean(0), source.mean(0)
    x, y = (target - from_middle).astype(float), (source - to_middle).astype(float)
    turn = np.array([(x * y).sum(), (x[:, 0] * y[:, 1] - x[:, 1] * y[:, 0]).sum()])
    turn /= (x**2).sum() + 1e-6
    similarity = np.array([[turn[0], -turn[1]], [turn[1], turn[0]]])
    weight = steady**2
    linear = (y.T @ x + weight * similarity) @ np.linalg.inv(x.T @ x + weight * np.eye(2))
    linear = _without_smear(linear)
    return np.column_stack([linear, to_middle - linear @ from_middle]).astype(np.float32)
