"""Forecast a video of one's own: poses, the seen frames, forecast, files."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from posecast.errors import PosecastError
from posecast.forecasting.forecaster import Forecaster
from posecast.forecasting.frame_rates import FrameRates
from posecast.forecasting.own_pictures import View, read_pictures, video_goes_on, with_poses
from posecast.forecasting.own_poses import (
    OwnVideoConfig,
    PoseSource,
    choose_frames,
    find_poses,
)
from posecast.forecasting.own_result import OwnForecast, write_arrays
from posecast.media.sound import add_sound
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
    rates = FrameRates.of_video(probe_video(video).fps, forecaster.needs, config.fps)
    config = replace(config, fps=rates.video)
    found = find_poses(video, poses, forecaster.skeleton, config, from_s, on_frame)
    frames = choose_frames(found.seen, forecaster.needs, rates, config, str(video), from_s)
    view = View.of(found.seen.image_hw, config.view_height)
    shown, pictures = read_pictures(video, frames, config.fps, view)
    seen = found.seen.take(frames, config.fps, pictures)
    result = OwnForecast(
        seen=seen,
        forecast=forecaster.forecast_video(seen, rates, config.steps, config.samples),
        past_frames=frames,
        fps=config.fps,
        lost=tuple(span for span in found.lost if span[0] <= frames[-1]),
        note=rates.describe(),
    )
    if out is not None:
        # The video last: where it is, all is.
        write_arrays(Path(out).with_suffix(".npz"), result, forecaster.skeleton)
        if config.panels:
            _write(Path(out), with_poses(result, shown, view, forecaster.skeleton), result)
        else:
            _write(Path(out), video_goes_on(video, result, view), result)
            if Path(out).suffix.lower() == ".mp4":
                add_sound(Path(out), video, result.seen_to_s + 1 / result.fps)
    return result


def _write(out: Path, movie: Iterator[UInt8[np.ndarray, "h w 3"]], result: OwnForecast) -> None:
    write = write_gif if out.suffix.lower() == ".gif" else write_mp4
    write(out, movie, result.forecast.fps)
