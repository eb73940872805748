"""Forecast a video of one's own: poses, the seen frames, forecast, files."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from posecast.errors import PosecastError
from posecast.forecasting.forecaster import Forecaster, crop_of_joints
from posecast.forecasting.own_pictures import View, forecast_pictures, read_pictures
from posecast.forecasting.own_poses import (
    OwnVideoConfig,
    PoseSource,
    SeenPoses,
    choose_frames,
    find_poses,
)
from posecast.forecasting.own_result import OwnForecast, write_arrays
from posecast.media.videos import probe_video, write_gif, write_mp4

_SUFFIXES = (".mp4", ".gif")


def forecast_video(
    video: str | Path,
    forecaster: Forecaster,
    poses: PoseSource,
    out: str | Path | None = None,
    config: OwnVideoConfig | None = None,
    from_s: float | None = None,
    on_frame: Callable[[], None] = lambda: None,
) -> OwnForecast:
    """Forecast a video from its last well-seen stretch, or from a second of it on.

    Args:
        poses: an estimator that follows a person, or a file of keypoints of this video.
        out: video to write, .mp4 or .gif; its joints go beside it as .npz. None writes nothing.
        from_s: forecast from this second on; what is shown later is not looked at.
        on_frame: called after each frame of the estimation, for a progress bar.

    Raises:
        PosecastError: no video, a damaged one, nobody in it, too short, not well seen, or poses and
            models of different skeletons.
    """
    video, config = Path(video), config or OwnVideoConfig()
    if out is not None and Path(out).suffix.lower() not in _SUFFIXES:
        raise PosecastError(f"{out}: the forecast is written as {' or '.join(_SUFFIXES)}")
    probe_video(video)
    seen = find_poses(video, poses, forecaster.skeleton, config, from_s, on_frame)
    frames = choose_frames(seen, forecaster, config, str(video), from_s)
    view = View.of(seen.image_hw, config.view_height)
    pictures, last = read_pictures(video, frames, config.fps, view)
    result = _forecast(seen, frames, last, forecaster, config)
    if out is not None:
        # The video last: where it is, all is.
        write_arrays(Path(out).with_suffix(".npz"), result, forecaster.skeleton)
        write = write_gif if Path(out).suffix.lower() == ".gif" else write_mp4
        movie = forecast_pictures(result, pictures, view, forecaster.skeleton)
        write(out, movie, result.fps / result.stride)
    return result


def _forecast(
    seen: SeenPoses,
    frames: tuple[int, ...],
    last_picture: UInt8[np.ndarray, "h w 3"],
    forecaster: Forecaster,
    config: OwnVideoConfig,
) -> OwnForecast:
    chosen = list(frames)
    joints, visible = seen.joints_px[chosen], seen.visible[chosen]
    span = range(frames[0], frames[-1] + 1)
    # Of the pictures only the last is looked at.
    forecast = forecaster.predict(
        [last_picture] * len(span), seen.joints_px[span], seen.visible[span], config.steps
    )
    return OwnForecast(
        forecast=forecast,
        crop=crop_of_joints(joints, visible, seen.image_hw),
        past_frames=frames,
        past_joints_px=joints,
        past_visible=visible,
        image_hw=seen.image_hw,
        fps=config.fps,
        stride=forecaster.stride,
        lost=tuple(span for span in seen.lost if span[0] <= frames[-1]),
    )
