"""Poses as CSV, in the table that posecast writes too; `deeplabcut` reads the other kind of CSV.

    frame,joint,x,y,confidence,person
    0,left_shoulder,512.5,310.25,0.93,1

One line a joint. `frame` counts from 0; `joint` is a name such as nose or left_shoulder, by the
person's own left and right; x and y are pixels, (0, 0) the image's top-left corner. `confidence`
(or `visible`, 0 or 1) may be left out and is then 1; `person`, any word, may be left out too;
lines whose column `forecast` is 1 were not seen and are left out; columns of other names are passed
over. As other programs write it, cells may be parted by semicolons or tabs, frame numbers may be
0.0, and a joint with an empty x or y is not seen. A joint that one person has twice in a frame is
another's.
"""

import csv
import io
import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float

from posecast.keypoints.detections import Detection, Detections, KeypointError, person_name, told_of
from posecast.keypoints.names import own_side_names, plain_name
from posecast.keypoints.texts import read_letters
from posecast.records.files import csv_text, write_text
from posecast.skeletons import Skeleton

_NEEDED = ("frame", "joint", "x", "y")
_KNOWN = (*_NEEDED, "confidence", "visible", "person")
_SAME: dict[str, str] = {
    **dict.fromkeys(("conf", "likelihood", "score", "probability"), "confidence"),
    **dict.fromkeys(("person_id", "track_id"), "person"),
    **dict.fromkeys(("bodypart", "keypoint", "landmark"), "joint"),
    **dict.fromkeys(("frame_id", "frame_number"), "frame"),
    "visibility": "visible",
}
"""What others call these columns."""
THRESHOLD = 0.3
_THOUSANDS = re.compile(r"-?\d{1,3}(,\d{3})+")
_SEPARATOR = re.compile(r"\"?sep=([,;\t|])\"?", re.IGNORECASE)
"""What Excel reads and writes above the first line."""
_MISSING = ("", "nan", "na", "n/a", "none", "null", "<na>")
_WORDS = {"true": 1.0, "false": 0.0}


def write_table(
    path: Path,
    joints_px: Float[np.ndarray, "t j 2"],
    visible: Bool[np.ndarray, "t j"],
    skeleton: Skeleton,
    numbers: Sequence[int] | None = None,
    more: Mapping[str, Sequence[object]] | None = None,
    person: int = 1,
) -> None:
    """Write the visible joints of one person, whose number is `person`, with the frames' `numbers`,
    0, 1, 2 ... if None; `read_keypoints` gives them back. `more` are further columns by name, a
    value a frame."""
    more, numbers = more or {}, range(len(joints_px)) if numbers is None else numbers
    rows: list[tuple[object, ...]] = [(*_NEEDED, "person", *more)]
    names = own_side_names(skeleton)
    for frame, joint in np.argwhere(visible).tolist():
        x, y = joints_px[frame, joint].tolist()
        told = (column[frame] for column in more.values())
        rows.append((numbers[frame], names[joint], f"{x:.2f}", f"{y:.2f}", person, *told))
    write_text(path, csv_text(rows))


Row = tuple[int, list[str]]
"""A line's number in its file, from 1, and its cells."""


def read_rows(path: Path) -> list[Row]:
    """The cells of a CSV file, stripped, without empty lines; KeypointError where it is none."""
    text = read_letters(path)
    try:
        head, _, rest = text.partition("\n")
        if said := _SEPARATOR.fullmatch(head.strip()):
            delimiter, text = said[1], "\n" + rest
        else:
            delimiter = max(",;\t", key=head.count)
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
        rows = [(reader.line_num, [cell.strip() for cell in row]) for row in reader]
    except csv.Error as error:
        raise KeypointError(f"cannot be read as CSV ({error})") from error
    doubtful = [cell for _, row in rows for cell in row if _THOUSANDS.fullmatch(cell)]
    if doubtful and delimiter == ",":
        raise KeypointError(
            f"does the comma in {doubtful[0]!r} part thousands or decimals? Write numbers "
            "without one, or part cells by semicolons"
        )
    return [(line, row) for line, row in rows if any(row)]


def number(cell: str) -> float:
    """A cell's number, NaN where it is empty; a decimal comma is read where cells allow one."""
    if cell.lower() in _MISSING:
        return math.nan
    if cell.lower() in _WORDS:
        return _WORDS[cell.lower()]
    try:
        return float(cell if "." in cell else cell.replace(",", "."))
    except ValueError:
        raise ValueError(f"got {cell!r}") from None


def read_table(rows: Sequence[Row]) -> Detections:
    """Read such rows; KeypointError names the line that is wrong."""
    head = [name.lower() for name in rows[0][1]] if rows else []
    head = [name if (known := _SAME.get(name, name)) in head else known for name in head]
    missing = [name for name in _NEEDED if name not in head]
    if missing:
        raise KeypointError(
            f"the first line has to name the columns {', '.join(_KNOWN)} (the last three "
            f"may be absent), one line a joint, not one a frame; it lacks {', '.join(missing)}"
        )
    seen = _without_forecast(head, rows[1:])
    if rows[1:] and not seen:
        raise KeypointError("all lines are forecast ones (column forecast): give what was seen")
    lines = []
    for line, row in seen:
        with told_of(f"line {line}"):
            lines.append(_parse(head, row))
    labels = [row[head.index("joint")] for _, row in seen]
    found = _collect(lines, {plain_name(label): label for label in labels})
    num_left = len(rows) - 1 - len(seen)
    note = f"lines of forecast frames that are left out: {num_left}" if num_left else ""
    return replace(found, note=note)


def _without_forecast(head: Sequence[str], rows: Sequence[Row]) -> Sequence[Row]:
    if "forecast" not in head:
        return rows
    place = head.index("forecast")
    told = ("1", "1.0", "true")
    return [row for row in rows if "".join(row[1][place : place + 1]).lower() not in told]


_Line = tuple[int, str, str, tuple[float, float, float]]
"""Frame, person, joint, and x, y, confidence."""


def _parse(head: Sequence[str], cells: Sequence[str]) -> _Line:
    if len(cells) <= max(map(head.index, _NEEDED)) or any(cells[len(head) :]):
        raise KeypointError(
            f"{len(cells)} cells, where the first line names {len(head)} columns "
            f"({', '.join(head)}); leave a cell empty where nothing is known, and write decimals "
            "with a point"
        )
    row = dict(zip(head, cells, strict=False))
    try:
        frame = number(row["frame"])
        x, y = number(row["x"]), number(row["y"])
        confidence = number(row.get("confidence") or row.get("visible") or "1")
        joint = plain_name(row["joint"])
    except ValueError as error:
        raise KeypointError(
            f"expected whole frame numbers and numbers for x, y, confidence ({error})"
        ) from error
    if not (frame >= 0 and frame.is_integer() and joint):
        raise KeypointError(
            f"expected whole frame numbers from 0 and joints with a name, got frame "
            f"{row['frame']!r} and joint {row['joint']!r}"
        )
    known = math.isfinite(x) and math.isfinite(y) and math.isfinite(confidence)
    values = (x, y, confidence) if known else (0.0, 0.0, 0.0)
    return int(frame), person_name(row.get("person", "")), joint, values


def _collect(lines: Sequence[_Line], labels: Mapping[str, str]) -> Detections:
    joints = tuple(dict.fromkeys(joint for _, _, joint, _ in lines))
    place = {joint: column for column, joint in enumerate(joints)}
    rows: dict[tuple[int, str, int], np.ndarray] = {}
    for (frame, person, joint, values), twin in zip(lines, _twins(lines), strict=True):
        key = frame, person, twin
        rows.setdefault(key, np.zeros((len(joints), 3)))[place[joint]] = values
    people = tuple(
        Detection(frame, each[:, :2], each[:, 2], person)
        for (frame, person, _), each in rows.items()
    )
    names = tuple(labels[joint] for joint in joints)
    return Detections(joints, people, THRESHOLD, counts_from=0, labels=names)


def _twins(lines: Sequence[_Line]) -> list[int]:
    """For each line which of the people of one name in its frame it is of, from 0.

    Someone's joints follow each other, so that a joint that comes again begins the next person;
    in tables that are sorted by joint each joint's lines are in the order of the people.
    """
    places: dict[tuple[int, str], list[int]] = {}
    for index, (frame, person, _, _) in enumerate(lines):
        places.setdefault((frame, person), []).append(index)
    twins = [0] * len(lines)
    for indices in places.values():
        joints = [lines[index][2] for index in indices]
        num_joints = len(set(joints))
        if num_joints == len(joints):
            continue
        by_joint = num_joints == sum(1 for _ in groupby(joints))
        seen: Counter[str] = Counter()
        current, had = 0, set()
        for index, joint in zip(indices, joints, strict=True):
            if joint in had:
                current, had = current + 1, set()
            had.add(joint)
            twins[index] = seen[joint] if by_joint else current
            seen[joint] += 1
    return twins
