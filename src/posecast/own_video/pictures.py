"""The pictures of a forecast of one's own video: its frames go on in its own size and rate, in
several futures side by side, or whole frames with the skeleton beside them."""

import dataclasses
import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from posecast.errors import PosecastError
from posecast.geometry import Crop, cut_crop, px_to_crop
from posecast.media.pictures import (
    GROUND,
    PREDICTED,
    SEEN,
    contact_sheet,
    draw_pose,
    panel,
    plain,
    side_by_side,
)
from posecast.media.videos import VideoSource, read_video
from posecast.own_video.result import OwnForecast

_FEATHER = 0.06
"""Width of the border that blends into the frame, as a share of the crop."""
_LIMB = 0.18
"""Width of what is near to a limb, as a share of the body."""
_LONGEST_GRID_PX = 1920


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

    @classmethod
    def of_grid(cls, image_hw: tuple[int, int], height: int, count: int) -> "View":
        """Of each of several pictures in a grid: of this height; 0: so that the grid is no larger
        than a usual screen."""
        columns = _columns(count)
        whole = max(image_hw[1] * columns, image_hw[0] * math.ceil(count / columns))
        fitting = math.floor(image_hw[0] * min(1.0, _LONGEST_GRID_PX / whole))
        return cls.of(image_hw, height or fitting)

    def resize(self, picture: UInt8[np.ndarray, "h w 3"]) -> UInt8[np.ndarray, "h2 w2 3"]:
        if picture.shape[:2] == self.hw:
            return picture
        return cv2.resize(picture, self.hw[::-1], interpolation=cv2.INTER_AREA)


def read_pictures(
    video: VideoSource, frames: tuple[int, ...], fps: float
) -> Iterator[UInt8[np.ndarray, "h w 3"]]:
    """These frames of the video, streaming; PosecastError where it has them no more."""
    wanted, count, first = set(frames), 0, frames[0]
    pictures = itertools.islice(read_video(video, fps, first=first), frames[-1] + 1 - first)
    for number, picture in enumerate(pictures, start=first):
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
    near: Float[np.ndarray, "a b"] | None = None,
) -> UInt8[np.ndarray, "h w 3"]:
    """The picture with the patch, scaled to the crop, in the crop's place; `near` are shares of it.

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
        changed = changed if near is None else changed * near
        share = share * _scaled(changed, crop, cv2.INTER_LINEAR)[inside]
    result = picture.copy()
    x, y, width, height = cv2.boundingRect((share > 0).astype(np.uint8))
    if not width:
        return result
    part = slice(y, y + height), slice(x, x + width)
    ground = result[rows, columns][part]
    step = cv2.subtract(
        _scaled(patch, crop, cv2.INTER_CUBIC)[inside][part], ground, dtype=cv2.CV_32F
    )
    ground[:] = (ground + cv2.merge([share[part]] * 3) * step).round()
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


def _seen_frames(result: OwnForecast, view: View) -> Iterator[UInt8[np.ndarray, "h w 3"]]:
    """The video at its own rate, from where it was looked at up to the last seen frame."""
    first, last = (round(s * result.shown_fps) for s in (result.shown_from_s, result.seen_to_s))
    frames = read_video(result.video, result.shown_fps, first=first)
    pictures = itertools.islice(frames, last + 1 - first)
    return (view.resize(picture) for picture in pictures)


def video_goes_on(
    result: OwnForecast, view: View, sample: int = 0
) -> Iterator[UInt8[np.ndarray, "h w 3"]]:
    """The video up to the last seen frame and one of its futures, at the video's rate."""
    yield from _seen_frames(result, view)
    for picture in future_frames(result, view, sample):
        yield from itertools.repeat(picture, result.repeats)


def futures_side_by_side(result: OwnForecast, view: View) -> Iterator[UInt8[np.ndarray, "h2 w2 3"]]:
    """As `video_goes_on`, all futures in a grid, each with its probability; green borders: seen,
    red: forecast."""
    weights = result.forecast.weights
    columns, strip = _columns(len(weights)), max(view.hw[0] // 14, 16)
    for picture in _seen_frames(result, view):
        shown = panel(picture, SEEN, "seen", strip)
        yield contact_sheet([shown] * len(weights), columns)
    texts = [f"future {n}: {100 * weight:.0f} %" for n, weight in enumerate(weights, start=1)]
    futures = (future_frames(result, view, sample) for sample in range(len(weights)))
    for pictures in zip(*futures, strict=True):
        labelled = zip(pictures, texts, strict=True)
        panels = [panel(picture, PREDICTED, text, strip) for picture, text in labelled]
        yield from itertools.repeat(contact_sheet(panels, columns), result.repeats)


def _columns(count: int) -> int:
    return math.ceil(math.sqrt(count))


def future_frames(
    result: OwnForecast, view: View, sample: int = 0
) -> Iterator[UInt8[np.ndarray, "h w 3"]]:
    """Whole frames of one future; without an image model its poses on the last seen frame. Of
    several people those who stand lower in the picture, so nearer, come last; nobody is hidden by
    the room where another stood."""
    picture = view.resize(result.seen.pictures[-1])
    people = [_Drawn.of(each, view, sample) for each in sorted((result, *result.others), key=_foot)]
    meet = [each for each in people if each.meets(people)]
    for number in range(len(result.forecast.visible)):
        shown = picture
        for person in people:
            shown = person.onto(shown, number)
        for person in meet:
            shown = person.onto(shown, number, itself=True)
        yield shown


def _foot(result: OwnForecast) -> float:
    """How low in the picture the person was last, in pixels."""
    return float(result.seen.joints_px[-1, result.seen.visible[-1], 1].max())


@dataclass(frozen=True, eq=False)
class _Drawn:
    """One person's future, on its way onto pictures of a view."""

    result: OwnForecast
    view: View
    sample: int
    crop: Crop
    still: UInt8[np.ndarray, "a b 3"] | None
    """The crop in the last seen frame; None without an image model."""

    @classmethod
    def of(cls, result: OwnForecast, view: View, sample: int) -> "_Drawn":
        crop, frames, still = result.forecast.crop, result.forecast.frames, None
        if frames is not None:
            still = cut_crop(result.seen.pictures[-1], crop, frames.shape[2], "area")
        return cls(result, view, sample, _scaled_crop(crop, view.scale), still)

    def meets(self, people: Sequence["_Drawn"]) -> bool:
        """Whether another is drawn in the same part of the picture."""
        mine = self.crop
        return self.still is not None and any(
            max(mine.x1, each.crop.x1) < min(mine.x2, each.crop.x2)
            and max(mine.y1, each.crop.y1) < min(mine.y2, each.crop.y2)
            for each in people
            if each is not self
        )

    def onto(
        self, picture: UInt8[np.ndarray, "h w 3"], number: int, itself: bool = False
    ) -> UInt8[np.ndarray, "h w 3"]:
        """With the room where the person stood, or the person itself alone."""
        forecast = self.result.forecast
        if forecast.frames is not None:
            near = self._near(number) if itself else None
            patch = forecast.frames[self.sample, number]
            return paste(picture, patch, self.crop, self.still, near)
        joints = forecast.joints_px[self.sample, number] * self.view.scale
        return draw_pose(picture, joints, forecast.visible[number], self.result.skeleton)

    def _near(self, number: int) -> Float[np.ndarray, "a b"]:
        """Shares of the patch that are near to the pose."""
        forecast, skeleton = self.result.forecast, self.result.skeleton
        assert self.still is not None
        side, visible = self.still.shape[0], forecast.visible[number]
        joints = px_to_crop(forecast.joints_px[self.sample, number], forecast.crop) * side
        near = np.zeros(self.still.shape[:2], np.uint8)
        width = max(round(_LIMB * float(np.ptp(joints[visible], axis=0).max(initial=0))), 1)
        for limb in skeleton.limb_joints:
            if all(visible[end].all() for end in limb):
                start, stop = (
                    joints[end].mean(axis=0).round().astype(int).tolist() for end in limb
                )
                cv2.line(near, start, stop, 1, width)
        return cv2.blur(near.astype(np.float32), (max(width // 2, 1),) * 2)


def with_poses(result: OwnForecast, view: View) -> Iterator[UInt8[np.ndarray, "h2 w2 3"]]:
    """Seen frames, then those of the likeliest future, each with everybody's pose beside it."""
    pictures = read_pictures(result.video, result.past_frames, result.fps)
    for number, picture in enumerate(pictures, start=-len(result.past_frames)):
        pose = poses_alone(result, number, view.hw[0])
        shown = view.resize(picture)
        yield side_by_side([panel(shown, SEEN, "seen"), panel(pose, SEEN, "pose seen")])
    for number, picture in enumerate(future_frames(result, view)):
        pose = poses_alone(result, number, view.hw[0])
        panels = (picture, f"forecast +{number + 1}"), (pose, f"pose +{number + 1}")
        yield side_by_side([panel(each, PREDICTED, text) for each, text in panels])


def poses_alone(
    result: OwnForecast, number: int, side: int, sample: int = 0
) -> UInt8[np.ndarray, "h w 3"]:
    """Everybody's poses in a frame, on an even ground; 0 is the first forecast one, -1 the last
    seen one, of which those are left out who were not seen yet."""
    picture, crop = plain((side, side), GROUND), result.crop
    for each in result.everybody:
        joints, visible = each.forecast.joints_px[sample], each.forecast.visible
        if number < 0:
            joints, visible = each.seen.joints_px, each.seen.visible
        if number >= -len(visible):
            pose = (px_to_crop(joints[number], crop) * side, visible[number], result.skeleton)
            picture = draw_pose(picture, *pose, outline=False)
    return picture


def _scaled_crop(crop: Crop, scale: float) -> Crop:
    x1, y1, x2, y2 = (round(edge * scale) for edge in dataclasses.astuple(crop))
    return Crop(x1, y1, max(x2, x1 + 1), max(y2, y1 + 1))
