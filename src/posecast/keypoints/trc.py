"""OpenSim's .trc marker files, as Sports2D writes them for one camera: the image plane, y up.

    PathFileType  4  (X/Y/Z)  NAME.trc
    DataRate  CameraRate  NumFrames  NumMarkers  Units  ...
    30        30          120        22          m      ...
    Frame#  Time  Hip      ...
                  X1 Y1 Z1 ...

Markers are joints by their names; y is turned round, z has to stay where it is.
"""

import re

import numpy as np

from posecast.keypoints.detections import Detection, Detections, KeypointError
from posecast.keypoints.names import plain_name

_HEAD_LINES = 5
_DEEPEST = 0.02
"""How far z may go, as a share of the extent of x and y."""


def read_trc(text: str) -> Detections:
    """Read such a file; KeypointError for others and for motion in depth."""
    lines = [line.rstrip("\r").split("\t") for line in text.split("\n")]
    try:
        if lines[0][0].strip() != "PathFileType":
            raise ValueError("the first line does not begin with PathFileType")
        facts = dict(zip(lines[1], lines[2], strict=False))
        labels = tuple(name.strip() for name in lines[3][2:] if name.strip())
        rows = [line for line in lines[_HEAD_LINES:] if re.fullmatch(r"\s*\d+\s*", line[0])]
        frames = [int(row[0]) for row in rows]
        values = np.array([_numbers(row[2:], 3 * len(labels)) for row in rows])
        fps = float(facts["DataRate"])
    except (IndexError, KeyError, ValueError) as error:
        raise KeypointError(f"not a .trc file as OpenSim reads it ({error})") from error
    if not frames or not labels:
        raise KeypointError("no frame or no marker is in it")
    second = _seconds(*rows[-1][1:2])
    last = (frames[-1], second) if np.isfinite(second) else (0, 0.0)
    points = values.reshape(len(rows), len(labels), 3)
    _check_flat(points)
    depths = [float(depth[-1]) if len(depth) else 0.0 for depth in _depths(points)]
    known = np.all(np.isfinite(points[..., :2]), axis=-1)
    flat = np.where(known[..., None], points[..., :2] * [1.0, -1.0], 0.0)
    people = tuple(Detection(*each) for each in zip(frames, flat, known.astype(float), strict=True))
    return Detections(
        *(tuple(plain_name(label) for label in labels), people, 0.5, tuple(frames)),
        labels=labels,
        fps=fps if 0 < fps < np.inf else None,  # what writes 0 knows of none
        repeated={"units": facts.get("Units", "px"), "depth": depths, "last": last},
    )


def _seconds(cell: str = "") -> float:
    try:
        return float(cell)
    except ValueError:
        return np.nan


def _numbers(cells: list[str], count: int) -> list[float]:
    values = [float(cell) if cell.strip() else np.nan for cell in cells[:count]]
    return values + [np.nan] * (count - len(values))


def _check_flat(points: np.ndarray) -> None:
    known = points[np.isfinite(points).all(axis=-1)]
    if not len(known):
        raise KeypointError("not one marker is seen in it")
    extent = np.ptp(known[:, :2], axis=0).max()
    if max(np.ptp(depth) for depth in _depths(points) if len(depth)) > _DEEPEST * extent:
        raise KeypointError(
            "markers move in depth (z): the forecaster knows the image plane alone; give "
            "a file of one camera, as Sports2D writes it"
        )


def _depths(points: np.ndarray) -> list[np.ndarray]:
    """z of each marker where it is seen."""
    return [row[np.isfinite(row)] for row in points[..., 2].T]
