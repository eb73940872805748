"""One person through a video: each frame is looked at where the frame before had the person.

Whom to follow is decided on the first frames in which somebody is. Everybody there is followed
through them, and who is sure, large, near the middle, stays and moves is it. After that nothing
looks ahead: what is found in a frame depends on that frame and those before it. Frames stream
through; only their poses are kept, but for the few frames of the decision.
"""

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, UInt8
from numpy.typing import ArrayLike

from posecast.errors import PosecastError
from posecast.estimation.estimator import JointFinder
from posecast.estimation.finding import SAME, distinct, find_people, look_closely
from posecast.estimation.looking import Pose, distance, look
from posecast.estimation.sides import steady_sides
from posecast.estimation.tracks import Track, TrackOptions
from posecast.geometry import Crop, seen_crop
from posecast.records.arguments import as_count, check_is, check_settings, got
from posecast.records.brief import Brief
from posecast.records.configs import check_at_least

Frame = UInt8[np.ndarray, "h w 3"]

Box = tuple[float, float, float, float]
"""x, y, width, height in pixels."""

_BOX_ROOM = 1.2
"""Room around a box that somebody drew: it holds hands and hair already."""
_JOINTS_ROOM = 0.1
"""Room around joints, as a share of their extent."""
_MUCH_SURER = 1.15
_STAYS = 0.3
"""Share of the watched frames in which others than one must be: a cut may have shown them."""
_MOST_HELD_BYTES = 2**27
_FORGET = 4
"""Patiences after which somebody who looks different is followed too."""


@dataclass(frozen=True)
class FollowOptions(TrackOptions):
    """How a person is found and followed."""

    search_every: int = 6
    """While the person is lost, search every so many frames."""
    watch: int = 20
    """Frames in which everybody is looked for and followed before one is chosen."""
    most_people: int = 4
    """So many people are followed until one is chosen, the most prominent ones."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_at_least(1, self, "search_every", "watch", "most_people")


@dataclass(frozen=True, eq=False, repr=False)
class People(Brief):
    """Several people of a video, as it shows them where it was decided whom to follow."""

    frame: Frame
    poses: tuple[Pose, ...]
    """Person 1 first: the one who is followed unless another is asked for."""
    followed: int = 1
    """Number of the one who was followed."""


@dataclass(frozen=True, eq=False, repr=False)
class Followed(Brief):
    """One person's joints in every frame."""

    joints_px: Float[np.ndarray, "t j 2"]
    confidence: Float[np.ndarray, "t j"]
    """0 where the person was not found, and of joints that may as well be elsewhere."""
    visible: Bool[np.ndarray, "t j"]
    image_hw: tuple[int, int]
    people: People | None = None
    """Several, to choose from; None where at most one was found."""

    @property
    def box(self) -> Box | None:
        """Where the person was found last, for `follow` to go on there; None: nowhere."""
        if not self.found.any():
            return None
        last = np.flatnonzero(self.found)[-1]
        return box_around(self.joints_px[last], self.visible[last])

    @property
    def found(self) -> Bool[np.ndarray, " t"]:
        """Frames in which the person is."""
        return np.any(self.visible, axis=1)

    def lost_spans(self) -> list[tuple[int, int]]:
        """First frame without the person and first frame with it again, for every gap."""
        edges = np.flatnonzero(np.diff(np.concatenate([[1], self.found.astype(int), [1]])))
        return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))


def box_around(joints_px: Float[np.ndarray, "j 2"], visible: Bool[np.ndarray, " j"]) -> Box:
    """The visible joints with room around them."""
    low, high = joints_px[visible].min(axis=0), joints_px[visible].max(axis=0)
    room = _JOINTS_ROOM * (high - low).max() + 1
    x, y = (low - room).tolist()
    width, height = (high - low + 2 * room).tolist()
    return x, y, width, height


def follow(
    frames: Iterable[Frame],
    estimator: JointFinder,
    options: FollowOptions | None = None,
    box: Box | None = None,
    on_frame: Callable[[], None] = lambda: None,
    person: int = 1,
    starts: Callable[[np.ndarray, np.ndarray], Sequence[int]] | None = None,
) -> Followed:
    """Find a person in the first frames of a video and follow it to the last one.

    `box` is where the person is in the first frame; without it the whole frame is searched.
    `person` chooses among several people: 1 is whom the video is most likely about. Frames without
    the person have no visible joint. `on_frame` is called after each frame, for a progress bar.
    `starts` is asked in the end for each frame's first one of its shot, given the joints and which
    are seen (`Shots.starts`): at a cut left and right are found anew.
    PosecastError: no frame, what is no picture, a box outside of it or with nobody in it, fewer
    people than asked.
    """
    if isinstance(frames, str) or not isinstance(frames, Iterable):
        raise PosecastError(
            f"frames is {got(frames)}; expected pictures: posecast.forecast_video reads files"
        )
    check_is(estimator, JointFinder, "estimator", "what PoseEstimator.pretrained gives")
    follower = _Follower(
        estimator,
        check_settings(options or FollowOptions(), FollowOptions, "options"),
        box,
        as_count(person, "person"),
    )
    poses, image_hw = [], (0, 0)
    for frame, pose in follower.run(map(_picture, frames)):
        image_hw = (frame.shape[0], frame.shape[1])
        poses.append(pose)
        on_frame()
    if not poses:
        raise PosecastError("the video has no frames")
    num_joints = estimator.skeleton.num_joints
    joints, confidence = np.zeros((len(poses), num_joints, 2)), np.zeros((len(poses), num_joints))
    for t, pose in enumerate(poses):
        if pose is not None:
            joints[t] = pose.joints_px
            confidence[t] = np.where(pose.doubted, 0, pose.confidence)
    seen = confidence >= estimator.min_confidence
    shots = () if starts is None else starts(joints, seen)
    joints, confidence = steady_sides(joints, confidence, seen, estimator.skeleton, shots)
    seen = confidence >= estimator.min_confidence
    return Followed(joints, confidence, seen, image_hw, follower.people)


def _picture(given: ArrayLike) -> Frame:
    """A frame as an array, of a tensor or another program's picture."""
    try:
        picture = np.asarray(given)
    except (ValueError, TypeError, RuntimeError) as error:
        raise PosecastError(f"a frame is no array of numbers: {error}") from error
    if picture.dtype != np.uint8 or picture.shape[2:] != (3,) or not picture.size:
        raise PosecastError(
            f"a frame is {picture.dtype} {picture.shape}; expected uint8 (h, w, 3), RGB"
        )
    return picture


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
        while track is None:
            watched = self._next_frames(frames)
            if not watched:
                return
            track = self._choose(watched)
            yield from zip(watched, track.poses if track else [None] * len(watched), strict=True)
            self._box = None
            del watched
        for frame in frames:
            pose = self._find_again(frame, track) if track.is_lost else track.follow(frame)
            yield frame, pose

    def _next_frames(self, frames: Iterator[Frame]) -> list[Frame]:
        """As many as are watched; few of large ones, and one where a box says who it is."""
        first = list(itertools.islice(frames, 1))
        if not first or self._box is not None:
            return first
        fit = max(_MOST_HELD_BYTES // first[0].nbytes, 1)
        return first + list(itertools.islice(frames, min(self._options.watch, fit) - 1))

    def _choose(self, watched: list[Frame]) -> Track | None:
        """Watch everybody for a moment and take who is asked for; None where nobody is."""
        hw = (watched[0].shape[0], watched[0].shape[1])
        tracks = sorted(self._watch(watched), key=lambda track: -track.score(hw))
        if self._box is None:  # where a person was said to be it need not be so sure
            tracks = [each for each in tracks if each.sureness >= self._options.find_from]
        tracks = [each for each in tracks if each.share >= _STAYS] or tracks
        people = distinct([each.last for each in tracks])
        # Some may have come to follow the same person as an earlier one.
        tracks = [each for each in tracks if any(each.last is pose for pose in people)]
        if not tracks:
            return None
        poses = tuple(track.last for track in tracks)
        if len(tracks) > 1:
            self.people = People(watched[-1], poses, self._person)
        if not 1 <= self._person <= len(tracks):
            raise PosecastError(
                f"person {self._person} was asked for, {len(tracks)} found: give 1 to "
                f"{len(tracks)}, or say where the person is in the first frame (box)"
            )
        return tracks[self._person - 1]

    def _watch(self, watched: list[Frame]) -> list[Track]:
        """Everybody in some frames, through all of them: looked for in the first and the middle."""
        tracks: list[Track] = []
        if self._box is not None:
            return [self._through(watched, 0, self._in_box(self._box, watched[0]))]
        for number in sorted({0, len(watched) // 2}):
            known = [pose for track in tracks if (pose := track.poses[number])]
            people = find_people(watched[number], self._estimator, self._options)
            new = [pose for pose in people if not any(_is_as_good(each, pose) for each in known)]
            new = new[: self._options.most_people]
            tracks += [self._through(watched, number, pose) for pose in new]
        return tracks

    def _through(self, watched: list[Frame], number: int, pose: Pose) -> Track:
        """Follow a person found in one of the frames back to the first and on to the last."""
        back, track = (
            Track(watched[number], pose, self._estimator, self._options) for _ in range(2)
        )
        for frame in watched[number + 1 :]:
            track.follow(frame)
        for frame in reversed(watched[:number]):
            back.follow(frame)
        track.poses = [*reversed(back.poses), *track.poses[1:]]
        return track

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
        if unlike[id(pose)] > self._options.another:
            track.looks.forget()  # else whoever it is now would be somebody else in the next frame
        track.take(frame, pose)
        return pose


def _is_as_good(known: Pose, pose: Pose) -> bool:
    """Whether it is the same person, not much less sure: half a person may be found first."""
    is_surer = pose.confidence.mean() > _MUCH_SURER * known.confidence.mean()
    return distance(known, pose) <= SAME and not is_surer


def _given_crop(box: Box, hw: tuple[int, ...]) -> Crop:
    try:
        x, y, width, height = map(float, box)
    except (TypeError, ValueError, OverflowError) as error:
        raise PosecastError(f"box is {box}; expected x, y, width, height in pixels") from error
    if not (width > 0 and height > 0 and np.isfinite([x, y, width, height]).all()):
        raise PosecastError(f"box is {box}; expected x, y, width, height, both sizes over 0")
    if x >= hw[1] or y >= hw[0] or x + width <= 0 or y + height <= 0:
        raise PosecastError(
            f"the box {box} (x, y, width, height) lies outside the video's {hw[1]} x {hw[0]} pixels"
        )
    corners = np.array([[x, y, x + width, y + height]], float)
    far = np.array([hw[1], hw[0], hw[1], hw[0]])  # what lies farther outside is only memory
    corners = corners.clip(-far, 2 * far)
    return seen_crop(corners, (hw[0], hw[1]), _BOX_ROOM)
