"""Poses for other programs: COCO keypoint annotations, and OpenSim's .trc marker files.

`table.write_table` writes posecast's own CSV. Joint names go by the person's own left and right in
all of them, so that `read_keypoints` gives the COCO file back.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from posecast.keypoints.detections import HALF_PIXEL
from posecast.keypoints.names import own_side_names
from posecast.records.files import write_text
from posecast.skeletons import Skeleton

_FLAGS = 2, 0
"""COCO's of a keypoint: visible, not labelled."""
_EMPTY = ("", "", "")
_TRC_HEAD = (
    *("DataRate", "CameraRate", "NumFrames", "NumMarkers"),
    *("Units", "OrigDataRate", "OrigDataStartFrame", "OrigNumFrames"),
)


def write_coco(
    path: Path,
    joints_px: Float[np.ndarray, "t j 2"],
    visible: Bool[np.ndarray, "t j"],
    skeleton: Skeleton,
    image_hw: tuple[int, int],
    numbers: Sequence[int] | None = None,
) -> None:
    """COCO keypoint annotations of one person: an image and an annotation a frame.

    Joints and image size are in stored pixels, as all files of keypoints (`in_video.stored_joints`,
    `VideoInfo.stored_hw`): a player may show others. Points are centres of pixels counted from 0,
    as COCO has them; `numbers` are the frames', 0, 1, 2 ... if None. Frames without a visible joint
    have an image and no annotation.
    """
    numbers = range(len(joints_px)) if numbers is None else numbers
    height, width = image_hw
    images = [
        {"id": number, "file_name": f"{number:012d}.jpg", "height": height, "width": width}
        for number in numbers
    ]
    frames = zip(numbers, (joints_px - HALF_PIXEL).round(2), visible, strict=True)
    annotations = [coco_annotation(*frame) for frame in frames if frame[2].any()]
    content = {"images": images, "annotations": annotations, "categories": [_category(skeleton)]}
    write_text(path, json.dumps(content) + "\n")


def coco_annotation(
    frame: int, points: Float[np.ndarray, "k 2"], seen: Bool[np.ndarray, " k"], **facts: Any
) -> dict[str, Any]:
    """One person in one image, with further facts of it; points are centres of pixels from 0."""
    rows = np.column_stack([np.where(seen[:, None], points, 0), np.where(seen, *_FLAGS)])
    low, size = points[seen].min(axis=0), np.ptp(points[seen], axis=0).round(6)
    return {
        "id": frame + 1,
        "image_id": frame,
        "category_id": 1,
        "iscrowd": 0,
        "num_keypoints": int(seen.sum()),
        "keypoints": rows.ravel().tolist(),
        "bbox": [*low.tolist(), *size.tolist()],
        "area": round(float(size.prod()), 6),
        **facts,
    }


def _category(skeleton: Skeleton) -> dict[str, Any]:
    """Joint names, and the limbs between single joints, counted from 1."""
    limbs = [ends for ends in skeleton.limbs if all(len(end) == 1 for end in ends)]
    return {
        "id": 1,
        "name": "person",
        "keypoints": own_side_names(skeleton),
        "skeleton": [[skeleton.index(end[0]) + 1 for end in ends] for ends in limbs],
    }


def write_trc(
    path: Path,
    joints_px: Float[np.ndarray, "t j 2"],
    visible: Bool[np.ndarray, "t j"],
    skeleton: Skeleton,
    fps: float,
    name: str = "",
) -> None:
    """OpenSim's marker file, as Sports2D writes it for pixels: y points up (it is minus the
    image's y), z is 0, joints that are not visible are left empty. `name` is what the file calls
    itself, if not as PATH."""
    flipped = np.concatenate([joints_px * [1.0, -1.0], np.zeros((*visible.shape, 1))], axis=-1)
    write_text(path, trc_text(name or path.name, flipped, visible, own_side_names(skeleton), fps))


def trc_text(
    file_name: str,
    points: Float[np.ndarray, "t k 3"],
    known: Bool[np.ndarray, "t k"],
    names: Sequence[str],
    fps: float,
    first_frame: int = 0,
    units: str = "px",
    begins: float = 0.0,
) -> str:
    """The text of a .trc file; y points up, and frame 0 is (or would be) at second `begins`."""
    numbers = range(1, len(names) + 1)
    count, rate = len(points), f"{fps:.6g}"
    digits = 3 if units == "px" else 6
    lines = [
        ["PathFileType", "4", "(X/Y/Z)", file_name],
        list(_TRC_HEAD),
        [rate, rate, str(count), str(len(names)), units, rate, str(first_frame), str(count)],
        ["Frame#", "Time", *(cell for name in names for cell in (name, "", ""))],
        ["", "", *(f"{axis}{number}" for number in numbers for axis in "XYZ")],
        [""],
        *(
            [str(number), f"{begins + number / fps:.6f}", *_cells(row, seen, digits)]
            for number, (row, seen) in enumerate(zip(points, known, strict=True), first_frame)
        ),
    ]
    return "\n".join("\t".join(line) for line in lines) + "\n"


def _cells(
    points: Float[np.ndarray, "k 3"], known: Bool[np.ndarray, " k"], digits: int
) -> list[str]:
    rows = [[f"{value:.{digits}f}" for value in row] for row in points.tolist()]
    return [
        cell for row, seen in zip(rows, known, strict=True) for cell in (row if seen else _EMPTY)
    ]
