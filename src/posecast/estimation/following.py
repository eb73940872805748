"""One person through a video: each frame is looked at where the frame before had the person.

Nothing looks ahead: what is found in a frame depends on that frame and those before it. Frames
stream through; only their poses are kept.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, UInt8

from posecast.errors import PosecastError
from posecast.estimation.estimator import PoseEstimator, seen_joints
from posecast.geometry import Crop, crop_to_px, cut_crop, seen_crop

Box = tuple[float, float, float, float]
"""x, y, width, height in pixels."""

_BOX_ROOM = 1.2
"""Room around a box that somebody drew: it holds hands and hair already."""
_MOST_REFINEMENTS = 5
_STILL = 0.05
"""Movement of the extent from look to look that counts as none, as a share of its side."""
_NUM_CANDIDATES = 5
_SUREST = 0.6
_FEWEST_JOINTS = 3
_SMALLEST_PX = 4


@dataclass(frozen=True)
class FollowOptions:
    """How a person is found and followed."""

    room: float = 1.45
    """Side of the crop that is looked at, as a multiple of the longer side of the joints' extent
    (the median of the training crops of Penn Action)."""
    find_from: float = 0.6
    """Mean confidence of the surest 60 % of the joints (others may be hidden) from which a search
    has found somebody. An estimator trained on drawn people finds 39 of 40 others so, and nobody in
    62 pictures without a person."""
    keep_from: float = 0.35
    """The same for a person who is being followed, or is in a given box."""
    patience: int = 5
    """Frames without the person before the whole frame is searched again."""
    search_every: int = 5
    """While the person is lost, search every so many frames."""

    def __post_init__(self) -> None:
        if self.room < 1:
            raise PosecastError(f"room is {self.room}; give 1 or more")
        for name in ("find_from", "keep_from"):
            if not 0 <= getattr(self, name) <= 1:
                raise PosecastError(f"{name} is {getattr(self, name)}; give 0 to 1")
        if self.patience < 0 or self.search_every < 1:
            raise PosecastError("expected patience of 0 or more and search_every of 1 or more")


@dataclass(frozen=True, eq=False)
class Followed:
    """One person's joints in every frame."""

    joints_px: Float[np.ndarray, "t j 2"]
    confidence: Float[np.ndarray, "t j"]
    """0 where the person was not found."""
    visible: Bool[np.ndarray, "t j"]
    image_hw: tuple[int, int]

    @property
    def found(self) -> Bool[np.ndarray, " t"]:
        """Frames in which the person is."""
        return np.any(self.visible, axis=1)

    def lost_spans(self) -> list[tuple[int, int]]:
        """First frame without the person and first frame with it again, for every gap."""
        edges = np.flatnonzero(np.diff(np.concatenate([[1], self.found.astype(int), [1]])))
        return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))


def follow(
    frames: Iterable[UInt8[np.ndarray, "h w 3"]],
    estimator: PoseEstimator,
    options: FollowOptions | None = None,
    box: Box | None = None,
    on_frame: Callable[[], None] = lambda: None,
) -> Followed:
    """Find a person in the first frames of a video and follow it to the last one.

    `box` is where the person is in the first frame; without it the whole frame is searched. Frames
    without the person have no visible joint. `on_frame` is called after each frame, for a progress
    bar. PosecastError where there is no frame, or the box lies outside of it.
    """
    follower = _Follower(estimator, options or FollowOptions(), box)
    joints, confidence, image_hw = [], [], (0, 0)
    for frame in frames:
        image_hw = (frame.shape[0], frame.shape[1])
        for results, each in zip((joints, confidence), follower.next(frame), strict=True):
            results.append(each)
        on_frame()
    if not joints:
        raise PosecastError("the video has no frames")
    sure = np.stack(confidence)
    return Followed(np.stack(joints), sure, seen_joints(sure, estimator.min_confidence), image_hw)


Pose = tuple[Float[np.ndarray, "j 2"], Float[np.ndarray, " j"]]
"""Joints in pixels and confidences of one person."""


class _Follower:
    """Remembers where the person was."""

    def __init__(self, estimator: PoseEstimator, options: FollowOptions, given: Box | None) -> None:
        self._estimator = estimator
        self._options = options
        self._given = given
        # Extent of the joints when the person was seen last: x1, y1, x2, y2.
        self._box: np.ndarray | None = None
        self._missed = 0
        self._is_first = True

    def next(self, frame: UInt8[np.ndarray, "h w 3"]) -> Pose:
        """Joints in the next frame; confidence 0 where the person is not found."""
        pose = self._first(frame) if self._is_first else self._again(frame)
        self._is_first = False
        if pose is None:
            self._missed += 1
            num_joints = self._estimator.skeleton.num_joints
            return np.zeros((num_joints, 2)), np.zeros(num_joints)
        self._missed = 0
        self._box = self._next_box(_extent(pose, self._estimator.min_confidence))
        return pose

    def _first(self, frame: UInt8[np.ndarray, "h w 3"]) -> Pose | None:
        if self._given is None:
            return self._search(frame)
        crop = _given_crop(self._given, frame.shape[:2])
        pose = self._refine(frame, self._look(frame, [crop])[0])
        if not self._is_person(pose):
            raise PosecastError(
                f"no person in the box {self._given} of the first frame: give x, y, width, "
                "height in pixels of the video as it is shown, or leave the box out"
            )
        return pose

    def _again(self, frame: UInt8[np.ndarray, "h w 3"]) -> Pose | None:
        if self._box is not None and self._missed <= self._options.patience:
            pose = self._look(frame, [self._crop(self._box, frame)])[0]
            return pose if self._is_person(pose) else None
        self._box = None
        return self._search(frame) if self._missed % self._options.search_every == 0 else None

    def _search(self, frame: UInt8[np.ndarray, "h w 3"]) -> Pose | None:
        """The surest person in the whole frame and in windows of it."""
        poses = self._look(frame, _search_crops(frame.shape[:2]))
        people = sorted(filter(self._is_person, poses), key=_mean_confidence)[-_NUM_CANDIDATES:]
        refined = [self._refine(frame, pose) for pose in people]
        people = [pose for pose in refined if self._is_sure(pose, self._options.find_from)]
        return max(people, key=_mean_confidence) if people else None

    def _refine(self, frame: UInt8[np.ndarray, "h w 3"], pose: Pose) -> Pose:
        """Look again where the joints are, until they stay (a window may cut the person); the
        surest of all looks."""
        looks = [pose]
        for _ in range(_MOST_REFINEMENTS):
            if not self._is_person(looks[-1]):
                break
            box = _extent(looks[-1], self._estimator.min_confidence)
            looks += self._look(frame, [self._crop(box, frame)])
            moved = np.inf
            if self._is_person(looks[-1]):
                moved = np.abs(_extent(looks[-1], self._estimator.min_confidence) - box).max()
            if moved < _STILL * np.ptp(box.reshape(2, 2), axis=0).max():
                break
        return max(looks, key=_mean_confidence)

    def _look(self, frame: UInt8[np.ndarray, "h w 3"], crops: list[Crop]) -> list[Pose]:
        size = self._estimator.size
        pictures = np.stack([cut_crop(frame, crop, size, "area") for crop in crops])
        joints, confidence = self._estimator.estimate(pictures)
        pixels = [crop_to_px(j.astype(float), crop) for j, crop in zip(joints, crops, strict=True)]
        return list(zip(pixels, confidence.astype(float), strict=True))

    def _crop(self, box: Float[np.ndarray, "4"], frame: UInt8[np.ndarray, "h w 3"]) -> Crop:
        return seen_crop(box[None], (frame.shape[0], frame.shape[1]), self._options.room)

    def _next_box(self, extent: Float[np.ndarray, "4"]) -> Float[np.ndarray, "4"]:
        """The new extent, but not suddenly smaller: hidden joints do not shrink anybody."""
        if self._box is None:
            return extent
        side = max(np.ptp(extent.reshape(2, 2), axis=0).max(), 1e-9)
        before = np.ptp(self._box.reshape(2, 2), axis=0).max()
        if side >= 0.9 * before:
            return extent
        middle = extent.reshape(2, 2).mean(axis=0)
        half = (extent.reshape(2, 2) - middle) * (0.9 * before / side)
        return (middle + half).reshape(4)

    def _is_person(self, pose: Pose) -> bool:
        """Sure enough to go on with."""
        return self._is_sure(pose, self._options.keep_from)

    def _is_sure(self, pose: Pose, limit: float) -> bool:
        joints = pose[0][pose[1] >= self._estimator.min_confidence]
        spread = len(joints) >= _FEWEST_JOINTS and np.ptp(joints, axis=0).max() >= _SMALLEST_PX
        return bool(spread and _sureness(pose) >= limit)


def _sureness(pose: Pose) -> float:
    """Mean confidence of the surest joints."""
    count = max(round(_SUREST * len(pose[1])), 1)
    return float(np.sort(pose[1])[-count:].mean())


def _mean_confidence(pose: Pose) -> float:
    """Of all joints: of several places, that with the whole person wins."""
    return float(pose[1].mean())


def _extent(pose: Pose, min_confidence: float) -> Float[np.ndarray, "4"]:
    """Box around the seen joints: x1, y1, x2, y2."""
    joints = pose[0][pose[1] >= min_confidence]
    return np.concatenate([joints.min(axis=0), joints.max(axis=0)])


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


def _search_crops(hw: tuple[int, ...]) -> list[Crop]:
    """The whole frame, and squares of its shorter side, of a half and of a third of it."""
    height, width = hw
    whole = seen_crop(np.array([[0.0, 0.0, width, height]]), (height, width), 1.0)
    crops = [whole]
    for part in (1.0, 0.5, 0.34):
        side = max(round(min(height, width) * part), 1)
        rows, columns = (_starts(length, side) for length in (height, width))
        crops += [Crop(x, y, x + side, y + side) for y in rows for x in columns]
    return list(dict.fromkeys(crops))


def _starts(length: int, side: int) -> list[int]:
    """Evenly spread starts of stretches that overlap by a third or more."""
    count = int(np.ceil(1.5 * (length - side) / side)) + 1
    return np.linspace(0, length - side, count).round().astype(int).tolist()
