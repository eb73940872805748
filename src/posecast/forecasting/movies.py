"""Movies of a forecast, to look at: what was forecast, what came, and the pose, side by side."""

from collections.abc import Iterator

import numpy as np
from jaxtyping import UInt8

from posecast.forecasting.forecast_files import StoredForecast
from posecast.media.pictures import (
    PREDICTED,
    SEEN,
    Colour,
    enlarge,
    panel,
    plain,
    pose_in_crop,
    side_by_side,
)
from posecast.skeletons import Skeleton

TRUTH: Colour = (110, 115, 125)
"""Border of what really came."""

_NOTHING: Colour = (90, 92, 98)
_POSE_PX, _PANEL_PX = 128, 256


def forecast_movie(
    forecast: StoredForecast,
    skeleton: Skeleton,
    frames: UInt8[np.ndarray, "t h w 3"] | None,
    true_frames: UInt8[np.ndarray, "n h w 3"] | None,
    scale: int = 0,
) -> Iterator[UInt8[np.ndarray, "h2 w2 3"]]:
    """Pictures with three panels: forecast (the likeliest), truth, pose; `scale` times the size of
    the frames, 0 for panels of about 256 pixels.

    Seen frames have a green border, forecast ones a red one. `true_frames` are the seen frames and
    those that came after them; where they end, the panel of the truth is grey and says so.
    Without frames there are two panels: the forecast pose and the true one.
    """
    if frames is None or true_frames is None:
        yield from _movie_of_poses(forecast, skeleton, _POSE_PX * (scale or 2))
        return
    scale = scale or max(1, round(_PANEL_PX / frames.shape[1]))
    num_past, side = forecast.facts.num_past, frames.shape[1] * scale
    for number in range(num_past):
        seen = panel(enlarge(true_frames[number], scale), SEEN, "seen")
        yield side_by_side([seen, seen, _past_pose(forecast, number, skeleton, side)])
    for number, frame in enumerate(frames):
        drawn = panel(enlarge(frame, scale), PREDICTED, f"forecast +{number + 1}")
        truth = _no_truth(side)
        if number < forecast.facts.num_truth:
            truth = panel(enlarge(true_frames[num_past + number], scale), TRUTH, "truth")
        yield side_by_side([drawn, truth, _predicted_pose(forecast, number, skeleton, side)])


def _movie_of_poses(
    forecast: StoredForecast, skeleton: Skeleton, side: int
) -> Iterator[UInt8[np.ndarray, "h w 3"]]:
    for number in range(forecast.facts.num_past):
        seen = _past_pose(forecast, number, skeleton, side)
        yield side_by_side([seen, seen])
    for number in range(forecast.facts.steps):
        truth = _no_truth(side)
        if number < forecast.facts.num_truth:
            joints, visible = forecast.future_joints_px[number], forecast.future_visible[number]
            picture = pose_in_crop(joints, visible, forecast.crop, skeleton, side)
            truth = panel(picture, TRUTH, "truth")
        yield side_by_side([_predicted_pose(forecast, number, skeleton, side), truth])


def _past_pose(
    forecast: StoredForecast, number: int, skeleton: Skeleton, side: int
) -> UInt8[np.ndarray, "h w 3"]:
    joints, visible = forecast.past_joints_px[number], forecast.past_visible[number]
    return panel(pose_in_crop(joints, visible, forecast.crop, skeleton, side), SEEN, "pose seen")


def _predicted_pose(
    forecast: StoredForecast, number: int, skeleton: Skeleton, side: int
) -> UInt8[np.ndarray, "h w 3"]:
    joints, visible = forecast.predicted_joints_px[0, number], forecast.predicted_visible[number]
    picture = pose_in_crop(joints, visible, forecast.crop, skeleton, side)
    return panel(picture, PREDICTED, f"pose +{number + 1}")


def _no_truth(side: int) -> UInt8[np.ndarray, "h w 3"]:
    """What stands for the truth where the clip has ended."""
    return panel(plain((side, side), _NOTHING), TRUTH, "the clip has ended")
