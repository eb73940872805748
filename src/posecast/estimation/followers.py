"""Whom to follow, and where: everybody in the first frames, then one or all of them.

Who is lost is searched for in the whole frame.
"""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import UInt8

from posecast.errors import PosecastError
from posecast.estimation.estimator import JointFinder
from posecast.estimation.finding import SAME, distinct, find_people, look_closely
from posecast.estimation.looking import Pose, distance, look
from posecast.estimation.tracks import Track, TrackOptions
from posecast.geometry import Crop, seen_crop
from posecast.records.brief import Brief
from posecast.records.configs import check_at_least

Frame = UInt8[np.ndarray, "h w 3"]

Box = tuple[float, float, float, float]
"""x, y, width, height in pixels."""

Moment = tuple[Frame, Sequence[Pose]]
"""A frame, and those who are known to be in it."""

_BOX_ROOM = 1.2
"""Room around a box that somebody drew: it holds hands and hair already."""
_MUCH_SURER = 1.15
_STAYS = 0.3
"""Share of the watched frames in which others than one must be: a cut may have shown them."""
_MOST_HELD_BYTES = 2**27
_FORGET = 4
"""Patiences after which somebody who looks different is followed in place of who is asked for."""


@dataclass(frozen=True)
class FollowOptions(TrackOptions):
    """How a person is found and followed."""

    search_every: int = 6
    """While the person is lost, search every so many frames."""
    watch: int = 20
    """Frames in which everybody is looked for and followed before one is chosen, or all are."""
    most_people: int = 4
    """So many people of the first of these frames are followed, the most prominent ones, and as
    many more of the middle one; of everybody as many again who are there in the end."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_at_least(1, self, "search_every", "watch", "most_people")


@dataclass(frozen=True, eq=False, repr=False)
class People(Brief):
    """Several people of a video, as it shows them where it was decided whom to follow; of
    everybody, where some came later, as it shows them last."""

    frame: Frame
    poses: tuple[Pose | None, ...]
    """Person 1 first: the one who is followed unless another is asked for. None: not seen there."""
    followed: int = 1
    """Number of the one who was followed."""


class Follower:
    """Decides whom to follow, and searches again for who is lost."""

    def __init__(
        self,
        estimator: JointFinder,
        options: FollowOptions,
        box: Box | None,
        person: int,
        alone: bool,
    ) -> None:
        self._estimator, self._options = estimator, options
        self._box, self._person, self._alone = box, person, alone
        self.people: People | None = None

    def run(self, frames: Iterator[Frame]) -> Iterator[tuple[Frame, Sequence[Pose | None]]]:
        """Each frame with those who are followed, None who is not found; of frames before somebody
        is found nobody."""
        tracks: list[Track] = []
        while not tracks:
            watched = self._next_frames(frames)
            if not watched:
                return
            tracks = self._choose(watched)
            for number, frame in enumerate(watched):
                yield frame, [track.poses[number] for track in tracks]
            self._box = None
            del watched
        for frame in frames:
            poses = _settled(frame, tracks, ())
            yield frame, self._with_found_again(frame, tracks, poses)

    def _next_frames(self, frames: Iterator[Frame]) -> list[Frame]:
        """As many as are watched; few of large ones, and one where a box says who it is."""
        first = list(itertools.islice(frames, 1))
        if not first or self._box is not None:
            return first
        fit = max(_MOST_HELD_BYTES // first[0].nbytes, 1)
        return first + list(itertools.islice(frames, min(self._options.watch, fit) - 1))

    def _choose(self, watched: list[Frame]) -> list[Track]:
        """Watch everybody for a moment and take who is asked for."""
        hw = (watched[0].shape[0], watched[0].shape[1])
        tracks = sorted(self._watch(watched), key=lambda track: -track.score(hw))
        if self._box is None:  # where a person was said to be it need not be so sure
            tracks = [each for each in tracks if each.sureness >= self._options.find_from]
        tracks = [each for each in tracks if each.share >= _STAYS] or tracks
        people = distinct([each.last for each in tracks])
        # Some may have come to follow the same person as an earlier one.
        tracks = [each for each in tracks if any(each.last is pose for pose in people)]
        if not tracks:
            return []
        poses = tuple(track.last for track in tracks)
        if len(tracks) > 1:
            self.people = People(watched[-1], poses, self._person)
        if not 1 <= self._person <= len(tracks):
            box = ", or say where the person is in the first frame (box)" * self._alone
            numbers = f"1 to {len(tracks)}" if len(tracks) > 1 else "1"
            raise PosecastError(
                f"person {self._person} was asked for, {len(tracks)} found in the first frames: "
                f"give {numbers}{box}",
                "; who comes later: --everybody, or a shorter --lead-s",
            )
        return [tracks[self._person - 1]] if self._alone else tracks

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

    def _with_found_again(
        self, frame: Frame, tracks: Sequence[Track], poses: Sequence[Pose | None]
    ) -> Sequence[Pose | None]:
        """Who is lost is searched for in the whole frame, now and then, where no other is."""
        options, found = self._options, list(poses)
        lost = [n for n, track in enumerate(tracks) if track.missed > options.patience + 1]
        lost = [n for n in lost if tracks[n].missed % options.search_every == 0]
        people = find_people(frame, self._estimator, options) if lost else []
        for number in lost:
            known = [pose for pose in found if pose is not None]
            who = frame, tracks[number], _free(people, known)
            found[number] = self._take_again(*who, self._alone or number == self._person - 1)
        return found

    def _take_again(
        self, frame: Frame, track: Track, people: list[Pose], or_anybody: bool
    ) -> Pose | None:
        """Whoever resembles the lost person most; after a while anybody, if it has to be."""
        unlike = {id(pose): track.looks.difference(frame, pose) for pose in people}
        if not or_anybody or track.missed < _FORGET * self._options.patience:
            people = [pose for pose in people if unlike[id(pose)] <= self._options.another]
        if not people:
            return None
        pose = min(people, key=lambda each: unlike[id(each)])
        if unlike[id(pose)] > self._options.another:
            track.looks.forget()  # else whoever it is now would be somebody else in the next frame
        track.take(frame, pose)
        return pose


def newcomers(
    moments: Iterator[Moment], estimator: JointFinder, options: FollowOptions
) -> list[list[Pose | None]]:
    """Who is in the first frame and is none of those known there, followed on until all of them
    are lost: where the frames go back in time, until they came in."""
    frame, known = next(moments)
    new = _free(find_people(frame, estimator, options), known)[: options.most_people]
    tracks = [Track(frame, pose, estimator, options) for pose in new]
    while any(track.missed <= options.patience for track in tracks):
        moment = next(moments, None)
        if moment is None:
            break
        _settled(moment[0], tracks, moment[1])
    sure = [track.poses for track in tracks if track.sureness >= options.find_from]
    return [poses[: max(n for n, pose in enumerate(poses, start=1) if pose)] for poses in sure]


def _settled(frame: Frame, tracks: Sequence[Track], known: Sequence[Pose]) -> Sequence[Pose | None]:
    """Where each is in the next frame, and none of those known to be in it."""
    poses = _apart(tracks, [track.find(frame) for track in tracks])
    free = _free([pose for pose in poses if pose is not None], known)
    poses = [pose if any(pose is each for each in free) else None for pose in poses]
    return [track.settle(frame, pose) for track, pose in zip(tracks, poses, strict=True)]


def _free(poses: Sequence[Pose], known: Sequence[Pose]) -> list[Pose]:
    """Those that are of nobody known."""
    return [pose for pose in poses if all(distance(pose, each) > SAME for each in known)]


def _apart(tracks: Sequence[Track], poses: Sequence[Pose | None]) -> Sequence[Pose | None]:
    """Where several come to one pose, as where people pass each other, it is whose last one is
    nearest; the others are not found."""
    kept: dict[int, Pose] = {}
    found = [(n, pose) for n, pose in enumerate(poses) if pose is not None]
    for n, pose in sorted(found, key=lambda each: tracks[each[0]].away(each[1])):
        if all(distance(pose, other) > SAME for other in kept.values()):
            kept[n] = pose
    return [kept.get(n) for n in range(len(poses))]


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
