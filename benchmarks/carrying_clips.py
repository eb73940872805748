"""Clips of real people, cut to the square around the person: what drawn frames are judged on.

They are a folder's, Penn Action's or a single video's, as `benchmarks.carrying_table` says.
"""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Bool, Float, UInt8

from posecast.clips import EarlierPictures, SeenVideo
from posecast.datasets.penn_action import PennAction
from posecast.estimation.estimator import PoseEstimator
from posecast.estimation.following import follow
from posecast.forecasting.protocols import MOST_EARLIER, MOST_PICTURES, evenly
from posecast.geometry import Crop, cut_crop, px_to_crop
from posecast.keypoints.table import THRESHOLD
from posecast.media.videos import read_video
from posecast.skeletons import PENN_ACTION

SIZE = 128
Frames = UInt8[np.ndarray, "f s s 3"]
Clip = tuple[str, str, Frames, Float[np.ndarray, "f j 2"], Bool[np.ndarray, "f j"]]
"""Name, group, whole frames, joints in their pixels, visibility."""


@dataclass(frozen=True, eq=False)
class CutClip:
    """A clip at the size of the table."""

    frames: Frames
    joints: Float[np.ndarray, "t j 2"]
    visible: Bool[np.ndarray, "t j"]
    inside: Bool[np.ndarray, "s s"]
    """Pixels that the video shows."""
    scale: float
    """Pixels of the video in one of these: the width of heat maps is stated in those."""
    num_seen: int

    @property
    def seen(self) -> SeenVideo:
        """The first frames."""
        count, side = self.num_seen, round(SIZE * self.scale)
        past = (self.joints[:count] * np.float32(self.scale), self.visible[:count])
        last = max(count - MOST_PICTURES, 0)
        before = tuple(evenly(last, MOST_EARLIER))
        earlier = EarlierPictures(before, self.frames[list(before)]) if before else None
        shown = self.frames[last:count], Crop(0, 0, side, side)
        return SeenVideo(*past, 30.0, (side, side), *shown, earlier=earlier)


def clips_of(path: Path) -> Iterator[Clip]:
    """Of such a folder, or of a video."""
    if path.is_file():
        return _of_video(path)
    return _of_groups(path) if (path / "clips.csv").is_file() else _of_penn(path)


def _of_groups(folder: Path) -> Iterator[Clip]:
    """Of every fifth group."""
    with (folder / "clips.csv").open(encoding="utf-8") as file:
        groups = {row["clip"]: row["group"] for row in csv.DictReader(file)}
    chosen = set(sorted(set(groups.values()))[::5])
    for clip in (clip for clip, group in groups.items() if group in chosen):
        frames = np.stack(list(read_video(folder / "clips" / f"{clip}.mp4")))
        joints = np.zeros((len(frames), PENN_ACTION.num_joints, 2), np.float32)
        visible = np.zeros(joints.shape[:2], bool)
        with (folder / "poses" / f"{clip}.csv").open(encoding="utf-8") as file:
            for row in csv.DictReader(file):
                place = int(row["frame"]), PENN_ACTION.index(row["joint"])
                joints[place] = float(row["x"]), float(row["y"])
                visible[place] = float(row["confidence"]) >= THRESHOLD
        # The files name sides by the person, Penn Action's skeleton the other way round.
        order = list(PENN_ACTION.mirror)
        yield clip, groups[clip], frames, joints[:, order], visible[:, order]


def _of_penn(folder: Path) -> Iterator[Clip]:
    """Those that have frames."""
    source = PennAction(folder)
    for clip in source.clip_ids():
        frames = source.read_frames(clip)
        if frames is not None:
            poses = source.read_poses(clip)
            yield clip, clip, np.stack(list(frames)), poses.joints_px, poses.visible


def _of_video(video: Path) -> Iterator[Clip]:
    """One, with the poses of who is found in it."""
    frames = np.stack(list(read_video(video)))
    found = follow(frames, PoseEstimator.pretrained())
    yield video.stem, video.stem, frames, found.joints_px.astype(np.float32), found.visible


def cut(
    frames: Frames,
    joints: Float[np.ndarray, "f j 2"],
    visible: Bool[np.ndarray, "f j"],
    num_seen: int,
) -> CutClip:
    """The square around all joints, with what was seen outside of the video marked."""
    crop = square_around(joints[visible], 32)
    x, y, side = crop.x1, crop.y1, crop.width
    white = np.full((*frames.shape[1:3], 3), 255, np.uint8)
    framed = cv2.copyMakeBorder(white, side, side, side, side, cv2.BORDER_CONSTANT)
    shifted = Crop(x + side, y + side, x + 2 * side, y + 2 * side)
    inside = cut_crop(framed, shifted, SIZE, "area")[..., 0] == 255
    pictures = np.stack([cut_crop(frame, crop, SIZE, "area") for frame in frames])
    placed = (px_to_crop(joints, crop) * SIZE).astype(np.float32)
    return CutClip(pictures, placed, visible, inside, side / SIZE, num_seen)


def square_around(points: Float[np.ndarray, "n 2"], least: int) -> Crop:
    """Of so many pixels at least, with 10 % of room on each side."""
    low, high = points.min(0), points.max(0)
    side = max(round(1.2 * float((high - low).max())), least)
    x, y = np.round((low + high - side) / 2).astype(int).tolist()
    return Crop(x, y, x + side, y + side)
