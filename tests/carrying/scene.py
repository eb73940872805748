"""A stick person before a textured wall, at any size: every pixel is known."""

import cv2
import numpy as np

from posecast.skeletons import PENN_ACTION

STANDING = {
    "head": (64, 22),
    "left_shoulder": (54, 40),
    "right_shoulder": (74, 40),
    "left_elbow": (46, 56),
    "right_elbow": (82, 56),
    "left_wrist": (42, 72),
    "right_wrist": (86, 72),
    "left_hip": (57, 72),
    "right_hip": (71, 72),
    "left_knee": (55, 94),
    "right_knee": (73, 94),
    "left_ankle": (54, 114),
    "right_ankle": (74, 114),
}
"""Joints in pixels of a picture of 128 x 128."""
COLOURS = {"left": (230, 60, 60), "right": (60, 60, 230)}
SHIRT, SKIN = (60, 200, 60), (240, 220, 180)
BONES = [("shoulder", "elbow"), ("elbow", "wrist"), ("hip", "knee"), ("knee", "ankle")]


def pose(**moved: tuple[float, float]) -> np.ndarray:
    """(13, 2) joints of the standing person, some of them elsewhere."""
    places = STANDING | moved
    return np.array([places[name] for name in PENN_ACTION.joints], np.float32)


def wall(size: int = 128, seed: int = 3) -> np.ndarray:
    """A texture that is smooth enough to be scaled."""
    noise = np.random.default_rng(seed).uniform(60, 160, (24, 24, 3)).astype(np.float32)
    return cv2.resize(noise, (size, size), interpolation=cv2.INTER_CUBIC).clip(0, 255).astype("u1")


def picture(joints: np.ndarray, background: np.ndarray) -> np.ndarray:
    """The person of these joints (pixels of 128) drawn over a background of any size."""
    scale = len(background) / 128
    place = dict(zip(PENN_ACTION.joints, joints * scale, strict=True))
    drawn = background.copy()

    def line(start: str, end: str, colour: tuple[int, int, int]) -> None:
        ends = [tuple(round(8 * (float(v) - 0.5)) for v in place[name]) for name in (start, end)]
        cv2.line(drawn, *ends, colour, int(6 * scale), cv2.LINE_AA, shift=3)

    for side, colour in COLOURS.items():
        for start, end in BONES[2:]:
            line(f"{side}_{start}", f"{side}_{end}", colour)
    corners = [place[n] for n in ("left_shoulder", "right_shoulder", "right_hip", "left_hip")]
    cv2.fillConvexPoly(drawn, np.round(np.array(corners)).astype(int), SHIRT, cv2.LINE_AA)
    for side, colour in COLOURS.items():
        for start, end in BONES[:2]:
            line(f"{side}_{start}", f"{side}_{end}", colour)
    head = tuple(int(v) for v in place["head"])
    cv2.circle(drawn, head, int(9 * scale), SKIN, -1, cv2.LINE_AA)
    return drawn
