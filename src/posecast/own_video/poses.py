"""What is asked of a video of one's own, and its poses up to where the forecast begins."""

import contextlib
import itertools
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import UInt8

from posecast.clips import SeenVideo
from posecast.computing.stages import Stages
from posecast.errors import PosecastError
from posecast.estimation import (
    Box,
    Followed,
    FollowOptions,
    JointFinder,
    People,
    follow,
    follow_everybody,
)
from posecast.estimation.looking import Pose
from posecast.estimation.onnx_files import doubt_of_pixels
from posecast.forecasting.protocols import MOST_FUTURES, MOST_STEPS
from posecast.keypoints import KeypointError, KeypointOptions, people_in_video
from posecast.media.resampling import nearest_frames
from posecast.media.videos import read_timeline
from posecast.own_video.watching import NotSeenError, Past, Watched
from posecast.records.brief import Brief
from posecast.records.configs import check_at_least, check_over_zero
from posecast.skeletons import Skeleton

_TALLEST = 2**14
Export = Literal["csv", "coco", "trc"]
"""Poses for other programs."""


@dataclass(frozen=True)
class OwnVideoConfig:
    """What to forecast of a video, and how to show it."""

    steps: int = 64
    """Future frames, 10,000 at most, whatever the models were trained on."""
    futures: int = 1
    """Futures to forecast and draw, where the pose model knows several, the likeliest first. The
    video shows them side by side, each with its probability."""
    everybody: bool = False
    """Forecast everybody who is found, each apart, in one video; files of the joints of person 2
    are NAME-person-2.npz and so on."""
    separate: bool = False
    """Of several futures write each as a video of its own (NAME-1.mp4, NAME-2.mp4, ...)."""
    export: tuple[Export, ...] = ()
    """Write the poses, seen and forecast, for other programs too: csv, coco (NAME.json) or trc
    (OpenSim)."""
    keep_frames: bool = False
    """Keep the drawn frames of the person in NAME.npz as arrays, too: tens of megabytes."""
    rrd: bool = False
    """Write a recording for rerun, NAME.rrd: pictures and poses over time (needs
    'posecast[rerun]')."""
    fps: float = 0.0
    """Frames a second at which the video is looked at and forecast; 0: its own, of a fast video
    every n-th so that about 30 are left. Poses are brought to the pose model's rate and back."""
    folder_fps: float = 0.0
    """Frames a second of a folder of frames, which does not say; 0: that of the pose model."""
    well_seen_joints: float = 0.4
    """Share of the joints that must be seen in a frame for it to be a well-seen one."""
    well_seen_frames: float = 0.8
    """Share of the seen frames that must be well-seen, the last one among them."""
    lead_s: float = 10.0
    """The video is looked at from so many seconds before the second to forecast from on, or before
    its end, and written from there: what was seen earlier makes forecasts no better. Where the
    person leaves early it is looked at once more, so long before that; where nobody is seen well,
    all of it. 1e6: all."""
    panels: bool = False
    """Write the seen frames that the pose model looked at and the forecast ones with the pose
    beside them and borders (green: seen, red: forecast), in place of the video going on; of
    several futures the likeliest."""
    view_height: int = 0
    """Height of the picture in the video that is written; 0 keeps the size of the video."""

    def __post_init__(self) -> None:
        check_at_least(1, self, "steps", most=MOST_STEPS)
        check_at_least(1, self, "futures", most=MOST_FUTURES)
        check_at_least(0, self, "view_height", most=_TALLEST)
        check_at_least(0, self, "fps", "folder_fps")
        check_over_zero(self, "lead_s")
        check_over_zero(self, "well_seen_joints", "well_seen_frames", most=1)
        if self.everybody and self.futures > 1:
            raise PosecastError(
                f"everybody and {self.futures} futures: several futures are of one person; leave "
                "one of the two out"
            )


@dataclass(frozen=True, eq=False)
class EstimatedPoses:
    """Poses are found by an estimator that follows one person, or everybody."""

    estimator: JointFinder
    follow: FollowOptions = FollowOptions()
    box: Box | None = None
    """Where the person is in the first frame: x, y, width, height in pixels of the upright video;
    without it the frame is searched."""
    person: int = 1
    """Which of several people found: 1 is the one whom the video is most likely about."""


@dataclass(frozen=True)
class KeypointFile:
    """Poses are read from a file or folder of keypoints of the video (see `keypoints`)."""

    path: Path
    options: KeypointOptions = KeypointOptions()
    person: int = 1
    """Which of several people: 1 is the one who is largest and seen longest."""


PoseSource = EstimatedPoses | KeypointFile


@dataclass(frozen=True, eq=False, repr=False)
class FoundPoses(Brief):
    """One person's poses in a video, up to where the forecast begins."""

    seen: SeenVideo
    """Without its pictures."""
    person: int = 1
    """Which of several people."""
    lost: tuple[tuple[int, int], ...] = ()
    """Spans of frames in which the person was not found."""
    note: str = ""
    """What was guessed or filled in a file of keypoints."""
    people: People | None = None
    """Several people, where an estimator found them."""
    num_people: int = 1
    pictures: tuple[UInt8[np.ndarray, "h w 3"], ...] = ()
    """The last frames, MOST_PICTURES; none of large ones."""
    earlier: tuple[tuple[int, UInt8[np.ndarray, "h w 3"]], ...] = ()
    """Single ones of the last thousand frames, evenly spread, with their numbers; none of large
    ones."""
    shots: tuple[int, ...] = ()
    """For each frame the first one of its shot."""
    num_faded: int = 0
    """Frames at the end that fade away: they do not show the person well."""

    def before(self, stop: int) -> "FoundPoses":
        """Without what is seen from frame `stop` on."""
        seen = self.seen.take(range(stop), self.seen.fps, None)
        return replace(self, seen=seen, shots=self.shots[:stop])


def find_poses(
    past: Past, source: PoseSource, skeleton: Skeleton, stages: Stages, everybody: bool = False
) -> list[FoundPoses]:
    """Poses of each frame, of the person who is asked for and, with `everybody`, of all others;
    `stages` is told of each frame that was looked at, which it is once."""
    if isinstance(source, KeypointFile):
        return _read_poses(past, source, skeleton, stages, everybody)
    if not isinstance(source, EstimatedPoses):
        raise PosecastError(
            f"poses are {type(source).__name__}; expected EstimatedPoses(estimator) or "
            "KeypointFile(path)"
        )
    if source.estimator.skeleton != skeleton:
        raise PosecastError(
            f"the estimator finds joints of skeleton {source.estimator.skeleton.name}, the models "
            f"were trained on {skeleton.name}; use runs trained on the same data set"
        )
    return _estimate_poses(past, source, stages, everybody)


def _estimate_poses(
    past: Past, source: EstimatedPoses, stages: Stages, everybody: bool
) -> list[FoundPoses]:
    watched = Watched(past, stages)
    looked = (watched.frames, source.estimator, source.follow)
    choice = (stages.advance, source.person, partial(watched.starts, fps=past.fps))
    if everybody:
        people = dict(enumerate(follow_everybody(*looked, *choice), start=1))
    else:
        people = {source.person: follow(*looked, source.box, *choice)}
    ordered = sorted(people, key=lambda number: number != source.person)
    found = [_of_followed(watched, people[number], number) for number in ordered]
    if not found[0].seen.visible.any():
        where = f" from {past.first / past.fps:.2f} s on" if past.first else ""
        count = len(found[0].seen) - past.first
        frames = "the picture" if count == 1 else f"{count} frames{where}"
        raise NotSeenError(
            f"{past.video}: no person found in {frames}",
            "; say where one is in the first frame with --box x,y,w,h, or give poses of another "
            f"program with --poses{doubt_of_pixels(source.estimator)}",
        )
    return found


def _of_followed(watched: Watched, found: Followed, person: int) -> FoundPoses:
    past = watched.past
    lost = ((gone + past.first, again + past.first) for gone, again in found.lost_spans())
    count = len(found.people.poses) if found.people else 1
    who = {"person": person, "people": found.people, "num_people": count}
    seen = seen_of(found, past.first, past.fps)
    return replace(_found(watched, seen), **who, lost=tuple(lost))


def seen_of(found: Followed, first: int, fps: float) -> SeenVideo:
    """A person who was followed from frame `first` on, as seen from the video's first frame on."""
    rows = ((first, 0), (0, 0))
    return SeenVideo(
        np.pad(found.joints_px, (*rows, (0, 0))),
        np.pad(found.visible, rows),
        fps,
        found.image_hw,
        confidence=np.pad(found.confidence, rows),
        trimmed=False,
    )


def _found(watched: Watched, seen: SeenVideo) -> FoundPoses:
    """Poses by shots; `seen` is from the video's first frame on."""
    first, faded = watched.past.first, watched.num_faded
    visible = seen.visible.copy()
    visible[:first] = False
    visible[len(seen) - faded :] = False
    starts = watched.starts(seen.joints_px[first:], visible[first:], seen.fps)
    shots = (*range(first), *(first + start for start in starts))
    seen = replace(seen, visible=visible)
    pictures = {"pictures": watched.pictures, "earlier": watched.earlier}
    return FoundPoses(seen, **pictures, shots=shots, num_faded=faded)


def people_to_choose_from(past: Past, source: EstimatedPoses, stages: Stages) -> People:
    """Whom `find_poses`, given the same, would choose from, and where: nobody, one or several.

    Looks at the first frames of the search alone; who comes later is not among them.
    """
    watched = list(itertools.islice(past.frames(), source.follow.watch))
    found = follow(watched, source.estimator, source.follow, source.box, stages.advance)
    if found.people is not None or not found.found[-1]:
        return found.people or People(watched[-1], ())
    least = source.estimator.min_confidence
    return People(watched[-1], (Pose(found.joints_px[-1], found.confidence[-1], least),))


def _read_poses(
    past: Past, source: KeypointFile, skeleton: Skeleton, stages: Stages, everybody: bool
) -> list[FoundPoses]:
    timeline = read_timeline(past.video)
    frames = nearest_frames(timeline.seconds, past.fps)[: past.num_frames]
    until = None if past.from_s is None else frames[-1] + 1
    track = people_in_video(source.path, timeline, skeleton, source.options, until)
    tracks = {source.person: track(source.person)}
    num_people = tracks[source.person].num_people
    for number in range(1, everybody * num_people + 1):
        if number in tracks:
            continue
        with contextlib.suppress(KeypointError):  # not one joint of theirs is known
            tracks[number] = track(number)
    watched = Watched(past, stages)
    for _ in watched.frames:
        stages.advance()
    hw, people = (timeline.info.height, timeline.info.width), []
    for number, each in tracks.items():
        poses = (each.joints_px[frames], each.visible[frames])
        found = _found(watched, SeenVideo(*poses, past.fps, hw, trimmed=False))
        who = {"person": number, "num_people": num_people}
        people.append(replace(found, **who, note=f"keypoints: {each.note}" if each.note else ""))
    return people
