"""Keypoints of other programs where a player shows them."""

import dataclasses
from pathlib import Path

import numpy as np

from posecast.keypoints.reading import KeypointOptions, KeypointTrack, read_keypoints
from posecast.media.shown import to_shown
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
