"""Movies of a forecast, to look at: what was forecast, what came, and the pose, side by side."""

from collections.abc import Iterator

import numpy as np
from jaxtyping import UInt8

from posecast.forecasting.forecast_files import StoredForecast
from posecast.media import pictures
from posecast.skeletons import Skeleton

TRUTH: pictures.Colour = (110, 115, 125)
"""Border of what really came."""

_NOTHING: pictures.Colour = (90, 92, 98)
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
    side, num_past = _POSE_PX * (scale or 2), forecast.facts.num_past
    if frames is not None:
        scale = scale or max(1, round(_PANEL_PX / frames.shape[1]))
        side = frames.shape[1] * scale
    true_joints = np.concatenate([forecast.past_joints_px, forecast.future_joints_px])
    true_visible = np.concatenate([forecast.past_visible, forecast.future_visible])

    def pose(joints_px: np.ndarray, visible: np.ndarray) -> UInt8[np.ndarray, "h w 3"]:
        return pictures.pose_in_crop(joints_px, visible, forecast.crop, skeleton, side)

    def true(number: int) -> UInt8[np.ndarray, "h w 3"]:
        if frames is None or true_frames is None:
            return pose(true_joints[number], true_visible[number])
        return pictures.enlarge(true_frames[number], scale)

    for number in range(num_past):
        posed = pictures.panel(
            pose(true_joints[number], true_visible[number]), pictures.SEEN, "pose seen"
        )
        seen = posed if frames is None else pictures.panel(true(number), pictures.SEEN, "seen")
        yield pictures.side_by_side([seen, seen] if frames is None else [seen, seen, posed])
    for number, joints in enumerate(forecast.predicted_joints_px[0]):
        visible, ahead = forecast.predicted_visible[number], f"+{number + 1}"
        posed = pictures.panel(pose(joints, visible), pictures.PREDICTED, f"pose {ahead}")
        truth = pictures.panel(pictures.plain((side, side), _NOTHING), TRUTH, "the clip has ended")
        if number < forecast.facts.num_truth:
            truth = pictures.panel(true(num_past + number), TRUTH, "truth")
        if frames is None:
            yield pictures.side_by_side([posed, truth])
        else:
            drawn = pictures.panel(
                pictures.enlarge(frames[number], scale), pictures.PREDICTED, f"forecast {ahead}"
            )
            yield pictures.side_by_side([drawn, truth, posed])
