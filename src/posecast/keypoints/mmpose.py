"""MMPose's JSON files: instances with `keypoints` [[x, y], ...] and `keypoint_scores`.

- its top-down scripts: {"meta_info": ..., "instance_info": [{"frame_id": 1, "instances": [...]}]},
  which count frames from 1;
- its inferencer: [{"frame_id": 0, "instances": [...]}, ...], or {"predictions": [[...], ...]}, the
  instances of each frame in turn.

Points are centres of pixels counted from 0: half a pixel is added.
"""

from typing import Any

import numpy as np

from posecast.keypoints import detections
from posecast.keypoints.names import BODY_POINTS, plain_name
from posecast.keypoints.numbering import said_numbers

_THRESHOLD = 0.3
"""MMPose's own `kpt-thr`."""


def is_mmpose(content: Any) -> bool:
    """Frames of such instances."""
    if isinstance(content, dict) and "instance_info" in content:
        return True
    return any(
        isinstance(each, dict) and isinstance(each.get("keypoints"), list)
        for _, instances in _frames(content)
        for each in instances
    )


def read_mmpose(content: Any) -> detections.Detections:
    """Read such a file; KeypointError where instances are not as described above."""
    frames = _frames(content)
    numbers = [number for number, _ in frames]
    is_script = isinstance(content, dict) and "instance_info" in content
    from_one = is_script and 0 not in numbers
    found = detections.Gathered()
    for number, instances in frames:
        for each in instances:
            with detections.told_of(f"frame {number}"):
                rows = _rows(each)
            name = detections.person_name(each.get("track_id", each.get("instance_id")))
            found.add(number, rows, _names(content, len(rows)), name)
    repeated = {"meta_info": content.get("meta_info", {})} if is_script else {}
    facts = {"numbers": tuple(numbers), "counts_from": 1 if from_one else None}
    return found.detections(_THRESHOLD, **facts, repeated=repeated)


def _frames(content: Any) -> list[tuple[int, list[Any]]]:
    """Number and instances of each frame; [] where the content is of another kind."""
    if isinstance(content, dict):
        content = content.get("instance_info", content.get("predictions"))
    if not isinstance(content, list):
        return []
    if content and all(isinstance(each, dict) and "keypoints" in each for each in content):
        numbers = said_numbers(content, people=True)
        one_each = [[each] for each in content]
        return [(0, content)] if numbers is None else list(zip(numbers, one_each, strict=True))
    numbers = said_numbers(content) or range(len(content))
    return list(zip(numbers, map(_instances, content), strict=True))


def _instances(entry: Any) -> list[Any]:
    if isinstance(entry, dict) and isinstance(entry.get("predictions"), list):
        entry = [each for part in entry["predictions"] for each in _flat(part)]
    if isinstance(entry, dict):
        instances = entry.get("instances")
        return instances if isinstance(instances, list) else []
    return _flat(entry)


def _flat(entry: Any) -> list[Any]:
    """Instances in however many lists."""
    if isinstance(entry, list):
        return [each for part in entry for each in _flat(part)]
    return [] if entry is None else [entry]


def _rows(instance: Any) -> np.ndarray:
    """x, y, confidence of each point."""
    try:
        points = np.array(instance["keypoints"], float)
        scores = instance.get("keypoint_scores")
        if scores is None:
            scores = points[:, 2] if points.shape[1] == 3 else np.ones(len(points))
        return np.column_stack([points[:, :2], np.array(scores, float)])
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        raise detections.KeypointError(
            "expected MMPose's instances with 'keypoints' [[x, y], ...] and as many "
            f"'keypoint_scores' ({error!r})"
        ) from error


def _names(content: Any, count: int) -> tuple[str, ...]:
    """Names of the first points; those in the file, where the count alone does not say."""
    meta = content.get("meta_info") if isinstance(content, dict) else None
    by_id = meta.get("keypoint_id2name") if isinstance(meta, dict) else None
    if isinstance(by_id, dict) and len(by_id) == count and count not in (26, 133, 136):
        return tuple(plain_name(by_id[key]) for key in sorted(by_id, key=int))
    return detections.choose_names(BODY_POINTS, count, "MMPose")
