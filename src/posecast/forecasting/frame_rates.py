"""Videos whose frame rate is not the one that the pose model was trained at.

Seen poses are interpolated to the model's rate, its forecast is interpolated back to the video's.
Where both rates are the same, or one a multiple of the other, poses are taken as they are.
"""

import math
from dataclasses import dataclass, replace

import numpy as np

from posecast.clips import PoseForecast, SeenVideo
from posecast.errors import PosecastError
from posecast.forecasting.protocols import Needs, same_rate

USUAL_FPS = 30.0
"""Of Penn Action, and assumed of pose runs that do not say (those of 56aa31b); videos are looked at
about so often a second."""
_EXACT = 1e-6
_LONGEST_S = 1e9
"""No video lasts thirty years; of more seconds no whole number would be left to count by."""
_SLOWEST, _FASTEST = 1e-12, 1e12
_FEW = 0.25
"""Frames of a video for each pose of the model below which the video is a time lapse."""


def frames_before(seconds: float, fps: float) -> int:
    """How many frames of a video are shown before a second of it; the first one always is."""
    return max(math.ceil(min(seconds, _LONGEST_S) * fps - _EXACT), 1)


@dataclass(frozen=True)
class FrameRates:
    """Frames a second of a video and of a pose model."""

    video: float
    """At which the video is looked at and its forecast is shown."""
    model: float
    """Poses a second that the model reads and forecasts."""
    assumed: bool = False
    """True where the weights do not say at what rate they were trained."""

    @classmethod
    def of_video(cls, own_fps: float, needs: Needs, asked_fps: float = 0.0) -> "FrameRates":
        """For a video of `own_fps` frames a second.

        It is looked at `asked_fps` times a second; 0: as often as it has frames, of a fast one at
        every n-th, so that about 30 are left. A model that does not say its rate is taken to have
        been trained at `asked_fps`, or else at 30; one of 30 reads 29.97 frames a second as they
        are, since at 30 one of a thousand would be there twice, and all after it late.
        """
        trained = needs.fps or asked_fps or USUAL_FPS
        return cls._of(asked_fps or own_fps / max(1, round(own_fps / USUAL_FPS)), trained, needs)

    @classmethod
    def of_arrays(cls, needs: Needs, fps: float | None) -> "FrameRates":
        """For frames of `fps` a second; None: of the rate that the model was trained at."""
        trained = needs.fps or USUAL_FPS
        return cls._of(fps or trained, trained, needs)

    @classmethod
    def _of(cls, video: float, trained: float, needs: Needs) -> "FrameRates":
        if not _SLOWEST <= video <= _FASTEST:
            most = f"{_SLOWEST:g} to {_FASTEST:g} frames a second"
            raise PosecastError(f"fps is {video:g}; expected {most}")
        model = video if same_rate(video, trained) else trained
        return cls(video, model / needs.stride, needs.fps is None)

    @property
    def ratio(self) -> float:
        """Frames of the video from one pose of the model to the next."""
        return self.video / self.model

    def span(self, num_poses: int) -> int:
        """Frames of the video that so many poses of the model stretch over."""
        return math.ceil((num_poses - 1) * self.ratio - _EXACT) + 1

    def places(self, num_frames: int, most: int) -> np.ndarray:
        """Where the last poses of the model lie among frames of the video, at most `most`."""
        fitting = math.floor((num_frames - 1) / self.ratio + _EXACT) + 1
        return num_frames - 1 - self.ratio * np.arange(min(fitting, most))[::-1]

    def describe(self) -> str:
        """A line for people; "" where there is nothing to say."""
        if self.assumed:
            return (
                f"the pose model does not say at what rate it was trained: {self.model:g} poses a "
                f"second assumed (the rate asked for, else {USUAL_FPS:g})"
            )
        if self.video == self.model:
            return ""
        few = "; how the person moved between so few is not known, nor part of how sure it is"
        return (
            f"the pose model was trained at {self.model:g} poses a second: the video's "
            f"{self.video:g} were brought to that, the forecast back to them"
            f"{few * (self.ratio < _FEW)}"
        )


def to_model_rate(seen: SeenVideo, rates: FrameRates, most: int) -> SeenVideo:
    """What was seen at the video's rate, as the last poses (at most `most`) at the model's.

    A joint is visible where it is in the nearer of two frames, and is interpolated where it is in
    both; pictures and confidences are those of the nearer frame.
    """
    if rates.ratio == 1:
        return seen.last(most)
    places = rates.places(len(seen), most)
    low, high, share = _between(places, len(seen) - 1)
    near = np.rint(places).astype(int)
    both = (seen.visible[low] & seen.visible[high])[..., None] & (share > _EXACT)
    between = (1 - share) * seen.joints_px[low] + share * seen.joints_px[high]
    frames = None
    if seen.frames is not None:
        first = len(seen) - len(seen.frames)
        frames = seen.frames[near[near >= first] - first]
    taken = seen.take(near.tolist(), rates.model, frames)
    return replace(taken, joints_px=np.where(both, between, taken.joints_px))


def to_video_rate(poses: PoseForecast, seen: SeenVideo, steps: int) -> PoseForecast:
    """Futures at the model's rate, as `steps` poses that follow what was seen at the video's."""
    if poses.fps == seen.fps:
        return poses
    start = np.where(seen.visible[-1][:, None], seen.joints_px[-1], poses.joints_px[:, 0])
    known = np.concatenate([start[:, None], poses.joints_px], axis=1)
    places = np.arange(1, steps + 1) * poses.fps / seen.fps
    low, high, share = _between(places, known.shape[1] - 1)
    joints = (1 - share) * known[:, low] + share * known[:, high]
    visible = poses.visible[np.maximum(low, 1) - 1]
    return replace(poses, joints_px=joints, visible=visible, fps=seen.fps)


def _between(places: np.ndarray, last: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Frames up to the last one before and after places, and how much the latter counts."""
    low = np.minimum(np.floor(places + _EXACT).astype(int), last)
    return low, np.minimum(low + 1, last), np.clip(places - low, 0, 1)[:, None, None]


def steps_of_model(rates: FrameRates, steps: int) -> int:
    """Poses of the model that reach as far as `steps` frames of the video."""
    return max(math.ceil(steps / rates.ratio - _EXACT), 1)
