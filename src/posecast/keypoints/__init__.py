"""Poses that other programs found (OpenPose, COCO, AlphaPose, MediaPipe, CSV) -> a skeleton's.

`read_keypoints` finds out the format by itself, picks one person, and maps joints by their names.
"""

from posecast.keypoints.detections import KeypointError
from posecast.keypoints.reading import (
    FORMATS,
    Format,
    KeypointOptions,
    KeypointTrack,
    read_keypoints,
)
from posecast.keypoints.table import write_table

__all__ = [
    "FORMATS",
    "Format",
    "KeypointError",
    "KeypointOptions",
    "KeypointTrack",
    "read_keypoints",
    "write_table",
]
