"""Image metrics, frame by frame, on uint8 RGB pictures; dense optical flow (Farneback, 2003), the
input of flow baselines and the flow classifier."""

import itertools

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from posecast.errors import PosecastError

_SSIM_SIGMA = 1.5
_SSIM_WINDOW = 11
_C1 = (0.01 * 255) ** 2
_C2 = (0.03 * 255) ** 2


def psnr(
    predicted: UInt8[np.ndarray, "t h w 3"], true: UInt8[np.ndarray, "t h w 3"]
) -> Float[np.ndarray, " t"]:
    """Peak signal-to-noise ratio of each frame in dB, peak 255, over all three channels.

    Equal frames give infinity. Weakness: prefers blur to a sharp picture that is slightly off.
    PosecastError for other arrays, such as floats in [0, 1].
    """
    check_pair(predicted, true)
    difference = predicted.astype(np.float64) - true.astype(np.float64)
    error = (difference**2).mean(axis=(1, 2, 3))
    with np.errstate(divide="ignore"):
        return 10 * np.log10(255.0**2 / error)


def ssim(
    predicted: UInt8[np.ndarray, "t h w 3"], true: UInt8[np.ndarray, "t h w 3"]
) -> Float[np.ndarray, " t"]:
    """Structural similarity of each frame, mean over pixels and channels.

    Wang, Bovik, Sheikh and Simoncelli, 2004, with their settings: Gaussian window of 11 pixels and
    sigma 1.5, K = (0.01, 0.03), population covariance, borders of 5 pixels left out. Weakness: a
    picture shifted by one pixel scores low; flat regions score high whatever they show.
    PosecastError as `psnr`, and for frames smaller than the window.
    """
    check_pair(predicted, true)
    if min(true.shape[1:3]) < _SSIM_WINDOW:
        raise PosecastError(
            f"frames of {true.shape[1:3]} pixels are smaller than the window of SSIM, "
            f"{_SSIM_WINDOW}: give larger ones"
        )
    return np.array([_ssim_frame(p, t) for p, t in zip(predicted, true, strict=True)])


def check_pair(predicted: UInt8[np.ndarray, "t h w 3"], true: UInt8[np.ndarray, "t h w 3"]) -> None:
    """PosecastError unless both are frames, as many and as large: floats in [0, 1] would look
    nearly equal, and a single frame would be compared with all."""
    kinds = [f"{frames.dtype} {frames.shape}" for frames in (predicted, true)]
    if kinds[0] != kinds[1] or true.dtype != np.uint8 or true.ndim != 4 or true.shape[3] != 3:
        raise PosecastError(
            f"predicted frames are {kinds[0]}, true ones {kinds[1]}; expected two of uint8 "
            "(t, h, w, 3), RGB"
        )


def _ssim_frame(predicted: UInt8[np.ndarray, "h w 3"], true: UInt8[np.ndarray, "h w 3"]) -> float:
    x, y = predicted.astype(np.float64), true.astype(np.float64)
    mean_x, mean_y = _window_mean(x), _window_mean(y)
    variance_x = _window_mean(x * x) - mean_x**2
    variance_y = _window_mean(y * y) - mean_y**2
    covariance = _window_mean(x * y) - mean_x * mean_y
    luminance = (2 * mean_x * mean_y + _C1) / (mean_x**2 + mean_y**2 + _C1)
    structure = (2 * covariance + _C2) / (variance_x + variance_y + _C2)
    border = _SSIM_WINDOW // 2
    return float((luminance * structure)[border:-border, border:-border].mean())


def _window_mean(picture: Float[np.ndarray, "h w 3"]) -> Float[np.ndarray, "h w 3"]:
    return cv2.GaussianBlur(picture, (_SSIM_WINDOW, _SSIM_WINDOW), _SSIM_SIGMA)


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
