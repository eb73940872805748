"""A file or folder of keypoints, of whatever format -> what it says."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

from posecast.keypoints import formats
from posecast.keypoints.deeplabcut import is_deeplabcut, read_deeplabcut
from posecast.keypoints.detections import Detections, KeypointError
from posecast.keypoints.mmpose import is_mmpose, read_mmpose
from posecast.keypoints.table import read_rows, read_table
from posecast.keypoints.texts import read_letters
from posecast.keypoints.trc import read_trc
from posecast.keypoints.yolo import read_yolo, yolo_files
from posecast.records.arguments import as_path, check_settings
from posecast.records.configs import check_at_least

Format = Literal[
    "auto",
    "openpose",
    "coco",
    "alphapose",
    "mmpose",
    "mediapipe",
    "yolo",
    "deeplabcut",
    "csv",
    "trc",
]
_KNOWN = (
    "Known: folders of OpenPose's JSON files or Ultralytics' text files, COCO keypoint annotations "
    "or results, AlphaPose's results, MMPose's predictions, MediaPipe landmarks, CSV (posecast's "
    "or DeepLabCut's), and OpenSim's .trc. Write all else as CSV, one line a joint: "
    "frame,joint,x,y,confidence"
)
_SUREST = 20
"""What confidences are said to be up to 1 may reach (MMPose's go beyond it), those up to 100 do."""
_ALPHAPOSE = "alphapose-results.json"
_OF_FOLDERS = ("openpose", "yolo")
_TABLES, _TEXTS = (".csv", ".tsv"), (".json", ".jsonl", "")


@dataclass(frozen=True)
class KeypointOptions:
    """How keypoint files are read."""

    format: Format = "auto"
    """auto finds out: a folder is OpenPose's or YOLO's, .csv a table, .trc OpenSim's, .json the
    others."""
    min_confidence: float = -1.0
    """Joints below are not seen, 1 being quite sure; over 1 it is percent where the file's are. -1:
    what is usual for the format."""
    first_frame: int = -1
    """What the file calls the first frame of the video; -1: 0, or what fits the video."""

    def __post_init__(self) -> None:
        check_at_least(-1, self, "min_confidence", most=100)
        check_at_least(-1, self, "first_frame")


class _Kind(NamedTuple):
    """Of JSON files."""

    name: str
    formats: tuple[Format, ...]
    """By which it is asked for."""
    is_it: Callable[[Any], bool]
    read: Callable[[Any], Detections]


_JSON = (
    _Kind("coco", ("coco",), formats.is_coco, formats.read_coco),
    _Kind("coco or alphapose", ("coco", "alphapose"), formats.is_results, formats.read_results),
    _Kind("mmpose", ("mmpose",), is_mmpose, read_mmpose),
    _Kind("mediapipe", ("mediapipe",), formats.is_mediapipe, formats.read_mediapipe),
)


def files_read(path: Path) -> list[Path]:
    """What is read of a path: of a folder AlphaPose's results, else the files of OpenPose, else
    those of Ultralytics."""
    path = as_path(path, "the file of keypoints")
    if not path.is_dir():
        return [path]
    results = path / _ALPHAPOSE
    return [results] if results.is_file() else formats.openpose_files(path) or yolo_files(path)


def open_keypoints(path: Path, options: KeypointOptions) -> tuple[str, Detections]:
    """The format, and what the file says, of points that are sure enough; KeypointError: no such
    file, an unknown or damaged one, or nobody in it."""
    check_settings(options, KeypointOptions, "options")
    if not path.exists():
        raise KeypointError("no such keypoint file or folder")
    kind, found = _read(path, options.format)
    if not found.people:
        raise KeypointError("nobody is in it")
    found, asked = _of_one(found), options.min_confidence
    asked = asked / 100 if found.percent and asked > 1 else asked
    least = found.threshold if asked < 0 else asked
    sure = tuple(each.without_unsure(least) for each in found.people)
    most = max(each.without_unsure(0.0).confidence.max(initial=0) for each in found.people)
    if not any(each.found.any() for each in sure) and most > 0:
        raise KeypointError(
            f"nobody is in it: no point is as sure as {least:g}, the surest is {most:g} "
            "(--min-confidence says which count as seen)"
        )
    return kind, replace(found, people=sure)


def _of_one(found: Detections) -> Detections:
    """Confidences up to 1 where the file has them in percent."""
    most = max(float(np.nan_to_num(each.confidence).max(initial=0)) for each in found.people)
    if most <= _SUREST:
        return found
    if most > 100:
        raise KeypointError(f"confidences go up to {most:g}: expected 0 to 1, or percent")
    people = (replace(each, confidence=each.confidence / 100) for each in found.people)
    return replace(found, people=tuple(people), percent=True)


def _read(path: Path, asked: Format) -> tuple[str, Detections]:
    """The format found, or the one asked for, and what the file says."""
    files = files_read(path)
    if [file.name for file in files] == [_ALPHAPOSE]:
        path = files[0]
    suffix = path.suffix.lower() if asked == "auto" else ""
    if path.is_dir():
        found = "yolo" if files and files[0].suffix == ".txt" else "openpose"
        if asked not in ("auto", found) or not files:
            raise KeypointError(
                "a folder of keypoints holds OpenPose's NAME_keypoints.json files "
                "(--write_json) or Ultralytics' NAME_1.txt (save_txt); it has none, or another "
                "format was asked for"
            )
        return found, read_yolo(path) if found == "yolo" else formats.read_openpose(path)
    if asked in _OF_FOLDERS:
        raise KeypointError("OpenPose and Ultralytics write one file a frame; give their folder")
    if asked in ("csv", "deeplabcut") or suffix in _TABLES:
        rows = read_rows(path)
        if is_deeplabcut(rows):
            return "deeplabcut", read_deeplabcut(rows)
        return "csv", read_table(rows)
    if asked == "trc" or suffix == ".trc":
        return "trc", read_trc(read_letters(path))
    if suffix not in _TEXTS:
        raise KeypointError(f"files of this ending hold no keypoints. {_KNOWN}")
    content = formats.load_json(path)
    for kind in _JSON:
        if asked in ("auto", *kind.formats) and kind.is_it(content):
            return kind.name, kind.read(content)
    if isinstance(content, dict) and "people" in content:
        raise KeypointError("one frame of OpenPose; give the folder of such files")
    wanted = "any known kind" if asked == "auto" else f"the kind {asked}"
    raise KeypointError(f"not keypoints of {wanted}. {_KNOWN}")
