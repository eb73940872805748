"""Who came into an own video after it was decided whom to follow, and is there in the end."""

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import UInt8

from posecast.estimation import Followed, Moment, People, follow_back
from posecast.estimation.looking import Pose
from posecast.own_video.poses import EstimatedPoses, FoundPoses, seen_of
from posecast.own_video.watching import Past


def with_late_comers(
    past: Past, source: EstimatedPoses, found: Sequence[FoundPoses], stop: int
) -> list[FoundPoses]:
    """Those found, the one first who is asked for, and who else is in the frame before `stop`, the
    last seen one: looked for there, and followed back to where they came in. They have the next
    numbers; where there are some, people are numbered as they are in that frame."""
    asked = found[0]
    pictures = past.frames_back(stop, asked.pictures, len(asked.seen))
    last = next(pictures)
    moments = _moments(itertools.chain([last], pictures), found, stop)
    came = follow_back(moments, source.estimator, source.follow)
    numbers = itertools.count(asked.num_people + 1)
    late = [_late(asked, *each, stop) for each in zip(came, numbers, strict=False)]
    if not late:
        return [*found]
    everybody = [*found, *late]
    by_number = sorted(everybody, key=lambda each: each.person)
    people = People(last, tuple(_pose(each, stop - 1) for each in by_number), asked.person)
    return [replace(each, people=people, num_people=len(everybody)) for each in everybody]


def _moments(
    pictures: Iterable[UInt8[np.ndarray, "h w 3"]], found: Sequence[FoundPoses], stop: int
) -> Iterator[Moment]:
    """The last first, back to where the shot begins."""
    numbers = range(stop - 1, found[0].shots[stop - 1] - 1, -1)
    for number, picture in zip(numbers, pictures, strict=False):
        poses = (_pose(each, number) for each in found)
        yield picture, [pose for pose in poses if pose is not None]


def _pose(found: FoundPoses, number: int) -> Pose | None:
    """A person in a frame; None: not found there."""
    joints_px, visible = found.seen.joints_px[number], found.seen.visible[number]
    return Pose(joints_px, visible.astype(float), 0.5) if visible.any() else None


def _late(asked: FoundPoses, came: Followed, number: int, stop: int) -> FoundPoses:
    """Their shot begins where they came in."""
    first = stop - len(came.joints_px)
    shots = (*asked.shots[:first], *(first,) * len(came.joints_px))
    lost = tuple((first + gone, first + again) for gone, again in came.lost_spans())
    seen = seen_of(came, first, asked.seen.fps)
    return FoundPoses(seen, number, lost, shots=shots)
