"""How the camera moves, from the background of the seen frames."""

import cv2
import numpy as np
from jaxtyping import Float, UInt8

STILL = np.eye(2, 3)
MIN_STEP_PX = 0.15
"""Median movement between neighbouring frames below which the camera stands still."""
MIN_MOVE = 1.5 / 128
"""Movement over all seen frames, as a share of the picture's side, below which it stood still."""
LAST_STEPS = 4
"""The camera is taken to go on as in so many last steps."""
SLOWING = 0.97
"""A camera's pace after each further frame, as a share of the one before."""
UNSTEADY = 4.0
"""How much the variance of the steps counts against the square of the last ones' mean: a camera
that pans goes on, one that shakes stays where it was last."""


def camera_path(
    frames: UInt8[np.ndarray, "t s s 3"], person: Float[np.ndarray, "t s s"]
) -> tuple[Float[np.ndarray, "t 2 3"], Float[np.ndarray, "2 3"]]:
    """For each frame the transform of its places to those of the last frame; and the last pace.

    Similarities in pixels, where (0, 0) is the centre of the first pixel. `person` (0 to 1) is not
    looked at. Both are exactly `STILL` for a camera that does not move.
    """
    pairs = zip(frames[:-1], frames[1:], person[:-1], strict=True)
    steps = [_step(first, second, covered) for first, second, covered in pairs]
    path = [STILL]
    for step in reversed(steps):
        path.append(joined(path[-1], step))
    path = np.stack(path[::-1])
    side = frames.shape[1]
    corners = np.array([[0, 0, 1], [side, 0, 1], [0, side, 1], [side, side, 1.0]]).T
    if np.abs((path - STILL) @ corners).max() < MIN_MOVE * side:
        return np.stack([STILL] * len(frames)), STILL
    moves = (np.stack(steps) - STILL) @ corners
    pace = moves[-LAST_STEPS:].mean(axis=0)
    steady = (pace**2).mean()
    steady /= steady + UNSTEADY * ((moves - pace) ** 2).mean() + 1e-9
    return path, STILL + steady * (np.mean(steps[-LAST_STEPS:], axis=0) - STILL)


def camera_ahead(pace: Float[np.ndarray, "2 3"], ahead: int) -> Float[np.ndarray, "2 3"]:
    """From places of the last seen frame to those `ahead` frames later, the camera slowing down."""
    return STILL + (pace - STILL) * (1 - SLOWING**ahead) / (1 - SLOWING)


def joined(
    second: Float[np.ndarray, "2 3"], first: Float[np.ndarray, "2 3"]
) -> Float[np.ndarray, "2 3"]:
    """The transform that is `first`, then `second`."""
    return second @ np.vstack([first, [0, 0, 1]])


def _step(
    first: UInt8[np.ndarray, "s s 3"],
    second: UInt8[np.ndarray, "s s 3"],
    person: Float[np.ndarray, "s s"],
) -> Float[np.ndarray, "2 3"]:
    """Similarity of the background between neighbouring frames; STILL where it is not certain."""
    before, after = (cv2.cvtColor(each, cv2.COLOR_RGB2GRAY) for each in (first, second))
    background = ((person < 0.1) * 255).astype(np.uint8)
    points = cv2.goodFeaturesToTrack(before, 200, 0.01, 4, mask=background)
    if points is None or len(points) < 8:
        return STILL
    moved, found = _tracked(before, after, points)
    back, found_back = _tracked(after, before, moved)
    sure = found & found_back & (np.linalg.norm(back - points, axis=-1)[:, 0] < 0.5)
    points, moved = points[sure][:, 0], moved[sure][:, 0]
    if len(points) < 8 or np.median(np.linalg.norm(moved - points, axis=1)) < MIN_STEP_PX:
        return STILL
    step, agree = cv2.estimateAffinePartial2D(
        points, moved, method=cv2.RANSAC, ransacReprojThreshold=0.7, maxIters=300
    )
    return STILL if step is None or agree.mean() < 0.5 else step


def _tracked(
    before: UInt8[np.ndarray, "s s"],
    after: UInt8[np.ndarray, "s s"],
    points: Float[np.ndarray, "n 1 2"],
) -> tuple[Float[np.ndarray, "n 1 2"], np.ndarray]:
    moved, found, _ = cv2.calcOpticalFlowPyrLK(
        before, after, points, points.copy(), winSize=(11, 11), maxLevel=3
    )
    return moved, found[:, 0] == 1
