"""The files of a forecast of one's own video, each by what fills it."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from posecast.computing.ahead import ahead
from posecast.computing.stages import Stages
from posecast.errors import PosecastError
from posecast.keypoints.opening import files_read
from posecast.media.frame_folders import (
    PICTURE_SUFFIXES,
    VIDEO_SUFFIXES,
    FrameFolder,
    files_of_kind,
    made_of,
)
from posecast.media.sound import add_sound
from posecast.media.writing import gif_writer, mp4_writer
from posecast.own_video.exports import ENDINGS, load_rerun, pose_writer, rerun_writer
from posecast.own_video.people import draw_people, people_path
from posecast.own_video.pictures import (
    View,
    future_frames,
    futures_side_by_side,
    read_pictures,
    video_goes_on,
    with_poses,
)
from posecast.own_video.poses import KeypointFile, OwnVideoConfig, PoseSource
from posecast.own_video.result import OwnForecast, arrays_writer
from posecast.records.files import Write, check_place, refuse_to_replace

MOVIES = (".mp4", ".gif")
"""Endings of the videos that are written."""
_NAMED = 3


def videos_of(folder: Path) -> tuple[list[Path], str]:
    """The videos of a folder, or itself where it holds more pictures than videos: the frames of
    one; and what was taken where it holds something else, too, for people."""
    videos, pictures = (files_of_kind(folder, kind) for kind in (VIDEO_SUFFIXES, PICTURE_SUFFIXES))
    made = made_of(videos, pictures)
    videos, pictures = ([x for x in files if x not in made] for files in (videos, pictures))
    are_frames = len(pictures) > len(videos) or not videos
    many = len(pictures if are_frames else videos)
    taken = "pictures are taken, as frames of one video" if are_frames else "videos are taken"
    passed = sorted([*(videos if are_frames else pictures), *made])
    names = ", ".join(file.name for file in passed[:_NAMED])
    more = f" and {len(passed) - _NAMED} more" if len(passed) > _NAMED else ""
    note = f"{folder}: {taken} ({many}), passed over: {names}{more}"
    return [folder] if are_frames else videos, note if passed else ""


def check_out(
    out: Path, video: Path | FrameFolder, poses: PoseSource, config: OwnVideoConfig
) -> None:
    """PosecastError where the forecast cannot be written under this name, or as is asked for."""
    if out.suffix.lower() not in MOVIES:
        raise PosecastError(f"{out}: the forecast is written as {' or '.join(MOVIES)}")
    check_place(out)
    endings = (out.suffix, *(ENDINGS[kind] for kind in config.export))
    names = [_numbered(out, number, "") for number in range(config.futures + 1)]
    written = [name.with_name(name.name + ending) for name in names for ending in endings]
    _check_read(written, video, poses)
    if config.rrd:
        load_rerun()


def check_people(
    out: Path,
    video: Path | FrameFolder,
    poses: PoseSource,
    config: OwnVideoConfig,
    others: Sequence[int],
    are_numbered: bool,
) -> None:
    """As `check_out`, of what is written where there are several people, when it is known who the
    others are that go on, and whether a picture numbers them."""
    endings = [ENDINGS[kind] for kind in config.export]
    written = [_of_person(out, number, ending) for number in others for ending in endings]
    _check_read([*written, *([people_path(out)] if are_numbered else [])], video, poses)


def _check_read(written: Sequence[Path], video: Path | FrameFolder, poses: PoseSource) -> None:
    """PosecastError where what is read would be written over."""
    for read in video.pictures() if isinstance(video, FrameFolder) else (video,):
        refuse_to_replace(read, written, "the video to forecast")
    for read in files_read(poses.path) if isinstance(poses, KeypointFile) else ():
        refuse_to_replace(read, written, "the file of its poses")


def forecast_files(
    result: OwnForecast, out: Path, config: OwnVideoConfig, stages: Stages
) -> dict[Path, Write]:
    """What is written beside OUT, and OUT last: where it is, all is."""
    files = person_files(result, out, config)
    for other in result.others:
        files |= person_files(other, out_of(other, out), config)
    if result.people is not None:
        people = Image.fromarray(draw_people(result.people, result.skeleton))
        files[people_path(out)] = lambda partial: people.save(partial, format="PNG")
    if config.rrd:
        files[out.with_suffix(".rrd")] = rerun_writer(result, _all_pictures(result, stages))
    return files | {
        path: _movie_writer(path, stages.steps(ahead(movie)), result, config.panels)
        for path, movie in _movies(result, out, config).items()
    }


def _numbered(out: Path, number: int, ending: str) -> Path:
    """NAME-2.mp4 and so on; 0: NAME.mp4."""
    return out.with_name(f"{out.stem}{f'-{number}' * (number > 0)}{ending}")


def out_of(other: OwnForecast, out: Path) -> Path:
    """What the files of another person than the one who is asked for are named after."""
    return _of_person(out, other.person, out.suffix)


def _of_person(out: Path, person: int, ending: str) -> Path:
    return out.with_name(f"{out.stem}-person-{person}{ending}")


def person_files(result: OwnForecast, out: Path, config: OwnVideoConfig) -> dict[Path, Write]:
    """NAME.npz, NAME.csv and so on, of several futures NAME-1.csv, NAME-2.csv ..."""
    count = len(result.forecast.weights)
    files: dict[Path, Write] = {out.with_suffix(".npz"): arrays_writer(result, config.keep_frames)}
    for kind in config.export:
        for sample in range(count):
            path = _numbered(out, sample + 1 if count > 1 else 0, ENDINGS[kind])
            files[path] = pose_writer(kind, path.name, result, sample)
    return files


def _all_pictures(result: OwnForecast, stages: Stages) -> Iterator[UInt8[np.ndarray, "h w 3"]]:
    """The video as it was looked at up to the last seen frame, at `fps`, then the likeliest
    future."""
    frames = tuple(range(result.first, result.past_frames[-1] + 1))
    seen = read_pictures(result.video, frames, result.fps)
    yield from stages.each("reading", seen)
    yield from future_frames(result, View.of(result.seen.image_hw, 0))


def _movies(
    result: OwnForecast, out: Path, config: OwnVideoConfig
) -> dict[Path, Iterator[UInt8[np.ndarray, "h w 3"]]]:
    """Pictures of each video that is written."""
    hw, count = result.seen.image_hw, len(result.forecast.joints_px)
    view = View.of(hw, config.view_height)
    if config.panels:
        return {out: with_poses(result, view)}
    if count == 1:
        return {out: video_goes_on(result, view)}
    if config.separate:
        paths = (_numbered(out, n + 1, out.suffix) for n in range(count))
        return {path: video_goes_on(result, view, n) for n, path in enumerate(paths)}
    return {out: futures_side_by_side(result, View.of_grid(hw, config.view_height, count))}


def _movie_writer(
    out: Path, movie: Iterator[UInt8[np.ndarray, "h w 3"]], result: OwnForecast, panels: bool
) -> Write:
    """What fills the file of the movie; where it is the video that goes on, with the sound of the
    seen part if there is some."""
    fps, video = result.fps if panels else result.shown_fps, result.video
    if out.suffix.lower() == ".gif":
        return gif_writer(out, movie, fps)
    write = mp4_writer(out, movie, fps)

    def write_with_sound(path: Path) -> None:
        write(path)
        if isinstance(video, Path) and not panels:
            add_sound(path, video, result.seen_to_s + 1 / result.fps, result.shown_from_s)

    return write_with_sound
