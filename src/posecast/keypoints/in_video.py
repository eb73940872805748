"""Keypoints of other programs where a player shows them, and back."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
from jaxtyping import Float

from posecast.keypoints.opening import KeypointOptions
from posecast.keypoints.reading import KeypointTrack, read_people
from posecast.media.shown import to_shown, to_stored
from posecast.media.videos import Timeline
from posecast.skeletons import Skeleton

_SAME_RATE = 0.05
"""Rates that differ by less are one: a video's is a mean."""


def people_in_video(
    path: Path,
    timeline: Timeline,
    skeleton: Skeleton,
    options: KeypointOptions | None = None,
    until: int | None = None,
) -> Callable[[int], KeypointTrack]:
    """Each person by number, as of `read_people`, which reads stored pixels, with joints in pixels
    of the shown video. A file that says another rate than the video's is noted: its frames are the
    video's all the same."""
    info, places = timeline.info, timeline.places
    people = read_people(
        path, skeleton, len(timeline.seconds), info.stored_hw, options, timeline.numbers, until
    )

    def track(person: int) -> KeypointTrack:
        found = people.track(person)
        shown, note = to_shown(found.joints_px, info.stored_hw, places), found.note
        if found.fps is not None and abs(found.fps / info.fps - 1) > _SAME_RATE:
            rates = f"it has {found.fps:g} frames a second, the video {info.fps:g}"
            same = f"{rates}: frames are taken one by one all the same"
            note = "; ".join(filter(None, (note, same)))
        joints = np.where(found.visible[..., None], shown, 0.0)
        return dataclasses.replace(found, joints_px=joints, note=note)

    return track


def stored_joints(
    joints_px: Float[np.ndarray, "t j 2"], timeline: Timeline
) -> Float[np.ndarray, "t j 2"]:
    """The way back: joints of the shown video in the stored pixels that files of keypoints are in.
    Frames after the video's last one count as shown like it."""
    numbers = np.minimum(np.arange(len(joints_px)), len(timeline.places) - 1)
    return to_stored(joints_px, timeline.info.stored_hw, timeline.places[numbers])
