"""A forecast of one's own video, and the file of its joints."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from posecast.clips import Forecast, SeenVideo
from posecast.estimation import People
from posecast.forecasting.frame_rates import FrameRates
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

    def summary(self) -> str:
        count = len(self.forecast.visible)
        first = (
            f"seen from {self.seen_from_s:.2f} to {self.seen_to_s:.2f} s, {count} frames "
            f"({count / self.fps:.2f} s) forecast"
        )
        lines = [first, *self.warnings(), *self.chances()]
        for other in self.others:
            lines.append(f"person {other.person}: seen from {other.seen_from_s:.2f} s on")
            lines += other.chances()
        return "\n".join(lines)

    def warnings(self) -> list[str]:
        """Where the person was lost, and `note`, a line each."""
        spans = [f"{a / self.fps:.2f} to {b / self.fps:.2f} s" for a, b in self.lost]
        lost = [f"the person was not found from {', '.join(spans)}"] if spans else []
        return lost + self.note.splitlines()

    def chances(self) -> list[str]:
        """How likely futures are, and how far off the likeliest may be, a line each."""
        lines = []
        if len(self.forecast.weights) > 1:
            shares = ", ".join(f"{100 * weight:.0f} %" for weight in self.forecast.weights)
            lines.append(f"{len(self.forecast.weights)} futures, how likely each is: {shares}")
        if self.sureness:
            parts = (f"{100 * share:.0f} % after {at:g} s" for at, share in self.sureness)
            lines.append(
                f"how sure: over many videos nine joints of ten are off by at most "
                f"{', '.join(parts)} (of the person's size); in one video all may be farther off"
            )
        return lines

    def facts(self) -> dict[str, Any]:
        """The same for programs."""
        count = len(self.forecast.visible)
        return {
            "files": [str(path) for path in self.files],
            "shown_from_s": self.shown_from_s,
            "seen_s": [self.seen_from_s, self.seen_to_s],
            "forecast_frames": count,
            "forecast_s": count / self.fps,
            "fps": self.fps,
            "crop": list(dataclasses.astuple(self.forecast.crop)),
            "person": self.person,
            "num_people": self.num_people,
            "weights": [float(weight) for weight in self.forecast.weights],
            "nine_tenths_within": [
                {"after_s": at, "share_of_person": share} for at, share in self.sureness
            ],
            "lost_s": [[first / self.fps, again / self.fps] for first, again in self.lost],
            "warnings": self.warnings(),
            "others": [other.facts() for other in self.others],
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
