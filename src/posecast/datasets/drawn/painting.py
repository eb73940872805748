"""Painting primitives: lit, textured limbs by their distance fields, polygons and lines.

Canvases are float32 RGB, 0 to 255; points are in pixels, x right, y down.
"""

import math
from collections.abc import Callable

import cv2
import numpy as np
from jaxtyping import Float

from posecast.errors import PosecastError

Canvas = Float[np.ndarray, "h w 3"]
Part = tuple[float, Callable[[np.ndarray], None]]
"""Depth, and what paints the part onto a canvas."""


def window(
    canvas: Canvas, points: np.ndarray, margin: float | int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """View of the canvas around some points, with its pixel centres (x row, y column); empty where
    they lie outside."""
    x1, y1 = np.floor(points.min(axis=0) - margin).astype(int).clip(0)
    x2, y2 = (np.ceil(points.max(axis=0) + margin).astype(int) + 1).clip(0)
    region = canvas[y1:y2, x1:x2]
    height, width = region.shape[:2]
    xs = np.arange(x1, x1 + width, dtype=np.float32)[None] + np.float32(0.5)
    ys = np.arange(y1, y1 + height, dtype=np.float32)[:, None] + np.float32(0.5)
    return region, xs, ys


def capsule(
    ends: np.ndarray, radii: np.ndarray, texture: np.ndarray, light: tuple[float, float]
) -> Callable[[np.ndarray], None]:
    """A limb: the hull of two circles."""

    def paint(canvas: np.ndarray) -> None:
        region, xs, ys = window(canvas, ends, float(radii.max()) + 3)
        dx, dy, length = _direction(ends[0], ends[1])
        x, y = xs - float(ends[0, 0]), ys - float(ends[0, 1])
        along = x * dx + y * dy
        across = y * dx - x * dy
        share = np.clip(along / length, 0, 1)
        radius = float(radii[0]) + float(radii[1] - radii[0]) * share
        distance = np.hypot(along - share * length, across) - radius
        _paint(region, distance, share, across / radius, (-dy, dx), texture, light)

    return paint


def quad(
    top: np.ndarray,
    bottom: np.ndarray,
    radius: float,
    texture: np.ndarray,
    light: tuple[float, float],
) -> Callable[[np.ndarray], None]:
    """A piece of trunk: the rounded hull of two lines."""
    corners = np.concatenate([top, bottom]).astype(np.float32)

    def paint(canvas: np.ndarray) -> None:
        region, xs, ys = window(canvas, corners, radius + 3)
        distance = _hull_distance(corners, xs, ys) - radius
        dx, dy, length = _direction(top.mean(axis=0), bottom.mean(axis=0))
        x, y = xs - float(top[:, 0].mean()), ys - float(top[:, 1].mean())
        share = np.clip((x * dx + y * dy) / length, 0, 1)
        normal = np.array([-dy, dx])
        halves = [
            np.abs((line - line.mean(axis=0)) @ normal).max() + radius for line in (top, bottom)
        ]
        half = float(halves[0]) + float(halves[1] - halves[0]) * share
        _paint(region, distance, share, (y * dx - x * dy) / half, (-dy, dx), texture, light)

    return paint


def _direction(start: np.ndarray, end: np.ndarray) -> tuple[float, float, float]:
    """Unit vector and length; points that coincide get any direction."""
    dx, dy = (end - start).tolist()
    length = math.hypot(dx, dy)
    return (dx / length, dy / length, length) if length > 1e-3 else (1.0, 0.0, 1e-3)


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
        raise PosecastError("a hull needs at least one corner")
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
    bright = 0.55 * (1 - soft) * facing * side + 0.42 * front
    bright += 0.62
    rows = (share * (len(texture) - 1)).astype(np.intp)
    columns = ((side + 1) * (0.5 * texture.shape[1] - 0.5)).astype(np.intp)
    colour = texture[rows, columns] * bright[..., None]
    alpha = (0.5 - distance).clip(0, 1)
    rim = (1 - distance / 2.5).clip(0, 1) * 0.22  # a soft dark edge sets limbs apart
    region *= (1 - rim)[..., None]
    region += (colour - region) * alpha[..., None]


def fill(canvas: Canvas, polygon: np.ndarray, colour: np.ndarray, opacity: float = 1.0) -> None:
    """A polygon of one colour."""
    _stamp(canvas, polygon, colour, opacity, None)


def line(
    canvas: Canvas, points: np.ndarray, colour: np.ndarray, thickness: int, opacity: float
) -> None:
    """An open line of one colour."""
    _stamp(canvas, points, colour, opacity, thickness)


def _stamp(
    canvas: Canvas, points: np.ndarray, colour: np.ndarray, opacity: float, thickness: int | None
) -> None:
    """Blend a filled polygon (no thickness) or an open line of one colour."""
    region, xs, ys = window(canvas, points, (thickness or 0) + 2)
    if not region.size:
        return
    mask = np.zeros(region.shape[:2], np.uint8)
    corner = np.array([xs[0, 0], ys[0, 0]])
    fixed = np.round((points - corner) * 8).astype(np.int32)
    if thickness is None:
        cv2.fillPoly(mask, [fixed], 255, cv2.LINE_AA, 3)
    else:
        cv2.polylines(mask, [fixed], False, 255, thickness, cv2.LINE_AA, 3)
    alpha = mask[..., None] * np.float32(opacity / 255)
    region += (colour.astype(np.float32) - region) * alpha
