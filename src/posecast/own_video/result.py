"""A forecast of one's own video, and the file of its joints."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from posecast.clips import Forecast, SeenVideo
from posecast.estimation import People
from posecast.forecasting.frame_rates import FrameRates
from posecast.geometry import Crop, seen_crop
from posecast.media.frame_folders import FrameFolder
from posecast.records.brief import Brief
from posecast.records.files import Write, save_arrays
from posecast.skeletons import Skeleton

Sureness = tuple[tuple[float, float], ...]
"""Seconds after the last seen frame, and how far a joint is off at most in nine of ten cases, as a
share of the person's size (the longer side of the seen joints)."""


@dataclass(frozen=True, eq=False, repr=False)
class OwnForecast(Brief):
    """A forecast and where it comes from."""

    video: Path | FrameFolder
    seen: SeenVideo
    forecast: Forecast
    skeleton: Skeleton
    past_frames: tuple[int, ...]
    """Numbers of the seen frames, at `fps` frames a second."""
    first: int
    """The first frame that was looked at, at `fps`: what is written begins with it."""
    rates: FrameRates
    """At which the video was looked at and is forecast, and that of the pose model."""
    shown_fps: float
    """Of the video that is written: its own, of fast ones a multiple of `fps`."""
    lost: tuple[tuple[int, int], ...] = ()
    note: str = ""
    """What people should know of how frame rates were brought together, and of what was guessed or
    filled in a file of keypoints."""
    sureness: Sureness = ()
    person: int = 1
    """Which of several people."""
    num_people: int = 1
    people: People | None = None
    """Several people, where an estimator found them."""
    others: tuple["OwnForecast", ...] = ()
    """The others, where everybody was asked for: with the last picture alone, and nothing else of
    theirs."""
    files: tuple[Path, ...] = ()
    """What was written."""

    @property
    def fps(self) -> float:
        """At which the video was looked at, and is forecast."""
        return self.rates.video

    @property
    def repeats(self) -> int:
        """How often each forecast frame is shown in a video of `shown_fps`."""
        return max(round(self.shown_fps / self.fps), 1)

    @property
    def shown_from_s(self) -> float:
        """The second with which what is written begins."""
        return self.first / self.fps

    @property
    def seen_from_s(self) -> float:
        return self.past_frames[0] / self.fps

    @property
    def seen_to_s(self) -> float:
        return self.past_frames[-1] / self.fps

    @property
    def everybody(self) -> tuple["OwnForecast", ...]:
        """All who are forecast, by number."""
        return tuple(sorted((self, *self.others), key=lambda each: each.person))

    @property
    def crop(self) -> Crop:
        """The part of the picture in which all of them are drawn."""
        if not self.others:
            return self.forecast.crop
        corners = [dataclasses.astuple(each.forecast.crop) for each in self.everybody]
        return seen_crop(np.array(corners, float), self.seen.image_hw, 1.0)

    def summary(self) -> str:
        count = len(self.forecast.visible)
        forecast = f"{count} frames ({count / self.fps:.2f} s) forecast"
        seen = [f"seen from {self.seen_from_s:.2f} to {self.seen_to_s:.2f} s, {forecast}"]
        if self.others:
            since = (f"{_name(each)} from {each.seen_from_s:.2f} s on" for each in self.everybody)
            seen = [
                f"seen up to {self.seen_to_s:.2f} s, {forecast}, of {len(self.everybody)} people",
                f"seen: {', '.join(since)}",
            ]
        return "\n".join([*seen, *self.warnings(), *self.chances()])

    def warnings(self) -> list[str]:
        """Where somebody was lost, and `note`, a line each."""
        lost = [each for each in self.everybody if each.lost]
        who = {id(each): _name(each) if self.others else "the person" for each in lost}
        spans = [f"{who[id(each)]} was not found from {_when_lost(each)}" for each in lost]
        return spans + self.note.splitlines()

    def chances(self) -> list[str]:
        """How likely futures are, and how far off the likeliest may be, a line each."""
        lines = []
        if len(self.forecast.weights) > 1:
            shares = ", ".join(f"{100 * weight:.0f} %" for weight in self.forecast.weights)
            lines.append(f"{len(self.forecast.weights)} futures, how likely each is: {shares}")
        if sure := [each for each in self.everybody if each.sureness]:
            of_each = (f"{_how_far_off(each)} for {_name(each)}" for each in sure)
            how_far = "; ".join(of_each) if self.others else _how_far_off(self)
            lines.append(
                f"how sure: over many videos nine joints of ten are off by at most "
                f"{how_far} (of the person's size); in one video all may be farther off"
            )
        return lines

    def facts(self) -> dict[str, Any]:
        """The same for programs."""
        return _facts(self) | {"others": [_facts(other) for other in self.others]}


def _name(result: OwnForecast) -> str:
    return f"person {result.person}"


def _when_lost(result: OwnForecast) -> str:
    spans = ((first / result.fps, again / result.fps) for first, again in result.lost)
    return ", ".join(f"{first:.2f} to {again:.2f} s" for first, again in spans)


def _how_far_off(result: OwnForecast) -> str:
    return ", ".join(f"{100 * share:.0f} % after {at:g} s" for at, share in result.sureness)


def _facts(result: OwnForecast) -> dict[str, Any]:
    count = len(result.forecast.visible)
    return {
        "files": [str(path) for path in result.files],
        "shown_from_s": result.shown_from_s,
        "seen_s": [result.seen_from_s, result.seen_to_s],
        "forecast_frames": count,
        "forecast_s": count / result.fps,
        "fps": result.fps,
        "crop": list(dataclasses.astuple(result.forecast.crop)),
        "person": result.person,
        "num_people": result.num_people,
        "weights": [float(weight) for weight in result.forecast.weights],
        "nine_tenths_within": [
            {"after_s": at, "share_of_person": share} for at, share in result.sureness
        ],
        "lost_s": [[first / result.fps, again / result.fps] for first, again in result.lost],
        "warnings": result.warnings(),
    }


def arrays_writer(result: OwnForecast, keep_frames: bool = False) -> Write:
    """What fills OUT.npz: joints in pixels of the upright video, the predicted ones (s, t, j, 2) of
    s futures, the likeliest first, with their weights (s,); seconds of all frames; the person's
    crop (x1, y1, x2, y2); where frames are kept, `predicted_frames` (n, t, h, w, 3) of it."""
    seen, forecast = result.seen, result.forecast
    ahead = np.arange(1, len(forecast.visible) + 1)
    arrays: dict[str, np.ndarray] = {
        "past_joints_px": seen.joints_px.astype(np.float32),
        "past_visible": seen.visible,
        "predicted_joints_px": forecast.joints_px.astype(np.float32),
        "predicted_visible": forecast.visible,
        "weights": forecast.weights,
        "past_seconds": np.array(result.past_frames) / result.fps,
        "predicted_seconds": (result.past_frames[-1] + ahead) / result.fps,
        "crop": np.array(dataclasses.astuple(forecast.crop)),
        "image_hw": np.array(seen.image_hw),
        "joint_names": np.array(result.skeleton.joints),
    }
    if keep_frames and forecast.frames is not None:
        arrays["predicted_frames"] = forecast.frames
    return lambda path: save_arrays(path, arrays)
