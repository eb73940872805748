"""One clip's numbers: every metric of every method, as curves over the future frames."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, UInt8

from posecast.evaluation.table import TRUTH, Curve
from posecast.geometry import crop_to_px
from posecast.metrics.image import psnr, ssim
from posecast.metrics.pose import (
    counted_joints,
    distance_sums,
    joint_distances,
    pck_hits,
    velocity_error_sums,
)
from posecast.store.reading import StoredClip
from posecast.windows import ClipWindow

HIGHEST_PSNR_DB = 100.0
"""What equal frames count as: infinity would swallow every mean."""

POSE_COORDINATES = "joints_px/box"
FrameMetric = Callable[
    [UInt8[np.ndarray, "t h w 3"], UInt8[np.ndarray, "t h w 3"]], Float[np.ndarray, " t"]
]
"""(predicted, true) frames -> one number a frame."""


@dataclass(frozen=True, eq=False)
class TrueClip:
    """What a forecast of one clip is compared with."""

    clip: StoredClip
    window: ClipWindow
    """Labels."""

    @property
    def num_truth(self) -> int:
        """Future frames that the clip has."""
        return int(self.window.future_exists.sum())


def pose_curves(
    method: str,
    predicted_crop: Float[np.ndarray, "t j 2"],
    truth: TrueClip,
    thresholds: tuple[float, ...],
) -> list[Curve]:
    """PCK, mean distance and velocity error, over counted joints (see `metrics.pose`).

    Distances are in source pixels, divided by the longer side of the clip's annotated box.
    """
    window, clip = truth.window, truth.clip
    length = min(truth.num_truth, len(predicted_crop))
    true_px = crop_to_px(window.future_joints_crop[:length], clip.crop)
    predicted_px = crop_to_px(predicted_crop[:length], clip.crop)
    counted = counted_joints(window.past_visible, window.future_visible[:length])
    distances = joint_distances(predicted_px, true_px, clip.box_side_px)
    sums = {f"pck@{limit:g}": pck_hits(distances, counted, limit) for limit in thresholds}
    sums["distance"] = distance_sums(distances, counted)
    velocity = velocity_error_sums(predicted_px, true_px, counted, clip.box_side_px)
    sums["velocity error"] = velocity
    return [_mean_curve(method, metric, *pair) for metric, pair in sums.items()]


def _mean_curve(
    method: str,
    metric: str,
    total: Float[np.ndarray, " t"],
    count: Float[np.ndarray, " t"],
) -> Curve:
    frames = np.arange(1, len(total) + 1)
    return Curve(method, metric, frames, total / np.maximum(count, 1), count, POSE_COORDINATES)


def frame_curves(
    method: str,
    predicted: UInt8[np.ndarray, "t h w 3"],
    true: UInt8[np.ndarray, "n h w 3"],
    extra: dict[str, FrameMetric],
) -> list[Curve]:
    """PSNR, SSIM and `extra` metrics of the frames that the clip has."""
    length = min(len(true), len(predicted))
    predicted, true = predicted[:length], true[:length]
    values = {
        "psnr": np.minimum(psnr(predicted, true), HIGHEST_PSNR_DB),
        "ssim": ssim(predicted, true),
        **{name: metric(predicted, true) for name, metric in extra.items()},
    }
    coordinates = crop_coordinates(true)
    frames = np.arange(1, len(true) + 1)
    ones = np.ones(len(true))
    return [
        Curve(method, metric, frames, each.astype(float), ones, coordinates)
        for metric, each in values.items()
    ]


def crop_coordinates(frames: UInt8[np.ndarray, "t h w 3"]) -> str:
    """What numbers of frames of this size are measured in."""
    return f"crop {frames.shape[2]}x{frames.shape[1]}"


def action_curves(
    method: str, name: str, probabilities: dict[str, float], action: str, origin: str
) -> list[Curve]:
    """Whether forecasts still look like their action (1 or 0), and how probable that is.

    `name` is "action" or "video action", `origin` what was looked at. Nothing for an action that
    the classifier does not know.
    """
    if action not in probabilities:
        return []
    right = float(max(probabilities, key=lambda each: probabilities[each]) == action)
    values = {f"{name} accuracy": right, f"{name} probability": probabilities[action]}
    return [_whole_clip(method, metric, value, origin) for metric, value in values.items()]


def movement_curves(
    truth: TrueClip, true_frames: UInt8[np.ndarray, "n h w 3"] | None, last_seen: np.ndarray | None
) -> list[Curve]:
    """How much the clip really moves after the seen frames, to sort clips by.

    movement: mean distance of a joint from one future frame to the next, as a share of the box.
    pixel movement: mean absolute grey level difference from one frame to the next.
    """
    window = truth.window
    length = truth.num_truth
    past = window.past_joints_crop[-1:], window.past_visible[-1:]
    joints = np.concatenate([past[0], window.future_joints_crop[:length]])
    visible = np.concatenate([past[1], window.future_visible[:length]])
    pixels = crop_to_px(joints, truth.clip.crop)
    both = visible[1:] & visible[:-1]
    steps = np.linalg.norm(np.diff(pixels, axis=0), axis=-1) / truth.clip.box_side_px
    moved = float(steps[both].mean()) if both.any() else 0.0
    curves = [_whole_clip(TRUTH, "movement", moved, POSE_COORDINATES)]
    if true_frames is not None and last_seen is not None:
        frames = np.concatenate([last_seen[None], true_frames]).astype(np.float32)
        changed = float(np.abs(np.diff(frames, axis=0)).mean())
        curves.append(
            _whole_clip(
                TRUTH, "pixel movement", changed, f"crop {frames.shape[2]}x{frames.shape[1]}"
            )
        )
    return curves


def _whole_clip(method: str, metric: str, value: float, coordinates: str) -> Curve:
    return Curve(method, metric, np.zeros(1, int), np.array([value]), np.ones(1), coordinates)
