"""The JSON files of other programs.

- OpenPose: a folder of NAME_keypoints.json, one a frame (--write_json).
- COCO: keypoint annotations, or keypoint results (a list of detections).
- AlphaPose: alphapose-results.json.
- MediaPipe, which has no file format of its own: a list of frames, or {"frames": [...]}. A frame
  is a list of 33 landmarks {"x": 0.5, "y": 0.5, "visibility": 0.9}, a list of such lists (several
  people), null or [] (nobody), or an object that holds one of these as "landmarks",
  "poseLandmarks" or "pose_landmarks". x and y are shares of the image.

Points of OpenPose, COCO and AlphaPose are centres of pixels counted from 0: half a pixel is added.
"""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np

from posecast.keypoints.detections import (
    Detection,
    Detections,
    KeypointError,
    choose_names,
    triples,
)
from posecast.keypoints.names import HALPE, MEDIAPIPE, OPENPOSE, plain_name
from posecast.skeletons import COCO

_HALF_PIXEL = 0.5
_LANDMARKS = ("landmarks", "poseLandmarks", "pose_landmarks")
_OPENPOSE_FILES = "*_keypoints.json"


def load_json(path: Path) -> Any:
    """The content of a JSON file; KeypointError where it is none."""
    try:
        return json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError) as error:
        raise KeypointError(f"{path}: cannot be read as JSON ({error})") from error


def frame_number(name: object, where: str) -> int:
    """The last number in a name: 12 for 12, "12.jpg" and "walk_000012_keypoints"."""
    digits = re.findall(r"\d+", Path(str(name)).stem)
    if not digits:
        raise KeypointError(f"{where}: {name!r} has no frame number")
    return int(digits[-1])


# --- OpenPose -----------------------------------------------------------------------------------


def is_openpose(path: Path) -> bool:
    """Whether this is a folder that OpenPose may have written."""
    return path.is_dir() and any(path.glob(_OPENPOSE_FILES))


def read_openpose(folder: Path) -> Detections:
    """A folder of one file a frame; numbers come from the names, the lowest is the first frame."""
    files = {
        frame_number(path.stem.removesuffix("_keypoints"), str(path)): path
        for path in sorted(folder.glob(_OPENPOSE_FILES))
    }
    first = min(files)
    names: tuple[str, ...] = OPENPOSE[0]
    people = []
    for number, path in files.items():
        for person in _openpose_people(path):
            rows = triples(person["pose_keypoints_2d"], str(path))
            names = choose_names(OPENPOSE, len(rows), str(path), "OpenPose")
            if people and len(people[0].points) != len(rows):
                raise KeypointError(f"{path}: another body model than in the files before it")
            people.append(_detection(number - first, rows, _openpose_name(person)))
    numbers = tuple(number - first for number in files)
    return _with_image_shares(Detections(names, tuple(people), 0.1, numbers))


def _openpose_people(path: Path) -> list[dict[str, Any]]:
    content = load_json(path)
    people = content.get("people") if isinstance(content, dict) else None
    if not isinstance(people, list) or not all(
        isinstance(each, dict) and "pose_keypoints_2d" in each for each in people
    ):
        raise KeypointError(f"{path}: expected OpenPose's 'people' with 'pose_keypoints_2d'")
    return [each for each in people if len(each["pose_keypoints_2d"])]


def _openpose_name(person: dict[str, Any]) -> str:
    """OpenPose writes [-1] where it did not track."""
    number = np.asarray(person.get("person_id", -1)).ravel()
    return str(int(number[0])) if len(number) and number[0] >= 0 else ""


def _with_image_shares(found: Detections) -> Detections:
    """OpenPose can write shares of the image (--keypoint_scale 3): nobody is a pixel small."""
    seen = [each.points[each.confidence > 0] - _HALF_PIXEL for each in found.people]
    points = np.concatenate([np.zeros((0, 2)), *seen])
    if not len(points) or np.abs(points).max() > 1:
        return found
    if points.min() < 0:
        raise KeypointError(
            "OpenPose wrote coordinates from -1 to 1: run it with --keypoint_scale 0 or 3"
        )
    people = tuple(
        Detection(each.frame, each.points - _HALF_PIXEL, each.confidence, each.person)
        for each in found.people
    )
    return Detections(found.joints, people, found.threshold, found.numbers, shares=True)


# --- COCO and AlphaPose -------------------------------------------------------------------------


def is_coco(content: Any) -> bool:
    """COCO annotations."""
    return isinstance(content, dict) and "annotations" in content and "images" in content


def read_coco(content: dict[str, Any], where: str) -> Detections:
    """Annotations: only points marked as visible (2) count, as the labels of the data sets here.

    Frames are numbered by the images' file names, or by their order where these have no numbers.
    """
    try:
        images = {image["id"]: str(image.get("file_name", "")) for image in content["images"]}
        annotations = [each for each in content["annotations"] if "keypoints" in each]
        numbers = _image_numbers(images, where)
        names = _category_names(content)
        people = []
        for each in annotations:
            rows = triples(each["keypoints"], where)
            choose_names((names,), len(rows), where, "its category")
            rows[:, 2] = rows[:, 2] >= 2
            name = str(each.get("track_id", each.get("instance_id", "")))
            people.append(_detection(numbers[each["image_id"]], rows, name))
    except (KeyError, TypeError, AttributeError) as error:
        raise KeypointError(f"{where}: not a COCO keypoint file ({error!r} is missing)") from error
    return Detections(names, tuple(people), 0.5, tuple(numbers.values()))


def _image_numbers(images: dict[Any, str], where: str) -> dict[Any, int]:
    if all(re.search(r"\d", Path(name).stem) for name in images.values()):
        numbers = {key: frame_number(name, where) for key, name in images.items()}
        if len(set(numbers.values())) == len(numbers):
            return numbers
    ordered = sorted(images, key=lambda key: (images[key], key))
    return {key: number for number, key in enumerate(ordered)}


def _category_names(content: dict[str, Any]) -> tuple[str, ...]:
    for category in content.get("categories", ()):
        if category.get("keypoints"):
            return tuple(plain_name(name) for name in category["keypoints"])
    return COCO.joints


def is_results(content: Any) -> bool:
    """A list of detections, as COCO results and AlphaPose have it."""
    return (
        isinstance(content, list)
        and bool(content)
        and all(
            isinstance(each, dict) and {"image_id", "keypoints"} <= set(each) for each in content
        )
    )


def read_results(content: list[dict[str, Any]], where: str) -> Detections:
    """COCO results and AlphaPose: 17, 26 or 136 points; frames are numbered by `image_id`."""
    people = []
    names: tuple[str, ...] = COCO.joints
    for each in content:
        rows = triples(each["keypoints"], where)
        if len(rows) == 136:
            rows = rows[: len(HALPE)]
        names = choose_names((COCO.joints, HALPE), len(rows), where, "COCO or AlphaPose")
        if people and len(people[0].points) != len(rows):
            raise KeypointError(f"{where}: people with different numbers of keypoints")
        track = each.get("idx", each.get("track_id", ""))
        name = str(track) if isinstance(track, int | str) else ""
        people.append(_detection(frame_number(each["image_id"], where), rows, name))
    return Detections(names, tuple(people), 0.2)


# --- MediaPipe ----------------------------------------------------------------------------------


def is_mediapipe(content: Any) -> bool:
    """Frames of landmarks."""
    frames = content.get("frames") if isinstance(content, dict) else content
    if not isinstance(frames, list):
        return False
    return any(_is_landmarks(person) for frame in frames for person in _mediapipe_people(frame))


def read_mediapipe(content: Any, where: str) -> Detections:
    """A list of frames, see the top of this module."""
    frames = content["frames"] if isinstance(content, dict) else content
    people = []
    for number, frame in enumerate(frames):
        for person in _mediapipe_people(frame):
            if not _is_landmarks(person) or len(person) != len(MEDIAPIPE):
                raise KeypointError(
                    f"{where}: frame {number}: expected {len(MEDIAPIPE)} landmarks with x, y and "
                    "visibility for each person"
                )
            rows = np.array([[p["x"], p["y"], p.get("visibility", 1.0)] for p in person], float)
            people.append(Detection(number, rows[:, :2], rows[:, 2]))
    numbers = tuple(range(len(frames)))
    return Detections(MEDIAPIPE, tuple(people), 0.5, numbers, shares=True)


def _mediapipe_people(frame: Any) -> list[Any]:
    """The people of a frame, each a list of landmarks."""
    if isinstance(frame, dict):
        named = [frame[name] for name in _LANDMARKS if name in frame]
        frame = named[0] if named else None
    if not frame or not isinstance(frame, list):
        return []
    return [frame] if isinstance(frame[0], dict) else frame


def _is_landmarks(person: Any) -> bool:
    return isinstance(person, list) and all(
        isinstance(point, dict) and {"x", "y"} <= set(point) for point in person
    )


def _detection(frame: int, rows: np.ndarray, person: str = "") -> Detection:
    return Detection(frame, rows[:, :2] + _HALF_PIXEL, rows[:, 2], person)
