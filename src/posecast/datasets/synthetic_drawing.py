"""Drawing one person: shaded limbs with clothes that move with them, a head, a tool.

Every part is painted by its distance field on the few pixels around it, far parts first, so that
limbs hide each other and the trunk as they would.
"""

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, Float

from posecast.datasets.synthetic_actions import Tool
from posecast.datasets.synthetic_motion import POINTS, Figure
from posecast.skeletons import PENN_ACTION

Canvas = Float[np.ndarray, "h w 3"]

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
_INDEX = {name: index for index, name in enumerate(POINTS)}


@dataclass(frozen=True)
class Person:
    """How somebody looks."""

    textures: dict[str, Float[np.ndarray, "u v 3"]]
    """Part -> colours along (u) and across (v) it, 0 to 255."""
    girth: float
    """Widths as a multiple of the mean person's."""
    skin: Float[np.ndarray, "3"]
    hair: Float[np.ndarray, "3"]
    hair_line: float
    """How far down the hair reaches at the back: 0 the ears, -1 the neck."""
    cap: Float[np.ndarray, "3"] | None
    tool: Tool
    tool_colour: Float[np.ndarray, "3"]
    light: tuple[float, float]
    """Horizontal direction of the light (right positive) and its softness, 0 to 1."""


@dataclass(frozen=True)
class _Frame:
    """One moment of a figure, moved by the camera."""

    points: Float[np.ndarray, "p 2"]
    depth: Float[np.ndarray, "p"]
    scale: float
    head_axes: Float[np.ndarray, "3 3"]
    tool: Float[np.ndarray, "n 2"]
    tool_depth: Float[np.ndarray, "n"]

    def point(self, name: str) -> np.ndarray:
        return self.points[_INDEX[name]]


def draw_person(canvas: Canvas, person: Person, figure: Figure, time: float) -> None:
    """Paint the figure as it is at `time` (frames, may be fractional) onto a float32 canvas."""
    frame = _at(figure, time)
    parts = [*_trunk_parts(person, frame), *_limb_parts(person, frame)]
    parts += [_head_part(person, frame), *_tool_parts(person, frame)]
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
        start, end = figure.points_px[:, None, _INDEX[a]], figure.points_px[:, None, _INDEX[b]]
        axis = end - start
        share = ((joints - start) * axis).sum(-1) / (axis**2).sum(-1).clip(1e-6)
        share = share.clip(0, 1)
        away = np.linalg.norm(joints - start - share[..., None] * axis, axis=-1)
        radius = (radius_a + (radius_b - radius_a) * share) * girth * figure.scale_px[:, None]
        here = figure.depth[:, [_INDEX[a]]] * (1 - share) + figure.depth[:, [_INDEX[b]]] * share
        covered = (away < 0.9 * radius) & (here < depth - 0.05)
        own = [j for j, name in enumerate(PENN_ACTION.joints) if name in (a, b)]
        covered[:, own] = False
        hidden |= covered
    return hidden


def _at(figure: Figure, time: float) -> _Frame:
    first = int(np.clip(np.floor(time), 0, figure.num_frames - 1))
    second, share = min(first + 1, figure.num_frames - 1), float(time - first)

    def mix(track: np.ndarray) -> np.ndarray:
        return track[first] + share * (track[second] - track[first])

    return _Frame(
        mix(figure.points_px),
        mix(figure.depth),
        float(mix(figure.scale_px)),
        figure.head_axes[first],
        mix(figure.tool_px),
        mix(figure.tool_depth),
    )


Part = tuple[float, Callable[[np.ndarray], None]]
"""Depth, and what paints the part onto a canvas."""


def _limb_parts(person: Person, frame: _Frame) -> list[Part]:
    parts: list[Part] = []
    for a, b, radius_a, radius_b, texture, nearer in _LIMBS:
        radii = np.array([radius_a, radius_b]) * person.girth * frame.scale
        ends = frame.points[[_INDEX[a], _INDEX[b]]]
        depth = float(frame.depth[[_INDEX[a], _INDEX[b]]].mean()) - nearer
        parts.append((depth, _capsule(ends, radii, person.textures[texture], person.light)))
    return parts


def _trunk_parts(person: Person, frame: _Frame) -> list[Part]:
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
    depth = float(frame.depth[[_INDEX[name] for name in names]].mean())
    neck = np.stack([shoulders.mean(axis=0), frame.point("head")])
    neck_depth = 0.5 * (depth + float(frame.depth[_INDEX["head"]]))
    textures, light = person.textures, person.light
    drop = np.array([0.0, 0.012 * frame.scale])
    return [
        (depth + 0.01, _quad(waist, hips, 0.058 * unit, textures["hips"], light)),
        (depth, _quad(shoulders + drop, waist, 0.044 * unit, textures["shirt"], light)),
        (neck_depth, _capsule(neck, np.array([0.034, 0.03]) * unit, textures["neck"], light)),
    ]


def _window(
    canvas: Canvas, points: np.ndarray, margin: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """View of the canvas around some points, with its pixel centres (x row, y column)."""
    x1, y1 = np.floor(points.min(axis=0) - margin).astype(int).clip(0)
    x2, y2 = np.ceil(points.max(axis=0) + margin).astype(int) + 1
    region = canvas[y1:y2, x1:x2]
    if region.size == 0:
        return None
    height, width = region.shape[:2]
    xs = np.arange(x1, x1 + width, dtype=np.float32)[None] + np.float32(0.5)
    ys = np.arange(y1, y1 + height, dtype=np.float32)[:, None] + np.float32(0.5)
    return region, xs, ys


def _capsule(
    ends: np.ndarray, radii: np.ndarray, texture: np.ndarray, light: tuple[float, float]
) -> Callable[[np.ndarray], None]:
    """A limb: the hull of two circles."""

    def paint(canvas: np.ndarray) -> None:
        window = _window(canvas, ends, float(radii.max()) + 3)
        if window is None:
            return
        region, xs, ys = window
        dx, dy, length = _direction(ends[0], ends[1])
        x, y = xs - np.float32(ends[0, 0]), ys - np.float32(ends[0, 1])
        along = x * dx + y * dy
        across = y * dx - x * dy
        share = np.clip(along / length, 0, 1)
        radius = np.float32(radii[0]) + np.float32(radii[1] - radii[0]) * share
        distance = np.hypot(along - share * length, across) - radius
        _paint(region, distance, share, across / radius, (-dy, dx), texture, light)

    return paint


def _quad(
    top: np.ndarray,
    bottom: np.ndarray,
    radius: float,
    texture: np.ndarray,
    light: tuple[float, float],
) -> Callable[[np.ndarray], None]:
    """A piece of trunk: the rounded hull of two lines."""
    corners = np.concatenate([top, bottom]).astype(np.float32)

    def paint(canvas: np.ndarray) -> None:
        window = _window(canvas, corners, radius + 3)
        if window is None:
            return
        region, xs, ys = window
        distance = _hull_distance(corners, xs, ys) - np.float32(radius)
        dx, dy, length = _direction(top.mean(axis=0), bottom.mean(axis=0))
        x, y = xs - np.float32(top[:, 0].mean()), ys - np.float32(top[:, 1].mean())
        share = np.clip((x * dx + y * dy) / length, 0, 1)
        normal = np.array([-dy, dx])
        halves = [
            np.abs((line - line.mean(axis=0)) @ normal).max() + radius for line in (top, bottom)
        ]
        half = np.float32(halves[0]) + np.float32(halves[1] - halves[0]) * share
        _paint(region, distance, share, (y * dx - x * dy) / half, (-dy, dx), texture, light)

    return paint


def _direction(start: np.ndarray, end: np.ndarray) -> tuple[np.float32, np.float32, np.float32]:
    """Unit vector and length; points that coincide get any direction."""
    length = float(np.hypot(*(end - start)))
    if length < 1e-3:
        return np.float32(1), np.float32(0), np.float32(1e-3)
    dx, dy = ((end - start) / length).astype(np.float32)
    return dx, dy, length


def _hull_distance(corners: np.ndarray, xs: np.ndarray, ys: np.ndarray) -> np.ndarray:
    """Signed distance to the convex hull of a few points, negative inside."""
    hull = cv2.convexHull(corners, clockwise=False)[:, 0]
    nearest, inside = None, None
    for start, end in zip(hull, np.roll(hull, -1, axis=0), strict=True):
        edge = end - start
        x, y = xs - start[0], ys - start[1]
        share = np.clip((x * edge[0] + y * edge[1]) / max(float(edge @ edge), 1e-6), 0, 1)
        gap = (x - share * edge[0]) ** 2 + (y - share * edge[1]) ** 2
        left = (x * edge[1] - y * edge[0]) <= 0
        nearest = gap if nearest is None else np.minimum(nearest, gap)
        inside = left if inside is None else inside & left
    if nearest is None or inside is None:
        raise ValueError("a hull needs at least one corner")
    return np.where(inside & (len(hull) > 2), -1, 1) * np.sqrt(nearest)


def _paint(
    region: np.ndarray,
    distance: np.ndarray,
    share: np.ndarray,
    side: np.ndarray,
    normal: tuple[float, float],
    texture: np.ndarray,
    light: tuple[float, float],
) -> None:
    """Blend a lit, textured cylinder into a region where `distance` is negative."""
    side = side.clip(-1, 1)
    front = np.sqrt(1 - side * side)
    towards, soft = light
    facing = normal[0] * towards - 0.45 * normal[1]
    bright = np.float32(0.55 * (1 - soft) * facing) * side + np.float32(0.42) * front
    bright += np.float32(0.62)
    rows = (share * (len(texture) - 1)).astype(np.intp)
    columns = ((side + 1) * (0.5 * texture.shape[1] - 0.5)).astype(np.intp)
    colour = texture[rows, columns] * bright[..., None]
    alpha = (0.5 - distance).clip(0, 1)
    rim = (1 - distance / 2.5).clip(0, 1) * 0.22  # a soft dark edge sets limbs apart
    region *= (1 - rim)[..., None]
    region += (colour - region) * alpha[..., None]


def _head_part(person: Person, frame: _Frame) -> Part:
    """A ball with a face on its front, hair or a cap on the rest."""
    centre = frame.point("head")
    radius = 0.064 * frame.scale
    axes = frame.head_axes.astype(np.float32)

    def paint(canvas: np.ndarray) -> None:
        window = _window(canvas, centre[None], radius * 1.3 + 3)
        if window is None:
            return
        region, xs, ys = window
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
                _capsule(peak, np.array([0.3, 0.25]) * radius, brim, person.light)(canvas)

    return float(frame.depth[_INDEX["head"]]) - 0.02, paint


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


def _tool_parts(person: Person, frame: _Frame) -> list[Part]:
    if person.tool == "barbell":
        return _barbell(person, frame)
    if len(frame.tool) == 0:
        return []
    depth = float(frame.tool_depth.mean()) - 0.08
    unit = frame.scale
    metal = np.broadcast_to(person.tool_colour.astype(np.float32), (2, 2, 3))
    if person.tool in ("bat", "club"):
        radii = np.array([0.009, 0.019] if person.tool == "bat" else [0.008, 0.005]) * unit
        parts = [(depth, _capsule(frame.tool, radii.clip(0.9), metal, person.light))]
        if person.tool == "club":
            across = np.array([[0.0, 0.0], [0.03 * unit, 0.006 * unit]]) + frame.tool[1]
            parts.append(
                (depth, _capsule(across, np.full(2, 0.014 * unit), metal * 0.6, person.light))
            )
        return parts
    if person.tool == "ball":
        ball = np.repeat(frame.tool, 2, axis=0)
        return [(depth, _capsule(ball, np.full(2, 0.022 * unit), metal, person.light))]
    if person.tool == "racket":
        return [(depth, lambda canvas: _racket(canvas, person, frame.tool, unit))]
    return [(depth, lambda canvas: _line(canvas, frame.tool, person.tool_colour, max(round(0.012 * unit), 1), 0.9))]


def _barbell(person: Person, frame: _Frame) -> list[Part]:
    """The bar and, at each end, a disc that is seen edge-on or as an ellipse."""
    axis = frame.tool[1] - frame.tool[0]
    sight = float(frame.tool_depth[1] - frame.tool_depth[0]) / 1.2
    flat = np.hypot(*axis)
    along = axis / max(float(flat), 1e-3)
    steel = np.broadcast_to(np.array([150, 152, 158], np.float32), (2, 2, 3))
    bar = _capsule(frame.tool, np.full(2, max(0.011 * frame.scale, 1.0)), steel, person.light)
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
            _fill(canvas, hull, person.tool_colour)
            _fill(canvas, face, person.tool_colour * 0.7 + 25)

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
    _fill(canvas, ring, np.array([235.0, 235.0, 225.0]), 0.28)
    handle = np.stack([tool[0], tool[0] + 0.42 * axis])
    _line(canvas, handle, person.tool_colour, max(round(0.018 * unit), 1), 1.0)
    _line(canvas, ring, person.tool_colour, max(round(0.011 * unit), 1), 1.0)


def _fill(canvas: Canvas, polygon: np.ndarray, colour: np.ndarray, opacity: float = 1.0) -> None:
    _stamp(canvas, polygon, colour, opacity, None)


def _line(
    canvas: Canvas, points: np.ndarray, colour: np.ndarray, thickness: int, opacity: float
) -> None:
    _stamp(canvas, points, colour, opacity, thickness)


def _stamp(
    canvas: Canvas, points: np.ndarray, colour: np.ndarray, opacity: float, thickness: int | None
) -> None:
    """Blend a filled polygon (no thickness) or an open line of one colour."""
    window = _window(canvas, points, (thickness or 0) + 2)
    if window is None:
        return
    region, xs, ys = window
    mask = np.zeros(region.shape[:2], np.uint8)
    corner = np.array([xs[0, 0], ys[0, 0]])
    fixed = np.round((points - corner) * 8).astype(np.int32)
    if thickness is None:
        cv2.fillPoly(mask, [fixed], 255, cv2.LINE_AA, 3)
    else:
        cv2.polylines(mask, [fixed], False, 255, thickness, cv2.LINE_AA, 3)
    alpha = mask[..., None] * np.float32(opacity / 255)
    region += (colour.astype(np.float32) - region) * alpha
