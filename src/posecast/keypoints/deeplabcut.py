"""DeepLabCut's CSV files: three header rows, or four where there are several individuals.

    scorer,NET,NET,NET,...
    [individuals,mouse1,mouse1,mouse1,...]
    bodyparts,nose,nose,nose,...
    coords,x,y,likelihood,...
    0,100.5,50.2,0.99,...

The first column is the frame, or the path of a picture (labelled data, which have no likelihood).
"""

from collections.abc import Sequence

import numpy as np

from posecast.keypoints.detections import Detection, Detections, KeypointError, person_name
from posecast.keypoints.names import plain_name
from posecast.keypoints.numbering import frame_numbers
from posecast.keypoints.table import number

_THRESHOLD = 0.6
"""DeepLabCut's own `pcutoff`."""
_HEADS = ("scorer", "individuals", "bodyparts", "coords")


def is_deeplabcut(rows: Sequence[Sequence[str]]) -> bool:
    """Whether the first cells are those of the header rows."""
    first = [row[0].lower() for row in rows[:4] if row]
    return first[:1] == ["scorer"] and "bodyparts" in first


def read_deeplabcut(rows: Sequence[Sequence[str]], where: str) -> Detections:
    """Read such rows; the names of the body parts are taken as joint names."""
    heads = {row[0].lower(): row for row in rows[:4] if row and row[0].lower() in _HEADS}
    parts, coords = heads["bodyparts"], heads.get("coords")
    data = rows[len(heads) :]
    if coords is None or not data:
        raise KeypointError(f"{where}: expected DeepLabCut's row 'coords' and rows of numbers")
    start = next(place for place, cell in enumerate(coords) if cell.lower() == "x")
    names = heads.get("individuals", [""] * len(parts))
    joints = tuple(dict.fromkeys(plain_name(part) for part in parts[start:]))
    columns = {
        (names[place], plain_name(parts[place]), coords[place].lower()): place
        for place in range(start, len(coords))
    }
    numbers = frame_numbers([_frame(row[start - 1]) for row in data], where)
    people = []
    for frame, row, line in zip(numbers, data, range(len(heads) + 1, len(rows) + 1), strict=True):
        for name in dict.fromkeys(names[start:]):
            values = _values(row, name, joints, columns, f"{where}, line {line}")
            people.append(Detection(frame, values[:, :2], values[:, 2], person_name(name)))
    labels = {plain_name(part): part for part in reversed(parts[start:])}
    scorer = heads["scorer"][start] if len(heads["scorer"]) > start else "posecast"
    return Detections(
        *(joints, tuple(people), _THRESHOLD, tuple(numbers)),
        counts_from=0,
        labels=tuple(labels[joint] for joint in joints),
        repeated={"scorer": scorer, "has_individuals": "individuals" in heads},
    )


def _frame(cell: str) -> object:
    try:
        return float(cell)
    except ValueError:
        return cell


def _values(
    row: Sequence[str],
    name: str,
    joints: Sequence[str],
    columns: dict[tuple[str, str, str], int],
    where: str,
) -> np.ndarray:
    """x, y, confidence of each joint of one individual; 0 where a cell is empty."""
    values = np.zeros((len(joints), 3))
    for place, joint in enumerate(joints):
        cells = [columns.get((name, joint, kind)) for kind in ("x", "y", "likelihood")]
        try:
            x, y, sure = (
                np.nan if cell is None or cell >= len(row) else number(row[cell]) for cell in cells
            )
        except ValueError as error:
            raise KeypointError(f"{where}: expected numbers ({error})") from error
        sure = 1.0 if cells[2] is None else sure
        if np.isfinite([x, y, sure]).all():
            values[place] = x, y, sure
    return values
