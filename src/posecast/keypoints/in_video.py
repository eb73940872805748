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

_SAME_RATE = 0.05
"""Rates that differ by less are one: a video's is a mean."""


def keypoints_in_video(
    path: Path,
    timeline: Timeline,
    skeleton: Skeleton,
    options: KeypointOptions | None = None,
    person: int = 1,
    until: int | None = None,
) -> KeypointTrack:
    """As `read_keypoints`, which reads stored pixels, with joints in pixels of the shown video. A
    file that says another rate than the video's is noted: its frames are the video's all the same.
    """
    info, num_frames = timeline.info, len(timeline.seconds)
    track = read_keypoints(
        *(path, skeleton, num_frames, info.stored_hw, options, person, timeline.numbers, until)
    )
    joints = to_shown(track.joints_px, info.stored_hw, timeline.places)
    note = track.note
    if track.fps is not None and abs(track.fps / info.fps - 1) > _SAME_RATE:
        rates = f"it has {track.fps:g} frames a second, the video {info.fps:g}"
        note = "; ".join(filter(None, (note, f"{rates}: frames are taken one by one all the same")))
    joints = np.where(track.visible[..., None], joints, 0.0)
    return dataclasses.replace(track, joints_px=joints, note=note)


def stored_joints(
    joints_px: Float[np.ndarray, "t j 2"], timeline: Timeline
) -> Float[np.ndarray, "t j 2"]:
    """The way back: joints of the shown video in the stored pixels that files of keypoints are in.
    Frames after the video's last one count as shown like it."""
    numbers = np.minimum(np.arange(len(joints_px)), len(timeline.places) - 1)
    return to_stored(joints_px, timeline.info.stored_hw, timeline.places[numbers])
