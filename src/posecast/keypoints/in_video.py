"""Keypoints of other programs where a player shows them, and back."""

import dataclasses
from pathlib import Path

import numpy as np
from jaxtyping import Float

from posecast.keypoints.opening import KeypointOptions
from posecast.keypoints.reading import KeypointTrack, read_keypoints
from posecast.media.shown import to_shown, to_stored
from posecast.media.videos import Timeline
from posecast.skeletons import Skeleton


def keypoints_in_video(
    path: Path,
    timeline: Timeline,
    skeleton: Skeleton,
    options: KeypointOptions | None = None,
    person: int = 1,
    until: int | None = None,
) -> KeypointTrack:
    """As `read_keypoints`, which reads stored pixels, with joints in pixels of the shown video."""
    info, num_frames = timeline.info, len(timeline.seconds)
    track = read_keypoints(
        *(path, skeleton, num_frames, info.stored_hw, options, person, timeline.numbers, until)
    )
    joints = to_shown(track.joints_px, info.stored_hw, timeline.places)
    return dataclasses.replace(track, joints_px=np.where(track.visible[..., None], joints, 0.0))


def stored_joints(
    joints_px: Float[np.ndarray, "t j 2"], timeline: Timeline
) -> Float[np.ndarray, "t j 2"]:
    """The way back: joints of the shown video in the stored pixels that files of keypoints are in.
    Frames after the video's last one count as shown like it."""
    numbers = np.minimum(np.arange(len(joints_px)), len(timeline.places) - 1)
    return to_stored(joints_px, timeline.info.stored_hw, timeline.places[numbers])
