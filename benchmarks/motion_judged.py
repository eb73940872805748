"""Windows that pose forecasts are judged on, and how far forecasts are from what came."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float

from posecast.clips import SeenVideo
from posecast.datasets.penn_action import PAPER_ACTIONS
from posecast.datasets.pose_tracks import pose_tracks_of
from posecast.forecasting.loading import load_pose_forecaster
from posecast.forecasting.motion import MotionForecaster
from posecast.forecasting.protocols import TrainedPoseForecaster
from posecast.motion.basis import HORIZON
from posecast.motion.seen import RECENT, fill_hidden, see
from posecast.motion.tracks import MotionTrack
from posecast.networks.motion_residual import MotionResidual, MotionResidualConfig
from posecast.records.configs import config_from_dict, config_to_dict
from posecast.records.weights import WeightsFacts, read_facts, read_tensors
from posecast.skeletons import Skeleton
from posecast.store.reading import ClipSelection, Store
from posecast.training.motion_windows import clip_track

KS = (1, 2, 4, 8, 16, 24, 32, 48, 64)
ANY_SIZE = (10_000, 10_000)  # of the pictures, which nobody asks for
Poses = Float[np.ndarray, "t j 2"]
Method = Callable[[Sequence["Window"]], list[Poses]]


@dataclass(frozen=True, eq=False)
class Window:
    """One forecast to make, and what came."""

    seen: SeenVideo
    future_px: Poses
    counted: Bool[np.ndarray, "t j"]
    side_px: float
    group: str


def cut(track: MotionTrack, end: int, start: int) -> Window:
    """Frames `start` to `end` of a track are seen."""
    past, shown = track.joints_px[start : end + 1], track.visible[start : end + 1]
    future = np.full((HORIZON, *past.shape[1:]), 0, np.float32)
    counted = np.zeros(future.shape[:2], bool)
    came = track.joints_px[end + 1 : end + 1 + HORIZON]
    future[: len(came)] = came
    counted[: len(came)] = track.visible[end + 1 : end + 1 + HORIZON] & shown.any(axis=0)
    size = float(see(past[None], shown[None]).size_px[0])
    side = max(track.window_side_px(end, RECENT, HORIZON), size)
    seen = SeenVideo(past, shown, 30.0, ANY_SIZE, trimmed=track.trimmed)
    return Window(seen, future, counted, side, track.group)


def clip_windows(store: Store, final: bool) -> list[Window]:
    """The first ten frames of clips."""
    split = "test" if final else "validation"
    clips = store.select(ClipSelection(split, PAPER_ACTIONS if final else ()))
    tracks = [clip_track(clip) for clip in clips if clip.num_frames > RECENT]
    return [cut(track, RECENT - 1, 0) for track in tracks if track.visible[:RECENT].any()]


def video_windows(path: Path, seen: int | None) -> list[Window]:
    """Every second of the held-out groups' videos, from two seconds on; with so many seen frames,
    or all."""
    return [
        cut(track, end, 0 if seen is None else end + 1 - seen)
        for track in pose_tracks_of(path, held_out=True)
        if len(track) > 62
        for end in range(59, len(track) - 1, 30)
        if end + 1 >= (seen or 0)
    ]


def last_pose(windows: Sequence[Window]) -> list[Poses]:
    """Every joint stays where it was seen last."""
    return [np.repeat(last(each)[None], HORIZON, axis=0) for each in windows]


def of_forecaster(forecaster: TrainedPoseForecaster) -> Method:
    """As it forecasts."""

    def forecast(windows: Sequence[Window]) -> list[Poses]:
        return [forecaster.forecast_poses([each.seen], HORIZON)[0].joints_px[0] for each in windows]

    return forecast


def load_motion(run: str | Path) -> MotionForecaster:
    """Ends the program where it is no run of the motion network."""
    forecaster = load_pose_forecaster(run)
    if not isinstance(forecaster, MotionForecaster):
        raise SystemExit(f"{run} is no run of the motion network")
    return forecaster


def joined(seeds_path: Path, members: Sequence[int]) -> tuple[MotionResidual, WeightsFacts]:
    """One network of some of the seeds of a file, and what is known of it."""
    facts, tensors = read_facts(seeds_path), read_tensors(seeds_path)
    config = config_from_dict(MotionResidualConfig, facts.config)
    config = replace(config, members=len(members))
    network = MotionResidual(config)
    state = {
        name.replace(f"{seed}.members.0.", f"members.{place}."): value.float()
        for place, seed in enumerate(members)
        for name, value in tensors.items()
        if name.startswith(f"{seed}.")
    }
    network.load_state_dict(state)
    return network, replace(facts, config=config_to_dict(config))


def filled(window: Window) -> Poses:
    return fill_hidden(window.seen.joints_px[None], window.seen.visible[None])[0][0]


def last(window: Window) -> Float[np.ndarray, "j 2"]:
    return filled(window)[-1]


@dataclass(frozen=True, eq=False)
class Sums:
    """Of each window and frame: joints counted, their error, hits."""

    count: Float[np.ndarray, "n t"]
    error: Float[np.ndarray, "n t"]
    near: Float[np.ndarray, "n t"]
    nearer: Float[np.ndarray, "n t"]

    @classmethod
    def of(cls, windows: Sequence[Window], futures: Sequence[Poses]) -> "Sums":
        pairs = zip(windows, futures, strict=True)
        off = [
            np.linalg.norm(made - each.future_px, axis=-1) / each.side_px for each, made in pairs
        ]
        distance = np.stack(off)
        shown = np.stack([each.counted for each in windows])
        sums = (np.ones_like(distance), distance, distance < 0.1, distance < 0.05)
        return cls(*((each * shown).sum(axis=2) for each in sums))


def shares(
    mine: Float[np.ndarray, "n t"], other: Float[np.ndarray, "n t"], groups: Sequence[str]
) -> tuple[Float[np.ndarray, " t"], Float[np.ndarray, " t"]]:
    """Ratio of two sums over all windows, and the half-width of its interval over groups."""
    number = np.unique(groups, return_inverse=True)[1]
    rows = [number == g for g in range(number.max() + 1)]
    totals = [np.stack([part[row].sum(0) for row in rows]) for part in (mine, other)]
    rng = np.random.default_rng(0)
    draws = rng.multinomial(len(totals[0]), np.full(len(totals[0]), 1 / len(totals[0])), 1000)
    drawn = (draws @ totals[0]) / np.maximum(draws @ totals[1], 1e-9)
    low, high = np.percentile(drawn, [2.5, 97.5], axis=0)
    ratio = totals[0].sum(0) / np.maximum(totals[1].sum(0), 1e-9)
    return ratio, (high - low) / 2


def limb_lengths(
    joints: Float[np.ndarray, "*t j 2"], skeleton: Skeleton
) -> Float[np.ndarray, "*t l"]:
    """Length of every limb, in the order of the skeleton."""
    lengths = []
    for first, second in skeleton.limb_joints:
        ends = (joints[..., first, :].mean(axis=-2), joints[..., second, :].mean(axis=-2))
        lengths.append(np.linalg.norm(ends[1] - ends[0], axis=-1))
    return np.stack(lengths, axis=-1)
