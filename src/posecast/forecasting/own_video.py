"""Forecast a video of one's own: poses, the seen frames, forecast, files."""

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from posecast.errors import PosecastError
from posecast.forecasting.forecaster import Forecaster
from posecast.forecasting.frame_rates import USUAL_FPS, FrameRates
from posecast.forecasting.own_people import tell_of_people
from posecast.forecasting.own_pictures import View, read_pictures, video_goes_on, with_poses
from posecast.forecasting.own_poses import (
    OwnVideoConfig,
    PoseSource,
    choose_frames,
    find_poses,
)
from posecast.forecasting.own_result import OwnForecast, arrays_writer
from posecast.forecasting.protocols import MOST_PICTURES
from posecast.media.frame_folders import FrameFolder
from posecast.media.sound import add_sound
from posecast.media.videos import VideoSource, gif_writer, mp4_writer, probe_video
from posecast.records.files import write_together

_SUFFIXES = (".mp4", ".gif")


def forecast_video(
    video: VideoSource,
    forecaster: Forecaster,
    poses: PoseSource,
    out: str | Path | None = None,
    config: OwnVideoConfig | None = None,
    from_s: float | None = None,
    on_frame: Callable[[], None] = lambda: None,
) -> OwnForecast:
    """Forecast a video from its last well-seen stretch, or from a second of it on.

    Args:
        video: a video file, or a folder of frames (at `config.folder_fps`).
        poses: an estimator that follows a person, or a file of keypoints of this video.
        out: video to write, .mp4 or .gif; its joints go beside it as .npz, and a numbered picture
            of the people where there are several. None writes nothing.
        from_s: forecast from this second on; what is shown later is not looked at.
        on_frame: called after each frame of the estimation, for a progress bar.

    Raises:
        PosecastError: no video, a damaged one, nobody in it, too short, not well seen, or poses and
            models of different skeletons.
    """
    config = config or OwnVideoConfig()
    video = video_source(video, forecaster, config)
    if out is not None:
        _check_out(Path(out), video)
    rates = FrameRates.of_video(probe_video(video).fps, forecaster.needs, config.fps)
    config = replace(config, fps=rates.video)
    found = find_poses(video, poses, forecaster.skeleton, config, from_s, on_frame)
    frames = choose_frames(found.seen, forecaster.needs, rates, config, str(video), from_s)
    view = View.of(found.seen.image_hw, config.view_height)
    pictures = read_pictures(video, frames, config.fps)
    kept = np.stack(deque(pictures, maxlen=MOST_PICTURES))
    seen = found.seen.take(frames, config.fps, kept)
    people = tell_of_people(found.people, Path(out) if out else None, forecaster.skeleton)
    notes = (rates.describe(), found.note, people)
    result = OwnForecast(
        seen=seen,
        forecast=forecaster.forecast_video(seen, rates, config.steps, config.samples),
        past_frames=frames,
        fps=config.fps,
        lost=tuple(span for span in found.lost if span[0] <= frames[-1]),
        note="\n".join(note for note in notes if note),
    )
    if out is not None:
        movie = video_goes_on(video, result, view)
        if config.panels:
            movie = with_poses(video, result, view, forecaster.skeleton)
        files = {
            Path(out).with_suffix(".npz"): arrays_writer(result, forecaster.skeleton),
            # The video last: where it is, all is.
            Path(out): _writer(Path(out), movie, result, None if config.panels else video),
        }
        write_together(files)
    return result


def video_source(
    video: VideoSource, forecaster: Forecaster, config: OwnVideoConfig
) -> Path | FrameFolder:
    """The video; a folder of frames at `config.folder_fps`, else at the pose model's rate."""
    if isinstance(video, FrameFolder) or not Path(video).is_dir():
        return video if isinstance(video, FrameFolder) else Path(video)
    return FrameFolder(Path(video), config.folder_fps or forecaster.needs.fps or USUAL_FPS)


def _writer(
    out: Path,
    movie: Iterator[UInt8[np.ndarray, "h w 3"]],
    result: OwnForecast,
    heard: Path | FrameFolder | None,
) -> Callable[[Path], None]:
    """What fills the file of the movie, with the sound of the seen part where there is some."""
    if out.suffix.lower() == ".gif":
        return gif_writer(out, movie, result.forecast.fps)
    write = mp4_writer(out, movie, result.forecast.fps)

    def write_with_sound(path: Path) -> None:
        write(path)
        if isinstance(heard, Path):
            add_sound(path, heard, result.seen_to_s + 1 / result.fps)

    return write_with_sound


def _check_out(out: Path, video: Path | FrameFolder) -> None:
    if out.suffix.lower() not in _SUFFIXES:
        raise PosecastError(f"{out}: the forecast is written as {' or '.join(_SUFFIXES)}")
    if out.exists() and isinstance(video, Path) and video.exists() and out.samefile(video):
        raise PosecastError(f"{out} is the video to forecast: give another name with --out")
