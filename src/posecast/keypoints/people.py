"""Which of several people: detections linked from frame to frame, the most present one first."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations, groupby

import numpy as np

from posecast.keypoints.detections import Detection

_LONGEST_GAP = 15
"""Frames of the file after which somebody who was not seen is somebody new, unless a name says
otherwise."""
_SOON = 3
"""Frames within which two people who change places have changed their names."""
_NEAR = 0.5
"""How far a person's points may move from one detection to the next, as a share of their extent."""


@dataclass(eq=False)
class Person:
    """The detections of one person, in the order of the frames."""

    detections: list[Detection] = field(default_factory=list)
    names: set[str] = field(default_factory=set)
    """What the file calls the person, one after the other."""
    presence: float = 0.0
    """Sum over frames of the longer side of the extent of the points: large and long-seen first."""


def find_people(detections: Sequence[Detection]) -> list[Person]:
    """People by presence, the one who is largest and seen longest first.

    The file's own names decide who is who. Nearness from frame to frame decides for detections
    without a name, for names that two detections of one frame bear (they name nobody), where one
    name ends and another begins, and where two people would leap to each other's place: they have
    exchanged their names. Detections without a point that is found are nobody.
    """
    known = [each for each in detections if each.found.any()]
    ordered = sorted(known, key=lambda each: each.frame)
    bearers = Counter((each.frame, each.person) for each in ordered)
    repeated = {name for (_, name), count in bearers.items() if count > 1}
    names = {id(each): "" if each.person in repeated else each.person for each in ordered}
    apart = _seen_together(ordered, names)
    frames = sorted({each.frame for each in ordered})
    longest = _LONGEST_GAP * int(np.median(np.diff(frames))) if len(frames) > 1 else 1
    people: list[Person] = []
    for frame, group in groupby(ordered, key=lambda each: each.frame):
        rest = _link_by_name(people, list(group), names)
        recent = [each for each in people if 0 < frame - each.detections[-1].frame <= longest]
        people += _link_by_nearness(recent, rest, names, apart)
    for person in people:
        person.presence = sum(_extent(each) for each in person.detections)
    return sorted(people, key=lambda person: -person.presence)


def _seen_together(
    detections: Sequence[Detection], names: Mapping[int, str]
) -> Mapping[str, set[str]]:
    """For each name those that share a frame with it: they are others."""
    apart = defaultdict(set)
    for _, group in groupby(detections, key=lambda each: each.frame):
        here = {names[id(each)] for each in group} - {""}
        for name in here:
            apart[name] |= here
    return apart


def _link_by_name(
    people: Sequence[Person], here: Sequence[Detection], names: Mapping[int, str]
) -> list[Detection]:
    """Give detections to the people whose name they bear; the others are returned."""
    owners = {name: person for person in people for name in person.names}
    named = {names[id(each)]: each for each in here if names[id(each)] in owners}
    leaping = [name for name in named if not _follows(owners[name], named[name])]
    for one, other in combinations(leaping, 2):
        if _follows(owners[one], named[other]) and _follows(owners[other], named[one]):
            for person in (owners[one], owners[other]):
                person.names ^= {one, other}  # the one for the other
            owners[one], owners[other] = owners[other], owners[one]
    for name, each in named.items():
        owners[name].detections.append(each)
    return [each for each in here if names[id(each)] not in owners]


def _follows(person: Person, detection: Detection) -> bool:
    """Whether it is near to where the person was a moment ago; so it is after a longer one."""
    last = person.detections[-1]
    return detection.frame - last.frame > _SOON or _distance(last, detection) <= _NEAR


def _link_by_nearness(
    recent: Sequence[Person],
    here: Sequence[Detection],
    names: Mapping[int, str],
    apart: Mapping[str, set[str]],
) -> list[Person]:
    """The nearest pairs of people and detections are linked first; new people are returned."""
    pairs = [
        (_distance(person.detections[-1], each), a, b)
        for a, person in enumerate(recent)
        for b, each in enumerate(here)
        if not person.names & apart.get(names[id(each)], set())
    ]
    owners: dict[int, Person] = {}
    taken = set()
    for distance, a, b in sorted(pairs):
        if distance <= _NEAR and a not in taken and b not in owners:
            owners[b] = recent[a]
            taken.add(a)
    new = []
    for b, each in enumerate(here):
        if b not in owners:
            owners[b] = Person()
            new.append(owners[b])
        owners[b].detections.append(each)
        owners[b].names |= {names[id(each)]} - {""}
    return new


def _extent(detection: Detection) -> float:
    points = detection.points[detection.found]
    return float(np.ptp(points, axis=0).max()) if len(points) > 1 else 0.0


def _distance(before: Detection, after: Detection) -> float:
    """Mean distance of points found in both, as a share of their extent; infinite without any."""
    both = before.found & after.found
    extent = max(_extent(before), _extent(after))
    if not both.any() or extent == 0:
        return np.inf
    moved = np.linalg.norm(before.points[both] - after.points[both], axis=1)
    return float(moved.mean()) / extent
