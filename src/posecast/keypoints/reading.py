"""A keypoint file and the video it belongs to -> one person's joints in every frame."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from jaxtyping import Bool, Float

from posecast.keypoints import formats
from posecast.keypoints.detections import Detection, Detections, KeypointError
from posecast.keypoints.names import to_skeleton
from posecast.keypoints.people import Person, find_people
from posecast.keypoints.table import read_table
from posecast.skeletons import Skeleton

Format = Literal["auto", "openpose", "coco", "alphapose", "mediapipe", "csv"]
FORMATS: tuple[Format, ...] = ("openpose", "coco", "alphapose", "mediapipe", "csv")
_SURPLUS = 2
"""Frames that another program may have counted beyond the end of a video."""
_MOST_LISTED = 5


@dataclass(frozen=True)
class KeypointOptions:
    """How keypoint files are read."""

    format: Format = "auto"
    """auto finds out: a folder is OpenPose's, .csv a table, .json one of the others."""
    min_confidence: float = -1.0
    """Joints below are not seen; -1: what is usual for the format."""


@dataclass(frozen=True, eq=False)
class KeypointTrack:
    """One person's joints in every frame of a video."""

    joints_px: Float[np.ndarray, "t j 2"]
    """0 where not visible."""
    visible: Bool[np.ndarray, "t j"]
    format: str
    """What kind of file it was."""
    num_people: int
    """How many people the file has."""

    @property
    def num_found(self) -> int:
        """Frames with at least one joint."""
        return int(self.visible.any(axis=1).sum())


def read_keypoints(
    path: str | Path,
    skeleton: Skeleton,
    num_frames: int,
    image_hw: tuple[int, int],
    options: KeypointOptions | None = None,
    person: int = 1,
) -> KeypointTrack:
    """The joints of one person, by their names, for a video of `num_frames` frames.

    `person` is which of several: 1 is the one who is largest and seen longest, 2 the next.
    Frames that the file does not have, and joints that it lacks and that cannot be derived, are
    not seen.

    Raises:
        KeypointError: no such file, an unknown or damaged one, no such person, more frames than
            the video has, or points far outside the image.
    """
    path, options = Path(path), options or KeypointOptions()
    if not path.exists():
        raise KeypointError(f"{path}: no such keypoint file or folder")
    kind, found = _read(path, options.format)
    threshold = found.threshold if options.min_confidence < 0 else options.min_confidence
    people = find_people(found.people, threshold)
    chosen = _choose(people, person, path)
    shift = _first_number(found, num_frames, path)
    points, confidence = _fill(chosen.detections, len(found.joints), num_frames, shift)
    if found.shares:
        points = points * np.array([image_hw[1], image_hw[0]], float)
    seen = (confidence > 0) & (confidence >= threshold) & np.isfinite(points).all(axis=-1)
    _check_inside(points[seen], image_hw, path)
    used = np.where(seen, confidence, 0.0)
    joints, sure = to_skeleton(points, used, found.joints, skeleton)
    visible = sure > 0
    if not visible.any():
        raise KeypointError(f"{path}: not one joint of skeleton {skeleton.name} is seen in it")
    return KeypointTrack(joints, visible, kind, len(people))


def _read(path: Path, kind: Format) -> tuple[str, Detections]:
    """The format found, or the one asked for, and what the file says."""
    if path.is_dir():
        if kind not in ("auto", "openpose") or not formats.is_openpose(path):
            raise KeypointError(
                f"{path}: a folder of keypoints holds OpenPose's NAME_keypoints.json files "
                "(--write_json); it has none, or another format was asked for"
            )
        return "openpose", formats.read_openpose(path)
    if kind == "csv" or (kind == "auto" and path.suffix.lower() == ".csv"):
        return "csv", read_table(path)
    return _read_json(path, kind)


def _read_json(path: Path, kind: Format) -> tuple[str, Detections]:
    content: Any = formats.load_json(path)
    where = str(path)
    if formats.is_coco(content) and kind in ("auto", "coco"):
        return "coco", formats.read_coco(content, where)
    if formats.is_results(content) and kind in ("auto", "coco", "alphapose"):
        return "coco or alphapose", formats.read_results(content, where)
    if formats.is_mediapipe(content) and kind in ("auto", "mediapipe"):
        return "mediapipe", formats.read_mediapipe(content, where)
    wanted = "any known kind" if kind == "auto" else f"the kind {kind}"
    raise KeypointError(
        f"{path}: not keypoints of {wanted}. Known: a folder of OpenPose's JSON files, COCO "
        "keypoint annotations or results, AlphaPose's results, MediaPipe landmarks, and CSV"
    )


def _choose(people: Sequence[Person], number: int, path: Path) -> Person:
    if not people:
        raise KeypointError(f"{path}: nobody is in it")
    if not 1 <= number <= len(people):
        listed = "; ".join(
            f"{rank}: frames {each.detections[0].frame} to {each.detections[-1].frame}"
            for rank, each in enumerate(people[:_MOST_LISTED], start=1)
        )
        raise KeypointError(f"{path}: no person {number}, it has {len(people)} ({listed})")
    return people[number - 1]


def _first_number(found: Detections, num_frames: int, path: Path) -> int:
    """What the file calls the first frame: 0, or 1 where its numbers only fit so."""
    numbers = found.numbers or tuple(each.frame for each in found.people)
    lowest, highest = min(numbers), max(numbers)
    if highest < num_frames:
        return 0
    if lowest >= 1 and highest == num_frames:
        return 1
    if highest < num_frames + _SURPLUS:
        return 0
    raise KeypointError(
        f"{path}: has poses up to frame {highest}, the video has {num_frames} frames: give the "
        "keypoints of this video, of all of its frames"
    )


def _fill(
    detections: Sequence[Detection], num_points: int, num_frames: int, first: int
) -> tuple[Float[np.ndarray, "t k 2"], Float[np.ndarray, "t k"]]:
    """Points and confidences in every frame; of two detections in a frame the surer counts."""
    points = np.zeros((num_frames, num_points, 2))
    confidence = np.zeros((num_frames, num_points))
    for each in detections:
        frame = each.frame - first
        if frame < num_frames and each.confidence.sum() > confidence[frame].sum():
            points[frame], confidence[frame] = each.points, each.confidence
    return points, confidence


def _check_inside(points: Float[np.ndarray, "n 2"], hw: tuple[int, int], path: Path) -> None:
    """Most points must lie in the image, or the file is of another video or size."""
    if not len(points):
        return
    inside = ((points >= 0) & (points <= [hw[1], hw[0]])).all(axis=1)
    if inside.mean() < 0.5:
        raise KeypointError(
            f"{path}: {100 * (1 - inside.mean()):.0f} % of the points lie outside the video's "
            f"{hw[1]} x {hw[0]} pixels: give keypoints in pixels of this video as it is shown"
        )
