"""The prediction stage: forecasts for clips of a prepared store, written as `forecast_files` says.

Clips are forecast in batches of poses, then drawn and written one at a time. A stopped prediction
goes on where it was; a clip that cannot be used is reported and left out.
"""

import contextlib
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from posecast.clips import ClipError, PoseForecast
from posecast.computing.devices import Flat, ForecasterOptions, Share
from posecast.computing.stages import tracked
from posecast.errors import PosecastError
from posecast.forecasting import forecast_files
from posecast.forecasting.forecaster import CLIPS_PER_BATCH, Forecaster
from posecast.forecasting.jobs import (
    POSES_SEEN,
    Job,
    check_size,
    choose_jobs,
    poses_checksum,
    read_video,
)
from posecast.forecasting.movies import forecast_movie
from posecast.forecasting.protocols import MOST_FUTURES, MOST_STEPS
from posecast.media.writing import write_gif, write_mp4
from posecast.networks.kinds import facts_of, place_of
from posecast.records.arguments import as_path, check_settings
from posecast.records.configs import check_at_least, claim_folder, config_to_dict
from posecast.records.locks import held_for
from posecast.records.versions import code_versions
from posecast.store.files import StoreError
from posecast.store.reading import ClipSelection, SeenPoses, Store

_MOST_LISTED = 20
_LARGEST_SCALE = 64
_MAY_CHANGE = (
    "versions",
    *(f"config.run_on.{name}" for name in ("device", "frames_per_batch", "compile")),
)
"""Settings that a prediction may be continued with other values of."""


@dataclass(frozen=True)
class PredictionConfig:
    """What to forecast and what to write."""

    clips: ClipSelection = ClipSelection(split="test")
    """Clips of the store to forecast."""
    steps: int = 64
    """Future frames, 10,000 at most, whatever the models were trained on."""
    start: Literal["first", "middle"] = "first"
    """Where the seen frames begin: at the clip's first frame (paper, Penn Action) or at its middle
    (paper, Human3.6M)."""
    num_past: int = 0
    """Frames seen; 0: as many as the pose model has to see."""
    futures: int = 1
    """Futures of each clip, where the pose model knows several."""
    drawn: int = 1
    """Of so many of them frames are drawn, the likeliest first."""
    poses: forecast_files.PoseOrigin = "forecast"
    """forecast: the pose model's. true: draws the true future poses (oracle: what the image model
    alone costs); needs no pose run, and ends where the clip ends."""
    seen_poses: SeenPoses = "labels"
    """Poses of the seen frames: the data set's labels, or those that 'posecast estimate' added."""
    frames: forecast_files.FrameFormat = "npy"
    """How to store the predicted frames; none forecasts poses only and needs no image run."""
    mp4: bool = True
    """Write a video of forecast, truth and pose side by side."""
    gif: bool = True
    """Write the same as a GIF."""
    view_scale: int = 0
    """How many times MP4 and GIF are enlarged; 0 makes panels of about 256 pixels."""
    run_on: Flat[ForecasterOptions] = ForecasterOptions()

    def __post_init__(self) -> None:
        check_at_least(1, self, "steps", most=MOST_STEPS)
        check_at_least(1, self, "futures", "drawn", most=MOST_FUTURES)
        check_at_least(0, self, "num_past")
        check_at_least(0, self, "view_scale", most=_LARGEST_SCALE)
        if self.poses == "true" and self.frames == "none":
            raise PosecastError("true poses and no frames: there is nothing to forecast")


@dataclass(frozen=True)
class PredictionReport:
    """How a prediction ended."""

    num_forecast: int
    """Clips forecast now."""
    num_kept: int
    """Clips that an earlier start of the same prediction had forecast."""
    left_out: dict[str, str]
    """Clips that could not be forecast, and why."""

    def summary(self) -> str:
        kept = f", {self.num_kept} were there already" if self.num_kept else ""
        lines = [f"{self.num_forecast} clips forecast{kept}"]
        if self.left_out:
            lines.append(f"{len(self.left_out)} left out, see left_out.jsonl:")
            lines += [f"  {problem}" for problem in list(self.left_out.values())[:_MOST_LISTED]]
        return "\n".join(lines)


def predict_store(
    config: PredictionConfig,
    store_path: str | Path,
    pose_run: str | Path | None,
    image_run: str | Path | None,
    out_path: str | Path,
    share: Share | None = None,
) -> PredictionReport:
    """Forecast the chosen clips of a store into a folder, see `forecasts` for its files.

    Several processes call this alike, each with its own `share` of the clips; all return the
    report of all clips.

    Raises:
        PosecastError: store, runs and config do not fit, the folder holds something else, or not
            one clip could be forecast.
    """
    share, out_path = share or Share(), as_path(out_path, "out_path")
    check_settings(config, PredictionConfig, "config")
    forecaster = _load(config, pose_run, image_run)
    store = Store.open(store_path)
    _check_store(store, forecaster, config)
    posed, needs = store.with_poses(config.seen_poses), forecaster.needs
    clips = [store.clip(clip.clip_id) for clip in posed.select(config.clips)]
    num_past = config.num_past or needs.num_past
    jobs, left_out = choose_jobs(clips, posed, (num_past, config.steps, config.start, needs.stride))
    settings = settings_of(config, store, jobs, pose_run, image_run)
    prediction = _Prediction(config, store, forecaster, out_path)
    with _claimed(out_path, settings) if share.is_first else contextlib.nullcontext():
        share.wait()
        jobs = share.of(jobs)
        missing = [job for job in jobs if not (out_path / "clips" / job.clip.clip_id).is_dir()]
        num_now = 0
        for job, poses in tracked(prediction.with_poses(missing), "forecasting", len(missing)):
            try:
                prediction.write(job, poses)
                num_now += 1
            except (ClipError, StoreError) as error:
                left_out[job.clip.clip_id] = str(error)
        done = share.gather((num_now, len(jobs) - len(missing), left_out))
        left_out = {clip_id: why for each in done for clip_id, why in each[2].items()}
        if share.is_first and not forecast_files.finish_forecasts(out_path, left_out):
            raise PosecastError(
                f"not one clip could be forecast: {'; '.join(left_out.values())[:1000]}"
            )
    return PredictionReport(sum(each[0] for each in done), sum(each[1] for each in done), left_out)


@contextlib.contextmanager
def _claimed(out_path: Path, settings: dict[str, Any]) -> Iterator[None]:
    """Hold the folder alone, which holds forecasts of these settings or none yet."""
    file, error = out_path / "prediction.json", forecast_files.ForecastError
    with held_for(file, "forecasts", "predicting into", error):
        stored = forecast_files.read_settings(out_path) if file.is_file() else {}
        may_change = (*_MAY_CHANGE, "store" if POSES_SEEN in stored else POSES_SEEN)
        claim_folder(file, settings, "forecasts", may_change, error)
        yield


def _load(
    config: PredictionConfig, pose_run: str | Path | None, image_run: str | Path | None
) -> Forecaster:
    if config.poses == "forecast" and pose_run is None:
        raise PosecastError("no pose run given; give one, or draw the true poses (--poses true)")
    if config.frames == "none":
        image_run = None
    elif image_run is None:
        raise PosecastError("no image run given; give one, or forecast poses only (--frames none)")
    return Forecaster.load(pose_run, image_run, config.run_on)


def _check_store(store: Store, forecaster: Forecaster, config: PredictionConfig) -> None:
    if store.skeleton != forecaster.skeleton:
        raise PosecastError(
            f"store {store.path} has poses of skeleton {store.skeleton.name}, the runs were "
            f"trained on {forecaster.skeleton.name}; use runs trained on the same data set"
        )
    needs = forecaster.needs
    if config.num_past and forecaster.poses is not None:
        needs.check_shown("the pose model", config.num_past, needs.stride)
    if config.poses == "forecast":
        needs.check_rate("the pose model", store.select(config.clips))
    check_size(forecaster.drawer, store, "the image model")


def settings_of(
    config: PredictionConfig,
    store: Store,
    jobs: list[Job],
    pose_run: str | Path | None,
    image_run: str | Path | None,
) -> dict[str, Any]:
    """What a folder of these forecasts notes of itself."""
    return {
        "method": "forecast" if config.poses == "forecast" else "oracle",
        "format_version": forecast_files.FORMAT_VERSION,
        "config": config_to_dict(config),
        "store": str(store.path.resolve()),
        POSES_SEEN: poses_checksum(jobs),
        "pose_run": _describe_run(pose_run),
        "image_run": None if config.frames == "none" else _describe_run(image_run),
        "versions": code_versions(),
    }


def _describe_run(path: str | Path | None) -> dict[str, Any] | None:
    if path is None:
        return None
    return {"path": str(place_of(path)), "weights_step": facts_of(path).step}


# --- one clip -----------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Prediction:
    """What is asked of every clip."""

    config: PredictionConfig
    store: Store
    forecaster: Forecaster
    out_path: Path

    def with_poses(self, jobs: list[Job]) -> Iterator[tuple[Job, PoseForecast]]:
        """Each clip with the poses to draw, forecast for many clips at a time."""
        rest, config = iter(jobs), self.config
        while batch := list(itertools.islice(rest, CLIPS_PER_BATCH)):
            if config.poses == "true":
                poses = [job.true_poses() for job in batch]
            else:
                seen = [job.seen for job in batch]
                poses = self.forecaster.forecast_poses(seen, config.steps, config.futures)
            yield from zip(batch, poses, strict=True)

    def write(self, job: Job, poses: PoseForecast) -> None:
        """Draw what is to be drawn, and write the clip's folder."""
        config, frames, shown = self.config, None, None
        if config.frames != "none":
            video = read_video(job, self.store)
            frames = self.forecaster.draw(video.seen, poses, config.drawn).frames
            shown = np.concatenate([video.seen.pictures, video.future])
        forecast = describe(job, poses, config, 0 if frames is None else len(frames))
        with forecast_files.writing_clip(self.out_path, job.clip.clip_id) as folder:
            forecast_files.write_arrays(folder, forecast)
            if frames is not None:
                forecast_files.write_frames(folder, frames, config.frames)
            if config.mp4 or config.gif:
                looks = (None if frames is None else frames[0], shown, config.view_scale)
                pictures = list(forecast_movie(forecast, self.store.skeleton, *looks))
                if config.mp4:
                    write_mp4(folder / "forecast.mp4", pictures, poses.fps)
                if config.gif:
                    write_gif(folder / "forecast.gif", pictures, poses.fps)


def describe(
    job: Job, poses: PoseForecast, config: PredictionConfig, num_drawn: int
) -> forecast_files.StoredForecast:
    """A clip's forecast as it is stored, with frames of so many futures."""
    clip, past, truth, steps = job.clip, job.seen, job.truth, len(poses.visible)
    exists = truth.future_exists[:steps]
    came = np.where(exists[:, None, None], truth.future_joints_px[:steps], np.nan)
    facts = forecast_files.ForecastFacts(
        clip_id=clip.clip_id,
        action=clip.action,
        split=clip.split,
        fps=poses.fps,
        image_hw=clip.image_hw,
        crop=(clip.crop.x1, clip.crop.y1, clip.crop.x2, clip.crop.y2),
        box_px=clip.box_px,
        start=int(truth.past_frames[0]),
        num_past=len(past),
        stride=round(clip.fps / past.fps),
        steps=steps,
        num_truth=int(exists.sum()),
        poses=config.poses,
        frames=config.frames,
        num_samples=len(poses.weights),
        num_drawn=num_drawn,
    )
    return forecast_files.StoredForecast(
        facts=facts,
        past_joints_px=past.joints_px,
        past_visible=past.visible,
        future_joints_px=came,
        future_visible=truth.future_visible[:steps],
        predicted_joints_px=poses.joints_px,
        predicted_visible=poses.visible,
        weights=poses.weights,
    )
