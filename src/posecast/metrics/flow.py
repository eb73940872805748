"""Dense optical flow (Farneback, 2003), the input of flow baselines and the flow classifier."""

import itertools

import cv2
import numpy as np
from jaxtyping import Float, UInt8


def backward_flow(
    before: UInt8[np.ndarray, "h w 3"], after: UInt8[np.ndarray, "h w 3"]
) -> Float[np.ndarray, "h w 2"]:
    """For each pixel of `after`, by how many pixels (x, y) it lay elsewhere in `before`.

    Weakness: blind in even regions and for movements much larger than 15 pixels.
    """
    now, then = (cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in (after, before))
    start = np.zeros((*now.shape, 2), np.float32)
    return cv2.calcOpticalFlowFarneback(now, then, start, 0.5, 3, 15, 3, 5, 1.2, 0)


def flow_stack(frames: UInt8[np.ndarray, "t h w 3"]) -> Float[np.ndarray, "f h w 2"]:
    """`backward_flow` from each frame to the one before it: one field fewer than frames."""
    pairs = itertools.pairwise(frames)
    return np.stack([backward_flow(before, after) for before, after in pairs])
