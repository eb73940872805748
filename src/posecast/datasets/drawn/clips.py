"""One drawn clip: who, where, how, seen by which camera.

The settings and their clips; `people` writes them to disk.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, UInt8

from posecast.clips import PoseClip
from posecast.computing.clip_workers import ClipTask, run_over_clips
from posecast.datasets.drawn.actions import ACTIONS, Place
from posecast.datasets.drawn.drawing import hidden_joints
from posecast.datasets.drawn.figure import Figure
from posecast.datasets.drawn.film import PADDING, Film, film, moved, random_camera
from posecast.datasets.drawn.labels import label_figure
from posecast.datasets.drawn.motion import View, perform
from posecast.datasets.drawn.scenery import draw_scenery
from posecast.datasets.drawn.wardrobe import random_person
from posecast.datasets.penn_action import NOMINAL_FPS, PAPER_ACTIONS
from posecast.errors import PosecastError
from posecast.records.configs import check_at_least

DRAWING_VERSION = 1
"""Changes whenever the same settings give other pictures."""

_MOVEMENT = 0.35
_IN_A_GYM = ("bowl", "pullup", "pushup", "situp", "squat", "bench_press", "strum_guitar")
"""Real motion outside the eight actions that is put there; other such motion is in a park."""


@dataclass(frozen=True)
class SyntheticConfig:
    """What to draw."""

    num_clips: int | None = None
    """Number of clips; by default 96, or with `poses` all label files."""
    seed: int = 0
    """Every seed gives other people, places and movements."""
    image_hw: tuple[int, int] = (270, 480)
    """Height and width of the frames in pixels; with `poses` the label files say it."""
    num_frames: int | None = None
    """Frames in every clip; by default as many as the action needs, 34 to 112."""
    test_share: float = 0.25
    """Share of test clips in every action; with `poses` the label files say it."""
    actions: tuple[str, ...] = PAPER_ACTIONS
    """Actions to perform, in turns."""
    poses: Path | None = None
    """Folder of Penn Action label files whose motion the people repeat, instead of `actions`."""

    def __post_init__(self) -> None:
        unknown = sorted(set(self.actions) - set(ACTIONS))
        if unknown or not self.actions:
            raise PosecastError(
                f"actions {unknown} cannot be performed; choose among {sorted(ACTIONS)}"
            )
        if self.num_clips is not None:
            check_at_least(1, self, "num_clips")
        if self.num_frames is not None:
            check_at_least(2, self, "num_frames")
        if min(self.image_hw) < 48:
            raise PosecastError(f"image_hw must be 48 or more each, got {self.image_hw}")
        check_at_least(0, self, "test_share", most=1)
        check_at_least(0, self, "seed")


@dataclass(frozen=True)
class DrawnClip:
    """One clip, its frames still to be drawn."""

    pose: PoseClip
    facing: str
    """Where the person looks when the clip begins: front, back, left or right."""
    film: Film

    @property
    def frames(self) -> Iterator[UInt8[np.ndarray, "h w 3"]]:
        return map(self.film.frame, range(self.pose.num_frames))


def draw_clip(config: SyntheticConfig, clip_id: str) -> DrawnClip:
    """One performed clip; the same for the same settings and number, whatever else is drawn."""
    index = int(clip_id) - 1
    rng = np.random.default_rng([config.seed, DRAWING_VERSION, index])
    name = config.actions[index % len(config.actions)]
    action = ACTIONS[name]
    num_frames = config.num_frames or int(rng.integers(*action.num_frames, endpoint=True))
    turns, weights = np.array(action.views, float).T
    turn = float(rng.choice(turns, p=weights / weights.sum()) + rng.normal(0, 10))
    view = View(turn, pitch=float(rng.uniform(-2, 9)), distance=float(rng.uniform(3.5, 9)))
    figure = _placed(perform(action, num_frames, view, 1.0, rng), config.image_hw, rng)
    camera = random_camera(figure, config.image_hw, _MOVEMENT, rng)
    person = random_person(action.tool, rng)
    place: Place = action.places[int(rng.integers(len(action.places)))]
    # Drawn before the camera moves, when the feet stand on the scenery's ground.
    scenery = _scenery(place, figure, config.image_hw, rng)
    figure = moved(figure, camera)
    # Spread evenly, so that the first n clips of an action hold their share at any n.
    number, share = index // len(config.actions), config.test_share
    is_test = int((number + 1) * share + 1e-9) > int(number * share + 1e-9)
    pose = PoseClip(
        clip_id=clip_id,
        action=name,
        split="test" if is_test else "train",
        fps=NOMINAL_FPS,
        image_hw=config.image_hw,
        joints_px=figure.joints_px,
        visible=_visible(figure, person.girth, config.image_hw),
        boxes_px=_boxes(figure),
    )
    # Front when the body's turn is opposite to the line of sight; left and right in the image.
    angle = (float(action.keys[0].turn) - view.turn + 45) % 360
    facing = ("back", "left", "front", "right")[int(angle // 90)]
    return DrawnClip(pose, facing, film(figure, person, scenery, camera, config.image_hw, rng))


def draw_label_clip(pose: PoseClip, facing: str, seed: int) -> DrawnClip:
    """Somebody drawn who moves as the labels of a real clip say; the camera stands still."""
    number = int("".join(filter(str.isdigit, pose.clip_id)) or 0)
    rng = np.random.default_rng([seed, DRAWING_VERSION, 1, number])
    figure = label_figure(pose, facing)
    places: tuple[Place, ...] = ("gym",) if pose.action in _IN_A_GYM else ("park",)
    places = ACTIONS[pose.action].places if pose.action in ACTIONS else places
    person = random_person("", rng)
    place: Place = places[int(rng.integers(len(places)))]
    scenery = _scenery(place, figure, pose.image_hw, rng)
    camera = random_camera(figure, pose.image_hw, 0.15 * _MOVEMENT, rng)
    return DrawnClip(pose, facing, film(figure, person, scenery, camera, pose.image_hw, rng))


def _placed(figure: Figure, image_hw: tuple[int, int], rng: np.random.Generator) -> Figure:
    """A figure of unit height, enlarged and moved into the frame."""
    height, width = image_hw
    low, high = figure.points_px.min(axis=(0, 1)) - 0.09, figure.points_px.max(axis=(0, 1)) + 0.05
    room = np.array([0.92 * width, 0.88 * height]) / (high - low)
    scale = min(height * rng.uniform(0.58, 0.85), float(room.min()))
    slack = np.array([width, height]) - scale * (high - low)
    offset = rng.uniform(0.3, 0.7, 2) * slack - scale * low
    return replace(
        figure,
        points_px=figure.points_px * scale + offset,
        tool_px=figure.tool_px * scale + offset,
        scale_px=figure.scale_px * scale,
    )


def _scenery(
    place: Place, figure: Figure, image_hw: tuple[int, int], rng: np.random.Generator
) -> UInt8[np.ndarray, "h w 3"]:
    pad = [round(PADDING * side) for side in image_hw]
    canvas_hw = (image_hw[0] + 2 * pad[0], image_hw[1] + 2 * pad[1])
    soles = float(np.quantile(figure.joints_px[..., 1].max(axis=1), 0.9))
    body_px = float(np.median(figure.scale_px))
    return draw_scenery(place, canvas_hw, soles + 0.04 * body_px + pad[0], body_px, rng)


def _visible(figure: Figure, girth: float, image_hw: tuple[int, int]) -> Bool[np.ndarray, "t j"]:
    """Not behind the person's own body, and inside the picture."""
    joints = figure.joints_px
    inside = ((joints >= 0) & (joints <= np.array(image_hw[::-1]))).all(axis=-1)
    return inside & ~hidden_joints(figure, girth)


def _boxes(figure: Figure) -> Float[np.ndarray, "t 4"]:
    """Boxes with the margins that Penn Action's annotators left around the joints."""
    joints, unit = figure.joints_px, figure.scale_px[:, None]
    low = joints.min(axis=1) - unit * np.array([0.05, 0.085])
    high = joints.max(axis=1) + unit * np.array([0.05, 0.085])
    return np.concatenate([low, high], axis=1)


@dataclass(frozen=True)
class DrawnSet:
    """What was drawn of a set of clips or videos."""

    drawn: tuple[str, ...]
    """Drawn now."""
    kept: tuple[str, ...]
    """There already."""
    left_out: dict[str, str]
    """Clip -> why it cannot be drawn."""


def draw_missing(draw: ClipTask, wanted: list[str], kept: list[str], workers: int) -> DrawnSet:
    """Draw the clips wanted that were not kept; 0 workers means one per CPU core."""
    missing = [clip_id for clip_id in wanted if clip_id not in set(kept)]
    problems = run_over_clips(draw, [], missing, workers)
    drawn = tuple(clip_id for clip_id in missing if clip_id not in problems)
    return DrawnSet(drawn, tuple(kept), dict(sorted(problems.items())))
