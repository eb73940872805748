"""What came, what was forecast and the pose, side by side: as pictures, a movie and a player."""

import base64
import io
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from posecast.evaluation.comparison import frame_psnr
from posecast.forecasting.movies import TRUTH
from posecast.forecasting.own_pictures import View, future_frames
from posecast.forecasting.own_result import OwnForecast
from posecast.forecasting.own_truth import Truth, true_pictures
from posecast.geometry import Crop, cut_crop, px_to_crop
from posecast.media.pictures import PREDICTED, SEEN, panel, pose_in_crop, side_by_side
from posecast.media.videos import VideoSource
from posecast.report.players import Panel, Player, grid_of, pose_over_faint
from posecast.skeletons import Skeleton

_SIDE_PX = 256
_SEEN_FRAMES = 15
"""Seen frames that are shown before the forecast."""
_QUALITY = 80
_NAMES = {"pose": "forecast pose, the true one faint"}


@dataclass(frozen=True, eq=False)
class ComparedPictures:
    """Pictures of the person's crop, the seen frames first, as long as the video goes on."""

    panels: dict[str, UInt8[np.ndarray, "t h w 3"]]
    """truth, forecast (where frames were drawn) and pose."""
    num_seen: int
    psnr: tuple[list[float], list[float]] | None
    """Of the forecast frames and of the last frame; None without an image model."""


def compare_pictures(
    video: VideoSource, result: OwnForecast, truth: Truth, skeleton: Skeleton
) -> ComparedPictures:
    """Whole frames stream through and are measured; small ones are kept."""
    seen, crop, last = result.seen, result.forecast.crop, result.seen.pictures[-1]
    past = [_cut(each, crop) for each in seen.pictures[-_SEEN_FRAMES:]]
    poses = zip(seen.joints_px[-len(past) :], seen.visible[-len(past) :], strict=True)
    panels = {"truth": list(past), "forecast": list(past)}
    panels["pose"] = [pose_in_crop(*pose, crop, skeleton, _SIDE_PX) for pose in poses]
    psnr: tuple[list[float], list[float]] = ([], [])
    drawn = future_frames(result, View.of(seen.image_hw, 0), skeleton)
    pairs = zip(true_pictures(video, result), drawn, strict=False)  # the video may end before
    for number, (true, made) in enumerate(pairs):
        for values, other in zip(psnr, (made, last), strict=True):
            values.append(frame_psnr(true, other, crop))
        panels["truth"].append(_cut(true, crop))
        panels["forecast"].append(_cut(made, crop))
        panels["pose"].append(_pose(result, truth, number, skeleton))
    is_drawn = result.forecast.frames is not None
    kept = {name: np.stack(each) for name, each in panels.items() if is_drawn or name != "forecast"}
    return ComparedPictures(kept, len(past), psnr if is_drawn else None)


def _cut(picture: UInt8[np.ndarray, "h w 3"], crop: Crop) -> UInt8[np.ndarray, "h2 w2 3"]:
    return cut_crop(picture, crop, _SIDE_PX, "area")


def _pose(
    result: OwnForecast, truth: Truth, number: int, skeleton: Skeleton
) -> UInt8[np.ndarray, "h w 3"]:
    """The forecast pose over the true one."""
    crop, forecast = result.forecast.crop, result.forecast
    said = px_to_crop(forecast.joints_px[0, number], crop) * _SIDE_PX, forecast.visible[number]
    came = said[0], np.zeros_like(said[1])
    if number < len(truth.visible):
        came = px_to_crop(truth.joints_px[number], crop) * _SIDE_PX, truth.visible[number]
    return pose_over_faint(said, came, skeleton, (_SIDE_PX, _SIDE_PX))


def movie_of(pictures: ComparedPictures) -> Iterator[UInt8[np.ndarray, "h w 3"]]:
    """The panels side by side, each with a border and a caption."""
    for number, row in enumerate(zip(*pictures.panels.values(), strict=True)):
        ahead = number - pictures.num_seen + 1
        named = zip(pictures.panels, row, strict=True)
        yield side_by_side([_framed(name, picture, ahead) for name, picture in named])


def _framed(
    name: str, picture: UInt8[np.ndarray, "h w 3"], ahead: int
) -> UInt8[np.ndarray, "h2 w2 3"]:
    if ahead <= 0:
        return panel(picture, SEEN, "pose seen" if name == "pose" else "seen")
    return panel(picture, TRUTH if name == "truth" else PREDICTED, f"{name} +{ahead}")


def player_of(pictures: ComparedPictures, fps: float, title: str, subtitle: str) -> Player:
    """A player whose pictures are in the page itself."""
    panels = []
    for name, frames in pictures.panels.items():
        grid, rows = grid_of(frames)
        hw = (frames.shape[1], frames.shape[2])
        title_of = _NAMES.get(name, name)
        panels.append(Panel(title_of, (_address(grid),), len(frames), rows, hw, name == "truth"))
    count = panels[0].num_frames
    return Player(title, subtitle, pictures.num_seen, count, fps, tuple(panels))


def _address(picture: UInt8[np.ndarray, "h w 3"]) -> str:
    """A picture as an address that holds it whole."""
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, format="JPEG", quality=_QUALITY)
    return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}"
