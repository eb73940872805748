"""What the drawn people hold: ball, bat, club, racket, barbell, rope."""

import cv2
import numpy as np

from posecast.datasets.drawn.figure import Moment
from posecast.datasets.drawn.painting import Canvas, Part, capsule, fill, line
from posecast.datasets.drawn.wardrobe import Person


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
            parts.append(
                (depth, capsule(across, np.full(2, 0.014 * unit), metal * 0.6, person.light))
            )
        return parts
    if person.tool == "ball":
        ball = np.repeat(frame.tool, 2, axis=0)
        return [(depth, capsule(ball, np.full(2, 0.022 * unit), metal, person.light))]
    if person.tool == "racket":
        return [(depth, lambda canvas: _racket(canvas, person, frame.tool, unit))]
    return [
        (
            depth,
            lambda canvas: line(
                canvas, frame.tool, person.tool_colour, max(round(0.012 * unit), 1), 0.9
            ),
        )
    ]


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
