"""The pictures of a forecast of one's own video: its frames go on in its own size and rate, or
whole frames with the skeleton beside them."""

import dataclasses
import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from posecast.errors import PosecastError
from posecast.forecasting.own_result import OwnForecast
from posecast.geometry import Crop, cut_crop
from posecast.media.pictures import PREDICTED, SEEN, panel, pose_in_crop, side_by_side
from posecast.media.videos import VideoSource, read_video
from posecast.skeletons import Skeleton

_FEATHER = 0.06
"""Width of the border that blends into the frame, as a share of the crop."""


@dataclass(frozen=True)
class View:
    """Size of the pictures that are shown."""

    hw: tuple[int, int]
    scale: float

    @classmethod
    def of(cls, image_hw: tuple[int, int], height: int) -> "View":
        """Of this height, but no larger than the video; 0 is the video's own size."""
        scale = min(1.0, height / image_hw[0]) if height else 1.0
        return cls((max(round(image_hw[0] * scale), 2), max(round(image_hw[1] * scale), 2)), scale)

    def resize(self, picture: UInt8[np.ndarray, "h w 3"]) -> UInt8[np.ndarray, "h2 w2 3"]:
        """Scale a frame of the video to it."""
        if picture.shape[:2] == self.hw:
            return picture
        return cv2.resize(picture, self.hw[::-1], interpolation=cv2.INTER_AREA)


def read_pictures(
    video: VideoSource, frames: tuple[int, ...], fps: float
) -> Iterator[UInt8[np.ndarray, "h w 3"]]:
    """These frames of the video, streaming; PosecastError where it has them no more."""
    wanted, count = set(frames), 0
    for number, picture in enumerate(itertools.islice(read_video(video, fps), frames[-1] + 1)):
        if number in wanted:
            count += 1
            yield picture
    if count != len(frames):
        raise PosecastError(f"{video}: changed while it was read")


def paste(
    picture: UInt8[np.ndarray, "h w 3"],
    patch: UInt8[np.ndarray, "a b 3"],
    crop: Crop,
    still: UInt8[np.ndarray, "a b 3"] | None = None,
) -> UInt8[np.ndarray, "h w 3"]:
    """The picture with the patch, scaled to the crop, in the crop's place.

    Where the patch is as in `still`, the crop of the picture itself as it was given to the drawer,
    the picture stays as it is to the bit. The patch's border blends into the picture, except where
    the crop ends at the picture's edge or beyond it.
    """
    height, width = picture.shape[:2]
    rows = slice(max(crop.y1, 0), min(crop.y2, height))
    columns = slice(max(crop.x1, 0), min(crop.x2, width))
    inside = (
        slice(rows.start - crop.y1, rows.stop - crop.y1),
        slice(columns.start - crop.x1, columns.stop - crop.x1),
    )
    down, across = _ramp(crop.y1, crop.y2, height), _ramp(crop.x1, crop.x2, width)
    share = np.minimum(down[:, None], across[None])
    if still is not None:
        changed = np.any(patch != still, axis=-1).astype(np.float32)
        share = share * _scaled(changed, crop, cv2.INTER_LINEAR)[inside]
    result = picture.copy()
    ground = result[rows, columns]
    step = _scaled(patch, crop, cv2.INTER_CUBIC)[inside].astype(np.float32) - ground
    result[rows, columns] = (ground + share[..., None] * step).round()
    return result


def _scaled(patch: np.ndarray, crop: Crop, enlarging: int) -> np.ndarray:
    """The patch in the crop's size; where that is smaller its pixels are averaged."""
    how = cv2.INTER_AREA if crop.width < patch.shape[1] else enlarging
    return cv2.resize(patch, (crop.width, crop.height), interpolation=how)


def _ramp(start: int, stop: int, length: int) -> Float[np.ndarray, " n"]:
    """Weights of the patch along one axis, for those pixels that are in the picture."""
    places = np.arange(max(start, 0), min(stop, length)) + 0.5
    border = max(_FEATHER * (stop - start), 1.0)
    weights = np.ones(len(places), np.float32)
    if start > 0:
        weights = np.minimum(weights, (places - start) / border)
    if stop < length:
        weights = np.minimum(weights, (stop - places) / border)
    return weights.astype(np.float32)


def video_goes_on(
    video: VideoSource, result: OwnForecast, view: View, sample: int = 0
) -> Iterator[UInt8[np.ndarray, "h w 3"]]:
    """The video up to the last seen frame, at the forecast's rate, and one of its futures."""
    fps = result.forecast.fps
    num_seen = round(result.seen_to_s * fps) + 1
    for picture in itertools.islice(read_video(video, fps), num_seen):
        yield view.resize(picture)
    yield from future_frames(result, view, sample)


def future_frames(
    result: OwnForecast, view: View, sample: int = 0
) -> Iterator[UInt8[np.ndarray, "h w 3"]]:
    """Whole frames of one future; without an image model the last seen frame, again and again."""
    forecast, last = result.forecast, result.seen.pictures[-1]
    picture, crop = view.resize(last), _scaled_crop(forecast.crop, view.scale)
    if forecast.frames is None:
        yield from itertools.repeat(picture, len(forecast.visible))
        return
    still = cut_crop(last, forecast.crop, forecast.frames.shape[2], "area")
    for patch in forecast.frames[sample]:
        yield paste(picture, patch, crop, still)


def with_poses(
    video: VideoSource, result: OwnForecast, view: View, skeleton: Skeleton
) -> Iterator[UInt8[np.ndarray, "h2 w2 3"]]:
    """Seen frames, then those of the likeliest future, each with its pose beside it."""
    seen, forecast = result.seen, result.forecast
    pictures = read_pictures(video, result.past_frames, result.fps)
    for picture, joints, visible in zip(pictures, seen.joints_px, seen.visible, strict=True):
        shown = view.resize(picture)
        pose = pose_in_crop(joints, visible, forecast.crop, skeleton, view.hw[0])
        yield side_by_side([panel(shown, SEEN, "seen"), panel(pose, SEEN, "pose seen")])
    frames = zip(future_frames(result, view), forecast.joints_px[0], forecast.visible, strict=True)
    for number, (picture, joints, visible) in enumerate(frames, start=1):
        pose = pose_in_crop(joints, visible, forecast.crop, skeleton, view.hw[0])
        panels = (picture, f"forecast +{number}"), (pose, f"pose +{number}")
        yield side_by_side([panel(each, PREDICTED, text) for each, text in panels])


def _scaled_crop(crop: Crop, scale: float) -> Crop:
    x1, y1, x2, y2 = (round(edge * scale) for edge in dataclasses.astuple(crop))
    return Crop(x1, y1, max(x2, x1 + 1), max(y2, y1 + 1))
