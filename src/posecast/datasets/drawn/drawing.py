"""Drawing one person: shaded limbs with clothes that move with them, a head, a tool.

Every part is painted by its distance field on the few pixels around it, far parts first, so that
limbs hide each other and the trunk as they would.
"""

import cv2
import numpy as np
from jaxtyping import Bool

from posecast.datasets.drawn.figure import INDEX, Figure, Moment, moment
from posecast.datasets.drawn.painting import Canvas, Part, capsule, fill, line, quad, window
from posecast.datasets.drawn.wardrobe import Person
from posecast.skeletons import PENN_ACTION

# Name, its two ends, radii there in body heights (mean person), texture, drawn how much earlier.
_LIMBS = tuple(
    (f"{side}_{a}", f"{side}_{b}", radius_a, radius_b, texture, nearer)
    for side in ("left", "right")
    for a, b, radius_a, radius_b, texture, nearer in (
        ("hip", "knee", 0.056, 0.038, "thigh", 0.015),
        ("knee", "ankle", 0.037, 0.024, "shank", 0.01),
        ("ankle", "toe", 0.024, 0.019, "shoe", 0.03),
        ("shoulder", "elbow", 0.036, 0.027, "upper_arm", 0.05),
        ("elbow", "wrist", 0.027, 0.019, "forearm", 0.06),
        ("wrist", "fist", 0.020, 0.021, "hand", 0.07),
    )
)


def draw_person(canvas: Canvas, person: Person, figure: Figure, time: float) -> None:
    """Paint the figure as it is at `time` (frames, may be fractional) onto a float32 canvas."""
    frame = moment(figure, time)
    parts = [*_trunk_parts(person, frame), *_limb_parts(person, frame)]
    parts += [_head_part(person, frame), *tool_parts(person, frame)]
    for _, paint in sorted(parts, key=lambda part: -part[0]):
        paint(canvas)


def hidden_joints(figure: Figure, girth: float) -> Bool[np.ndarray, "t j"]:
    """Joints that lie behind another part of the same body."""
    joints, depth = figure.joints_px, figure.depth[:, : PENN_ACTION.num_joints]
    hidden = np.zeros(joints.shape[:2], bool)
    trunk = [("left_shoulder", "left_hip"), ("right_shoulder", "right_hip")]
    covers = [(a, b, ra, rb) for a, b, ra, rb, _, _ in _LIMBS if "toe" not in b]
    covers += [(a, b, 0.06, 0.06) for a, b in trunk]
    for a, b, radius_a, radius_b in covers:
        start, end = figure.points_px[:, None, INDEX[a]], figure.points_px[:, None, INDEX[b]]
        axis = end - start
        share = ((joints - start) * axis).sum(-1) / (axis**2).sum(-1).clip(1e-6)
        share = share.clip(0, 1)
        away = np.linalg.norm(joints - start - share[..., None] * axis, axis=-1)
        radius = (radius_a + (radius_b - radius_a) * share) * girth * figure.scale_px[:, None]
        here = figure.depth[:, [INDEX[a]]] * (1 - share) + figure.depth[:, [INDEX[b]]] * share
        covered = (away < 0.9 * radius) & (here < depth - 0.05)
        own = [j for j, name in enumerate(PENN_ACTION.joints) if name in (a, b)]
        covered[:, own] = False
        hidden |= covered
    return hidden


def _limb_parts(person: Person, frame: Moment) -> list[Part]:
    parts: list[Part] = []
    for a, b, radius_a, radius_b, texture, nearer in _LIMBS:
        radii = np.array([radius_a, radius_b]) * person.girth * frame.scale
        ends = frame.points[[INDEX[a], INDEX[b]]]
        depth = float(frame.depth[[INDEX[a], INDEX[b]]].mean()) - nearer
        parts.append((depth, capsule(ends, radii, person.textures[texture], person.light)))
    return parts


def _trunk_parts(person: Person, frame: Moment) -> list[Part]:
    """Shirt and hips as rounded quadrilaterals, and the neck."""
    sides = ("left", "right")
    shoulders = np.stack([frame.point(f"{side}_shoulder") for side in sides])
    hips = np.stack([frame.point(f"{side}_hip") for side in sides])
    middle = hips.mean(axis=0)
    hips = middle + (hips - middle) * 0.8
    waist = 0.25 * shoulders + 0.75 * hips
    waist = waist.mean(axis=0) + (waist - waist.mean(axis=0)) * 0.78
    unit = frame.scale * person.girth
    names = [f"{side}_{part}" for side in sides for part in ("shoulder", "hip")]
    depth = float(frame.depth[[INDEX[name] for name in names]].mean())
    neck = np.stack([shoulders.mean(axis=0), frame.point("head")])
    neck_depth = 0.5 * (depth + float(frame.depth[INDEX["head"]]))
    textures, light = person.textures, person.light
    drop = np.array([0.0, 0.012 * frame.scale])
    return [
        (depth + 0.01, quad(waist, hips, 0.058 * unit, textures["hips"], light)),
        (depth, quad(shoulders + drop, waist, 0.044 * unit, textures["shirt"], light)),
        (neck_depth, capsule(neck, np.array([0.034, 0.03]) * unit, textures["neck"], light)),
    ]


def _head_part(person: Person, frame: Moment) -> Part:
    """A ball with a face on its front, hair or a cap on the rest."""
    centre = frame.point("head")
    radius = 0.064 * frame.scale
    axes = frame.head_axes.astype(np.float32)

    def paint(canvas: np.ndarray) -> None:
        region, xs, ys = window(canvas, centre[None], radius * 1.3 + 3)
        if not region.size:
            return
        x, y = (xs - np.float32(centre[0])) / radius, (np.float32(centre[1]) - ys) / radius
        # The head is taller than wide: squeeze along its own up direction.
        up = axes[1, :2]
        lengthwise = x * up[0] + y * up[1]
        x, y = x - 0.18 * lengthwise * up[0], y - 0.18 * lengthwise * up[1]
        size = np.hypot(x, y)
        away = -np.sqrt((1 - size * size).clip(0))
        right, height, front = (axis[0] * x + axis[1] * y + axis[2] * away for axis in axes)
        colour = _head_colours(person, right, height, front)
        towards, soft = person.light
        bright = 0.62 - 0.42 * away + 0.3 * (1 - soft) * (towards * x + 0.45 * y)
        distance = (size - 1) * radius
        region *= (1 - (1 - distance / 2.5).clip(0, 1) * 0.22)[..., None]
        alpha = (0.5 - distance).clip(0, 1)
        region += (colour * bright[..., None] - region) * alpha[..., None]
        if person.cap is not None:
            peak = np.stack([axes[2] * 0.9 + axes[1] * 0.3, axes[2] * 1.55 + axes[1] * 0.25])
            peak = centre + peak[:, :2] * [radius, -radius]
            brim = np.broadcast_to(person.cap.astype(np.float32) * 0.8, (2, 2, 3))
            if axes[2, 2] < 0.45:
                capsule(peak, np.array([0.3, 0.25]) * radius, brim, person.light)(canvas)

    return float(frame.depth[INDEX["head"]]) - 0.02, paint


def _head_colours(
    person: Person, right: np.ndarray, height: np.ndarray, front: np.ndarray
) -> np.ndarray:
    """Colour by direction from the middle of the head."""
    colour = np.broadcast_to(person.skin.astype(np.float32), (*right.shape, 3)).copy()
    features = (np.abs(np.abs(right) - 0.36) < 0.13) & (np.abs(height - 0.1) < 0.09) & (front > 0)
    colour[features] *= 0.3
    mouth = (np.abs(right) < 0.24) & (np.abs(height + 0.5) < 0.07) & (front > 0)
    colour[mouth] *= [0.75, 0.5, 0.5]
    hairy = (height > 0.55 - 0.15 * right * right) | ((front < 0.1) & (height > person.hair_line))
    colour[hairy] = person.hair
    if person.cap is not None:
        colour[height > 0.32 + 0.1 * front] = person.cap
    return colour


def tool_parts(person: Person, frame: Moment) -> list[Part]:
    """What the person holds, as parts to paint; none without a tool."""
    if person.tool == "barbell":
        return _barbell(person, frame)
    if len(frame.tool) == 0:
        return []
    depth = float(frame.tool_depth.mean()) - 0.08
    unit = frame.scale
    metal = np.broadcast_to(person.tool_colour.astype(np.float32), (2, 2, 3))
    if person.tool in ("bat", "club"):
        radii = np.array([0.009, 0.019] if person.tool == "bat" else [0.008, 0.005]) * unit
        parts = [(depth, capsule(frame.tool, radii.clip(0.9), metal, person.light))]
        if person.tool == "club":
            across = np.array([[0.0, 0.0], [0.03 * unit, 0.006 * unit]]) + frame.tool[1]
            radii = np.full(2, 0.014 * unit)
            parts.append((depth, capsule(across, radii, metal * 0.6, person.light)))
        return parts
    if person.tool == "ball":
        ball = np.repeat(frame.tool, 2, axis=0)
        return [(depth, capsule(ball, np.full(2, 0.022 * unit), metal, person.light))]
    if person.tool == "racket":
        return [(depth, lambda canvas: _racket(canvas, person, frame.tool, unit))]
    rope = (frame.tool, person.tool_colour, max(round(0.012 * unit), 1), 0.9)
    return [(depth, lambda canvas: line(canvas, *rope))]


def _barbell(person: Person, frame: Moment) -> list[Part]:
    """The bar and, at each end, a disc that is seen edge-on or as an ellipse."""
    axis = frame.tool[1] - frame.tool[0]
    sight = float(frame.tool_depth[1] - frame.tool_depth[0]) / 1.2
    flat = np.hypot(*axis)
    along = axis / max(float(flat), 1e-3)
    steel = np.broadcast_to(np.array([150, 152, 158], np.float32), (2, 2, 3))
    bar = capsule(frame.tool, np.full(2, max(0.011 * frame.scale, 1.0)), steel, person.light)
    parts: list[Part] = [(float(frame.tool_depth.mean()) - 0.06, bar)]
    angle = np.linspace(0, 2 * np.pi, 28, endpoint=False)
    radius = 0.125 * frame.scale
    across = np.array([-along[1], along[0]])
    circle = radius * (
        np.cos(angle)[:, None] * across + min(abs(sight), 1.0) * np.sin(angle)[:, None] * along
    )
    for end, share in ((0, 0.08), (1, 0.92)):
        middle = frame.tool[0] + share * axis
        thick = 0.022 * axis
        hull = cv2.convexHull(
            np.concatenate([circle + middle - thick, circle + middle + thick]).astype(np.float32)
        )
        face = circle * 0.5 + middle + (thick if (sight < 0) == (end == 1) else -thick)

        def paint(
            canvas: np.ndarray, hull: np.ndarray = hull[:, 0], face: np.ndarray = face
        ) -> None:
            fill(canvas, hull, person.tool_colour)
            fill(canvas, face, person.tool_colour * 0.7 + 25)

        parts.append((float(frame.tool_depth[end]) - 0.05, paint))
    return parts


def _racket(canvas: Canvas, person: Person, tool: np.ndarray, unit: float) -> None:
    """A handle, a ring and strings."""
    axis = tool[1] - tool[0]
    middle = tool[0] + 0.7 * axis
    length = float(np.hypot(*axis))
    along = axis / max(length, 1e-3)
    across = np.array([-along[1], along[0]])
    angle = np.linspace(0, 2 * np.pi, 24)[:, None]
    ring = middle + np.cos(angle) * 0.3 * length * along + np.sin(angle) * 0.075 * unit * across
    fill(canvas, ring, np.array([235.0, 235.0, 225.0]), 0.28)
    handle = np.stack([tool[0], tool[0] + 0.42 * axis])
    line(canvas, handle, person.tool_colour, max(round(0.018 * unit), 1), 1.0)
    line(canvas, ring, person.tool_colour, max(round(0.011 * unit), 1), 1.0)
