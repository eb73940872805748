"""The motion network as a pose forecaster: any number of seen frames, any rate, several futures.

All of it happens in sizes of the seen body, at 30 frames a second: what was seen is resampled to
that rate and the forecast back. Nothing but the seen poses goes in, no crop and no box.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
import torch
from jaxtyping import Bool, Float

from posecast.clips import PoseForecast, SeenVideo
from posecast.computing.recording import on_device
from posecast.errors import PosecastError
from posecast.forecasting.protocols import Needs
from posecast.motion.basis import FPS, from_cosines, to_cosines
from posecast.motion.bones import hold_limbs
from posecast.motion.long import go_on
from posecast.motion.neighbours import MotionBase, Neighbours
from posecast.motion.own_past import OwnPast, Weigh, own_past
from posecast.motion.seen import RECENT, SeenMotion, fill_hidden, joined, resample, see
from posecast.motion.tracks import as_told
from posecast.networks.motion_residual import MotionResidual
from posecast.networks.motion_values import MotionInputs
from posecast.skeletons import SKELETONS, Skeleton

MAX_PAST = 900
"""Frames that are looked at, half a minute."""
AT_REST = 3
"""A photo says nothing of where its person goes: its first future is that of so many frames at
rest. One frame alone the network takes for the beginning of an action, as it knows such frames; but
how far off one is then, and how differently people may go, it knows."""
_GOOD_FIT = 0.6
_SPREAD = 1.2
"""Deviation of a future as a multiple of the radius that holds half of the truths."""
_FACTORS = (0.25, 1.5)
_LEAST_FIRST_WEIGHT = 0.2


@dataclass(frozen=True)
class Seen:
    """What was seen of one clip, at 30 frames a second."""

    joints_px: Float[np.ndarray, "p j 2"]
    visible: Bool[np.ndarray, "p j"]
    own: OwnPast
    trimmed: bool | None

    @property
    def is_photo(self) -> bool:
        """Whether it may be of any moment, and is of no more than one."""
        return len(self.joints_px) == 1 and self.trimmed is False

    def at_rest(self, weigh: Weigh | None) -> "Seen":
        """One frame as several."""
        joints, visible = (each.repeat(AT_REST, axis=0) for each in (self.joints_px, self.visible))
        return Seen(joints, visible, own_past(joints, visible, weigh=weigh), self.trimmed)


class MotionForecaster:
    """Own past, neighbours, and what a network learned to make of them.

    The first future is the one with the least expected distance; further ones go as neighbours or
    earlier moments of the same person went, about the first, as far apart as forecasts err.
    """

    def __init__(
        self,
        network: MotionResidual,
        base: MotionBase,
        device: torch.device | None = None,
        lively: bool = True,
    ) -> None:
        self.needs = needs_of(SKELETONS[network.config.skeleton], base)
        self._device = device or torch.device("cpu")
        self._network = network.float().eval().to(self._device)
        self._weigh = None if network.moments is None else network.moments.of_one
        self.base = base
        """The database of motion."""
        self._lively = lively

    def forecast_poses(
        self, seen: Sequence[SeenVideo], steps: int, samples: int = 1
    ) -> list[PoseForecast]:
        """As `PoseForecaster`; PosecastError where no joint is visible."""
        clips = [_look_at(each, self._weigh) for each in seen]
        motions = _see_all(clips)
        found = self.base.find(motions)
        moved, radius = self._say(clips, motions, found)
        if photos := [row for row, clip in enumerate(clips) if clip.is_photo]:
            moved[photos] = self._of_rest([clips[row].at_rest(self._weigh) for row in photos])
        forecasts = []
        for row, (video, clip) in enumerate(zip(seen, clips, strict=True)):
            size, last = float(motions.size_px[row]), motions.last_px[row]
            others = from_cosines(found.cosines[row, : samples - 1])
            apart = _ways_apart(clip.own, size, others, found.weights[row], samples - 1)
            futures = moved[row] + _as_far_as_errors(apart, radius[row, 0])
            rate = FPS / video.fps
            longer = [
                self._to_rate(each * size + last, clip, last, steps, rate) for each in futures
            ]
            held = hold_limbs(
                np.stack(longer), clip.joints_px, clip.visible, self.needs.skeleton, rate
            )
            forecasts.append(PoseForecast.of(video, held, _weights(len(held))))
        return forecasts

    def radii_px(self, seen: SeenVideo) -> Float[np.ndarray, "q t j"]:
        """How far each joint may be from the first future, in pixels: the distances that hold the
        truth in half (0) and in nine tenths (1) of the cases, for every frame of the horizon of
        `motion.basis`."""
        clip = _look_at(seen, self._weigh)
        motions = _see_all([clip])
        return self._say([clip], motions, self.base.find(motions))[1][0] * motions.size_px[0]

    def _of_rest(self, clips: Sequence[Seen]) -> Float[np.ndarray, "b t j 2"]:
        """Displacements alone."""
        motions = _see_all(clips)
        return self._say(clips, motions, self.base.find(motions))[0]

    def _say(
        self, clips: Sequence[Seen], motions: SeenMotion, found: Neighbours
    ) -> tuple[Float[np.ndarray, "b t j 2"], Float[np.ndarray, "b q t j"]]:
        """What the network says: displacements and radii, in sizes of the seen bodies."""
        said = self._network.both_ways(self._inputs(clips, motions, found))
        return said.moved.cpu().numpy(), said.log_radius.exp().cpu().numpy()

    def _inputs(
        self, clips: Sequence[Seen], motions: SeenMotion, found: Neighbours
    ) -> MotionInputs:
        size = motions.size_px[:, None, None, None]
        values = {
            "own": to_cosines(np.stack([clip.own.likely_px for clip in clips]) / size),
            "own_best": to_cosines(np.stack([clip.own.best_px for clip in clips]) / size),
            "own_facts": np.stack([clip.own.facts for clip in clips]),
            "trimmed": np.array([as_told(clip.trimmed) for clip in clips]),
            "others": found.mean,
            "others_facts": found.facts,
        }
        names = {each.name for each in fields(MotionInputs)} - values.keys()
        values |= {name: getattr(motions, name) for name in names}
        tensors = {name: torch.from_numpy(value).float() for name, value in values.items()}
        return on_device(MotionInputs(**tensors), self._device)

    def _to_rate(
        self,
        future_px: Float[np.ndarray, "h j 2"],
        clip: Seen,
        last_px: Float[np.ndarray, "j 2"],
        steps: int,
        rate: float,
    ) -> Float[np.ndarray, "{steps} j 2"]:
        """The future at the video's own frame rate, `rate` frames of ours each."""
        count = max(int(np.ceil(steps * rate)), 1)
        poses = go_on(clip.joints_px, clip.visible, future_px, count, self._lively)
        poses = np.concatenate([last_px[None], poses])
        places = np.arange(1, steps + 1) * rate
        before = np.minimum(places.astype(int), count - 1)
        share = (places - before)[:, None, None].astype(np.float32)
        return poses[before] * (1 - share) + poses[before + 1] * share


def needs_of(skeleton: Skeleton, base: MotionBase) -> Needs:
    """What has to be seen; PosecastError where the database is of another skeleton."""
    if base.num_joints != skeleton.num_joints:
        raise PosecastError(
            f"the database of motion has {base.num_joints} joints, skeleton {skeleton.name} "
            f"has {skeleton.num_joints}; use the one that the network was trained with"
        )
    return Needs(skeleton, RECENT, MAX_PAST, fps=FPS, any_fps=True, is_strict=False)


def _look_at(seen: SeenVideo, weigh: Weigh | None) -> Seen:
    """PosecastError where no joint is visible."""
    if not seen.visible.any():
        raise PosecastError("no joint is visible in the seen frames: nothing to forecast from")
    joints = np.where(seen.visible[..., None], seen.joints_px, 0).astype(np.float32)
    filled = fill_hidden(joints[None], seen.visible[None])[0][0]
    joints, visible = resample(filled, seen.visible, seen.fps / FPS)
    joints, visible = joints[-MAX_PAST:], _none_lost(seen, visible[-MAX_PAST:])
    return Seen(joints, visible, own_past(joints, visible, weigh=weigh), seen.trimmed)


def _none_lost(seen: SeenVideo, visible: Bool[np.ndarray, "p j"]) -> Bool[np.ndarray, "p j"]:
    """Joints that none of our frames shows, seen long ago or in single frames between ours, are
    visible in the first one after they were seen last."""
    lost = np.any(seen.visible, axis=0) & ~np.any(visible, axis=0)
    ago = np.argmax(seen.visible[::-1], axis=0) * FPS / seen.fps
    first = np.maximum(len(visible) - 1 - ago.astype(int), 0)
    visible = visible.copy()
    visible[first[lost], np.flatnonzero(lost)] = True
    return visible


def _see_all(clips: Sequence[Seen]) -> SeenMotion:
    """Clips of one length at once."""
    lengths = {len(clip.joints_px) for clip in clips}
    if len(lengths) == 1:
        joints = np.stack([clip.joints_px for clip in clips])
        return see(joints, np.stack([clip.visible for clip in clips]))
    return joined([see(clip.joints_px[None], clip.visible[None]) for clip in clips])


def _ways_apart(
    own: OwnPast,
    size: float,
    others: Float[np.ndarray, "n t j 2"],
    weights: Float[np.ndarray, " m"],
    count: int,
) -> Float[np.ndarray, "k t j 2"]:
    """Up to `count` differences of single guesses from their mean, the likeliest first.

    Those of one's own past where it fits, else those of neighbours.
    """
    shares = weights[: len(others)]
    mean = np.tensordot(shares / max(shares.sum(), 1e-9), others, axes=1)
    apart = others - mean
    if own.misfit <= _GOOD_FIT:
        mine = (own.ways_px() - own.mean_px) / size
        apart = np.concatenate([mine, apart])
    return apart[:count].astype(np.float32)


def _as_far_as_errors(
    apart: Float[np.ndarray, "k t j 2"], radius: Float[np.ndarray, "t j"]
) -> Float[np.ndarray, "n t j 2"]:
    """No difference first, then those given, brought to the size of usual errors in every frame."""
    still = np.zeros((1, *radius.shape, 2), np.float32)
    if not len(apart):
        return still
    found = np.sqrt((apart**2).sum(axis=-1).mean(axis=(0, 2))) + 1e-6
    factor = np.clip(_SPREAD * radius.mean(axis=-1) / found, *_FACTORS)
    return np.concatenate([still, apart * factor[:, None, None]])


def _weights(count: int) -> Float[np.ndarray, " n"]:
    """About how often each comes nearest to what comes (docs/motion.md): the first twice as often
    as another, of many in a fifth of the cases."""
    first = max(2 / (count + 1), _LEAST_FIRST_WEIGHT)
    return np.array([first, *[(1 - first) / max(count - 1, 1)] * (count - 1)])
