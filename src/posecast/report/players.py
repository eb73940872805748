"""Clips that play side by side: each panel is one picture file with all frames in a grid."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Bool, Float, UInt8

from posecast.evaluation.examples import Example
from posecast.evaluation.summary import PAPER_HORIZONS
from posecast.media.frame_folders import write_picture
from posecast.media.pictures import add_caption, contact_sheet, draw_pose, enlarge, pose_on_plain
from posecast.report.clip_errors import ErrorChart
from posecast.report.metric_names import style_of
from posecast.skeletons import Skeleton

COLUMNS = 10
"""Frames in a row of a panel's grid."""
QUALITY = 88
"""Of JPEGs to look at."""
_LEAST_SIDE, _POSE_SIDE = 160, 192
"""Small frames are enlarged to this for poses to be seen; poses without frames are so large."""
_GHOST_STRENGTH = 0.35


@dataclass(frozen=True)
class Panel:
    """One moving picture of a player."""

    title: str
    files: tuple[str, ...]
    """Grid of frames of each future: its address, relative to the page."""
    num_frames: int
    hw: tuple[int, int]
    """Height and width of one frame in the file."""
    is_true: bool
    """Shows what really came."""

    @property
    def rows(self) -> int:
        """Of the grid."""
        return -(-self.num_frames // COLUMNS)


@dataclass(frozen=True)
class Player:
    """One clip: panels that show the same moment."""

    title: str
    subtitle: str
    num_past: int
    num_frames: int
    """Seen and future frames."""
    fps: float
    panels: tuple[Panel, ...]
    """What really came, and the forecast that it is about."""
    others: tuple[Panel, ...] = ()
    """Shown when asked for."""
    strip: str = ""
    """A still picture of a few moments of all panels, for print; "" for none."""
    strip_hw: tuple[int, int] = (0, 0)
    error: ErrorChart | None = None
    """Of this clip alone, over time."""

    @property
    def num_futures(self) -> int:
        """Of the forecast that it is about."""
        return max(len(panel.files) for panel in self.panels)


Movies = dict[str, list[UInt8[np.ndarray, "_ _ _ 3"]]]
"""Title of a panel -> its futures, each with the seen frames before it."""


def write_player(
    example: Example, skeleton: Skeleton, folder: Path, name: str, error: ErrorChart
) -> Player:
    """Write the picture files of one example into `folder`, named after `name`."""
    facts = example.facts
    movies = _movies(example, skeleton)
    panels = [
        _write_panel(title, futures, folder, f"{name}-{number}")
        for number, (title, futures) in enumerate(movies.items())
    ]
    first = [each for each in panels if each.title in ("truth", facts.method)]
    num_past = len(example.past_visible)
    sheet = _strip(movies, num_past)
    write_picture(folder / f"{name}-strip.jpg", sheet, QUALITY)
    style = style_of(facts.metric)
    rank = {"median": "middle"}.get(facts.rank, facts.rank).capitalize()
    score = f"{style.text(facts.score)} {style.unit}".strip()
    return Player(
        title=f"{rank}: {facts.action.replace('_', ' ') or 'clip'}",
        subtitle=f"Clip {facts.clip_id}: {score}, mean over its frames.",
        num_past=num_past,
        num_frames=num_past + len(example.future_visible),
        fps=facts.fps,
        panels=tuple(first),
        others=tuple(each for each in panels if each not in first),
        strip=f"{folder.name}/{name}-strip.jpg",
        strip_hw=(sheet.shape[0], sheet.shape[1]),
        error=error,
    )


def _write_panel(
    title: str, futures: Sequence[UInt8[np.ndarray, "_ _ _ 3"]], folder: Path, name: str
) -> Panel:
    files = []
    for number, frames in enumerate(futures, start=1):
        files.append(f"{name}.jpg" if number == 1 else f"{name}-future-{number}.jpg")
        write_picture(folder / files[-1], grid_of(frames), QUALITY)
    length, height, width = futures[0].shape[:3]
    paths = tuple(f"{folder.name}/{file}" for file in files)
    return Panel(title, paths, length, (height, width), title == "truth")


def _movies(example: Example, skeleton: Skeleton) -> Movies:
    """What each panel shows, the truth first, forecast poses right after their frames."""
    seen = pose_pictures(example.past_joints_crop, example.past_visible, example, skeleton)
    came = pose_pictures(example.future_joints_crop, example.future_visible, example, skeleton)
    past, future = example.past_frames, example.future_frames
    movies: Movies = {"truth": [np.concatenate([seen, came])]}
    if past is not None and future is not None:
        movies["truth"] = [enlarged(np.concatenate([past, future]))]
    for method in dict.fromkeys([*example.frames, *example.poses]):
        if method in example.frames and past is not None:
            shown = example.frames[method]
            movies[method] = [enlarged(np.concatenate([past, frames])) for frames in shown]
        if method in example.poses and _is_worth_a_panel(method, example):
            title = f"{method}: pose" if method in movies else method
            movies[title] = [
                np.concatenate([seen, _over_truth(example, skeleton, poses)])
                for poses in example.poses[method]
            ]
    return movies


def _is_worth_a_panel(method: str, example: Example) -> bool:
    """Where some forecasts have poses and frames, only those show their poses: less clutter."""
    both = example.frames.keys() & example.poses.keys()
    return not both or method in both


def _side(example: Example) -> tuple[int, int]:
    """Height and width of pose panels: those of the frames, or the crop's shape."""
    height, width = example.facts.crop_hw
    factor = _POSE_SIDE / max(height, width)
    if example.past_frames is not None:
        height, width = example.past_frames.shape[1:3]
        factor = _enlargement(example.past_frames)
    return round(height * factor), round(width * factor)


def _enlargement(frames: UInt8[np.ndarray, "t h w 3"]) -> float:
    return min(max(_LEAST_SIDE / max(frames.shape[1:3]), 1.0), 2.0)


def enlarged(frames: UInt8[np.ndarray, "t h w 3"]) -> UInt8[np.ndarray, "t h2 w2 3"]:
    """Small frames at twice their size, so that the browser has less to smear."""
    return np.stack([enlarge(frame, _enlargement(frames)) for frame in frames])


def pose_pictures(
    joints_crop: Float[np.ndarray, "t j 2"],
    visible: Bool[np.ndarray, "t j"],
    example: Example,
    skeleton: Skeleton,
) -> UInt8[np.ndarray, "t h w 3"]:
    """Poses in an example's crop, on an even ground."""
    hw = _side(example)
    scaled = joints_crop * np.array([hw[1], hw[0]])
    pairs = zip(scaled, visible, strict=True)
    return np.stack([pose_on_plain(*pair, skeleton, hw) for pair in pairs])


def _over_truth(
    example: Example, skeleton: Skeleton, joints_crop: Float[np.ndarray, "t j 2"]
) -> UInt8[np.ndarray, "t h w 3"]:
    """Forecast poses over faint true ones."""
    hw = _side(example)
    scale, shown = np.array([hw[1], hw[0]]), np.any(example.past_visible, axis=0)
    true = zip(example.future_joints_crop * scale, example.future_visible, strict=True)
    pairs = zip(joints_crop * scale, true, strict=True)
    return np.stack([pose_over_faint((p, shown), t, skeleton, hw) for p, t in pairs])


_Pose = tuple[Float[np.ndarray, "j 2"], Bool[np.ndarray, " j"]]
"""Joints in pixels of a picture, and which of them to show."""


def pose_over_faint(
    pose: _Pose, faint: _Pose, skeleton: Skeleton, hw: tuple[int, int]
) -> UInt8[np.ndarray, "h w 3"]:
    """A pose over a faint other one, on an even ground."""
    ghost = pose_on_plain(*faint, skeleton, hw)
    ground = pose_on_plain(faint[0], np.zeros_like(faint[1]), skeleton, hw)
    both = cv2.addWeighted(ghost, _GHOST_STRENGTH, ground, 1 - _GHOST_STRENGTH, 0)
    return draw_pose(np.asarray(both, np.uint8), *pose, skeleton, outline=False)


def grid_of(frames: UInt8[np.ndarray, "t h w 3"]) -> UInt8[np.ndarray, "h2 w2 3"]:
    """All frames in one picture, COLUMNS a row; the last one fills up the last row."""
    missing = -len(frames) % COLUMNS
    return contact_sheet([*frames, *[frames[-1]] * missing], COLUMNS, gap=0)


def _strip(movies: Movies, num_past: int) -> UInt8[np.ndarray, "sheet_h sheet_w 3"]:
    """A few moments, one row a panel: the last seen frame, then some horizons."""
    likeliest = {title: futures[0] for title, futures in movies.items()}
    shortest = min(len(frames) for frames in likeliest.values())
    moments = [num_past - 1]
    moments += [num_past - 1 + k for k in PAPER_HORIZONS[1:] if num_past - 1 + k < shortest]
    pictures = []
    height, width = likeliest["truth"].shape[1:3]
    for title, frames in likeliest.items():
        for moment in moments:
            ahead = moment - num_past + 1
            label = title if ahead == 0 else f"+{ahead}"
            picture = cv2.resize(frames[moment], (width, height))
            pictures.append(add_caption(np.asarray(picture, np.uint8), label))
    return contact_sheet(pictures, len(moments))
