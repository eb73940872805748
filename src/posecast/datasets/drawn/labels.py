"""Bodies for real motion: a figure that can be drawn, made from two-dimensional labels."""

import numpy as np
from jaxtyping import Float
from scipy.ndimage import gaussian_filter1d, median_filter

from posecast.clips import PoseClip
from posecast.datasets.drawn import figure
from posecast.skeletons import PENN_ACTION

_BONES = tuple(
    (f"{side}_{a}", f"{side}_{b}", length)
    for side in ("left", "right")
    for a, b, length in (
        ("shoulder", "hip", figure.SPINE),
        ("hip", "knee", figure.THIGH),
        ("knee", "ankle", figure.SHANK),
        ("shoulder", "elbow", figure.UPPER_ARM),
        ("elbow", "wrist", figure.FOREARM),
    )
)
_CORNER_PX = 2.0
"""Unseen joints whose place nobody guessed are stored in the image's corner."""
_STANDING = {
    "head": (0.5, 0.07),
    "shoulder": (0.1, 0.18),
    "elbow": (0.14, 0.36),
    "wrist": (0.15, 0.5),
    "hip": (0.06, 0.48),
    "knee": (0.06, 0.72),
    "ankle": (0.06, 0.95),
}
"""Where joints are in a standing person's box: share of its height off the middle, from its top."""


def label_figure(pose: PoseClip, facing: str) -> figure.Figure:
    """A drawable body whose joints are the clip's labels, wherever these are visible.

    Unseen joints follow their guessed place if the labels have one, else the seen frames around.
    Which limbs are nearer is concluded from visibility and from `facing` (front, back, left,
    right: where the person looks, as Penn Action's labels say).
    """
    joints = filled_joints(pose)
    scale = _body_scale(joints, pose.boxes_px)
    frontal, sideways = _facing(joints, scale, facing)
    points = _with_extras(joints, scale, frontal, sideways)
    return figure.Figure(
        points_px=points,
        depth=_depth(pose.visible, frontal, sideways, points.shape[1]),
        scale_px=scale,
        head_axes=_head_axes(joints, frontal, sideways),
        tool_px=np.zeros((len(joints), 0, 2)),
        tool_depth=np.zeros((len(joints), 0)),
    )


def filled_joints(pose: PoseClip) -> Float[np.ndarray, "t j 2"]:
    """Every joint in every frame; what nobody saw or guessed is carried over in time.

    A joint unknown in the whole clip takes its mirror image's place, or a standing person's.
    """
    known = pose.visible | (pose.joints_px.max(axis=-1) > _CORNER_PX)
    centre = (pose.boxes_px[:, :2] + pose.boxes_px[:, 2:]) / 2
    offsets = pose.joints_px - centre[:, None]  # carried over relative to the person
    frames = np.arange(pose.num_frames)
    ever = known.any(axis=0).tolist()
    filled = np.zeros_like(offsets)
    for joint, name in enumerate(PENN_ACTION.joints):
        source = joint if ever[joint] else PENN_ACTION.mirror[joint]
        if not ever[source]:
            filled[:, joint] = _standing_offset(name, pose.boxes_px)
            continue
        seen = known[:, source]
        for axis in (0, 1):
            filled[:, joint, axis] = np.interp(frames, frames[seen], offsets[seen, source, axis])
    return np.where(known[..., None], pose.joints_px, filled + centre[:, None])


def _standing_offset(name: str, boxes: np.ndarray) -> np.ndarray:
    """A joint of somebody standing in the box, from the box's middle."""
    side, _, part = name.rpartition("_")
    x, y = _STANDING[part]
    height = (boxes[:, 3] - boxes[:, 1])[:, None]
    across = {"left": -x, "right": x, "": 0.0}[side]
    return height * np.array([across, y - 0.5])


def _body_scale(joints: np.ndarray, boxes: np.ndarray) -> Float[np.ndarray, "t"]:
    """Body height in pixels: bones look at most as long as they are, so the longest ones count."""
    ratios = [
        np.linalg.norm(joints[:, PENN_ACTION.index(a)] - joints[:, PENN_ACTION.index(b)], axis=-1)
        / length
        for a, b, length in _BONES
    ]
    height = np.quantile(np.stack(ratios), 0.8, axis=0)
    height = gaussian_filter1d(median_filter(height, 31, mode="nearest"), 5, mode="nearest")
    longer = np.maximum(boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1])
    longest = float(np.median(longer))
    return height.clip(0.5 * longest, 1.6 * longest).clip(8)


def _facing(joints: np.ndarray, scale: np.ndarray, facing: str) -> tuple[np.ndarray, np.ndarray]:
    """How much the person looks at the camera (1) or away (-1), and to the right (1) or left."""
    left, right = (PENN_ACTION.index(f"{side}_shoulder") for side in ("left", "right"))
    width = joints[:, right, 0] - joints[:, left, 0]
    frontal = gaussian_filter1d(width / (2 * figure.SHOULDER_HALF * scale), 2, mode="nearest").clip(
        -1, 1
    )
    turn = {"left": -1.0, "right": 1.0}.get(facing, 0.0)
    if turn == 0.0:
        bends = [
            joints[:, PENN_ACTION.index(f"{side}_knee"), 0]
            - joints[:, [PENN_ACTION.index(f"{side}_{end}") for end in ("hip", "ankle")], 0].mean(1)
            for side in ("left", "right")
        ]
        turn = 1.0 if float(np.mean(bends)) >= 0 else -1.0
    return frontal, turn * np.sqrt(1 - frontal**2)


def _with_extras(
    joints: np.ndarray, scale: np.ndarray, frontal: np.ndarray, sideways: np.ndarray
) -> Float[np.ndarray, "t p 2"]:
    """Toes at a right angle to the shanks, fists in line with the forearms."""
    unit = scale[:, None]
    extras = {}
    for side in ("left", "right"):
        knee, ankle, elbow, wrist = (
            joints[:, PENN_ACTION.index(f"{side}_{part}")]
            for part in ("knee", "ankle", "elbow", "wrist")
        )
        down = figure.unit(ankle - knee)
        ahead = np.stack([down[:, 1], -down[:, 0]], axis=-1) * sideways[:, None]
        sole = 0.04 + 0.025 * frontal.clip(0)[:, None]
        extras[f"{side}_toe"] = ankle + unit * (sole * down + 0.085 * ahead)
        extras[f"{side}_fist"] = wrist + 0.045 * unit * figure.unit(wrist - elbow)
    added = [extras[name] for name in figure.POINTS[PENN_ACTION.num_joints :]]
    return np.concatenate([joints, np.stack(added, axis=1)], axis=1)


def _depth(
    visible: np.ndarray, frontal: np.ndarray, sideways: np.ndarray, num_points: int
) -> Float[np.ndarray, "t p"]:
    """Near and far side, hands before the trunk seen from the front, unseen joints behind."""
    sides = [
        [index for index, name in enumerate(PENN_ACTION.joints) if name.startswith(side)]
        for side in ("left", "right")
    ]
    seen_left, seen_right = (float(visible[:, side].mean()) for side in sides)
    # Penn Action's left is the person's right: nearer when the person looks to the right.
    nearer = np.sign(seen_left - seen_right) if abs(seen_left - seen_right) > 0.1 else 0.0
    towards = np.abs(sideways) * nearer if nearer else sideways
    depth = np.zeros((len(visible), num_points))
    for index, name in enumerate(figure.POINTS):
        side, _, part = name.rpartition("_")
        half = (
            figure.SHOULDER_HALF
            if part in ("shoulder", "elbow", "wrist", "fist")
            else figure.HIP_HALF
        )
        depth[:, index] = {"left": -1.0, "right": 1.0, "": 0.0}[side] * 1.2 * half * towards
        if part in ("elbow", "wrist", "fist"):
            depth[:, index] -= 0.08 * frontal
        seen = part.replace("toe", "ankle").replace("fist", "wrist")
        joint = PENN_ACTION.index(f"{side}_{seen}" if side else seen)
        if part not in ("shoulder", "hip", "head"):
            depth[:, index] += 0.16 * gaussian_filter1d(1.0 - visible[:, joint], 1.5)
    return depth


def _head_axes(
    joints: np.ndarray, frontal: np.ndarray, sideways: np.ndarray
) -> Float[np.ndarray, "t 3 3"]:
    shoulders = [PENN_ACTION.index(f"{side}_shoulder") for side in ("left", "right")]
    up = figure.unit(joints[:, PENN_ACTION.index("head")] - joints[:, shoulders].mean(axis=1))
    zero = np.zeros(len(up))
    up = np.stack([up[:, 0], -up[:, 1], zero], axis=-1)
    ahead = np.stack([up[:, 1], -up[:, 0], zero], axis=-1)
    front = sideways[:, None] * ahead - frontal[:, None] * np.array([0.0, 0.0, 1.0])
    front = figure.unit(front)
    return np.stack([np.cross(up, front), up, front], axis=1)
