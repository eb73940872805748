"""Poses that other programs found (OpenPose, MMPose, MediaPipe ...) -> a skeleton's.

`read_keypoints` finds out the format by itself, picks one person, and maps joints by their names.
"""

from posecast.keypoints.detections import KeypointError, PointTrack
from posecast.keypoints.in_video import people_in_video, stored_joints
from posecast.keypoints.opening import Format, KeypointOptions
from posecast.keypoints.reading import KeypointTrack, read_keypoints, read_points
from posecast.keypoints.rewriting import write_points
from posecast.keypoints.table import write_table

__all__ = [
    "Format",
    "KeypointError",
    "KeypointOptions",
    "KeypointTrack",
    "PointTrack",
    "people_in_video",
    "read_keypoints",
    "read_points",
    "stored_joints",
    "write_points",
    "write_table",
]
