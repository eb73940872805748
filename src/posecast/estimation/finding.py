"""Everybody in a frame: windows of several sizes are looked at, then each find again, closely."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import UInt8

from posecast.estimation.estimator import JointFinder
from posecast.estimation.looking import Pose, box_side, distance, look
from posecast.geometry import Crop, seen_crop
from posecast.records.configs import check_at_least

_WINDOWS = ((1.0, 0.5), (0.34,))
"""Sides of windows, as shares of the frame's shorter side: those that are looked at, and those that
follow where these show nobody."""
_MOST_LOOKS = 4
_STILL = 0.05
"""Movement of the extent from look to look that counts as none, as a share of its side."""
SAME = 0.2
"""Two poses whose joints are no further apart, as a share of the larger's side, are one person."""
_MOST_ROOM = 10


@dataclass(frozen=True)
class FindOptions:
    """What counts as a person, and how closely it is looked at."""

    room: float = 1.3
    """Side of the crop that is looked at, as a multiple of the longer side of the joints."""
    find_from: float = 0.55
    """Mean confidence of the surest 60 % of the joints (others may be hidden), at best in some
    frames, from which somebody is found. MoveNet is surer of 67 real people (0.61 and more),
    and less of 62 drawn pictures and 35 real plates without anybody (0.52 at most)."""
    watch_from: float = 0.4
    """The same in one frame, to see what becomes of it."""
    keep_from: float = 0.3
    """The same for a person who is being followed, or is in a given box."""
    smallest: float = 0.1
    """Smallest person that a search finds, as a share of the frame's shorter side."""

    def __post_init__(self) -> None:
        check_at_least(1, self, "room", most=_MOST_ROOM)
        check_at_least(0, self, "find_from", "watch_from", "keep_from", "smallest", most=1)


def find_people(
    frame: UInt8[np.ndarray, "h w 3"], estimator: JointFinder, options: FindOptions
) -> list[Pose]:
    """People in a frame, the most prominent first."""
    hw = frame.shape[0], frame.shape[1]
    for crops in search_crops(hw):
        seen = [pose for pose in look(frame, crops, estimator) if pose.is_person(options.keep_from)]
        seen = distinct(sorted(seen, key=lambda pose: -pose.confidence.mean()))
        people = look_closely(frame, seen, estimator, options)
        people = [pose for pose in people if pose.is_person(options.watch_from)]
        people = [pose for pose in people if pose.side >= options.smallest * min(hw)]
        if people:
            return sorted(distinct(people), key=lambda pose: -prominence(pose, hw))
    return []


def prominence(pose: Pose, hw: tuple[int, int]) -> float:
    """How likely a video is about this person: sure, large, near the middle."""
    middle = pose.extent.reshape(2, 2).mean(axis=0) / (hw[1], hw[0]) - 0.5
    size = min(pose.side / min(hw), 1.0)
    return float(pose.confidence.mean() * np.sqrt(size) * (1 - 0.5 * np.abs(middle).max()))


def search_crops(hw: tuple[int, int]) -> list[list[Crop]]:
    """The whole frame with squares of its shorter side and of a half of it, then of a third."""
    height, width = hw
    levels = [[seen_crop(np.array([[0.0, 0.0, width, height]]), hw, 1.0)], []]
    for crops, parts in zip(levels, _WINDOWS, strict=True):
        for part in parts:
            side = max(round(min(height, width) * part), 1)
            rows, columns = (_starts(length, side) for length in (height, width))
            crops += [Crop(x, y, x + side, y + side) for y in rows for x in columns]
    return [list(dict.fromkeys(crops)) for crops in levels]


def _starts(length: int, side: int) -> list[int]:
    """Evenly spread starts of stretches that overlap by a third or more."""
    count = int(np.ceil(1.5 * (length - side) / side)) + 1
    return np.linspace(0, length - side, count).round().astype(int).tolist()


def distinct(poses: list[Pose]) -> list[Pose]:
    """Without those that are the same person as an earlier one."""
    kept: list[Pose] = []
    for pose in poses:
        if all(distance(pose, other) > SAME for other in kept):
            kept.append(pose)
    return kept


def look_closely(
    frame: UInt8[np.ndarray, "h w 3"],
    poses: list[Pose],
    estimator: JointFinder,
    options: FindOptions,
) -> list[Pose]:
    """Look again where each pose is until it stays (a window may cut the person).

    Of each the surest of all looks; the surest person first.
    """
    best, moving = list(poses), dict(enumerate(poses))
    for _ in range(_MOST_LOOKS):
        if not moving:
            break
        crops = [seen_crop(p.extent[None], frame.shape[:2], options.room) for p in moving.values()]
        for number, pose in zip(list(moving), look(frame, crops, estimator), strict=True):
            before = moving.pop(number)
            if not pose.is_person(options.keep_from):
                continue
            if pose.confidence.mean() > best[number].confidence.mean():
                best[number] = pose
            if np.abs(pose.extent - before.extent).max() >= _STILL * box_side(before.extent):
                moving[number] = pose
    return sorted(best, key=lambda pose: -pose.confidence.mean())
