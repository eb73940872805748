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

from posecast.keypoints.detections import Detection, Detections, KeypointError, person_name, told_of
from posecast.keypoints.names import plain_name
from posecast.keypoints.numbering import frame_numbers
from posecast.keypoints.table import Row, number

_THRESHOLD = 0.6
"""DeepLabCut's own `pcutoff`."""
_HEADS = ("scorer", "individuals", "bodyparts", "coords")


def is_deeplabcut(rows: Sequence[Row]) -> bool:
    """Whether the first cells are those of the header rows."""
    first = [row[0].lower() for _, row in rows[:4]]
    return first[:1] == ["scorer"] and "bodyparts" in first


def read_deeplabcut(rows: Sequence[Row]) -> Detections:
    """Read such rows; the names of the body parts are taken as joint names."""
    heads = {row[0].lower(): row for _, row in rows[:4] if row[0].lower() in _HEADS}
    parts, coords = heads["bodyparts"], [each.lower() for each in heads.get("coords", ())]
    names, data = heads.get("individuals", [""] * len(parts)), rows[len(heads) :]
    if "x" not in coords or len(coords) > min(len(parts), len(names)) or not data:
        raise KeypointError(
            "expected DeepLabCut's rows 'bodyparts' and 'coords' (x, y, likelihood), "
            "with as many cells, and rows of numbers; write the file again"
        )
    start = coords.index("x")
    joints = tuple(dict.fromkeys(plain_name(part) for part in parts[start:]))
    columns = {
        (names[place], plain_name(parts[place]), coords[place]): place
        for place in range(start, len(coords))
    }
    numbers = frame_numbers([_frame(row[start - 1]) for _, row in data])
    people = []
    for frame, (line, row) in zip(numbers, data, strict=True):
        for name in dict.fromkeys(names[start:]):
            with told_of(f"line {line}"):
                values = _values(row, name, joints, columns)
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
    row: Sequence[str], name: str, joints: Sequence[str], columns: dict[tuple[str, str, str], int]
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
            raise KeypointError(f"expected numbers ({error})") from error
        sure = 1.0 if cells[2] is None else sure
        if np.isfinite([x, y, sure]).all():
            values[place] = x, y, sure
    return values
