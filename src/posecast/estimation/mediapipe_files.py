"""MediaPipe's pose landmarker (a .task file) as a `JointFinder`."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import UInt8

from posecast.estimation.estimator import Joints
from posecast.keypoints.names import MEDIAPIPE, to_skeleton
from posecast.skeletons import Skeleton

_SIZE, _ROOM = 256, 64
"""Pixels of the picture and of the room around it: MediaPipe looks for a person before it looks at
one, and misses people who fill the picture."""
_LEAST = 0.1
"""Confidence from which it says that it found somebody; its joints have their own."""


@runtime_checkable
class Landmark(Protocol):
    """One of MediaPipe's landmarks."""

    x: float
    """Share of the picture's width."""
    y: float
    visibility: float | None


Detect = Callable[[UInt8[np.ndarray, "s s 3"]], Sequence[Landmark]]
"""A picture -> the 33 landmarks of the person in it, none where nobody is."""


class MediaPipeEstimator:
    """MediaPipe's pose landmarker, a `JointFinder`."""

    def __init__(self, detect: Detect, skeleton: Skeleton, min_confidence: float = 0.3) -> None:
        self.skeleton = skeleton
        self.size = _SIZE
        self.min_confidence = min_confidence
        self._detect = detect

    def estimate(self, pictures: UInt8[np.ndarray, "n s s 3"]) -> Joints:
        points = np.zeros((len(pictures), len(MEDIAPIPE), 2))
        confidence = np.zeros((len(pictures), len(MEDIAPIPE)))
        room = (_ROOM, _ROOM)
        for number, picture in enumerate(np.pad(pictures, ((0, 0), room, room, (0, 0)))):
            landmarks = self._detect(picture)
            if landmarks:
                points[number] = [(each.x, each.y) for each in landmarks]
                confidence[number] = [
                    1.0 if each.visibility is None else each.visibility for each in landmarks
                ]
        points = (points * (_SIZE + 2 * _ROOM) - _ROOM) / _SIZE
        return to_skeleton(points, confidence, MEDIAPIPE, self.skeleton)


def open_landmarker(mediapipe: Any, path: Path) -> Detect:
    """The landmarker in a file; `mediapipe` is the module."""
    vision = mediapipe.tasks.vision
    options = vision.PoseLandmarkerOptions(
        base_options=mediapipe.tasks.BaseOptions(model_asset_path=str(path)),
        min_pose_detection_confidence=_LEAST,
        min_pose_presence_confidence=_LEAST,
    )
    landmarker = vision.PoseLandmarker.create_from_options(options)

    def detect(picture: np.ndarray) -> Sequence[Landmark]:
        image = mediapipe.Image(mediapipe.ImageFormat.SRGB, np.ascontiguousarray(picture))
        people = landmarker.detect(image).pose_landmarks
        return people[0] if people else []

    return detect
