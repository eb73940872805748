"""One person through a video: each frame is looked at where the frame before had the person.

Whom to follow is decided where somebody is found first. Where there are several, all are followed
for a moment, and who is large, near the middle, stays and moves is it. After that nothing looks
ahead: what is found in a frame depends on that frame and those before it. Frames stream through;
only their poses are kept, but for the few frames of the decision.
"""

import itertools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, UInt8

from posecast.errors import PosecastError
from posecast.estimation.estimator import JointFinder, seen_joints
from posecast.estimation.finding import SAME, find_people, look_closely
from posecast.estimation.looking import Pose, distance, look
from posecast.estimation.tracks import Track, TrackOptions
from posecast.geometry import Crop, seen_crop

Frame = UInt8[np.ndarray, "h w 3"]

Box = tuple[float, float, float, float]
"""x, y, width, height in pixels."""

_BOX_ROOM = 1.2
"""Room around a box that somebody drew: it holds hands and hair already."""
_FORGET = 4
"""Patiences after which somebody who looks different is followed too."""


@dataclass(frozen=True)
class FollowOptions(TrackOptions):
    """How a person is found and followed."""

    search_every: int = 6
    """While the person is lost, search every so many frames."""
    watch: int = 20
    """Where several people are found, frames in which all are followed before one is chosen."""
    most_people: int = 4
    """Of several people so many are watched, the most prominent ones."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if min(self.search_every, self.watch, self.most_people) < 1:
            raise PosecastError("expected search_every, watch and most_people of 1 or more")


@dataclass(frozen=True, eq=False)
class People:
    """Whom a video shows where it was decided whom to follow."""

    frame: Frame
    poses: tuple[Pose, ...]
    """Person 1 first: the one who is followed unless another is asked for."""


@dataclass(frozen=True, eq=False)
class Followed:
    """One person's joints in every frame."""

    joints_px: Float[np.ndarray, "t j 2"]
    confidence: Float[np.ndarray, "t j"]
    """0 where the person was not found."""
    visible: Bool[np.ndarray, "t j"]
    image_hw: tuple[int, int]
    people: People | None = None
    """None where nobody was found."""

    @property
    def found(self) -> Bool[np.ndarray, " t"]:
        """Frames in which the person is."""
        return np.any(self.visible, axis=1)

    def lost_spans(self) -> list[tuple[int, int]]:
        """First frame without the person and first frame with it again, for every gap."""
        edges = np.flatnonzero(np.diff(np.concatenate([[1], self.found.astype(int), [1]])))
        return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))


def follow(
    frames: Iterable[Frame],
    estimator: JointFinder,
    options: FollowOptions | None = None,
    box: Box | None = None,
    on_frame: Callable[[], None] = lambda: None,
    person: int = 1,
) -> Followed:
    """Find a person in the first frames of a video and follow it to the last one.

    `box` is where the person is in the first frame; without it the whole frame is searched.
    `person` chooses among several people: 1 is whom the video is most likely about. Frames without
    the person have no visible joint. `on_frame` is called after each frame, for a progress bar.

    Raises:
        PosecastError: no frame, a box outside of it or with nobody in it, fewer people than asked.
    """
    follower = _Follower(estimator, options or FollowOptions(), box, person)
    poses, image_hw = [], (0, 0)
    for frame, pose in follower.run(iter(frames)):
        image_hw = (frame.shape[0], frame.shape[1])
        poses.append(pose)
        on_frame()
    if not poses:
        raise PosecastError("the video has no frames")
    num_joints = estimator.skeleton.num_joints
    joints, confidence = np.zeros((len(poses), num_joints, 2)), np.zeros((len(poses), num_joints))
    for t, pose in enumerate(poses):
        if pose is not None:
            joints[t], confidence[t] = pose.joints_px, pose.confidence
    seen = seen_joints(confidence, estimator.min_confidence)
    return Followed(joints, confidence, seen, image_hw, follower.people)


class _Follower:
    """Decides whom to follow, and searches again when the person is lost."""

    def __init__(
        self, estimator: JointFinder, options: FollowOptions, box: Box | None, person: int
    ) -> None:
        self._estimator, self._options = estimator, options
        self._box, self._person = box, person
        self.people: People | None = None

    def run(self, frames: Iterator[Frame]) -> Iterator[tuple[Frame, Pose | None]]:
        """Each frame with the person in it, None where it is not found."""
        track = None
        for number, frame in enumerate(frames):
            if track is None:
                people = self._find(frame, number)
                if not people:
                    yield frame, None
                    continue
                watched, track = self._choose(people, frame, frames)
                yield from zip(watched, track.poses, strict=True)
            elif track.is_lost:
                yield frame, self._find_again(frame, track)
            else:
                yield frame, track.follow(frame)

    def _find(self, frame: Frame, number: int) -> list[Pose]:
        if self._box is not None and number == 0:
            return [self._in_box(self._box, frame)]
        if number % self._options.search_every:
            return []
        return find_people(frame, self._estimator, self._options)[: self._options.most_people]

    def _in_box(self, box: Box, frame: Frame) -> Pose:
        crop = _given_crop(box, frame.shape[:2])
        poses = look(frame, [crop], self._estimator)
        poses = [pose for pose in poses if pose.is_person(self._options.keep_from)]
        if not poses:
            raise PosecastError(
                f"no person in the box {box} of the first frame: give x, y, width, height in "
                "pixels of the video as it is shown, or leave the box out"
            )
        return look_closely(frame, poses, self._estimator, self._options)[0]

    def _choose(
        self, people: list[Pose], frame: Frame, frames: Iterator[Frame]
    ) -> tuple[list[Frame], Track]:
        """Watch everybody for a moment; the frames of it, and who is followed from then on."""
        tracks = [Track(frame, pose, self._estimator, self._options) for pose in people]
        watched = [frame]
        if len(tracks) > 1:
            for each in itertools.islice(frames, self._options.watch - 1):
                watched.append(each)
                for track in tracks:
                    track.follow(each)
        hw = (frame.shape[0], frame.shape[1])
        tracks = _distinct(sorted(tracks, key=lambda track: -track.score(hw)))
        self.people = People(watched[-1], tuple(track.last for track in tracks))
        if not 1 <= self._person <= len(tracks):
            raise PosecastError(
                f"person {self._person} was asked for, {len(tracks)} found: give 1 to "
                f"{len(tracks)}, or say where the person is in the first frame (box)"
            )
        return watched, tracks[self._person - 1]

    def _find_again(self, frame: Frame, track: Track) -> Pose | None:
        """Whoever resembles the lost person most; after a while anybody."""
        pose = track.follow(frame)
        missed = track.missed
        if pose is not None or missed % self._options.search_every:
            return pose
        people = find_people(frame, self._estimator, self._options)
        unlike = {id(pose): track.looks.difference(frame, pose) for pose in people}
        if missed < _FORGET * self._options.patience:
            people = [pose for pose in people if unlike[id(pose)] <= self._options.another]
        if not people:
            return None
        pose = min(people, key=lambda each: unlike[id(each)])
        track.take(frame, pose)
        return pose


def _distinct(tracks: list[Track]) -> list[Track]:
    """Without those that came to follow the same person as an earlier one."""
    kept: list[Track] = []
    for track in tracks:
        if all(distance(track.last, other.last) > SAME for other in kept):
            kept.append(track)
    return kept


def _given_crop(box: Box, hw: tuple[int, ...]) -> Crop:
    x, y, width, height = box
    if not (width > 0 and height > 0 and np.isfinite(box).all()):
        raise PosecastError(f"box is {box}; expected x, y, width, height, both sizes over 0")
    if x >= hw[1] or y >= hw[0] or x + width <= 0 or y + height <= 0:
        raise PosecastError(
            f"the box {box} (x, y, width, height) lies outside the video's {hw[1]} x {hw[0]} pixels"
        )
    corners = np.array([[x, y, x + width, y + height]], float)
    return seen_crop(corners, (hw[0], hw[1]), _BOX_ROOM)
