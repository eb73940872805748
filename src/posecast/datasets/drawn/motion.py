"""From key poses to a moving body: interpolation, inverse kinematics, camera view.

`perform` makes one person's version of an action; the result is a `Figure`, the moving points of
a body in the picture, which is all that the drawing needs to know.
"""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float
from scipy.interpolate import PchipInterpolator

from posecast.datasets.drawn import figure
from posecast.datasets.drawn.actions import Action, Key
from posecast.skeletons import other_side

_STANDING = figure.ANKLE + 0.985 * (figure.SHANK + figure.THIGH)


@dataclass(frozen=True)
class View:
    """Where the camera stands."""

    turn: float
    """Turn of the line of sight in degrees: 0 looks at the person's back, 180 at the face."""
    pitch: float
    """How far it looks down, in degrees."""
    distance: float
    """From the person, in body heights."""


@dataclass(frozen=True)
class _Body3D:
    points: Float[np.ndarray, "t p 3"]
    head_axes: Float[np.ndarray, "t 3 3"]
    tool: Float[np.ndarray, "t n 3"]


def perform(
    action: Action, num_frames: int, view: View, scale_px: float, rng: np.random.Generator
) -> figure.Figure:
    """One person's version of an action, seen by a still camera; the feet stand near (0, 0)."""
    tracks = _tracks(action, num_frames, rng)
    proportions = 1 + rng.normal(0, 0.03, 6).clip(-0.07, 0.07)
    body = _pose(tracks, proportions)
    body = replace(body, tool=_tool_points(action, tracks, body, rng))
    if rng.random() < 0.12:
        body = _mirrored(body)
        view = replace(view, turn=-view.turn)
    return _project(body, view, scale_px)


def _tracks(action: Action, num_frames: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Key poses of one person, interpolated: name -> (t, ...), and the phase."""
    names = [name for name in Key.__dataclass_fields__ if name != "at"]
    rows = np.array([np.hstack([getattr(key, name) for name in names]) for key in action.keys])
    times, rows = _personal(action, np.array([key.at for key in action.keys]), rows, rng)
    frames = np.arange(num_frames)
    if action.period is None:
        clock = times * (num_frames - 1)
        phase = np.interp(frames, clock, [key.at for key in action.keys])
        values = PchipInterpolator(clock, rows, axis=0)(frames)
    else:
        phase, values = _repeat(action.period, times, rows, frames, rng)
    values += _sway(num_frames, rows.shape[1], rng) * np.abs(np.ptp(rows, axis=0)).clip(0.1, 60)
    widths = [np.atleast_1d(getattr(action.keys[0], name)).size for name in names]
    split = np.split(values, np.cumsum(widths)[:-1], axis=1)
    tracks = dict(zip(names, split, strict=True))
    if action.tool == "barbell":  # a heavy bar stays level
        tracks["left_hand"] = tracks["right_hand"] * [-1, 1, 1]
    return {**tracks, "phase": phase}


def _personal(
    action: Action, times: np.ndarray, rows: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Everybody has their own tempo and width of movement; feet stay on the ground."""
    steps = np.diff(times) * rng.lognormal(
        0, 0.18 if action.period is None else 0.06, len(times) - 1
    )
    times = np.concatenate([[0], np.cumsum(steps)]) / steps.sum()
    mean = rows.mean(axis=0)
    rows = mean + (rows - mean) * rng.uniform(0.88, 1.12)
    noise = rng.normal(0, 1, rows.shape[1]) * np.abs(np.ptp(rows, axis=0)).clip(0.02, 40) * 0.05
    return times, rows + noise


def _repeat(
    period: tuple[int, int],
    times: np.ndarray,
    rows: np.ndarray,
    frames: np.ndarray,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """A cyclic action, begun anywhere, with repetitions of slightly different length."""
    rows[-1] = rows[0]
    count = len(frames) // period[0] + 3
    lengths = rng.uniform(*period) * rng.uniform(0.94, 1.06, count)
    starts = np.concatenate([[0], np.cumsum(lengths)[:-1]]) - rng.uniform(0, lengths[0])
    clock = (starts[:, None] + times[None, :-1] * lengths[:, None]).ravel()
    values = PchipInterpolator(clock, np.tile(rows[:-1], (count, 1)), axis=0)(frames)
    phase = np.interp(frames, starts, np.arange(count)) % 1
    return phase, values


def _sway(num_frames: int, width: int, rng: np.random.Generator) -> np.ndarray:
    """Small slow unrest, about 1 % of each value's range."""
    steps = rng.normal(0, 1, (num_frames + 24, width))
    kernel = np.hanning(25) / np.hanning(25).sum()
    smooth = np.stack([np.convolve(each, kernel, "valid") for each in steps.T], axis=1)
    return 0.035 * smooth


def _turned(vectors: np.ndarray, degrees: np.ndarray) -> np.ndarray:
    """Turn (t, 3) vectors to the left about the vertical."""
    angle = np.radians(degrees.reshape(-1))
    x, y, z = vectors[..., 0], vectors[..., 1], vectors[..., 2]
    cos, sin = np.cos(angle), np.sin(angle)
    return np.stack([cos * x - sin * z, y + 0 * cos, sin * x + cos * z], axis=-1)


def _pose(tracks: dict[str, np.ndarray], proportions: np.ndarray) -> _Body3D:
    """Forward kinematics of the trunk, inverse kinematics of arms and legs."""
    trunk, arms, forearms, thighs, shanks, shoulders = proportions
    turn, chest_turn = tracks["turn"], tracks["turn"] + tracks["twist"]
    pelvis = tracks["hips"] + np.array([0, _STANDING, 0])
    lean = np.radians(tracks["lean"][:, 0])
    spine = _turned(np.stack([0 * lean, np.cos(lean), np.sin(lean)], axis=-1), turn)
    neck = pelvis + trunk * figure.SPINE * spine
    up, axes = _head(tracks["gaze"], chest_turn[:, 0], spine)
    points = {"head": neck + figure.NECK_TO_HEAD * up}
    arm, leg = (arms, forearms), (thighs, shanks)
    for side, name in ((1, "right"), (-1, "left")):
        half = side * shoulders * figure.SHOULDER_HALF
        shoulder = neck + _shoulder_offset(half, turn, chest_turn, lean)
        hand = neck + _turned(tracks[f"{name}_hand"], chest_turn)
        hip = pelvis + _turned(np.array([side * figure.HIP_HALF, 0, 0]) + 0 * neck, turn)
        limbs = _arm(side, shoulder, hand, chest_turn, arm)
        limbs |= _leg(side, hip, tracks[f"{name}_foot"], turn, leg)
        points |= {f"{name}_{part}": place for part, place in limbs.items()}
    # Penn Action's `left` is the person's right: on the viewer's left when seen from the front.
    stacked = np.stack([points[other_side(name)] for name in figure.POINTS], axis=1)
    return _Body3D(stacked, axes, np.zeros((len(neck), 0, 3)))


def _head(
    gaze: np.ndarray, chest_turn: np.ndarray, spine: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Upwards on it, and its axes: to its side, upwards and to the front."""
    nod = np.radians(gaze[:, 1])
    look_turn = chest_turn + (gaze[:, 0] - chest_turn).clip(-75, 75)
    front = _turned(np.stack([0 * nod, np.sin(nod), np.cos(nod)], axis=-1), look_turn)
    up = figure.unit(0.55 * spine + 0.45 * np.array([0, 1, 0]) - 0.25 * front)
    front = figure.unit(front - up * (front * up).sum(-1, keepdims=True))
    return up, np.stack([np.cross(up, front), up, front], axis=1)


def _arm(
    side: int,
    shoulder: np.ndarray,
    hand: np.ndarray,
    turn: np.ndarray,
    lengths: tuple[float, float],
) -> dict[str, np.ndarray]:
    """To where the hand is to be, the elbow outwards; `lengths` are shares of the usual ones."""
    pole = _turned(np.array([side * 0.75, -0.6, -0.4]) + 0 * shoulder, turn)
    bones = figure.UPPER_ARM * lengths[0], figure.FOREARM * lengths[1]
    elbow, wrist = _two_bones(shoulder, hand, *bones, pole)
    fist = wrist + figure.FIST * figure.unit(wrist - elbow)
    return {"shoulder": shoulder, "elbow": elbow, "wrist": wrist, "fist": fist}


def _leg(
    side: int, hip: np.ndarray, foot: np.ndarray, turn: np.ndarray, lengths: tuple[float, float]
) -> dict[str, np.ndarray]:
    """To where the foot is to be, on the ground or above it, the knee to the front."""
    ankle = foot + np.array([0, figure.ANKLE, 0])
    ankle[:, 1] = ankle[:, 1].clip(figure.ANKLE)
    pole = _turned(np.array([side * 0.25, 0, 1.0]) + 0 * hip, turn)
    bones = figure.THIGH * lengths[0], figure.SHANK * lengths[1]
    knee, ankle = _two_bones(hip, ankle, *bones, pole)
    lift = (ankle[:, 1] - figure.ANKLE).clip(0, 0.2)
    toe = np.stack([0 * lift + side * 0.03, -0.03 - 0.5 * lift, 0.1 - 0.3 * lift], axis=-1)
    return {"hip": hip, "knee": knee, "ankle": ankle, "toe": ankle + _turned(toe, turn)}


def _shoulder_offset(
    half: float, turn: np.ndarray, chest_turn: np.ndarray, lean: np.ndarray
) -> np.ndarray:
    """From the neck to a shoulder: the twist happens about the leaning spine."""
    twist = np.radians(chest_turn - turn)[:, 0]
    z = half * np.sin(twist)
    local = np.stack([half * np.cos(twist), -z * np.sin(lean) - 0.015, z * np.cos(lean)], axis=-1)
    return _turned(local, turn)


def _two_bones(
    root: np.ndarray, tip: np.ndarray, first: float, second: float, pole: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Middle joint of two bones between `root` and `tip`, bent towards `pole`; and the tip, pulled
    back where it is out of reach."""
    reach = tip - root
    length = np.linalg.norm(reach, axis=-1, keepdims=True)
    axis = reach / length.clip(1e-9)
    length = length.clip(abs(first - second) + 0.06, 0.995 * (first + second))
    along = (first**2 - second**2 + length**2) / (2 * length)
    height = np.sqrt((first**2 - along**2).clip(0))
    bend = figure.unit(pole - axis * (pole * axis).sum(-1, keepdims=True))
    return root + along * axis + height * bend, root + length * axis


def _tool_points(
    action: Action, tracks: dict[str, np.ndarray], body: _Body3D, rng: np.random.Generator
) -> np.ndarray:
    """The tool in three dimensions, (t, n, 3)."""
    right = body.points[:, figure.POINTS.index("left_fist")]
    left = body.points[:, figure.POINTS.index("right_fist")]
    chest_turn = tracks["turn"] + tracks["twist"]
    points_to = _turned(figure.unit(tracks["tool"]), chest_turn)
    if action.tool == "ball":
        return _ball_path(right, tracks["phase"], action.release)[:, None]
    if action.tool == "barbell":
        middle, axis = (left + right) / 2, figure.unit(right - left)
        return np.stack([middle - 0.6 * axis, middle + 0.6 * axis], axis=1)
    if action.tool == "rope":
        return _rope(left, right, tracks["phase"])
    lengths = {"bat": 0.48, "club": 0.58, "racket": 0.38}
    if action.tool in lengths:
        handle = left if action.tool in ("bat", "club") else right
        length = lengths[action.tool] * rng.uniform(0.95, 1.05)
        return np.stack([handle - 0.03 * points_to, handle + length * points_to], axis=1)
    return body.tool


def _ball_path(hand: np.ndarray, phase: np.ndarray, release: float) -> np.ndarray:
    """In the hand until released, then straight on to the target at -x."""
    flying = np.flatnonzero(phase >= release)
    path = hand.copy()
    if len(flying):
        since = np.arange(len(flying))[:, None]
        path[flying] = hand[flying[0]] + since * np.array([-0.55, -0.012, 0.0])
    return path


def _rope(left: np.ndarray, right: np.ndarray, phase: np.ndarray) -> np.ndarray:
    """A swinging loop of 15 points; below the feet at phase 0.5."""
    angle = 2 * np.pi * phase
    share = np.linspace(0, 1, 15)[None, :, None]
    swing = np.stack([0 * angle, np.cos(angle), np.sin(angle)], axis=-1)[:, None]
    size = np.where(np.cos(angle) < 0, left[:, 1] + 0.01, 0.62)[:, None, None]
    wide = (right - left)[:, None] * (share + 0.12 * np.sin(2 * np.pi * (share - 0.5)))
    return left[:, None] + wide + size * swing * np.sin(np.pi * share) ** 0.6


def _mirrored(body: _Body3D) -> _Body3D:
    """The left-handed version."""
    flip = np.array([-1.0, 1.0, 1.0])
    order = [figure.POINTS.index(other_side(name)) for name in figure.POINTS]
    axes = body.head_axes * flip * np.array([-1.0, 1.0, 1.0])[:, None]
    return _Body3D(body.points[:, order] * flip, axes, body.tool * flip)


def _project(body: _Body3D, view: View, scale_px: float) -> figure.Figure:
    """Perspective picture; the point half a body height above the feet's start maps to (0, 0)."""
    pitch = np.radians(view.pitch)
    right, ahead = (
        _turned(np.array([axis]), np.array([view.turn]))[0] for axis in ([1.0, 0, 0], [0, 0, 1.0])
    )
    up = np.array([0, np.cos(pitch), 0]) + np.sin(pitch) * ahead
    ahead = np.cos(pitch) * ahead - np.array([0, np.sin(pitch), 0])
    camera = np.stack([right, up, ahead])

    def see(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        seen = (points - np.array([0, 0.5, 0])) @ camera.T
        shrink = view.distance / (view.distance + seen[..., 2:]).clip(0.4)
        return seen[..., :2] * shrink * [scale_px, -scale_px], seen[..., 2]

    points_px, depth = see(body.points)
    tool_px, tool_depth = see(body.tool)
    scale = scale_px * view.distance / (view.distance + depth.mean(axis=1))
    return figure.Figure(points_px, depth, scale, body.head_axes @ camera.T, tool_px, tool_depth)
