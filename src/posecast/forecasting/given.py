"""Forecasts that another program made of a store's clips, as 'posecast predict' writes its own."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Float, UInt8
from numpy.typing import ArrayLike

from posecast.clips import PoseForecast
from posecast.errors import PosecastError, check_names
from posecast.forecasting import forecast_files, prediction
from posecast.forecasting.jobs import Job, choose_jobs
from posecast.forecasting.protocols import checked
from posecast.records.arguments import as_path, check_is
from posecast.records.configs import check_at_least
from posecast.records.files import write_json, write_safely
from posecast.store.reading import ClipSelection, SeenPoses, Store


@dataclass(frozen=True)
class WasShown:
    """What of each clip another program was shown (`store.seen_windows` gives the same)."""

    num_past: int = 10
    """Frames seen."""
    start: Literal["first", "middle"] = "first"
    """Where they begin."""
    stride: int = 1
    """It saw, and forecasts, every n-th frame."""
    seen_poses: SeenPoses = "labels"
    """Which poses it was shown."""

    def __post_init__(self) -> None:
        check_at_least(1, self, "num_past", "stride")


def write_forecasts(
    futures: Mapping[str, Float[np.ndarray, "s t j 2"]],
    store: Store,
    out_path: str | Path,
    shown: WasShown | None = None,
    weights: Mapping[str, Float[np.ndarray, " s"]] | None = None,
    frames: Mapping[str, UInt8[np.ndarray, "n t h w 3"]] | None = None,
) -> prediction.PredictionReport:
    """Write forecasts into a new folder, which 'posecast evaluate --forecasts' takes.

    Args:
        futures: of each clip, by its id, one or more futures, the likeliest first, in pixels of the
            source images (as `StoredClip.joints_px`), all of as many frames; the first of these
            comes right after the last one seen.
        weights: how likely each future of a clip is, their sum 1; else they are equally likely.
        frames: of each of these clips pictures of its first n futures, RGB, of the clip's crop in
            the size of the store; None: poses alone.

    Raises:
        PosecastError: arrays of another shape, NaN, an unknown clip, a folder that is there, or no
            clip that is longer than what was seen.
    """
    check_is(store, Store, "store", "what Store.open gives")
    out_path, shown = as_path(out_path, "out_path"), shown or WasShown()
    futures, weights = _arrays(futures), _arrays(weights or {})
    frames = None if frames is None else _arrays(frames)
    named = (*futures, *weights, *(frames or ()))
    check_names(named, [clip.clip_id for clip in store.clips], "clip")
    config = _config(futures, shown, frames is not None)
    if out_path.exists():
        raise PosecastError(f"{out_path} is there already: name a new folder, or delete it")
    posed = store.with_poses(config.seen_poses)
    window = (config.num_past, config.steps, config.start, shown.stride)
    jobs, left_out = choose_jobs(store.select(config.clips), posed, window)
    if not jobs:
        raise PosecastError(f"no clip can be used: {'; '.join(left_out.values())[:1000]}")

    def fill(folder: Path) -> None:
        facts = prediction.settings_of(config, store, jobs, None, None)
        facts |= {"futures": _checksum(futures, weights, frames or {})}
        write_json(folder / "prediction.json", facts)
        for job in jobs:
            name = job.clip.clip_id
            poses = _poses(job, futures[name], weights.get(name))
            wanted = (len(poses.weights), config.steps, store.size, store.size, 3)
            pictures = None if frames is None else _pictures(frames, name, wanted)
            with forecast_files.writing_clip(folder, name) as inside:
                drawn = 0 if pictures is None else len(pictures)
                forecast_files.write_arrays(inside, prediction.describe(job, poses, config, drawn))
                if pictures is not None:
                    forecast_files.write_frames(inside, pictures, "npy")
        forecast_files.finish_forecasts(folder, left_out)

    write_safely(out_path, fill)
    return prediction.PredictionReport(len(jobs), 0, left_out)


def _arrays(given: Mapping[str, ArrayLike]) -> dict[str, np.ndarray]:
    """Of each clip, whatever it was given as."""
    try:
        return {name: np.asarray(each) for name, each in given.items()}
    except (ValueError, TypeError, RuntimeError) as error:
        raise PosecastError(f"futures, weights or frames are no arrays: {error}") from error


def _checksum(*given: Mapping[str, np.ndarray]) -> str:
    """By which an evaluation that goes on knows others of the same place."""
    total = hashlib.sha256()
    for arrays in given:
        for name in sorted(arrays):
            total.update(f"{name} {arrays[name].shape} ".encode())
            total.update(np.ascontiguousarray(arrays[name]).data)
    return total.hexdigest()


def _config(
    futures: Mapping[str, Float[np.ndarray, "s t j 2"]], shown: WasShown, has_frames: bool
) -> prediction.PredictionConfig:
    lengths = sorted({np.shape(joints)[1:2] for joints in futures.values()})
    if len(lengths) != 1 or not lengths[0]:
        raise PosecastError(
            f"futures have {[*map(list, lengths)]} frames: give (s, t, j, 2), all of one length"
        )
    return prediction.PredictionConfig(
        clips=ClipSelection(clips=tuple(sorted(futures))),
        steps=lengths[0][0],
        start=shown.start,
        num_past=shown.num_past,
        futures=max(len(joints) for joints in futures.values()),
        seen_poses=shown.seen_poses,
        frames="npy" if has_frames else "none",
    )


def _poses(
    job: Job, joints: Float[np.ndarray, "s t j 2"], weights: Float[np.ndarray, " s"] | None
) -> PoseForecast:
    if np.ndim(joints) != 4:
        raise PosecastError(
            f"clip {job.clip.clip_id}: futures are {np.shape(joints)}; expected (s, t, j, 2), also "
            "of a single one"
        )
    poses = PoseForecast.of(job.seen, joints, weights)
    try:
        checked([poses], [job.seen], len(joints[0]), len(joints))
    except PosecastError as error:
        raise PosecastError(f"clip {job.clip.clip_id}: {error}") from error
    if (np.diff(poses.weights) > 0).any():
        raise PosecastError(
            f"clip {job.clip.clip_id}: the weights {poses.weights} rise: give the likeliest future "
            "first, which is measured as the forecast"
        )
    return poses


def _pictures(
    frames: Mapping[str, UInt8[np.ndarray, "n t h w 3"]], name: str, wanted: tuple[int, ...]
) -> UInt8[np.ndarray, "n t h w 3"]:
    given = frames.get(name, np.empty(0))
    fits = given.shape[1:] == wanted[1:] and 1 <= len(given) <= wanted[0]
    if given.dtype != np.uint8 or not fits:
        got = f"{given.dtype} {given.shape}" if name in frames else "none"
        raise PosecastError(
            f"clip {name}: frames are {got}; expected uint8 {wanted}, RGB, of fewer futures if you "
            "like"
        )
    return given
