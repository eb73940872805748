"""Clips that play side by side: each panel is one picture file with all frames in a grid."""

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Bool, Float, UInt8
from PIL import Image

from posecast.evaluation.examples import Example
from posecast.evaluation.summary import PAPER_HORIZONS
from posecast.media.pictures import add_caption, contact_sheet, draw_pose, pose_on_plain
from posecast.records.files import write_safely
from posecast.report.metric_names import style_of
from posecast.skeletons import Skeleton

COLUMNS = 10
"""Frames in a row of a panel's grid."""
_LEAST_SIDE = 160
"""Small frames are enlarged to this for poses to be seen."""
_GHOST_STRENGTH = 0.35


@dataclass(frozen=True)
class Panel:
    """One moving picture of a player."""

    title: str
    file: str
    """Grid of frames: its address, relative to the page."""
    num_frames: int
    rows: int
    hw: tuple[int, int]
    """Height and width of one frame in the file."""
    is_true: bool
    """Shows what really came."""


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
    strip: str = ""
    """A still picture of a few moments of all panels, for print; "" for none."""
    strip_hw: tuple[int, int] = (0, 0)


def write_player(example: Example, skeleton: Skeleton, folder: Path, name: str) -> Player:
    """Write the picture files of one example into `folder`, named after `name`."""
    facts = example.facts
    movies = _movies(example, skeleton)
    panels = []
    for number, (title, frames) in enumerate(movies.items()):
        file = f"{name}-{number}.jpg"
        grid, rows = grid_of(frames)
        _write_jpeg(folder / file, grid)
        hw = (frames.shape[1], frames.shape[2])
        panels.append(
            Panel(title, f"{folder.name}/{file}", len(frames), rows, hw, title == "truth")
        )
    num_past = len(example.past_visible)
    sheet = _strip(movies, num_past)
    _write_jpeg(folder / f"{name}-strip.jpg", sheet)
    style = style_of(facts.metric)
    unit = f" {style.unit}" if style.unit else ""
    return Player(
        title=f"{facts.rank.capitalize()}: {facts.action.replace('_', ' ') or 'clip'}",
        subtitle=(
            f"Clip {facts.clip_id}. {facts.method}: {style.title.lower()} "
            f"{style.text(facts.score)}{unit}, mean over its frames."
        ),
        num_past=num_past,
        num_frames=num_past + len(example.future_visible),
        fps=facts.fps,
        panels=tuple(panels),
        strip=f"{folder.name}/{name}-strip.jpg",
        strip_hw=(sheet.shape[0], sheet.shape[1]),
    )


def _movies(example: Example, skeleton: Skeleton) -> dict[str, UInt8[np.ndarray, "_ _ _ 3"]]:
    """What each panel shows, the truth first, forecast poses right after their frames."""
    movies: dict[str, UInt8[np.ndarray, "_ _ _ 3"]] = {}
    side = _side(example)
    seen_poses = [_pose(example, skeleton, side, n) for n in range(len(example.past_visible))]
    if example.past_frames is not None and example.future_frames is not None:
        movies["truth"] = _enlarged(np.concatenate([example.past_frames, example.future_frames]))
    else:
        length = len(example.past_visible) + len(example.future_visible)
        true_poses = [_pose(example, skeleton, side, number) for number in range(length)]
        movies["truth"] = np.stack(true_poses)
    for method in dict.fromkeys([*example.frames, *example.poses]):
        if method in example.frames and example.past_frames is not None:
            frames = np.concatenate([example.past_frames, example.frames[method]])
            movies[method] = _enlarged(frames)
        if method in example.poses and _is_worth_a_panel(method, example):
            poses = example.poses[method]
            drawn = [_overlay(example, skeleton, side, pose, n) for n, pose in enumerate(poses)]
            title = f"{method}: pose" if method in movies else method
            movies[title] = np.stack(seen_poses + drawn)
    return movies


def _is_worth_a_panel(method: str, example: Example) -> bool:
    """Where some forecasts have poses and frames, only those show their poses: less clutter."""
    both = example.frames.keys() & example.poses.keys()
    return not both or method in both


def _side(example: Example) -> tuple[int, int]:
    """Height and width of pose panels: those of the frames, or the crop's shape."""
    if example.past_frames is not None:
        height, width = example.past_frames.shape[1:3]
    else:
        height, width = example.facts.crop_hw
    factor = max(1.0, _LEAST_SIDE / max(height, width))
    factor = min(factor, 2.0) if example.past_frames is not None else 192 / max(height, width)
    return round(height * factor), round(width * factor)


def _enlarged(frames: UInt8[np.ndarray, "t h w 3"]) -> UInt8[np.ndarray, "t h2 w2 3"]:
    """Small frames at twice their size, so that the browser has less to smear."""
    if max(frames.shape[1:3]) >= _LEAST_SIDE:
        return frames
    factor = min(2.0, _LEAST_SIDE / max(frames.shape[1:3]))
    return np.stack(
        [
            cv2.resize(frame, None, fx=factor, fy=factor, interpolation=cv2.INTER_CUBIC)
            for frame in frames
        ]
    )


def _pose(
    example: Example, skeleton: Skeleton, hw: tuple[int, int], number: int
) -> UInt8[np.ndarray, "h w 3"]:
    """The true pose of one frame, seen frames first."""
    joints = np.concatenate([example.past_joints_crop, example.future_joints_crop])[number]
    visible = np.concatenate([example.past_visible, example.future_visible])[number]
    return pose_on_plain(joints * np.array([hw[1], hw[0]]), visible, skeleton, hw)


def _overlay(
    example: Example,
    skeleton: Skeleton,
    hw: tuple[int, int],
    joints_crop: Float[np.ndarray, "j 2"],
    number: int,
) -> UInt8[np.ndarray, "h w 3"]:
    """A forecast pose over a faint true one."""
    scale = np.array([hw[1], hw[0]])
    true = example.future_joints_crop[number] * scale, example.future_visible[number]
    shown = np.any(example.past_visible, axis=0)
    return pose_over_faint((joints_crop * scale, shown), true, skeleton, hw)


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


def grid_of(frames: UInt8[np.ndarray, "t h w 3"]) -> tuple[UInt8[np.ndarray, "h2 w2 3"], int]:
    """All frames in one picture, COLUMNS a row, and the number of rows."""
    num_rows = -(-len(frames) // COLUMNS)
    missing = num_rows * COLUMNS - len(frames)
    padded = np.concatenate([frames, np.repeat(frames[-1:], missing, axis=0)])
    rows = [
        np.concatenate(list(padded[first : first + COLUMNS]), axis=1)
        for first in range(0, len(padded), COLUMNS)
    ]
    return np.concatenate(rows), num_rows


def _write_jpeg(path: Path, picture: UInt8[np.ndarray, "h w 3"]) -> None:
    image = Image.fromarray(picture)
    write_safely(path, lambda partial: image.save(partial, format="JPEG", quality=88))


def _strip(
    movies: dict[str, UInt8[np.ndarray, "_ _ _ 3"]], num_past: int
) -> UInt8[np.ndarray, "sheet_h sheet_w 3"]:
    """A few moments, one row a panel: the last seen frame, then some horizons."""
    shortest = min(len(frames) for frames in movies.values())
    moments = [num_past - 1]
    moments += [num_past - 1 + k for k in PAPER_HORIZONS[1:] if num_past - 1 + k < shortest]
    pictures = []
    height, width = next(iter(movies.values())).shape[1:3]
    for title, frames in movies.items():
        for moment in moments:
            ahead = moment - num_past + 1
            label = title if ahead == 0 else f"+{ahead}"
            picture = cv2.resize(frames[moment], (width, height))
            pictures.append(add_caption(np.asarray(picture, np.uint8), label))
    return contact_sheet(pictures, len(moments))
