"""A keypoint file and the video it belongs to -> one person's joints in every frame."""

import dataclasses
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float

from posecast.keypoints.detections import Detection, Detections, KeypointError, PointTrack, told_of
from posecast.keypoints.names import to_skeleton
from posecast.keypoints.numbering import find_first
from posecast.keypoints.opening import KeypointOptions, open_keypoints
from posecast.keypoints.people import Person, find_people
from posecast.records.arguments import as_count, as_path
from posecast.records.brief import Brief
from posecast.skeletons import Skeleton

_LONGEST_FILLED = 5
"""Frames without the person that are filled between two with it."""
_MOST_LISTED = 5
_SAME_SIZE = 0.01
"""Pictures whose sides differ by less are of one size: odd sides gain a row when encoded."""
_STRAY = 15
"""Usual distances of outer points from the middle of their pose: about seven sizes of a person. So
far is a stray from the next point on the way to the middle: from a face of many points feet are."""
_OUTSIDE = 0.1
"""Share of points beyond the pictures from which on these are not the points'."""


@dataclass(frozen=True, eq=False, repr=False)
class KeypointTrack(Brief):
    """One person's joints in every frame of a video."""

    joints_px: Float[np.ndarray, "t j 2"]
    """0 where not visible."""
    visible: Bool[np.ndarray, "t j"]
    filled: Bool[np.ndarray, " t"]
    """Frames that the file does not have, beside ones that it has."""
    format: str
    """What kind of file it was."""
    num_people: int
    """How many people the file has."""
    note: str = ""
    """What was guessed or filled, for people."""
    fps: float | None = None
    """Frames a second; None where the file does not say."""


def read_points(
    path: str | Path, options: KeypointOptions | None = None, person: int = 1
) -> PointTrack:
    """The points of one person, as the file has them, from its first to its last frame.

    People are numbered, and short gaps filled, as in `read_keypoints`. KeypointError: no such file,
    an unknown or damaged one, or no such person.
    """
    path, options = as_path(path, "the file of keypoints"), options or KeypointOptions()
    with told_of(path):
        kind, found = open_keypoints(path, options)
        people = find_people(found.people)
        chosen = _choose(people, person, is_cut=False)
    first = chosen.detections[0].frame
    moved = [dataclasses.replace(each, frame=each.frame - first) for each in chosen.detections]
    points, confidence = _fill(moved, len(found.joints), moved[-1].frame + 1)
    strays = leave_out_strays(points, confidence)
    filled = _fill_gaps(points, confidence, 0)
    name = next((each.person for each in reversed(chosen.detections) if each.person), "")
    values = (points, confidence, found.joints, first, name, kind, found, len(people))
    return PointTrack(*values, _note(found, filled, strays))


def leave_out_strays(points: Float[np.ndarray, "t k 2"], sure: Float[np.ndarray, "t k"]) -> str:
    """Take points that are too far from all others of their pose to be the person's for not seen,
    in place; says how many, "" where there are none."""
    frames = np.flatnonzero((sure > 0).any(axis=1))
    if not len(frames):
        return ""
    places = np.where(sure[frames, :, None] > 0, points[frames], np.nan)
    away = np.abs(places - np.nanmedian(places, axis=1, keepdims=True)).max(axis=-1)
    usual = np.maximum(np.nanquantile(away, 0.75), np.nanquantile(away, 0.75, axis=1))
    ordered = np.sort(away, axis=1)
    leaps = np.diff(ordered, axis=1, prepend=0) > _STRAY * usual[:, None]
    near = np.where(np.logical_or.accumulate(leaps, axis=1), 0, ordered)
    stray = away > np.nanmax(near, axis=1, keepdims=True)
    sure[frames] = np.where(stray, 0, sure[frames])
    return f"points far from all others, taken for not seen: {stray.sum()}" * bool(stray.any())


def _note(found: Detections, filled: Bool[np.ndarray, " t"], *guessed: str) -> str:
    count = f"frames without a pose that were filled: {filled.sum()}" if filled.any() else ""
    percent = "confidences are taken for percent (1 asked for is 100 %)" if found.percent else ""
    return "; ".join(each for each in (*guessed, found.note, percent, count) if each)


def read_keypoints(
    path: str | Path,
    skeleton: Skeleton,
    num_frames: int,
    image_hw: tuple[int, int],
    options: KeypointOptions | None = None,
    person: int = 1,
    numbers: Sequence[int] = (),
    until: int | None = None,
) -> KeypointTrack:
    """The joints of one person, by their names, for a video of `num_frames` frames.

    `person` is which of several: 1 is the one who is largest and seen longest, 2 the next. Joints
    that the file lacks and that cannot be derived are not seen; nor are frames that it lacks,
    except for short gaps, which are filled evenly. `numbers` are what the frames of a folder are
    called. Frames from `until` on are not looked at. KeypointError: no such file, an unknown or
    damaged one, no such person, more frames than the video has, or points far outside the image.
    """
    return read_people(path, skeleton, num_frames, image_hw, options, numbers, until).track(person)


def read_people(
    path: str | Path,
    skeleton: Skeleton,
    num_frames: int,
    image_hw: tuple[int, int],
    options: KeypointOptions | None = None,
    numbers: Sequence[int] = (),
    until: int | None = None,
) -> "PeopleOfFile":
    """All people of `read_keypoints`, to ask for one after the other: the file is read once."""
    path, options = as_path(path, "the file of keypoints"), options or KeypointOptions()
    with told_of(path):
        kind, found = open_keypoints(path, options)
        detections, note = _on_frames(found, num_frames, numbers, options.first_frame)
        stop = num_frames if until is None else min(until, num_frames)
        seen_early = [each for each in detections if 0 <= each.frame < stop]
    people = tuple(find_people(seen_early))
    return PeopleOfFile(path, kind, found, people, note, skeleton, num_frames, image_hw, until)


@dataclass(frozen=True, eq=False, repr=False)
class PeopleOfFile(Brief):
    """The people of a file, placed in a video: number 1 is the largest and longest seen."""

    path: Path
    format: str
    found: Detections
    people: tuple[Person, ...]
    note: str
    skeleton: Skeleton
    num_frames: int
    image_hw: tuple[int, int]
    until: int | None

    def track(self, person: int) -> KeypointTrack:
        """The joints of one of them; KeypointError: no such person, not one joint of the skeleton,
        or points far outside the image."""
        stop = self.num_frames if self.until is None else min(self.until, self.num_frames)
        found = self.found
        with told_of(self.path):
            chosen = _choose(self.people, person, stop < self.num_frames)
            points, confidence = _fill(chosen.detections, len(found.joints), self.num_frames)
            (down, right), scaled = self._scale
            points = points * np.array([right, down])
            _check_inside(points[confidence > 0], self.image_hw)
            strays = leave_out_strays(points, confidence)
            joints, sure = to_skeleton(points, confidence, found.joints, self.skeleton)
            if not (sure > 0).any():
                raise KeypointError(f"not one joint of skeleton {self.skeleton.name} is seen in it")
        filled = _fill_gaps(joints, sure, stop if self.until is not None else 0)
        note = _note(found, filled, self.note, scaled, strays)
        return KeypointTrack(
            joints, sure > 0, filled, self.format, len(self.people), note, found.fps
        )

    @cached_property
    def _scale(self) -> tuple[tuple[float, float], str]:
        seen = [each for one in self.people for each in one.detections]
        of_all = np.concatenate([each.points[each.found] for each in seen])
        return _scale(self.found, of_all, self.image_hw)


def _choose(people: Sequence[Person], number: int, is_cut: bool) -> Person:
    if not people:
        where = " before the second to forecast from" if is_cut else ""
        raise KeypointError(f"nobody is in it{where}")
    if (number := as_count(number, "person")) > len(people):
        listed = "; ".join(
            f"{rank}: frames {each.detections[0].frame} to {each.detections[-1].frame}"
            for rank, each in enumerate(people[:_MOST_LISTED], start=1)
        )
        raise KeypointError(f"no person {number}, it has {len(people)} ({listed})")
    return people[number - 1]


def _on_frames(
    found: Detections, num_frames: int, names: Sequence[int], first_frame: int
) -> tuple[list[Detection], str]:
    """The detections with frames of the video in place of the file's numbers, and what was
    guessed."""
    numbers = found.numbers or tuple(each.frame for each in found.people)
    if first_frame < 0 and set(numbers) <= set(names):
        place = {name: frame for frame, name in enumerate(names)}
        return [dataclasses.replace(each, frame=place[each.frame]) for each in found.people], ""
    first, note = find_first(numbers, num_frames, found.counts_from, first_frame)
    return [dataclasses.replace(each, frame=each.frame - first) for each in found.people], note


def _fill(
    detections: Sequence[Detection], num_points: int, num_frames: int
) -> tuple[Float[np.ndarray, "t k 2"], Float[np.ndarray, "t k"]]:
    """Points and confidences in every frame, 0 where not found."""
    points = np.zeros((num_frames, num_points, 2))
    confidence = np.zeros((num_frames, num_points))
    for each in detections:
        seen = each.found
        points[each.frame, seen] = each.points[seen]
        confidence[each.frame, seen] = each.confidence[seen]
    return points, confidence


def _fill_gaps(
    joints: Float[np.ndarray, "t j 2"], sure: Float[np.ndarray, "t j"], until: int
) -> Bool[np.ndarray, " t"]:
    """Fill short gaps evenly, in place: joints that are seen on both sides. Which frames it were.

    Where a file holds every n-th frame, the last ones before `until` go on from the two before.
    """
    filled = np.zeros(len(joints), bool)
    seen = np.flatnonzero((sure > 0).any(axis=1)).tolist()
    for before, after in itertools.pairwise(seen):
        both = (sure[before] > 0) & (sure[after] > 0)
        if after - before > _LONGEST_FILLED + 1 or not both.any():
            continue
        goes_on = after == seen[-1] and until - after <= after - before
        for frame in (*range(before + 1, after), *range(after + 1, until if goes_on else 0)):
            share = (frame - before) / (after - before)
            joints[frame, both] = (1 - share) * joints[before, both] + share * joints[after, both]
            sure[frame, both] = np.minimum(sure[before, both], sure[after, both])
            filled[frame] = True
    return filled


def _scale(
    found: Detections, points: Float[np.ndarray, "n 2"], hw: tuple[int, int]
) -> tuple[tuple[float, float], str]:
    """Pixels of the video in one of the file's units, down and to the right; what was guessed.

    A size that the file says of its pictures is believed where the points of all people lie in
    them, and it has the video's shape: some programs write any.
    """
    if found.shares:
        return (float(hw[0]), float(hw[1])), ""
    said = found.image_hw or hw
    if len(points) and (points > [said[1], said[0]]).any(axis=1).mean() > _OUTSIDE:
        said = hw
    down, right = hw[0] / said[0], hw[1] / said[1]
    if max(abs(down - 1), abs(right - 1)) < _SAME_SIZE or said == hw[::-1]:
        return (1.0, 1.0), ""
    sizes = f"its pictures are {said[1]} x {said[0]} pixels, the video has {hw[1]} x {hw[0]}"
    if abs(down / right - 1) < _SAME_SIZE:
        return (down, right), f"{sizes}: the points are scaled to it"
    if (points <= [hw[1], hw[0]]).all():
        return (1.0, 1.0), f"{sizes}: points are taken for pixels of the video"
    raise KeypointError(
        f"{sizes}, another shape: give keypoints of the video's own pictures, neither cut "
        "nor stretched"
    )


def _check_inside(points: Float[np.ndarray, "n 2"], hw: tuple[int, int]) -> None:
    """Most points must lie in the image, or the file is of another video or size."""
    if not len(points):
        return
    if min(hw) > 4 and (np.abs(points) < 2).all():
        raise KeypointError(
            "all points lie within 2 pixels of the corner: give pixels of this video, not "
            "shares of its size"
        )
    inside = ((points >= 0) & (points <= [hw[1], hw[0]])).all(axis=1)
    if inside.mean() < 0.5:
        raise KeypointError(
            f"{100 * (1 - inside.mean()):.0f} % of the points lie outside the video's "
            f"{hw[1]} x {hw[0]} pixels: give keypoints in pixels of this video, upright"
        )
