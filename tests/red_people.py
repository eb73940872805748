"""A stand-in estimator that finds red rectangles, and videos of them."""

import weakref
from pathlib import Path

import cv2
import numpy as np

from posecast.clips import PoseForecast
from posecast.estimation.estimator import Joints
from posecast.forecasting.protocols import Needs
from posecast.media import videos, writing
from posecast.skeletons import PENN_ACTION

RED = (220, 20, 20)
# Where each joint lies in the person's rectangle, as shares of it.
SHARES = np.array(
    [[0.5, 0.05]]
    + [[side, y] for y in (0.2, 0.35, 0.5) for side in (0.1, 0.9)]
    + [[side, y] for y in (0.55, 0.75, 0.95) for side in (0.3, 0.7)]
)


class RedEstimator:
    """Finds the extent of red pixels, if it sees enough of them; remembers what it looked at."""

    skeleton = PENN_ACTION
    size = 32
    min_confidence = 0.3

    def __init__(self) -> None:
        self.num_pictures = 0
        self.blind_until = 0

    def estimate(self, pictures: np.ndarray) -> Joints:
        self.num_pictures += len(pictures)
        if self.num_pictures <= self.blind_until:
            return np.zeros((len(pictures), 13, 2)), np.zeros((len(pictures), 13))
        found = [self._find(picture) for picture in pictures]
        return np.stack([each[0] for each in found]), np.stack([each[1] for each in found])

    def _find(self, picture: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        red = (picture[..., 0] > 150) & (picture[..., 1] < 90)
        if red.sum() < 40:
            return np.zeros((13, 2)), np.zeros(13)
        rows, columns = np.flatnonzero(red.any(axis=1)), np.flatnonzero(red.any(axis=0))
        low = np.array([columns[0], rows[0]]) / self.size
        high = np.array([columns[-1] + 1, rows[-1] + 1]) / self.size
        # Surer where the person fills the picture, less sure where it may be cut off.
        sure = 0.4 if low.min() == 0 or high.max() == 1 else 0.6 + 0.3 * red.mean()
        return low + SHARES * (high - low), np.full(13, sure)


class NearestEstimator(RedEstimator):
    """Finds the red or orange person who is nearest the middle, as MoveNet does."""

    def _find(self, picture: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        green = picture[..., 1]
        people = []
        for mask in (green < 45, (green > 65) & (green < 85)):
            mask &= picture[..., 0] > 150
            count, labels, stats, centres = cv2.connectedComponentsWithStats(mask.astype(np.uint8))
            people += [
                (np.linalg.norm(centres[n] - self.size / 2), n, labels)
                for n in range(1, count)
                if stats[n, cv2.CC_STAT_AREA] >= 40
            ]
        if not people:
            return np.zeros((13, 2)), np.zeros(13)
        _, number, labels = min(people, key=lambda each: each[0])
        alone = np.zeros_like(picture)
        alone[labels == number] = RED
        return super()._find(alone)


def joints_of(box: tuple[float, float, float, float]) -> np.ndarray:
    """Joints of a red person in the rectangle x, y, width, height."""
    x, y, width, height = box
    return np.array([x, y]) + SHARES * [width, height]


def frame_with(
    box: tuple[int, int, int, int] | None, hw: tuple[int, int] = (120, 200), ground: int = 90
) -> np.ndarray:
    """A grey frame with a red person in it, or nobody."""
    frame = np.full((*hw, 3), ground, np.uint8)
    if box is not None:
        x, y, width, height = box
        frame[y : y + height, x : x + width] = RED
    return frame


def box_at(t: int) -> tuple[int, int, int, int]:
    return 20 + 2 * t, 30, 24, 48


def walking(num_frames: int = 12, hw=(120, 200)) -> list[np.ndarray]:
    return [frame_with(box_at(t), hw) for t in range(num_frames)]


def write_video(path: Path, frames, fps: float = 30.0) -> Path:
    writing.write_mp4(path, frames, fps, crf=4)
    return path


class LooksBack:
    """Needs two frames, looks at six; the person goes on, or stays."""

    needs = Needs(PENN_ACTION, num_past=2, max_past=6)

    def forecast_poses(self, seen, steps, samples=1):
        (self.seen,) = seen
        last = np.repeat(self.seen.joints_px[None, -1:], steps, axis=1)
        return [PoseForecast.of(self.seen, np.concatenate([last] * samples))]


def numbers_alive(monkeypatch):
    """How many shown pictures were held, noted whenever one is made."""
    alive, numbers = [], []
    make = videos.show

    def counting(stored, look, shown_hw):
        picture = make(stored, look, shown_hw).copy()
        alive.append(weakref.ref(picture))
        numbers.append(sum(each() is not None for each in alive))
        return picture

    monkeypatch.setattr(videos, "show", counting)
    return numbers
