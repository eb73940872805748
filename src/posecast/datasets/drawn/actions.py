"""How the drawn people move: the paper's eight actions as key poses.

Lengths are in body heights, angles in degrees. x points to the person's right, y up, z to where
the person faces at `turn` 0; a positive turn goes to the person's left. Everything is written for
right-handed people; the rig mirrors it for left-handed ones.
"""

from dataclasses import dataclass
from typing import Literal

Number = float | int
Vector = tuple[Number, Number, Number]
Tool = Literal["", "ball", "bat", "barbell", "club", "rope", "racket"]
Place = Literal["ball field", "court", "gym", "park"]


@dataclass(frozen=True)
class Key:
    """One key pose; a fresh Key stands upright with hanging arms."""

    at: Number
    """When, as a share of the action (or of one period)."""
    hips: Vector = (0.0, 0.0, 0.0)
    """Where the pelvis is, from its place when standing."""
    turn: Number = 0
    lean: Number = 0
    """Spine forward."""
    twist: Number = 0
    """Shoulders against hips, to the left."""
    right_hand: Vector = (0.135, -0.31, 0.02)
    """Wrist from the base of the neck; x and z follow the shoulders' turn, y is upright."""
    left_hand: Vector = (-0.135, -0.31, 0.02)
    right_foot: Vector = (0.06, 0.0, 0.0)
    """Ankle on the ground, y is how far it is lifted; does not follow the hips."""
    left_foot: Vector = (-0.06, 0.0, 0.0)
    tool: Vector = (0.0, 1.0, 0.0)
    """Where the held tool points, in the frame of the hands."""
    gaze: tuple[Number, Number] = (0, 0)
    """Where the head looks: turn and rise; does not follow the hips."""


@dataclass(frozen=True)
class Action:
    """One action: its key poses, lengths, and how Penn Action usually films it."""

    keys: tuple[Key, ...]
    num_frames: tuple[int, int]
    """Shortest and longest clip, at 30 frames a second."""
    views: tuple[tuple[int, int], ...]
    """(turn of the camera's line of sight, weight): 0 looks along z at the back of the person."""
    places: tuple[Place, ...]
    tool: Tool = ""
    period: tuple[int, int] | None = None
    """Shortest and longest repetition in frames; None where the action happens once."""
    release: float = 1.0
    """Share of the action at which a ball leaves the hand."""


def _both(x: float, y: float, z: float, **others: object) -> dict:
    """Hands mirrored about the midline."""
    return {"right_hand": (x, y, z), "left_hand": (-x, y, z), **others}


def _feet(x: float, y: float = 0.0) -> dict:
    return {"right_foot": (x, y, 0.0), "left_foot": (-x, y, 0.0)}


def _grip(x: float, y: float, z: float) -> dict:
    """Both hands on one handle, the left one below."""
    return {"right_hand": (x, y, z), "left_hand": (x - 0.025, y - 0.035, z + 0.01)}


# The target (batter's box) is to the left, at -x.
_PITCH = (
    Key(0.00, **_both(0.03, -0.16, 0.13), gaze=(75, 0)),
    Key(0.06, (0.02, 0, 0), **_both(0.03, -0.15, 0.13), gaze=(75, 0)),
    Key(0.30, (0.03, 0, 0), twist=-18, **_both(0.03, -0.07, 0.14), left_foot=(-0.03, 0.30, 0.15),
        gaze=(75, 0)),
    Key(0.46, (-0.06, -0.04, 0), twist=-15, right_hand=(0.16, -0.27, 0.03),
        left_hand=(-0.18, -0.12, 0.14), left_foot=(-0.22, 0.13, 0.05), gaze=(80, 0)),
    Key(0.57, (-0.26, -0.10, 0), 35, 0, -15, (0.24, 0.10, -0.10), (-0.22, 0.02, 0.16),
        left_foot=(-0.60, 0.0, -0.02), gaze=(85, 0)),
    Key(0.64, (-0.38, -0.11, 0), 80, 28, 12, (0.12, 0.22, 0.18), (-0.12, -0.16, 0.08),
        (-0.02, 0.07, 0.03), (-0.60, 0.0, -0.02), gaze=(90, -5)),
    Key(0.73, (-0.48, -0.10, -0.01), 105, 58, 20, (-0.12, -0.36, 0.12), (-0.16, -0.20, -0.06),
        (-0.22, 0.30, 0.10), (-0.60, 0.0, -0.02), gaze=(90, 0)),
    Key(1.00, (-0.58, -0.03, 0.04), 88, 14, 0, (0.14, -0.26, 0.08), (-0.14, -0.24, 0.10),
        (-0.60, 0.0, 0.14), (-0.60, 0.0, -0.05), gaze=(90, 0)),
)  # fmt: skip

_STANCE = {"right_foot": (0.15, 0.0, 0.0), "left_foot": (-0.15, 0.0, 0.0)}
_STRIDE = {"right_foot": (0.15, 0.0, 0.0), "left_foot": (-0.27, 0.0, 0.0)}
_PIVOT = {"right_foot": (0.12, 0.05, 0.01), "left_foot": (-0.27, 0.0, 0.0)}

# The pitcher is to the left, at -x; contact is in front of the left foot.
_SWING = (
    Key(0.0, (0.02, -0.06, 0), 0, 14, -15, **_grip(0.12, -0.03, 0.11), **_STANCE,
        tool=(0.25, 0.93, -0.25), gaze=(75, 0)),
    Key(0.26, (0.04, -0.06, 0), -4, 14, -28, **_grip(0.17, -0.01, 0.07), tool=(0.1, 0.9, -0.1),
        right_foot=(0.15, 0, 0), left_foot=(-0.10, 0.09, 0.02), gaze=(75, 0)),
    Key(0.42, (0.00, -0.08, 0), 8, 14, -30, **_grip(0.18, -0.01, 0.05), **_STRIDE,
        tool=(0.3, 0.85, -0.35), gaze=(72, -8)),
    Key(0.50, (-0.03, -0.08, 0), 48, 12, -12, **_grip(0.08, -0.16, 0.18), **_STRIDE,
        tool=(0.75, 0.1, -0.65), gaze=(60, -20)),
    Key(0.56, (-0.05, -0.08, 0), 72, 8, 6, **_grip(0.02, -0.17, 0.25), **_PIVOT,
        tool=(0.80, -0.2, 0.55), gaze=(45, -25)),
    Key(0.62, (-0.05, -0.08, 0), 84, 4, 20, **_grip(-0.08, -0.10, 0.27), **_PIVOT,
        tool=(-0.55, 0.0, 0.83), gaze=(50, -15)),
    Key(0.74, (-0.04, -0.07, 0), 92, -4, 34, **_grip(-0.17, 0.03, 0.10), **_PIVOT,
        tool=(-0.5, 0.45, -0.75), gaze=(75, 0)),
    Key(1.0, (-0.04, -0.05, 0), 92, -3, 26, **_grip(-0.16, 0.04, 0.10), **_PIVOT,
        tool=(-0.2, 0.5, -0.85), gaze=(85, 5)),
)  # fmt: skip

_RACK = _both(0.14, -0.03, 0.085)

_CLEAN_AND_JERK = (
    Key(0.00, (0, -0.27, -0.13), lean=54, **_both(0.17, -0.34, 0.05), **_feet(0.09)),
    Key(0.08, (0, -0.26, -0.13), lean=50, **_both(0.17, -0.34, 0.05), **_feet(0.09)),
    Key(0.17, (0, -0.10, -0.11), lean=44, **_both(0.17, -0.34, 0.05), **_feet(0.09)),
    Key(0.22, (0, 0.03, 0.02), lean=-4, **_both(0.17, -0.28, 0.06), **_feet(0.09, 0.04)),
    Key(0.27, (0, -0.28, -0.04), lean=12, **_RACK, **_feet(0.13)),
    Key(0.33, (0, -0.30, -0.04), lean=14, **_RACK, **_feet(0.13)),
    Key(0.46, (0, -0.01, 0.00), **_RACK, **_feet(0.12)),
    Key(0.64, (0, 0.00, 0.00), **_RACK, **_feet(0.10)),
    Key(0.69, (0, -0.08, 0.00), **_RACK, **_feet(0.10)),
    Key(0.73, (0, 0.03, 0.00), **_both(0.17, 0.14, 0.05), **_feet(0.10, 0.03)),
    Key(0.77, (0, -0.12, 0.00), **_both(0.19, 0.31, 0.02),
        right_foot=(0.07, 0.05, -0.27), left_foot=(-0.07, 0.0, 0.24)),
    Key(0.87, (0, -0.11, 0.00), **_both(0.19, 0.31, 0.02),
        right_foot=(0.07, 0.05, -0.27), left_foot=(-0.07, 0.0, 0.24)),
    Key(0.95, (0, -0.01, 0.00), **_both(0.19, 0.31, 0.01), **_feet(0.08)),
    Key(1.00, (0, 0.00, 0.00), **_both(0.19, 0.31, 0.01), **_feet(0.08)),
)  # fmt: skip

_TEE = {"right_foot": (0.12, 0.0, 0.0), "left_foot": (-0.12, 0.0, 0.0)}
_HEEL_UP = {"right_foot": (0.07, 0.06, 0.02), "left_foot": (-0.12, 0.0, 0.0)}

# The hole is to the left, at -x; the ball lies in front of the feet.
_GOLF = (
    Key(0.00, (0, -0.04, -0.06), 0, 30, 0, **_grip(0.01, -0.31, 0.04), **_TEE,
        tool=(0, -0.78, 0.62), gaze=(0, -50)),
    Key(0.10, (0, -0.04, -0.06), 0, 30, 0, **_grip(0.02, -0.31, 0.04), **_TEE,
        tool=(0.02, -0.78, 0.62), gaze=(0, -50)),
    Key(0.28, (0.02, -0.04, -0.06), -14, 30, -28, **_grip(0.06, -0.22, 0.16), **_TEE,
        tool=(0.55, 0.15, 0.8), gaze=(0, -50)),
    Key(0.44, (0.03, -0.04, -0.06), -28, 28, -58, **_grip(0.15, 0.08, 0.06), **_TEE,
        tool=(-0.45, 0.3, -0.85), gaze=(4, -45)),
    Key(0.52, (0.00, -0.05, -0.06), 8, 30, -30, **_grip(0.12, -0.15, 0.14), **_TEE,
        tool=(0.35, 0.75, -0.5), gaze=(2, -50)),
    Key(0.56, (-0.03, -0.04, -0.05), 26, 30, -14, **_grip(0.0, -0.31, 0.05), **_TEE,
        tool=(0.1, -0.83, 0.5), gaze=(0, -50)),
    Key(0.62, (-0.05, -0.03, -0.04), 56, 22, 6, **_grip(-0.05, -0.14, 0.25), **_HEEL_UP,
        tool=(-0.1, -0.1, 0.98), gaze=(30, -40)),
    Key(0.72, (-0.07, -0.01, 0), 82, 2, 26, **_grip(-0.12, 0.08, 0.12), **_HEEL_UP,
        tool=(0.25, 0.55, -0.75), gaze=(85, 0)),
    Key(1.00, (-0.07, 0, 0), 86, -2, 26, **_grip(-0.12, 0.05, 0.10), **_HEEL_UP,
        tool=(0.35, 0.2, -0.9), gaze=(88, 5)),
)  # fmt: skip

_JACKS = (
    Key(0.00, (0, -0.015, 0), **_both(0.13, -0.31, 0.03), **_feet(0.04)),
    Key(0.16, (0, 0.03, 0), **_both(0.34, -0.22, 0.02), **_feet(0.09, 0.035)),
    Key(0.27, (0, 0.03, 0), **_both(0.42, 0.03, 0.0), **_feet(0.16, 0.03)),
    Key(0.38, (0, 0.0, 0), **_both(0.29, 0.26, 0.0), **_feet(0.20)),
    Key(0.48, (0, -0.02, 0), **_both(0.07, 0.34, 0.0), **_feet(0.20)),
    Key(0.55, (0, -0.02, 0), **_both(0.08, 0.34, 0.0), **_feet(0.20)),
    Key(0.68, (0, 0.03, 0), **_both(0.30, 0.25, 0.0), **_feet(0.16, 0.03)),
    Key(0.80, (0, 0.02, 0), **_both(0.42, -0.02, 0.0), **_feet(0.09, 0.03)),
    Key(0.90, (0, -0.01, 0), **_both(0.33, -0.22, 0.02), **_feet(0.05)),
    Key(1.00, (0, -0.015, 0), **_both(0.13, -0.31, 0.03), **_feet(0.04)),
)

# The rope passes under the feet at phase 0.5, when they are highest.
_ROPE = (
    Key(0.0, (0, -0.03, 0), **_both(0.23, -0.22, 0.08), **_feet(0.04)),
    Key(0.25, (0, 0.0, 0), **_both(0.25, -0.21, 0.05), **_feet(0.04)),
    Key(0.5, (0, 0.05, 0), **_both(0.24, -0.24, 0.05), **_feet(0.04, 0.055)),
    Key(0.75, (0, 0.0, 0), **_both(0.22, -0.24, 0.08), **_feet(0.04)),
    Key(1.0, (0, -0.03, 0), **_both(0.23, -0.22, 0.08), **_feet(0.04)),
)

# The net is in front, at +z.
_FOREHAND = (
    Key(0.0, (0, -0.06, 0), 0, 16, **_both(0.05, -0.17, 0.18), **_feet(0.13),
        tool=(-0.35, 0.5, 0.8)),
    Key(0.12, (0, -0.06, 0), -12, 14, -5, **_both(0.06, -0.15, 0.18), **_feet(0.13),
        tool=(-0.2, 0.7, 0.7)),
    Key(0.32, (0.06, -0.06, 0), -58, 10, -25, (0.20, -0.04, -0.02), (-0.08, -0.06, 0.24),
        (0.18, 0, -0.04), (-0.08, 0.03, 0.06), (0.1, 0.9, -0.4), (-20, 0)),
    Key(0.44, (0.06, -0.09, 0.06), -52, 12, -25, (0.22, -0.24, -0.06), (-0.12, -0.08, 0.24),
        (0.18, 0, -0.04), (-0.06, 0, 0.26), (0.45, -0.2, -0.85), (-25, -5)),
    Key(0.53, (0.02, -0.08, 0.14), -8, 10, -4, (0.22, -0.15, 0.22), (-0.16, -0.12, 0.16),
        (0.16, 0.02, -0.02), (-0.06, 0, 0.26), (0.85, 0.05, 0.5), (-30, -10)),
    Key(0.60, (0.0, -0.06, 0.16), 18, 8, 14, (0.05, -0.03, 0.29), (-0.18, -0.12, 0.10),
        (0.14, 0.05, 0.02), (-0.06, 0, 0.26), (-0.2, 0.5, 0.84), (-10, 0)),
    Key(0.70, (-0.01, -0.04, 0.18), 32, 6, 24, (-0.15, 0.06, 0.12), (-0.16, -0.08, 0.16),
        (0.13, 0.05, 0.06), (-0.06, 0, 0.26), (-0.5, 0.0, -0.85), (0, 0)),
    Key(1.0, (0, -0.05, 0.22), 4, 14, 4, **_both(0.06, -0.17, 0.18), tool=(-0.35, 0.5, 0.8),
        right_foot=(0.13, 0, 0.22), left_foot=(-0.12, 0, 0.26)),
)  # fmt: skip

# The net is in front, at +z; the server starts sideways.
_SERVE = (
    Key(0.0, (0, 0, 0), -62, 6, 0, (0.04, -0.17, 0.2), (-0.03, -0.16, 0.22), (0.05, 0, -0.14),
        (-0.05, 0, 0.13), (-0.3, 0.5, 0.8), (-10, 0)),
    Key(0.14, (0, -0.01, -0.02), -62, 10, 0, (0.10, -0.27, 0.14), (-0.06, -0.30, 0.14),
        (0.05, 0, -0.14), (-0.05, 0, 0.13), (0.2, -0.2, 0.9), (-15, -15)),
    Key(0.36, (0, -0.04, 0.03), -74, -6, -6, (0.30, -0.12, -0.06), (-0.13, 0.30, 0.12),
        (0.05, 0, -0.14), (-0.05, 0, 0.13), (0.35, 0.85, -0.3), (-10, 35)),
    Key(0.47, (0, -0.09, 0.07), -74, -12, -8, (0.24, 0.04, -0.08), (-0.12, 0.33, 0.1),
        (0.04, 0, -0.06), (-0.05, 0, 0.13), (0.1, 0.95, 0.1), (-10, 50)),
    Key(0.54, (0, -0.04, 0.10), -45, -10, -10, (0.20, 0.10, -0.10), (-0.16, 0.16, 0.16),
        (0.04, 0.02, -0.04), (-0.05, 0.01, 0.13), (0.1, -0.9, -0.35), (-8, 50)),
    Key(0.60, (0, 0.07, 0.16), 8, 10, 6, (0.11, 0.34, 0.10), (-0.10, -0.14, 0.1),
        (0.05, 0.10, 0.0), (-0.05, 0.05, 0.16), (-0.05, 0.98, 0.2), (0, 35)),
    Key(0.67, (0, -0.02, 0.26), 22, 36, 12, (-0.02, -0.05, 0.30), (-0.14, -0.20, 0.06),
        (0.07, 0.22, 0.02), (-0.04, 0.0, 0.34), (-0.2, -0.35, 0.9), (0, -5)),
    Key(0.76, (0, -0.07, 0.32), 28, 44, 14, (-0.18, -0.27, 0.12), (-0.12, -0.22, 0.0),
        (0.08, 0.28, 0.05), (-0.04, 0, 0.36), (-0.5, -0.6, -0.4), (0, -5)),
    Key(1.0, (0, -0.04, 0.42), 5, 16, 0, (0.06, -0.2, 0.17), (-0.08, -0.19, 0.16),
        (0.11, 0, 0.50), (-0.06, 0, 0.38), (-0.35, 0.5, 0.8), (0, 0)),
)  # fmt: skip

ACTIONS: dict[str, Action] = {
    "baseball_pitch": Action(
        _PITCH, (54, 106), ((90, 4), (-90, 3), (180, 3), (150, 2)), ("ball field",), "ball",
        release=0.645,
    ),
    "baseball_swing": Action(
        _SWING, (34, 60), ((180, 4), (160, 3), (90, 2), (0, 2)), ("ball field",), "bat"
    ),
    "clean_and_jerk": Action(
        _CLEAN_AND_JERK, (76, 112), ((180, 4), (-90, 2), (90, 2), (140, 3)), ("gym",), "barbell"
    ),
    "golf_swing": Action(_GOLF, (44, 72), ((180, 4), (90, 3), (165, 2)), ("park",), "club"),
    "jumping_jacks": Action(
        _JACKS, (35, 60), ((180, 8), (150, 1), (205, 1)), ("gym", "park"), period=(26, 34)
    ),
    "jump_rope": Action(
        _ROPE, (35, 62), ((180, 6), (140, 2), (-110, 1)), ("gym", "park"), "rope", (11, 17)
    ),
    "tennis_forehand": Action(
        _FOREHAND, (35, 62), ((0, 4), (-60, 3), (60, 2), (180, 2)), ("court",), "racket"
    ),
    "tennis_serve": Action(
        _SERVE, (44, 84), ((0, 4), (-70, 3), (70, 2), (180, 2)), ("court",), "racket"
    ),
}  # fmt: skip
"""The eight actions of the paper."""
