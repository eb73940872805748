"""What really came after the last seen frame of one's own video, where it goes on.

Looked at after the forecast is made: nothing of it can reach the forecast. An estimator goes on
from where the person was seen last; of a file of keypoints the person is taken who was seen.
"""

import contextlib
import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, UInt8

from posecast.errors import PosecastError
from posecast.estimation import Followed, box_around, follow
from posecast.estimation.sides import steady_sides
from posecast.keypoints import KeypointError, KeypointTrack, people_in_video
from posecast.media.resampling import nearest_frames
from posecast.media.shots import Shots
from posecast.media.videos import VideoSource, count_frames, read_timeline, read_video
from posecast.own_video.poses import KeypointFile, PoseSource
from posecast.own_video.result import OwnForecast
from posecast.records.brief import Brief


class NothingToCompareError(PosecastError):
    """Nobody is found after the moment that is forecast from, or there is no such moment."""


@dataclass(frozen=True, eq=False, repr=False)
class Truth(Brief):
    """Poses that came, from the first frame after the seen ones on, at the forecast's rate."""

    joints_px: Float[np.ndarray, "t j 2"]
    visible: Bool[np.ndarray, "t j"]


def second_to_compare_from(video: VideoSource, fps: float, steps: int, least: int) -> float:
    """The second that leaves `steps` frames as truth, or half of a short video, but `least` frames
    to be seen; NothingToCompareError where that leaves nothing."""
    num_frames = count_frames(video, fps)
    num_seen = max(num_frames - min(steps, num_frames // 2), least)
    if num_seen >= num_frames:
        raise NothingToCompareError(
            f"{video}: {num_frames} frames at {fps:g} a second; {least} of them are to be seen, "
            "which leaves nothing to compare with: give a longer video"
        )
    return num_seen / fps


def find_truth(
    source: PoseSource, result: OwnForecast, on_frame: Callable[[], None] = lambda: None
) -> Truth:
    """At most as many poses as were forecast, up to a cut or a fade, from where the person was
    seen last; NothingToCompareError where no joint that was seen is in them."""
    count = 1 + len(result.forecast.visible)
    shots, last = Shots(), result.past_frames[-1]
    frames = read_video(result.video, result.fps, first=last)
    frames = shots.watch(itertools.islice(frames, count))
    if isinstance(source, KeypointFile):
        for _ in frames:
            on_frame()
        joints_px, visible = _read(source, result, count)
    else:
        box = box_around(result.seen.joints_px[-1], result.seen.visible[-1])
        found = follow(frames, source.estimator, source.follow, box, on_frame)
        joints_px, visible = _with_seen_sides(found, result)
    one_shot = shots.starts(joints_px, visible, result.fps).count(0)
    end = min(one_shot, len(visible) - shots.num_faded(result.fps))
    truth = Truth(joints_px[1:end], visible[1:end])
    if not (truth.visible & result.seen.visible.any(axis=0)).any():
        why = "the shot ends at" if end <= 1 else "the person is not found after"
        raise NothingToCompareError(
            f"{result.video}: nothing to compare with: {why} second "
            f"{(result.past_frames[-1] + 1) / result.fps:.2f}",
            "; give an earlier --from",
        )
    return truth


def true_pictures(result: OwnForecast, truth: Truth) -> Iterator[UInt8[np.ndarray, "h w 3"]]:
    """The frames of the truth."""
    first = result.past_frames[-1] + 1
    frames = read_video(result.video, result.fps, first=first)
    yield from itertools.islice(frames, len(truth.visible))


def _with_seen_sides(
    found: Followed, result: OwnForecast
) -> tuple[Float[np.ndarray, "t j 2"], Bool[np.ndarray, "t j"]]:
    """Poses and visibility, left and right as in the seen frames, not as following begins."""
    joints = np.concatenate([result.seen.joints_px, found.joints_px])
    visible = np.concatenate([result.seen.visible, found.visible])
    joints, sure = steady_sides(joints, visible.astype(float), visible, result.skeleton)
    later = slice(len(result.seen), None)
    return joints[later], sure[later] > 0


def _read(
    source: KeypointFile, result: OwnForecast, count: int
) -> tuple[Float[np.ndarray, "t j 2"], Bool[np.ndarray, "t j"]]:
    """So many poses from the last seen one on."""
    timeline = read_timeline(result.video)
    frames = np.array(nearest_frames(timeline.seconds, result.fps))
    person = people_in_video(source.path, timeline, result.skeleton, source.options)
    tracks = [person(source.person)]
    for number in range(1, tracks[0].num_people + 1):
        with contextlib.suppress(KeypointError):  # not one joint of theirs is known
            tracks.append(person(number))
    past = frames[list(result.past_frames)]
    track = min(tracks, key=lambda each: _apart(each, past, result))
    came = frames[result.past_frames[-1] :][:count]
    return track.joints_px[came], track.visible[came]


def _apart(track: KeypointTrack, past: np.ndarray, result: OwnForecast) -> float:
    """Mean distance from what was seen; infinite where nothing is seen of both."""
    both = track.visible[past] & result.seen.visible
    off = np.linalg.norm(track.joints_px[past] - result.seen.joints_px, axis=-1)
    return float(off[both].mean()) if both.any() else np.inf
