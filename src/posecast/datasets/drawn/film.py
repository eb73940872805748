"""Filming a drawn person: camera, shadow, motion blur, sensor and lens."""

from dataclasses import dataclass, replace

import cv2
import numpy as np
from jaxtyping import Float, Int16, Int64, UInt8
from scipy.ndimage import uniform_filter1d

from posecast.datasets.drawn.drawing import draw_person
from posecast.datasets.drawn.figure import Figure
from posecast.datasets.drawn.wardrobe import Person
from posecast.skeletons import PENN_ACTION

PADDING = 0.22
"""How much larger than the frame the background is on every side, as a share of its size."""

_NOISE_ROOM = 64
_ANKLES = [PENN_ACTION.index("left_ankle"), PENN_ACTION.index("right_ankle")]
_HIPS = [PENN_ACTION.index("left_hip"), PENN_ACTION.index("right_hip")]


@dataclass(frozen=True)
class Camera:
    """A moving camera and how it records."""

    moves: Float[np.ndarray, "t 2 3"]
    """Affine map of the still picture's pixels to each frame's."""
    zoom: Float[np.ndarray, "t"]
    """Enlargement that the maps contain."""
    tone: UInt8[np.ndarray, "256 1 3"]
    """Exposure and colour cast: new value of each old value."""
    grain: float
    """Standard deviation of the sensor's noise, 0 to 255."""
    blur_px: float
    """Softness of the lens."""


def random_camera(
    figure: Figure, image_hw: tuple[int, int], movement: float, rng: np.random.Generator
) -> Camera:
    """A tripod, a hand, or somebody who follows the person; `movement` scales all of it."""
    count, (height, width) = figure.num_frames, image_hw
    kind = str(rng.choice(["tripod", "hand", "follow"], p=[0.5, 0.35, 0.15]))
    strength = movement * {"tripod": 0.12, "hand": 1.0, "follow": 0.8}[kind]
    drift = _smooth(rng.normal(0, 1, (count, 2)), 31, rng) * 0.014 * height * strength
    shake = _smooth(rng.normal(0, 1, (count, 2)), 5, rng) * 0.0045 * height * strength
    zoom = 1.03 + 0.035 * strength * _smooth(rng.normal(0, 1, (count, 1)), 41, rng)[:, 0]
    if kind == "follow":
        hips = figure.joints_px[:, _HIPS].mean(axis=1)
        drift = drift - 0.5 * (
            uniform_filter1d(hips, 21, axis=0, mode="nearest") - hips.mean(axis=0)
        )
    roll = np.radians(0.6 * strength * _smooth(rng.normal(0, 1, (count, 1)), 25, rng)[:, 0])
    pan = np.clip(drift + shake, -0.16 * height, 0.16 * height)
    cos, sin = zoom.clip(0.94, 1.15) * np.cos(roll), zoom.clip(0.94, 1.15) * np.sin(roll)
    turns = np.stack([np.stack([cos, -sin], -1), np.stack([sin, cos], -1)], axis=1)
    centre = np.array([width / 2, height / 2])
    offsets = centre + pan - turns @ centre
    return Camera(
        np.concatenate([turns, offsets[..., None]], axis=2),
        zoom.clip(0.94, 1.15),
        _tone(rng),
        grain=float(rng.uniform(1.0, 4.0)),
        blur_px=float(rng.choice([0.0, 0.5, 0.8])),
    )


@dataclass(frozen=True)
class Film:
    """A clip whose frames are drawn when they are asked for, in any order."""

    figure: Figure
    """Where it appears in the frames; the camera moves only the scenery."""
    person: Person
    scenery: UInt8[np.ndarray, "h2 w2 3"]
    camera: Camera
    image_hw: tuple[int, int]
    noise: Int16[np.ndarray, "h3 w3 3"]
    """Sensor noise, larger than a frame."""
    noise_corners: Int64[np.ndarray, "t 2"]
    """Which part of the noise each frame gets."""

    def frame(self, time: int) -> UInt8[np.ndarray, "h w 3"]:
        height, width = self.image_hw
        still = _background(self.scenery, self.camera.moves[time], self.image_hw)
        still = still.astype(np.float32)
        _shadow(still, self.figure, time)
        moments = _shutter(self.figure, time)
        picture = np.zeros_like(still)
        for moment in moments:
            layer = still.copy()
            draw_person(layer, self.person, self.figure, moment)
            picture += layer
        frame = (picture / len(moments)).clip(0, 255).astype(np.uint8)
        if self.camera.blur_px > 0:
            frame = cv2.GaussianBlur(frame, (3, 3), self.camera.blur_px)
        frame = cv2.LUT(frame, self.camera.tone)
        y, x = self.noise_corners[time]
        return cv2.add(frame, self.noise[y : y + height, x : x + width], dtype=cv2.CV_8U)


def film(
    figure: Figure,
    person: Person,
    scenery: UInt8[np.ndarray, "h2 w2 3"],
    camera: Camera,
    image_hw: tuple[int, int],
    rng: np.random.Generator,
) -> Film:
    """Put everything together; `figure` is what the moving camera sees."""
    larger = (image_hw[0] + _NOISE_ROOM, image_hw[1] + _NOISE_ROOM)
    noise = rng.normal(0, camera.grain, larger).astype(np.int16)
    corners = rng.integers(0, _NOISE_ROOM, (figure.num_frames, 2))
    return Film(figure, person, scenery, camera, image_hw, cv2.merge([noise] * 3), corners)


def moved(figure: Figure, camera: Camera) -> Figure:
    """The figure as the moving camera sees it."""
    turns, offsets = camera.moves[:, None, :, :2], camera.moves[:, None, :, 2]

    def move(points: np.ndarray) -> np.ndarray:
        return (turns @ points[..., None])[..., 0] + offsets

    return replace(
        figure,
        points_px=move(figure.points_px),
        tool_px=move(figure.tool_px),
        scale_px=figure.scale_px * camera.zoom,
    )


def _smooth(steps: np.ndarray, width: int, rng: np.random.Generator) -> np.ndarray:
    """Unit noise with a correlation of about `width` frames."""
    longer = np.concatenate([steps, rng.normal(0, 1, (width - 1, steps.shape[1]))])
    kernel = np.hanning(width + 2)[1:-1]
    kernel /= np.sqrt((kernel**2).sum())
    return np.stack([np.convolve(each, kernel, "valid") for each in longer.T], axis=1)


def _tone(rng: np.random.Generator) -> UInt8[np.ndarray, "256 1 3"]:
    values = np.linspace(0, 1, 256)[:, None]
    gains = rng.uniform(0.85, 1.1) * rng.normal(1, 0.04, 3)
    table = (values * gains).clip(0, 1) ** rng.uniform(0.8, 1.25)
    contrast = rng.uniform(1.0, 1.35)
    table = 0.5 + contrast * (table - 0.5) + rng.uniform(-0.04, 0.04)
    return (table.clip(0, 1) * 255).astype(np.uint8)[:, None]


def _background(
    scenery: np.ndarray, move: np.ndarray, image_hw: tuple[int, int]
) -> UInt8[np.ndarray, "h w 3"]:
    """What the camera sees of the scenery, whose middle is the still picture's."""
    height, width = image_hw
    pad = np.array([scenery.shape[1] - width, scenery.shape[0] - height]) / 2
    affine = move.copy()
    # From whole pixels of the scenery to whole pixels of the frame.
    affine[:, 2] += move[:, :2] @ (0.5 - pad) - 0.5
    return cv2.warpAffine(
        scenery, affine, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT
    )


def _shadow(canvas: np.ndarray, figure: Figure, time: int) -> None:
    """A soft dark patch on the ground between the feet."""
    feet = figure.points_px[time, _ANKLES]
    scale = float(figure.scale_px[time])
    x, y = float(feet[:, 0].mean()), float(feet[:, 1].max()) + 0.045 * scale
    across, along = 0.13 * scale + 0.7 * float(np.ptp(feet[:, 0])), 0.05 * scale
    top, bottom = (int(max(y + side * 2 * along, 0)) for side in (-1, 1))
    left, right = (int(max(x + side * 2 * across, 0)) for side in (-1, 1))
    region = canvas[top:bottom, left:right]
    rows = np.arange(region.shape[0], dtype=np.float32)[:, None] + np.float32(top - y)
    columns = np.arange(region.shape[1], dtype=np.float32)[None] + np.float32(left - x)
    fall = np.exp(-((rows / along) ** 2) * 1.5 - ((columns / across) ** 2) * 1.5)
    region *= (1 - 0.5 * fall)[..., None]


def _shutter(figure: Figure, time: int) -> list[float]:
    """Moments that one exposure averages: one for slow movement, up to three for fast limbs."""
    first, last = max(time - 1, 0), min(time + 1, figure.num_frames - 1)
    steps = figure.points_px[last] - figure.points_px[first]
    speed = float(np.linalg.norm(steps, axis=1).max()) / max(last - first, 1)
    if speed < 4:
        return [float(time)]
    moments = [time - 0.17, time + 0.17] if speed < 10 else [time - 0.24, float(time), time + 0.24]
    return [min(max(moment, 0.0), figure.num_frames - 1.0) for moment in moments]
