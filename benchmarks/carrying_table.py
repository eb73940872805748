"""Frames carried to true poses beside the last frame, on clips of real people.

    python benchmarks/carrying_table.py FOLDER --drawer carried-refined

FOLDER holds clips/NAME.mp4, poses/NAME.csv (`posecast.keypoints.table`) and clips.csv with columns
clip and group. Every fifth group in sorted order is the validation. Each clip is cut to the square
around all of its joints and 10 % on each side, at 128 x 128; its first 10 frames are seen, true
poses are drawn. What lies outside of the video is left out of every metric. Means are over groups
of means over clips. Sharpness is the energy of the gradient inside of the person, as a share of the
true frame's; a ghost is the even mixture with the last frame.
"""

import csv
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import cv2
import numpy as np
import tyro
from jaxtyping import Bool, Float, UInt8
from skimage.metrics import structural_similarity

from posecast.carrying.body_parts import body_size, part_distances, pose_of
from posecast.clips import SeenVideo
from posecast.forecasting.loading import load_frame_drawer
from posecast.forecasting.protocols import FrameDrawer
from posecast.geometry import Crop, cut_crop, px_to_crop
from posecast.keypoints.table import THRESHOLD
from posecast.media.videos import read_video
from posecast.skeletons import PENN_ACTION

SIZE, SEEN, HORIZONS = 128, 10, (1, 4, 8, 16, 32)
Numbers = dict[str, float]


@dataclass(frozen=True, eq=False)
class CutClip:
    """A clip at the size of the table."""

    frames: UInt8[np.ndarray, "t s s 3"]
    joints: Float[np.ndarray, "t j 2"]
    visible: Bool[np.ndarray, "t j"]
    inside: Bool[np.ndarray, "s s"]
    """Pixels that the video shows."""


def validation_clips(folder: Path) -> dict[str, str]:
    """Clip -> group, of every fifth group."""
    with (folder / "clips.csv").open(encoding="utf-8") as file:
        groups = {row["clip"]: row["group"] for row in csv.DictReader(file)}
    chosen = set(sorted(set(groups.values()))[::5])
    return {clip: group for clip, group in groups.items() if group in chosen}


def read_clip(folder: Path, clip: str) -> CutClip:
    """Frames and poses of a clip; the poses' sides are named as the skeleton's."""
    frames = np.stack(list(read_video(folder / "clips" / f"{clip}.mp4")))
    joints = np.zeros((len(frames), PENN_ACTION.num_joints, 2), np.float32)
    visible = np.zeros(joints.shape[:2], bool)
    with (folder / "poses" / f"{clip}.csv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            place = int(row["frame"]), PENN_ACTION.index(row["joint"])
            joints[place] = float(row["x"]), float(row["y"])
            visible[place] = float(row["confidence"]) >= THRESHOLD
    low, high = joints[visible].min(0), joints[visible].max(0)
    side = max(round(float((high - low).max()) * 1.2), 32)
    x, y = np.round((low + high - side) / 2).astype(int).tolist()
    crop = Crop(x, y, x + side, y + side)
    white = np.full((*frames.shape[1:3], 3), 255, np.uint8)
    framed = cv2.copyMakeBorder(white, side, side, side, side, cv2.BORDER_CONSTANT)
    shifted = Crop(x + side, y + side, x + 2 * side, y + 2 * side)
    inside = cut_crop(framed, shifted, SIZE, "area")[..., 0] == 255
    cut = np.stack([cut_crop(frame, crop, SIZE, "area") for frame in frames])
    return CutClip(cut, px_to_crop(joints, crop) * SIZE, visible, inside)


def drawn(drawer: FrameDrawer, clip: CutClip) -> UInt8[np.ndarray, "f s s 3"]:
    """Frames of the true poses after the seen ones."""
    box = Crop(0, 0, SIZE, SIZE)
    past = (clip.joints[:SEEN], clip.visible[:SEEN])
    seen = SeenVideo(*past, 30.0, (SIZE, SIZE), clip.frames[:SEEN], box)
    last = SEEN + max(HORIZONS) + 2
    return drawer.draw_frames(seen, clip.joints[SEEN:last], clip.visible[SEEN:last])


def measured(
    frame: np.ndarray, true: np.ndarray, inside: np.ndarray, person: np.ndarray
) -> Numbers:
    """PSNR and SSIM of the whole, PSNR and sharpness of the person."""
    error = (frame.astype(np.float32) - true) ** 2
    similar = structural_similarity(frame, true, channel_axis=2, data_range=255, full=True)[1]
    energy = [_gradient_energy(each)[(inside & person)[1:, 1:]].sum() for each in (frame, true)]
    return {
        "PSNR": _psnr(error[inside].mean()),
        "SSIM": float(similar[inside].mean()),
        "PSNR of the person": _psnr(error[inside & person].mean()),
        "sharpness": float(energy[0] / energy[1]),
    }


def _psnr(error: float) -> float:
    return float(10 * np.log10(255**2 / max(error, 0.01)))


def _gradient_energy(frame: np.ndarray) -> np.ndarray:
    levels = frame.astype(np.float32)
    down, right = np.diff(levels, axis=0)[:, 1:], np.diff(levels, axis=1)[1:]
    return (down**2 + right**2).sum(-1)


def rows_of(drawer: FrameDrawer, clip: CutClip) -> dict[tuple[int, str], Numbers]:
    """(horizon, method) -> numbers."""
    size = body_size(clip.joints, clip.visible, PENN_ACTION)
    poses = pose_of(clip.joints, clip.visible, PENN_ACTION, size)
    future, last = drawn(drawer, clip), clip.frames[SEEN - 1]
    rows = {}
    for ahead in (k for k in HORIZONS if SEEN - 1 + k < len(clip.frames)):
        true, frame = clip.frames[SEEN - 1 + ahead], future[ahead - 1]
        person = part_distances(poses[SEEN - 1 + ahead], SIZE, size).min(0) < 1.25
        ghost = ((frame.astype(int) + last + 1) // 2).astype(np.uint8)
        for name, each in (("drawn", frame), ("last frame", last), ("ghost", ghost)):
            rows[ahead, name] = measured(each, true, clip.inside, person)
    return rows


def main(
    folder: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="FOLDER")],
    drawer: str = "carried",
) -> None:
    """Print the table as Markdown.

    Args:
        folder: clips, poses and clips.csv.
        drawer: shipped weights, a run folder or a weight file that draws frames.
    """
    loaded, groups = load_frame_drawer(drawer), validation_clips(folder)
    table: dict[tuple[int, str], dict[str, list[Numbers]]] = defaultdict(lambda: defaultdict(list))
    for clip, group in groups.items():
        for key, numbers in rows_of(loaded, read_clip(folder, clip)).items():
            table[key][group].append(numbers)
    for (ahead, name), by_group in sorted(table.items()):
        means = {
            metric: np.mean([np.mean([n[metric] for n in rows]) for rows in by_group.values()])
            for metric in next(iter(by_group.values()))[0]
        }
        shown = " | ".join(f"{value:.3f}" for value in means.values())
        print(f"| {ahead} | {name} | {shown} |", flush=True)


if __name__ == "__main__":
    tyro.cli(main)
