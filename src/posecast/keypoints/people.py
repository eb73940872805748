"""Which of several people: detections linked from frame to frame, the most present one first."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from posecast.keypoints.detections import Detection

_LONGEST_GAP = 15
"""Frames after which somebody who was not seen is somebody new."""
_NEAR = 0.5
"""How far a person's points may move from one detection to the next, as a share of their extent."""


@dataclass(eq=False)
class Person:
    """The detections of one person, in the order of the frames."""

    detections: list[Detection] = field(default_factory=list)
    presence: float = 0.0
    """Sum over frames of the longer side of the extent of the points: large and long-seen first."""


def find_people(detections: Sequence[Detection], threshold: float) -> list[Person]:
    """People by presence, the one who is largest and seen longest first.

    The file's own names decide who is who; without them nearness from frame to frame does.
    Detections without a point that is found are nobody.
    """
    known = [each for each in detections if each.found(threshold).any()]
    ordered = sorted(known, key=lambda each: each.frame)
    named = [each for each in ordered if each.person]
    people = _by_name(named)
    people += _by_nearness([each for each in ordered if not each.person], threshold)
    for person in people:
        person.presence = sum(_extent(each, threshold) for each in person.detections)
    return sorted(people, key=lambda person: -person.presence)


def _by_name(detections: Sequence[Detection]) -> list[Person]:
    people: dict[str, Person] = {}
    for each in detections:
        people.setdefault(each.person, Person()).detections.append(each)
    return list(people.values())


def _by_nearness(detections: Sequence[Detection], threshold: float) -> list[Person]:
    """In each frame the nearest pairs of people and detections are linked first."""
    people: list[Person] = []
    for frame in sorted({each.frame for each in detections}):
        here = [each for each in detections if each.frame == frame]
        recent = [each for each in people if frame - each.detections[-1].frame <= _LONGEST_GAP]
        pairs = [
            (_distance(person.detections[-1], each, threshold), a, b)
            for a, person in enumerate(recent)
            for b, each in enumerate(here)
        ]
        taken_people, taken_here = set(), set()
        for distance, a, b in sorted(pairs):
            if distance <= _NEAR and a not in taken_people and b not in taken_here:
                recent[a].detections.append(here[b])
                taken_people.add(a)
                taken_here.add(b)
        people += [Person([each]) for b, each in enumerate(here) if b not in taken_here]
    return people


def _extent(detection: Detection, threshold: float) -> float:
    points = detection.points[detection.found(threshold)]
    return float(np.ptp(points, axis=0).max()) if len(points) > 1 else 0.0


def _distance(before: Detection, after: Detection, threshold: float) -> float:
    """Mean distance of points found in both, as a share of their extent; infinite without any."""
    both = before.found(threshold) & after.found(threshold)
    extent = max(_extent(before, threshold), _extent(after, threshold))
    if not both.any() or extent == 0:
        return np.inf
    moved = np.linalg.norm(before.points[both] - after.points[both], axis=1)
    return float(moved.mean()) / extent
