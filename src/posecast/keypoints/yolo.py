"""The text files of Ultralytics' pose models (save_txt): a folder of one file a frame, NAME_12.txt.

They count from 1, and there is none of a frame without people. A line is one person, in shares of
the image:

    class, box (middle x, y, width, height), x, y[, confidence] of each point[, confidence][, id]
"""

from pathlib import Path

import numpy as np
from jaxtyping import Float

from posecast.keypoints.detections import Detection, Detections, KeypointError, person_name, told_of
from posecast.keypoints.numbering import frame_numbers
from posecast.keypoints.texts import read_letters
from posecast.skeletons import COCO

_THRESHOLD = 0.5
"""From which confidence Ultralytics draws a point."""
_HEAD = 5


def yolo_files(folder: Path) -> list[Path]:
    """The files of a folder that Ultralytics may have written, sorted; hidden ones are passed
    over."""
    return [file for file in sorted(folder.glob("*.txt")) if not file.name.startswith(".")]


def read_yolo(folder: Path) -> Detections:
    """Read such a folder; KeypointError names the line that is wrong."""
    files = yolo_files(folder)
    numbers = frame_numbers([file.stem for file in files])
    people = []
    for number, file in zip(numbers, files, strict=True):
        for place, line in enumerate(read_letters(file).splitlines(), start=1):
            with told_of(f"{file.name}, line {place}"):
                people += [_person(number, line.split())] if line.strip() else []
    last = {"frame_name": files[-1].name, "number": numbers[-1]}
    values = (COCO.joints, tuple(people), _THRESHOLD, tuple(numbers))
    return Detections(*values, shares=True, counts_from=1, repeated=last)


def _person(frame: int, words: list[str]) -> Detection:
    count = COCO.num_joints
    width = 3 if len(words) >= _HEAD + 3 * count else 2
    end = _HEAD + width * count
    try:
        rows = np.array(words[_HEAD:end], float).reshape(count, width)
        rest = [float(word) for word in words[end:]]
        if len(rest) > 2:
            raise ValueError(f"{len(rest) - 2} more")
    except ValueError as error:
        raise KeypointError(
            f"expected a class, a box and x, y[, confidence] of {count} points, as a pose "
            f"model of Ultralytics writes them with save_txt; got {len(words)} numbers ({error})"
        ) from error
    found = rows[:, :2].any(axis=1)  # what is not found is written as 0, 0
    sure = np.where(found, rows[:, 2] if width == 3 else 1.0, 0.0)
    name = rest[-1] if len(rest) == 2 or (rest and rest[0].is_integer()) else None
    return Detection(frame, rows[:, :2], sure, person_name(name))


def yolo_line(rows: Float[np.ndarray, "k 3"], person: str) -> str:
    """The line of one person, x, y in shares of the image and confidence of each point."""
    seen = rows[rows[:, 2] > 0, :2]
    low, high = seen.min(axis=0), seen.max(axis=0)
    numbers = [*(low + high) / 2, *high - low, *rows.ravel()]
    return " ".join(["0", *(f"{value:.6g}" for value in numbers), *person.split()]) + "\n"
