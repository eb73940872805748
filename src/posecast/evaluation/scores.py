"""One clip's numbers: every metric of every method, as curves over the future frames."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Float, Num, UInt8

from posecast.evaluation.table import TRUTH, Curve
from posecast.forecasting.jobs import Job
from posecast.metrics import pose
from posecast.metrics.image import psnr, ssim

HIGHEST_PSNR_DB = 100.0
"""What equal frames count as: infinity would swallow every mean."""

POSE_COORDINATES = "joints_px/box"
FrameMetric = Callable[
    [UInt8[np.ndarray, "t h w 3"], UInt8[np.ndarray, "t h w 3"]], Float[np.ndarray, " t"]
]
"""(predicted, true) frames -> one number a frame."""


def pose_curves(
    method: str, predicted_px: Float[np.ndarray, "t j 2"], job: Job, thresholds: tuple[float, ...]
) -> list[Curve]:
    """PCK, mean distance and velocity error of one future, over counted joints (`metrics.pose`).

    Distances are in source pixels, divided by the longer side of the clip's annotated box.
    """
    window, clip = job.truth, job.clip
    length = min(window.num_truth, len(predicted_px))
    true_px, predicted_px = window.future_joints_px[:length], predicted_px[:length]
    counted = pose.counted_joints(window.past.visible, window.future_visible[:length])
    distances = pose.joint_distances(predicted_px, true_px, clip.box_side_px)
    sums = {f"pck@{limit:g}": pose.pck_hits(distances, counted, limit) for limit in thresholds}
    sums["distance"] = pose.distance_sums(distances, counted)
    velocity = pose.velocity_error_sums(predicted_px, true_px, counted, clip.box_side_px)
    sums["velocity error"] = velocity
    return [_mean_curve(method, metric, *pair) for metric, pair in sums.items()]


def _mean_curve(
    method: str, metric: str, total: Float[np.ndarray, " t"], count: Float[np.ndarray, " t"]
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
    frames, rest = np.arange(1, len(true) + 1), (np.ones(len(true)), crop_coordinates(true))
    return [Curve(method, name, frames, each.astype(float), *rest) for name, each in values.items()]


def curves_of_samples(
    futures: Sequence[list[Curve]],
    weights: Float[np.ndarray, " s"],
    samples: int,
    judged_by: str,
    higher_is_better: bool = False,
) -> list[Curve]:
    """The curves of one or more futures of a clip, and, where `samples` were asked for, two more
    of each metric: "(best of n)", of the future whose mean of the metric `judged_by` is the best
    (what the literature calls best of n by average displacement), and "(mean of n)", the mean of
    the futures by their weights.

    A method that knows fewer futures than were asked for is judged by those that it has.
    """
    if samples == 1:
        return futures[0]
    numbered = enumerate(futures, start=1)
    shown = [replace(curve, sample=number) for number, curves in numbered for curve in curves]
    judged = [next(c for c in curves if c.metric == judged_by) for curves in futures]
    means = [(c.values * c.weights).sum() / max(c.weights.sum(), 1) for c in judged]
    best = int(np.argmax(means) if higher_is_better else np.argmin(means))
    shares = weights[: len(futures)] / weights[: len(futures)].sum()
    for curves in zip(*futures, strict=True):
        mean = np.tensordot(shares, np.stack([curve.values for curve in curves]), axes=1)
        for values, name in ((curves[best].values, "best"), (mean, "mean")):
            metric = f"{curves[0].metric} ({name} of {samples})"
            shown.append(replace(curves[0], metric=metric, values=values, sample=0))
    return shown


def spread_curve(
    method: str, futures_px: Float[np.ndarray, "s t j 2"], job: Job, samples: int
) -> Curve:
    """How far apart the futures of a clip are (see `metrics.pose.sample_spread`)."""
    window, clip = job.truth, job.clip
    length = min(window.num_truth, futures_px.shape[1])
    counted = pose.counted_joints(window.past.visible, window.future_visible[:length])
    sums = pose.sample_spread(futures_px[:, :length], counted, clip.box_side_px)
    return replace(_mean_curve(method, f"spread of {samples}", *sums), sample=0)


def crop_coordinates(frames: Num[np.ndarray, "t h w 3"]) -> str:
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
    job: Job, true_frames: UInt8[np.ndarray, "n h w 3"] | None, last_seen: np.ndarray | None
) -> list[Curve]:
    """How much the clip really moves after the seen frames, to sort clips by.

    movement: mean distance of a joint from one future frame to the next, as a share of the box.
    pixel movement: mean absolute grey level difference from one frame to the next.
    """
    window = job.truth
    length, last = window.num_truth, window.past.last(1)
    joints = np.concatenate([last.joints_px, window.future_joints_px[:length]])
    visible = np.concatenate([last.visible, window.future_visible[:length]])
    both = visible[1:] & visible[:-1]
    steps = np.linalg.norm(np.diff(joints, axis=0), axis=-1) / job.clip.box_side_px
    moved = float(steps[both].mean()) if both.any() else 0.0
    curves = [_whole_clip(TRUTH, "movement", moved, POSE_COORDINATES)]
    if true_frames is not None and last_seen is not None:
        frames = np.concatenate([last_seen[None], true_frames]).astype(np.float32)
        changed = float(np.abs(np.diff(frames, axis=0)).mean())
        curves.append(_whole_clip(TRUTH, "pixel movement", changed, crop_coordinates(frames)))
    return curves


def _whole_clip(method: str, metric: str, value: float, coordinates: str) -> Curve:
    return Curve(method, metric, np.zeros(1, int), np.array([value]), np.ones(1), coordinates)
