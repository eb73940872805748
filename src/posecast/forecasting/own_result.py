"""A forecast of one's own video, and the file of its joints."""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from posecast.clips import Forecast, SeenVideo
from posecast.skeletons import Skeleton

ARRAYS = (
    "past_joints_px",
    "past_visible",
    "predicted_joints_px",
    "predicted_visible",
    "predicted_frames",
    "weights",
    "past_seconds",
    "predicted_seconds",
    "crop",
    "image_hw",
    "joint_names",
)
"""What OUT.npz holds: joints in pixels of the upright video, the predicted ones (s, t, j, 2) of s
futures, the likeliest first, with their weights (s,); frames (n, t, h, w, 3) of the first n;
seconds of all frames; the crop (x1, y1, x2, y2) that `predicted_frames` show."""


@dataclass(frozen=True, eq=False)
class OwnForecast:
    """A forecast and where it comes from."""

    seen: SeenVideo
    forecast: Forecast
    past_frames: tuple[int, ...]
    """Numbers of the seen frames, at `fps` frames a second."""
    fps: float
    lost: tuple[tuple[int, int], ...] = ()
    note: str = ""
    """What people should know of how frame rates were brought together, and of what was guessed or
    filled in a file of keypoints."""

    @property
    def seen_from_s(self) -> float:
        return self.past_frames[0] / self.fps

    @property
    def seen_to_s(self) -> float:
        return self.past_frames[-1] / self.fps

    def summary(self) -> str:
        """A line or two for people."""
        count = len(self.forecast.visible)
        text = (
            f"seen from {self.seen_from_s:.2f} to {self.seen_to_s:.2f} s, {count} frames "
            f"({count / self.fps:.2f} s) forecast"
        )
        spans = [f"{a / self.fps:.2f} to {b / self.fps:.2f} s" for a, b in self.lost]
        text += f"\nthe person was not found from {', '.join(spans)}" if spans else ""
        return text + (f"\n{self.note}" if self.note else "")


def arrays_writer(result: OwnForecast, skeleton: Skeleton) -> Callable[[Path], None]:
    """What fills an .npz file with `ARRAYS`."""
    arrays = _arrays(result, skeleton)
    return lambda path: _save(path, arrays)


def _arrays(result: OwnForecast, skeleton: Skeleton) -> dict[str, np.ndarray]:
    forecast = result.forecast
    ahead = np.arange(1, len(forecast.visible) + 1)
    frames = forecast.frames
    values = (
        result.seen.joints_px.astype(np.float32),
        result.seen.visible,
        forecast.joints_px.astype(np.float32),
        forecast.visible,
        np.zeros((0, 0, 0, 0, 3), np.uint8) if frames is None else frames,
        forecast.weights,
        np.array(result.past_frames) / result.fps,
        (result.past_frames[-1] + ahead) / result.fps,
        np.array(dataclasses.astuple(forecast.crop)),
        np.array(result.seen.image_hw),
        np.array(skeleton.joints),
    )
    return dict(zip(ARRAYS, values, strict=True))


def _save(path: Path, arrays: dict[str, np.ndarray]) -> None:
    with path.open("wb") as file:
        np.savez_compressed(file, **arrays)  # pyright: ignore[reportArgumentType]
