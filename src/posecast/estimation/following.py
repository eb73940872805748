"""People through a video: each frame is looked at where the frame before had the person.

Whom to follow is decided on the first frames in which somebody is. Everybody there is followed
through them, and who is sure, large, near the middle, stays and moves is it, where not everybody is
asked for. After that nothing looks ahead: what is found in a frame depends on that frame and those
before it; who came later and is in the last one can be followed back from there. Frames stream
through; only their poses are kept, but for the few frames of the decision.
"""

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float
from numpy.typing import ArrayLike

from posecast.errors import PosecastError
from posecast.estimation.estimator import JointFinder
from posecast.estimation.followers import (
    Box,
    Follower,
    FollowOptions,
    Frame,
    Moment,
    People,
    newcomers,
)
from posecast.estimation.looking import Pose
from posecast.estimation.sides import steady_sides
from posecast.records.arguments import as_count, check_is, check_settings, got
from posecast.records.brief import Brief

Starts = Callable[[np.ndarray, np.ndarray], Sequence[int]]

_JOINTS_ROOM = 0.1
"""Room around joints, as a share of their extent."""


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
    starts: Starts | None = None,
) -> Followed:
    """Find a person in the first frames of a video and follow it to the last one.

    `box` is where the person is in the first frame; without it the whole frame is searched.
    `person` chooses among several people: 1 is whom the video is most likely about. Frames without
    the person have no visible joint. `on_frame` is called after each frame, for a progress bar.
    `starts` is asked in the end for each frame's first one of its shot, given the joints and which
    are seen (`Shots.starts`): at a cut left and right are found anew.
    PosecastError: no frame, what is no picture, pictures of several sizes, a box outside of it or
    with nobody in it, fewer people than asked.
    """
    (found,) = _follow(frames, estimator, options, box, on_frame, person, starts, alone=True)
    return found


def follow_everybody(
    frames: Iterable[Frame],
    estimator: JointFinder,
    options: FollowOptions | None = None,
    on_frame: Callable[[], None] = lambda: None,
    person: int = 1,
    starts: Starts | None = None,
) -> list[Followed]:
    """As `follow`, everybody whom `person` chooses among, in that order, in one pass; where nobody
    is found one whom no frame shows. Who was lost is not found again where another one is, nor,
    but for `person`, in who looks different."""
    return _follow(frames, estimator, options, None, on_frame, person, starts, alone=False)


def follow_back(
    moments: Iterator[Moment], estimator: JointFinder, options: FollowOptions
) -> list[Followed]:
    """Who is in the last frame of a video, and none of those known there, back to where they came
    in. Of the moments, of which there is one, the last comes first. Each one's rows are of the last
    frames, from where they came in on."""
    last, known = next(moments)
    people = newcomers(itertools.chain([(last, known)], moments), estimator, options)
    hw = (last.shape[0], last.shape[1])
    return [_followed(poses[::-1], estimator, hw, None, None) for poses in people]


def _follow(
    frames: Iterable[Frame],
    estimator: JointFinder,
    options: FollowOptions | None,
    box: Box | None,
    on_frame: Callable[[], None],
    person: int,
    starts: Starts | None,
    alone: bool,
) -> list[Followed]:
    if isinstance(frames, str) or not isinstance(frames, Iterable):
        raise PosecastError(
            f"frames is {got(frames)}; expected pictures: posecast.forecast_video reads files"
        )
    check_is(estimator, JointFinder, "estimator", "what PoseEstimator.pretrained gives")
    follower = Follower(
        estimator,
        check_settings(options or FollowOptions(), FollowOptions, "options"),
        box,
        as_count(person, "person"),
        alone,
    )
    rows, image_hw = [], (0, 0)
    for frame, poses in follower.run(_pictures(frames)):
        image_hw = (frame.shape[0], frame.shape[1])
        rows.append(poses)
        on_frame()
    if not rows:
        raise PosecastError("the video has no frames")
    nobody = (None,) * max(1, *map(len, rows))
    each = zip(*(poses or nobody for poses in rows), strict=True)
    return [_followed(poses, estimator, image_hw, follower.people, starts) for poses in each]


def _followed(
    poses: Sequence[Pose | None],
    estimator: JointFinder,
    image_hw: tuple[int, int],
    people: People | None,
    starts: Starts | None,
) -> Followed:
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
    return Followed(joints, confidence, seen, image_hw, people)


def _pictures(given: Iterable[ArrayLike]) -> Iterator[Frame]:
    size = None
    for picture in map(_picture, given):
        size = picture.shape if size is None else size
        if picture.shape != size:
            raise PosecastError(
                f"frames are uint8 {size}, then {picture.shape}; expected all of one size"
            )
        yield picture


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
