"""Poses as a CSV table, which is also what posecast writes.

    frame,joint,x,y,confidence,person
    0,left_shoulder,512.5,310.25,0.93,1

One line a joint. `frame` counts from 0; `joint` is a name such as nose or left_shoulder, by the
person's own left and right; x and y are pixels, (0, 0) the image's top-left corner. `confidence`
(or `visible`, 0 or 1) may be left out and is then 1; `person`, any word, may be left out too.
"""

import csv
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float

from posecast.keypoints.detections import Detection, Detections, KeypointError
from posecast.keypoints.names import own_side_name, plain_name
from posecast.records.files import write_text
from posecast.skeletons import Skeleton

_NEEDED = ("frame", "joint", "x", "y")
_KNOWN = (*_NEEDED, "confidence", "visible", "person")
THRESHOLD = 0.3


def write_table(
    path: Path,
    joints_px: Float[np.ndarray, "t j 2"],
    visible: Bool[np.ndarray, "t j"],
    skeleton: Skeleton,
) -> None:
    """Write the visible joints of one person; `read_keypoints` gives them back."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow((*_NEEDED, "person"))
    names = [own_side_name(joint, skeleton) for joint in skeleton.joints]
    for frame, joint in np.argwhere(visible).tolist():
        x, y = joints_px[frame, joint].tolist()
        writer.writerow((frame, names[joint], f"{x:.2f}", f"{y:.2f}", 1))
    write_text(path, buffer.getvalue())


def read_table(path: Path) -> Detections:
    """Read such a file; KeypointError names the line that is wrong."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = list(csv.reader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise KeypointError(f"{path}: cannot be read as CSV ({error})") from error
    head = [name.strip().lower() for name in rows[0]] if rows else []
    missing = [name for name in _NEEDED if name not in head]
    if missing:
        raise KeypointError(
            f"{path}: the first line has to name the columns {', '.join(_KNOWN)} (the last three "
            f"may be absent); it lacks {', '.join(missing)}"
        )
    lines = [
        _parse(f"{path}, line {number}", dict(zip(head, row, strict=False)))
        for number, row in enumerate(rows[1:], start=2)
        if any(cell.strip() for cell in row)
    ]
    return _collect(lines)


_Line = tuple[int, str, str, tuple[float, float, float]]
"""Frame, person, joint, and x, y, confidence."""


def _parse(where: str, row: dict[str, str]) -> _Line:
    try:
        frame = int(row["frame"])
        x, y = float(row["x"]), float(row["y"])
        confidence = float(row.get("confidence") or row.get("visible") or 1)
        joint = plain_name(row["joint"])
    except (KeyError, ValueError) as error:
        raise KeypointError(
            f"{where}: expected whole frame numbers and numbers for x, y, confidence ({error})"
        ) from error
    if frame < 0 or not joint:
        raise KeypointError(f"{where}: frames count from 0 and joints have a name")
    return frame, row.get("person", "").strip(), joint, (x, y, confidence)


def _collect(lines: Sequence[_Line]) -> Detections:
    joints = tuple(sorted({joint for _, _, joint, _ in lines}))
    place = {joint: number for number, joint in enumerate(joints)}
    rows: dict[tuple[int, str], np.ndarray] = {}
    for frame, person, joint, values in lines:
        rows.setdefault((frame, person), np.zeros((len(joints), 3)))[place[joint]] = values
    people = tuple(
        Detection(frame, each[:, :2], each[:, 2], person) for (frame, person), each in rows.items()
    )
    return Detections(joints, people, THRESHOLD)
