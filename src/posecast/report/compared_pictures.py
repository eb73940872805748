"""What came, what was forecast and the pose, side by side: as pictures, a movie and a player."""

import base64
import io
import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from posecast.evaluation.comparison import frame_psnr
from posecast.forecasting.movies import TRUTH
from posecast.geometry import Crop, cut_crop, px_to_crop
from posecast.media.pictures import GROUND, PREDICTED, SEEN, panel, side_by_side
from posecast.own_video.pictures import View, future_frames, poses_alone
from posecast.own_video.result import OwnForecast
from posecast.own_video.truth import Truth, true_pictures
from posecast.report.clip_errors import ErrorChart
from posecast.report.players import Panel, Player, grid_of, pose_over_faint

_SIDE_PX = 256
_SEEN_FRAMES = 15
"""Seen frames that are shown before the forecast."""
_QUALITY = 80
_NAMES = {"pose": "forecast pose, the true one faint"}


@dataclass(frozen=True, eq=False)
class ComparedPictures:
    """Pictures of the people's crop, the seen frames first, as long as the video goes on."""

    panels: dict[str, list[UInt8[np.ndarray, "t h w 3"]]]
    """truth (where there is one), forecast (where frames were drawn) and pose: of each future."""
    num_seen: int
    psnr: tuple[list[float], list[float]] | None
    """Of the likeliest forecast's frames and of the last frame; None without an image model, or
    without truth."""


def compare_pictures(result: OwnForecast, truth: Truth | None) -> ComparedPictures:
    """Whole frames stream through and are measured; small ones are kept.

    Without truth the pictures of the forecast alone, all of them.
    """
    seen, crop, last = result.seen, result.crop, result.seen.pictures[-1]
    past = [_cut(each, crop) for each in seen.pictures[-_SEEN_FRAMES:]]
    poses = [poses_alone(result, number, _SIDE_PX) for number in range(-len(past), 0)]
    frames, count = result.forecast.frames, len(result.forecast.joints_px)
    num_drawn = 0 if frames is None else len(frames)
    panels = {
        "truth": [] if truth is None else [list(past)],
        "forecast": [list(past) for _ in range(num_drawn)],
        "pose": [list(poses) for _ in range(count)],
    }
    psnr: tuple[list[float], list[float]] = ([], [])
    view = View.of(seen.image_hw, 0)
    drawn = zip(*(future_frames(result, view, n) for n in range(max(num_drawn, 1))), strict=True)
    came = itertools.repeat(None) if truth is None else true_pictures(result, truth)
    for number, (true, made) in enumerate(zip(came, drawn, strict=False)):  # it may end before
        if true is not None:
            for values, other in zip(psnr, (made[0], last), strict=True):
                values.append(frame_psnr(true, other, crop))
            panels["truth"][0].append(_cut(true, crop))
        for future, picture in zip(panels["forecast"], made, strict=False):
            future.append(_cut(picture, crop))
        for sample, future in enumerate(panels["pose"]):
            future.append(_pose(result, truth, sample, number))
    kept = {name: [np.stack(each) for each in made] for name, made in panels.items() if made}
    return ComparedPictures(kept, len(past), psnr if num_drawn and truth is not None else None)


def _cut(picture: UInt8[np.ndarray, "h w 3"], crop: Crop) -> UInt8[np.ndarray, "h2 w2 3"]:
    """The crop, plain where it reaches beyond the picture."""
    cut = cut_crop(picture, crop, _SIDE_PX, "area")
    places = (np.arange(_SIDE_PX) + 0.5) / _SIDE_PX
    height, width = picture.shape[:2]
    down, across = crop.y1 + places * crop.height, crop.x1 + places * crop.width
    cut[(down < 0) | (down > height)] = GROUND
    cut[:, (across < 0) | (across > width)] = GROUND
    return cut


def _pose(
    result: OwnForecast, truth: Truth | None, sample: int, number: int
) -> UInt8[np.ndarray, "h w 3"]:
    """The forecast pose over the true one; everybody's where there is no truth."""
    if truth is None:
        return poses_alone(result, number, _SIDE_PX, sample)
    crop, forecast = result.crop, result.forecast
    said = px_to_crop(forecast.joints_px[sample, number], crop) * _SIDE_PX, forecast.visible[number]
    came = said[0], np.zeros_like(said[1])
    if number < len(truth.visible):
        came = px_to_crop(truth.joints_px[number], crop) * _SIDE_PX, truth.visible[number]
    return pose_over_faint(said, came, result.skeleton, (_SIDE_PX, _SIDE_PX))


def movie_of(pictures: ComparedPictures) -> Iterator[UInt8[np.ndarray, "h w 3"]]:
    """The panels of the likeliest future side by side, each with a border and a caption."""
    likeliest = [futures[0] for futures in pictures.panels.values()]
    for number, row in enumerate(zip(*likeliest, strict=True)):
        ahead = number - pictures.num_seen + 1
        named = zip(pictures.panels, row, strict=True)
        yield side_by_side([_framed(name, picture, ahead) for name, picture in named])


def _framed(
    name: str, picture: UInt8[np.ndarray, "h w 3"], ahead: int
) -> UInt8[np.ndarray, "h2 w2 3"]:
    if ahead <= 0:
        return panel(picture, SEEN, "pose seen" if name == "pose" else "seen")
    return panel(picture, TRUTH if name == "truth" else PREDICTED, f"{name} +{ahead}")


def player_of(
    pictures: ComparedPictures, fps: float, title: str, subtitle: str, error: ErrorChart | None
) -> Player:
    """A player whose pictures are in the page itself."""
    panels = []
    for name, futures in pictures.panels.items():
        called = "forecast pose" if name == "pose" and "truth" not in pictures.panels else name
        files = tuple(_address(grid_of(frames)) for frames in futures)
        length, *hw = futures[0].shape[:3]
        panels.append(
            Panel(_NAMES.get(called, called), files, length, (hw[0], hw[1]), name == "truth")
        )
    count = panels[0].num_frames
    return Player(title, subtitle, pictures.num_seen, count, fps, tuple(panels), error=error)


def _address(picture: UInt8[np.ndarray, "h w 3"]) -> str:
    """A picture as an address that holds it whole."""
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, format="JPEG", quality=_QUALITY)
    return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}"
