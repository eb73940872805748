"""The JSON files of other programs.

- OpenPose: a folder of NAME_keypoints.json, one a frame (--write_json). AlphaPose writes such
  files too (--format open, NAME.json).
- COCO: keypoint annotations, or keypoint results (a list of detections).
- AlphaPose: alphapose-results.json.
- MediaPipe, which has no file format of its own: a list of frames, or {"frames": [...]}. A frame
  is a list of 33 landmarks {"x": 0.5, "y": 0.5, "visibility": 0.9}, a list of such lists (several
  people), null or [] (nobody), or an object that holds one of these as "landmarks",
  "poseLandmarks" or "pose_landmarks", with or without its number as "frame", "frame_id",
  "frameNumber" or the like. x and y are shares of the image.

Points of OpenPose, COCO and AlphaPose are centres of pixels counted from 0: half a pixel is added.
"""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from posecast.keypoints.detections import (
    HALF_PIXEL,
    Detection,
    Detections,
    Gathered,
    KeypointError,
    choose_names,
    person_name,
    told_of,
    triples,
)
from posecast.keypoints.names import BODY_POINTS, MEDIAPIPE, OPENPOSE, plain_name
from posecast.keypoints.numbering import frame_numbers, said_numbers
from posecast.keypoints.texts import read_letters
from posecast.media.frame_folders import by_numbers

_LANDMARKS = ("landmarks", "poseLandmarks", "pose_landmarks")
_TOO_LONG = 1e6
"""More pixels than a picture's side has."""
_VISIBLE = 2
"""How COCO marks a point that is labelled and visible."""
_RESULTS_FROM = 0.2
"""Confidence from which a point of results is seen."""
_LEAP = 1.5
"""Of the usual time between two frames."""
_OPENPOSE = {len(names): names for names in OPENPOSE}


def load_json(path: Path) -> Any:
    """The content of a JSON file, of one value a line (.jsonl) as a list; KeypointError where it is
    none."""
    text = read_letters(path)
    try:
        if path.suffix.lower() == ".jsonl":
            lines = [line for line in text.split("\n") if line.strip()]
            text = "[" + ",\n".join(lines) + "]"  # what is wrong is so said of its line
        return json.loads(text)
    except ValueError as error:
        raise KeypointError(f"cannot be read as JSON ({error})") from error


def openpose_files(folder: Path) -> list[Path]:
    """The files of a folder that OpenPose may have written, sorted; hidden ones are passed over."""
    files = [file for file in sorted(folder.glob("*.json")) if not file.name.startswith(".")]
    return [file for file in files if file.stem.endswith("_keypoints")] or files


def read_openpose(folder: Path) -> Detections:
    """A folder of one file a frame, numbered by the names."""
    files = openpose_files(folder)
    numbers = frame_numbers([file.name for file in files])
    _check_one_video(files, numbers)
    found = Gathered()
    for number, path in zip(numbers, files, strict=True):
        with told_of(path.name):
            for person in _openpose_people(path):
                rows = triples(person["pose_keypoints_2d"])
                names = choose_names(_OPENPOSE, len(rows), "OpenPose")
                found.add(number, rows, names, _openpose_name(person))
    repeated = {"frame_name": files[-1].name, "number": numbers[-1]}
    return _with_image_shares(found.detections(0.1, numbers=tuple(numbers), repeated=repeated))


def _check_one_video(files: list[Path], numbers: list[int]) -> None:
    by_number = dict(zip(numbers, files, strict=True))
    for number, file in zip(numbers, files, strict=True):
        if by_number[number] != file:
            raise KeypointError(
                f"{file.name} and {by_number[number].name} are both of frame {number}: give a "
                "folder with the files of one video"
            )


def _openpose_people(path: Path) -> list[dict[str, Any]]:
    content = load_json(path)
    people = content.get("people") if isinstance(content, dict) else None
    if not isinstance(people, list) or not all(
        isinstance(each, dict) and "pose_keypoints_2d" in each for each in people
    ):
        raise KeypointError("expected OpenPose's 'people' with 'pose_keypoints_2d'")
    return [each for each in people if len(each["pose_keypoints_2d"])]


def _openpose_name(person: dict[str, Any]) -> str:
    """OpenPose writes [-1] where it did not track."""
    number = np.asarray(person.get("person_id", -1)).ravel()
    return person_name(number[0]) if len(number) else ""


def _with_image_shares(found: Detections) -> Detections:
    """OpenPose can write shares of the image (--keypoint_scale 3): nobody is a pixel small."""
    seen = [each.points[each.confidence > 0] - HALF_PIXEL for each in found.people]
    points = np.concatenate([np.zeros((0, 2)), *seen])
    if not len(points) or np.abs(points).max() > 1:
        return found
    if points.min() < 0:
        raise KeypointError(
            "OpenPose wrote coordinates from -1 to 1: run it with --keypoint_scale 0 or 3"
        )
    people = (replace(each, points=each.points - HALF_PIXEL) for each in found.people)
    return replace(found, people=tuple(people), shares=True)


def is_coco(content: Any) -> bool:
    """COCO annotations."""
    return isinstance(content, dict) and "annotations" in content and "images" in content


def read_coco(content: dict[str, Any]) -> Detections:
    """Annotations: only points marked as visible (2) count, as the labels of the data sets here;
    where none is, the marks are confidences.

    Frames are numbered by the images' file names, or by their order where these have no numbers.
    """
    try:
        images = {image["id"]: str(image.get("file_name", "")) for image in content["images"]}
        annotations = [each for each in content["annotations"] if "keypoints" in each]
        numbers = _image_numbers(images)
        names = _category_names(content)
        found = Gathered()
        for each in annotations:
            rows = triples(each["keypoints"])
            known = {len(names): names} if names else BODY_POINTS
            joints = choose_names(known, len(rows), "its category")
            name = person_name(each.get("track_id", each.get("instance_id")))
            found.add(numbers[each["image_id"]], rows, joints, name)
    except (KeyError, TypeError, AttributeError) as error:
        raise KeypointError(f"not a COCO keypoint file ({error!r} is missing)") from error
    last = max(numbers, key=lambda key: numbers[key], default=None)
    image = next((each for each in content["images"] if each["id"] == last), {})
    repeated = {"image": image, "number": numbers.get(last, 0)}
    repeated["categories"] = content.get("categories", ())
    people, note = found.people, ""
    if any((each.confidence == _VISIBLE).any() for each in people):
        found.people = [replace(each, confidence=each.confidence // _VISIBLE) for each in people]
    elif people:
        note = "no point is marked as visible (2): marks are taken for confidences"
    facts = {"numbers": tuple(numbers.values()), "image_hw": _image_hw(content["images"])}
    return found.detections(_RESULTS_FROM, **facts, repeated=repeated, note=note)


def _image_hw(images: list[dict[str, Any]]) -> tuple[int, int] | None:
    """What all of them say: two numbers that pictures can have."""
    sizes: list[tuple[Any, Any]] = [(image.get("height"), image.get("width")) for image in images]
    sides = [side for size in sizes for side in size if type(side) in (int, float)]
    sides = [side for side in sides if 1 <= side < _TOO_LONG]
    if len(sides) < 2 * len(sizes) or len(set(sizes)) != 1:
        return None
    return round(sides[0]), round(sides[1])


def _image_numbers(images: dict[Any, str]) -> dict[Any, int]:
    """By the names; by their order where not all have a number of their own."""
    if images and all(re.search(r"\d", Path(name).stem) for name in images.values()):
        numbers = frame_numbers(list(images.values()))
        if len(set(numbers)) == len(numbers):
            return dict(zip(images, numbers, strict=True))
    ordered = sorted(images, key=lambda key: (by_numbers(images[key]), by_numbers(str(key))))
    return {key: number for number, key in enumerate(ordered)}


def _category_names(content: dict[str, Any]) -> tuple[str, ...]:
    for category in content.get("categories", ()):
        if category.get("keypoints"):
            return tuple(plain_name(name) for name in category["keypoints"])
    return ()


def is_results(content: Any) -> bool:
    """A list of detections, as COCO results and AlphaPose have it."""
    return (
        isinstance(content, list)
        and bool(content)
        and all(
            isinstance(each, dict) and {"image_id", "keypoints"} <= set(each) for each in content
        )
    )


def read_results(content: list[dict[str, Any]]) -> Detections:
    """COCO results and AlphaPose, numbered by `image_id`; of 133 or 136 points the body's count."""
    found = Gathered()
    numbers = frame_numbers([each["image_id"] for each in content])
    for number, each in zip(numbers, content, strict=True):
        rows = triples(each["keypoints"])
        names = choose_names(BODY_POINTS, len(rows), "COCO or AlphaPose")
        track = each.get("idx", each.get("track_id", ""))
        # AlphaPose writes a list where it does not track.
        name = "" if isinstance(track, list) else person_name(track)
        found.add(number, rows, names, name)
    repeated = {"frame_name": content[-1]["image_id"], "number": numbers[-1]}
    return found.detections(_RESULTS_FROM, repeated=repeated)


def is_mediapipe(content: Any) -> bool:
    """Frames of landmarks."""
    frames = content.get("frames") if isinstance(content, dict) else content
    if not isinstance(frames, list):
        return False
    return any(_is_landmarks(person) for frame in frames for person in _mediapipe_people(frame))


def read_mediapipe(content: Any) -> Detections:
    """A list of frames, see the top of this module."""
    frames = content["frames"] if isinstance(content, dict) else content
    said = said_numbers(frames)
    numbers = said or range(len(frames))
    people = []
    for number, frame in zip(numbers, frames, strict=True):
        for person in _mediapipe_people(frame):
            if not _is_landmarks(person) or len(person) != len(MEDIAPIPE):
                raise KeypointError(
                    f"frame {number}: expected {len(MEDIAPIPE)} landmarks with x, y and "
                    "visibility for each person"
                )
            rows = np.array([[p["x"], p["y"], p.get("visibility", 1.0)] for p in person], float)
            people.append(Detection(number, rows[:, :2], rows[:, 2]))
    note = "" if said else _of_stamps(frames)
    return Detections(MEDIAPIPE, tuple(people), 0.5, tuple(numbers), shares=True, note=note)


def _of_stamps(frames: list[Any]) -> str:
    """What to say of frames without numbers whose time stamps, in whatever unit, leap."""
    stamps = [value for each in frames if isinstance(each, dict) for value in _stamps(each)]
    apart = np.diff(np.array(stamps, float)) if len(stamps) == len(frames) else np.zeros(0)
    leaps = int((apart > _LEAP * np.median(apart)).sum()) if len(apart) else 0
    return (
        f"frames go by their order, but their time stamps leap {leaps} times: where frames were "
        'left out, write the number of each beside it ("frame")'
        if leaps
        else ""
    )


def _stamps(frame: dict[str, Any]) -> list[float]:
    said = (value for key, value in frame.items() if key.lower().startswith("time"))
    return [float(value) for value in said if type(value) in (int, float)]


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
