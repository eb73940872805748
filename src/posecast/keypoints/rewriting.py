"""Points of one person, written in the format in which they were read, to go on from there.

Names, people, numbers, images and units are those of the file that was read; points that the reader
passes over (face and hands) are written as not found. `reading.read_points` gives them back.
"""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from posecast.keypoints.detections import HALF_PIXEL, Detections, KeypointError, PointTrack
from posecast.keypoints.writing import coco_annotation, trc_text
from posecast.keypoints.yolo import yolo_line
from posecast.records.files import csv_text, write_safely, write_text

_ENDINGS = {".csv", ".json", ".jsonl", ".npy", ".npz", ".trc", ".tsv"}
"""By which people tell what is in a file."""
_FOUND = 0.99
"""Confidence of a point, where formats have one: what is known of it is in the forecast."""


def write_points(path: str | Path, track: PointTrack, fps: float) -> None:
    """Write a file (of one file a frame a folder) of the track's format; `fps` is for those that
    say it.

    Raises:
        KeypointError: a folder that is there already and holds something, or a name of another
            format's files.
        WriteError: the disk refuses.
    """
    path = Path(path)
    _check_ending(path, track.format)
    if track.format in _FOLDERS:
        _write_folder(path, track)
    elif track.format == "trc":
        write_text(path, _trc(path.name, track, fps))
    elif track.format in _TABLES:
        parted_by = "\t" if path.suffix.lower() == ".tsv" else ","
        write_text(path, csv_text(_TABLES[track.format](track), parted_by))
    else:
        content = _JSON[track.format](track)
        is_lines = path.suffix.lower() == ".jsonl" and isinstance(content, list)
        values = content if is_lines else [content]
        write_text(path, "".join(json.dumps(each) + "\n" for each in values))


def _check_ending(path: Path, kind: str) -> None:
    """KeypointError where whoever reads the name would expect another format."""
    tables = dict.fromkeys(_TABLES, (".csv", ".tsv"))
    right = {"trc": (".trc",), **tables}.get(kind, (".json", ".jsonl"))
    if kind not in _FOLDERS and path.suffix.lower() in _ENDINGS.difference(right):
        raise KeypointError(
            f"{path}: the future is written in the format of what was read ({kind}): name it "
            f"{path.with_suffix(right[0]).name}"
        )


def _source(track: PointTrack) -> Detections:
    return track.found or Detections(track.names, (), 0.3)


def _labels(track: PointTrack) -> tuple[str, ...]:
    return _source(track).labels or track.names


def _numbered(track: PointTrack) -> list[tuple[int, np.ndarray]]:
    """Frame numbers, and x, y, confidence of each point that the file has; 0 where not seen."""
    count = max(_source(track).num_points, len(track.names))
    seen = track.confidence > 0
    rows = np.zeros((len(seen), count, 3))
    rows[:, : len(track.names), :2] = np.where(seen[..., None], track.points, 0).round(6)
    rows[:, : len(track.names), 2] = seen * (100 * _FOUND if _source(track).percent else _FOUND)
    return list(enumerate(rows, start=track.first_frame))


def _centres(rows: np.ndarray) -> np.ndarray:
    """Places of pixels' centres counted from 0, as other programs have them."""
    seen = rows[:, 2] > 0
    return np.column_stack([np.where(seen[:, None], rows[:, :2] - HALF_PIXEL, 0), rows[:, 2]])


def _next_name(name: Any, number: int, new: int) -> Any:
    """What a frame is called, from the name of frame `number`: "a_0012.jpg" -> "a_0013.jpg"."""
    if isinstance(name, int | float):
        return new
    places = [each for each in re.finditer(r"\d+", str(name)) if int(each[0]) == number]
    if not places:
        return f"{new:012d}.jpg"
    last = places[-1]
    return f"{name[: last.start()]}{new:0{len(last[0])}d}{name[last.end() :]}"


def _table(track: PointTrack) -> list[list[Any]]:
    lines: list[list[Any]] = [["frame", "joint", "x", "y", "confidence", "person"]]
    for frame, rows in _numbered(track):
        for label, (x, y, sure) in zip(_labels(track), rows.tolist(), strict=True):
            place = [f"{x:.3f}", f"{y:.3f}"] if sure else ["", ""]
            lines.append([frame, label, *place, sure, track.person])
    return lines


def _deeplabcut(track: PointTrack) -> list[list[Any]]:
    facts, labels = _source(track).repeated, _labels(track)
    width = 3 * len(labels)
    heads = [["scorer", *[facts.get("scorer", "posecast")] * width]]
    if facts.get("has_individuals"):
        heads.append(["individuals", *[track.person or "person"] * width])
    heads.append(["bodyparts", *(label for label in labels for _ in range(3))])
    heads.append(["coords", *("x", "y", "likelihood") * len(labels)])
    lines = []
    for frame, rows in _numbered(track):
        cells = [row if row[2] else ["", "", ""] for row in rows.tolist()]
        lines.append([frame, *(cell for row in cells for cell in row)])
    return [*heads, *lines]


def _coco(track: PointTrack) -> dict[str, Any]:
    facts = _source(track).repeated
    image, last = facts["image"], facts["number"]
    images, annotations = [], []
    for frame, rows in _numbered(track):
        name = _next_name(image.get("file_name", ""), last, frame)
        images.append({**image, "id": frame, "file_name": name})
        if rows[:, 2].any():
            points, seen = _centres(rows)[:, :2], rows[:, 2] > 0
            annotations.append(coco_annotation(frame, points, seen, **_named(track, "track_id")))
    categories = facts["categories"] or [
        {"id": 1, "name": "person", "keypoints": list(track.names), "skeleton": []}
    ]
    return {"images": images, "annotations": annotations, "categories": categories}


def _named(track: PointTrack, key: str) -> dict[str, int | str]:
    """The person's name, where the file names anybody."""
    return {key: _whole(track.person)} if track.person else {}


def _whole(person: str) -> int | str:
    return int(person) if person.isdecimal() else person


def _results(track: PointTrack) -> list[dict[str, Any]]:
    facts = _source(track).repeated
    return [
        {
            "image_id": _next_name(facts["frame_name"], facts["number"], frame),
            "category_id": 1,
            "keypoints": _centres(rows).ravel().tolist(),
            "score": _FOUND,
            **_named(track, "idx"),
        }
        for frame, rows in _numbered(track)
        if rows[:, 2].any()
    ]


def _mmpose(track: PointTrack) -> Any:
    frames = []
    for frame, rows in _numbered(track):
        points = _centres(rows)
        one = {"keypoints": points[:, :2].tolist(), "keypoint_scores": points[:, 2].tolist()}
        frames.append({"frame_id": frame, "instances": [one | _named(track, "track_id")]})
    facts = _source(track).repeated
    return {**facts, "instance_info": frames} if facts else frames


def _mediapipe(track: PointTrack) -> list[dict[str, Any]]:
    return [
        {
            "frame": frame,
            "landmarks": [{"x": x, "y": y, "visibility": sure} for x, y, sure in rows.tolist()],
        }
        for frame, rows in _numbered(track)
    ]


def _write_folder(path: Path, track: PointTrack) -> None:
    """A folder of one file a frame, whole or not there."""
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise KeypointError(f"{path} is there already: name a new folder with --out")
    last, number = (_source(track).repeated[name] for name in ("frame_name", "number"))

    def fill(folder: Path) -> None:
        folder.mkdir()
        for frame, rows in _numbered(track):
            if text := _FOLDERS[track.format](track, rows):
                (folder / _next_name(last, number, frame)).write_bytes(text.encode())

    write_safely(path, fill)


def _openpose(track: PointTrack, rows: np.ndarray) -> str:
    points = rows if _source(track).shares else _centres(rows)
    person = {"person_id": [_whole(track.person) if track.person else -1]}
    person["pose_keypoints_2d"] = points.ravel().tolist()
    return json.dumps({"version": 1.3, "people": [person]}) + "\n"


def _yolo(track: PointTrack, rows: np.ndarray) -> str:
    return yolo_line(rows, track.person) if rows[:, 2].any() else ""


def _trc(file_name: str, track: PointTrack, fps: float) -> str:
    source = _source(track)
    rows = np.stack([each for _, each in _numbered(track)])
    depth = np.broadcast_to(source.repeated["depth"], rows.shape[:2])
    points = np.stack([rows[..., 0], -rows[..., 1], depth], axis=-1)
    facts = (_labels(track), fps, track.first_frame, source.repeated["units"])
    last, second = source.repeated["last"]
    return trc_text(file_name, points, rows[..., 2] > 0, *facts, second - last / fps)


_FOLDERS: dict[str, Callable[[PointTrack, np.ndarray], str]] = {
    "openpose": _openpose,
    "yolo": _yolo,
}
_TABLES: dict[str, Callable[[PointTrack], list[list[Any]]]] = {
    "csv": _table,
    "deeplabcut": _deeplabcut,
}
_JSON: dict[str, Callable[[PointTrack], Any]] = {
    "coco": _coco,
    "coco or alphapose": _results,
    "mmpose": _mmpose,
    "mediapipe": _mediapipe,
}
