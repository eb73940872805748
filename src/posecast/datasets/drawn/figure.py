"""The moving points of a body in the picture: all that the drawing needs to know."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from posecast.skeletons import PENN_ACTION

EXTRA_POINTS = ("left_toe", "right_toe", "left_fist", "right_fist")
POINTS = (*PENN_ACTION.joints, *EXTRA_POINTS)
"""The joints of the skeleton and what else the drawing needs."""
INDEX = {name: index for index, name in enumerate(POINTS)}

# Lengths of a body of height 1.
ANKLE, SHANK, THIGH, SPINE = 0.045, 0.245, 0.245, 0.285
UPPER_ARM, FOREARM, FIST = 0.172, 0.150, 0.045
HIP_HALF, SHOULDER_HALF, NECK_TO_HEAD = 0.058, 0.108, 0.115


def unit(vectors: np.ndarray) -> np.ndarray:
    """Vectors of length 1; of no length where they have none."""
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True).clip(1e-9)


@dataclass(frozen=True)
class Figure:
    """A moving body in the picture, before the camera moves; axes in `POINTS` order."""

    points_px: Float[np.ndarray, "t p 2"]
    depth: Float[np.ndarray, "t p"]
    """Distance from the camera in body heights, from an arbitrary zero; larger is farther."""
    scale_px: Float[np.ndarray, "t"]
    """Pixels in one body height."""
    head_axes: Float[np.ndarray, "t 3 3"]
    """Rows: the head's right, up and front, in camera axes (right, up, away)."""
    tool_px: Float[np.ndarray, "t n 2"]
    """Points of the tool: two ends of a bar, a ball's centre, a rope's curve; n may be 0."""
    tool_depth: Float[np.ndarray, "t n"]

    @property
    def num_frames(self) -> int:
        return len(self.points_px)

    @property
    def joints_px(self) -> Float[np.ndarray, "t j 2"]:
        return self.points_px[:, : PENN_ACTION.num_joints]


@dataclass(frozen=True)
class Moment:
    """A figure between or at its frames, see `Figure`."""

    points: Float[np.ndarray, "p 2"]
    depth: Float[np.ndarray, "p"]
    scale: float
    head_axes: Float[np.ndarray, "3 3"]
    tool: Float[np.ndarray, "n 2"]
    tool_depth: Float[np.ndarray, "n"]

    def point(self, name: str) -> np.ndarray:
        return self.points[INDEX[name]]


def moment(figure: Figure, time: float) -> Moment:
    """The figure at `time` in frames, which may be fractional."""
    first = int(np.clip(np.floor(time), 0, figure.num_frames - 1))
    second, share = min(first + 1, figure.num_frames - 1), float(time - first)

    def mix(track: np.ndarray) -> np.ndarray:
        return np.asarray(track[first] + share * (track[second] - track[first]))

    return Moment(
        mix(figure.points_px),
        mix(figure.depth),
        float(mix(figure.scale_px)),
        figure.head_axes[first],
        mix(figure.tool_px),
        mix(figure.tool_depth),
    )
