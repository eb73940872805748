"""One person from frame to frame, told from others by place, pose and looks."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, UInt8

from posecast.estimation.appearance import Appearance
from posecast.estimation.estimator import JointFinder
from posecast.estimation.finding import FindOptions, prominence
from posecast.estimation.looking import Pose, box_side, distance, look
from posecast.geometry import seen_crop
from posecast.records.configs import check_at_least, check_over_zero

_WIDER = 1.4
"""Room of a second look, as a multiple of the first one's."""
_SLOWEST_SHRINKING = 0.9
_LOOK_TWICE_EVERY = 3
_MOVES = 0.03
"""Mean distance from the pose in the middle of some frames, as a share of the body, from which
somebody surely moves; of people who stand still it is a tenth of that."""


@dataclass(frozen=True)
class TrackOptions(FindOptions):
    """What may happen to a person from one frame to the next."""

    jump: float = 0.25
    """Median movement of the joints from one frame to the next, as a share of the body, above which
    it is somebody else."""
    another: float = 14.0
    """Median difference in colour (CIE Delta E) from the person as known above which it is somebody
    else."""
    patience: int = 8
    """Frames without the person before the whole frame is searched again."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_over_zero(self, "jump", "another")
        check_at_least(0, self, "patience")


class Track:
    """A person who is being followed; begins with a pose in a frame."""

    def __init__(
        self,
        frame: UInt8[np.ndarray, "h w 3"],
        pose: Pose,
        estimator: JointFinder,
        options: TrackOptions,
    ) -> None:
        self.poses: list[Pose | None] = [pose]
        self.last = pose
        self.looks = Appearance(estimator.skeleton)
        self.looks.learn(frame, pose)
        self._estimator, self._options = estimator, options
        self._box = pose.extent
        self.missed = 0

    @property
    def sureness(self) -> float:
        """Of the surest of its poses."""
        return max(pose.sureness for pose in self.poses if pose is not None)

    @property
    def share(self) -> float:
        """Of the frames, those in which it was found."""
        return sum(pose is not None for pose in self.poses) / len(self.poses)

    def follow(self, frame: UInt8[np.ndarray, "h w 3"]) -> Pose | None:
        """The person in the next frame; None where it is not found."""
        return self.settle(frame, self.find(frame))

    def find(self, frame: UInt8[np.ndarray, "h w 3"]) -> Pose | None:
        """Whoever may be the person in the next frame; what is known of it stays."""
        first = self._look(frame, self._box, self._options.room)
        same = [first] if self._is_same(frame, first) else []
        is_well = bool(same) and first.sureness >= self._options.find_from
        if not is_well and (len(self.poses) if same else self.missed) % _LOOK_TWICE_EVERY == 0:
            again = self._look_again(frame, first)
            same += [each for each in again if self._is_same(frame, each)]
        return max(same, key=lambda each: each.sureness) if same else None

    def settle(self, frame: UInt8[np.ndarray, "h w 3"], pose: Pose | None) -> Pose | None:
        """This is the person in the next frame; None: it is not found there."""
        self.poses.append(pose)
        self.missed += 1
        if pose is not None:
            self.take(frame, pose)
        return pose

    def away(self, pose: Pose) -> tuple[int, float]:
        """How far it is from what is known: frames without the person, then the distance."""
        return self.missed, distance(pose, self.last)

    def take(self, frame: UInt8[np.ndarray, "h w 3"], pose: Pose) -> None:
        """Go on from this pose, which is surely the person's."""
        self.missed, self.last = 0, pose
        self._box = self._next_box(pose.extent)
        self.looks.learn(frame, pose)

    def score(self, hw: tuple[int, int]) -> float:
        """How likely a video is about this person: prominent, there all the time, and moving."""
        there = [pose for pose in self.poses if pose is not None]
        middle = there[len(there) // 2]
        moves = [distance(pose, middle) for pose in there]
        motion = np.mean([min(move / _MOVES, 1.0) for move in moves if np.isfinite(move)])
        return self.share * float(np.mean([prominence(pose, hw) for pose in there]) * (1 + motion))

    def _look(
        self, frame: UInt8[np.ndarray, "h w 3"], box: Float[np.ndarray, "4"], room: float
    ) -> Pose:
        return look(frame, [seen_crop(box[None], frame.shape[:2], room)], self._estimator)[0]

    def _look_again(self, frame: UInt8[np.ndarray, "h w 3"], pose: Pose) -> list[Pose]:
        """With more room, and at what was found."""
        room = self._options.room
        wide = self._look(frame, self._box, room * _WIDER)
        found = [each for each in (pose, wide) if each.is_person(self._options.keep_from)]
        return [wide, *(self._look(frame, each.extent, room) for each in found)]

    def _is_same(self, frame: UInt8[np.ndarray, "h w 3"], pose: Pose) -> bool:
        if not pose.is_person(self._options.keep_from):
            return False
        if distance(pose, self.last) > self._options.jump * (1 + self.missed):
            return False
        return self.looks.difference(frame, pose) <= self._options.another

    def _next_box(self, extent: Float[np.ndarray, "4"]) -> Float[np.ndarray, "4"]:
        """The new extent, but not suddenly smaller: hidden joints do not shrink anybody."""
        side, before = max(box_side(extent), 1e-9), box_side(self._box)
        if side >= _SLOWEST_SHRINKING * before:
            return extent
        middle = extent.reshape(2, 2).mean(axis=0)
        half = (extent.reshape(2, 2) - middle) * (_SLOWEST_SHRINKING * before / side)
        return (middle + half).reshape(4)
