"""Who is evaluated: forecasts of runs, baselines, oracle, and forecasts that lie on disk.

A method is given what was seen and nothing else; only the oracle gets true future poses.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
from jaxtyping import UInt8

from posecast.clips import PoseForecast, SeenVideo
from posecast.errors import PosecastError, check_names
from posecast.evaluation import baselines
from posecast.evaluation.stored import StoredForecasts
from posecast.forecasting import forecast_files
from posecast.forecasting.jobs import ClipVideo, Job
from posecast.forecasting.protocols import FrameDrawer, Needs, PoseForecaster, checked
from posecast.networks.kinds import facts_of, is_name, place_of
from posecast.store.reading import StoredClip, mean_joints

POSE_BASELINES: Final = ("last pose", "constant velocity", "mean training pose")
FRAME_BASELINES: Final = ("last frame", "optical flow")

Kind = Literal["forecast", "baseline", "oracle"]


@dataclass(frozen=True, eq=False)
class Method:
    """One way to forecast, and where it comes from."""

    name: str
    """As in tables and reports."""
    kind: Kind = "baseline"
    poses: PoseForecaster | None = None
    """Forecasts poses; None for a method of frames alone, and for the oracle."""
    frames: baselines.FramePredictor | None = None
    """Forecasts frames from seen frames alone."""
    drawer: FrameDrawer | None = None
    """Draws frames of the forecast poses (oracle: of the true ones)."""
    stored: StoredForecasts | None = None
    """Forecasts on disk, instead of all of the above."""
    runs: tuple[Path, ...] = ()
    """Run folders that it was loaded from."""
    origin: dict[str, Any] = field(default_factory=dict)
    """What evaluation.json says of it besides: plain JSON values."""

    def __post_init__(self) -> None:
        if not (self.poses or self.frames or self.drawer or self.stored):
            raise PosecastError(f"method {self.name} forecasts nothing")
        if self.name in ("", "truth"):
            raise PosecastError(f"a method cannot be called {self.name!r}; choose another name")

    @classmethod
    def of_runs(
        cls, name: str, kind: Kind, runs: Sequence[Path], *, lively: bool = True, **parts: Any
    ) -> "Method":
        """One that was loaded from these; `parts` are fields by their names."""
        learned = [(str(place_of(run)), facts_of(run)) for run in runs]
        described = [
            {"path": path, "kind": facts.kind, "weights_step": facts.step, "seed": facts.seed}
            for path, facts in learned
        ]
        origin: dict[str, Any] = {"runs": described}
        origin |= {} if lively else {"lively": False}  # not one evaluation with lively forecasts
        return cls(name, kind, **parts, runs=tuple(runs), origin=origin)

    def check_shown(self, num_past: int, stride: int, clips: Iterable[StoredClip]) -> None:
        """PosecastError unless what is shown is what the method was trained to see."""
        # An oracle draws and does not forecast poses: how much it has seen does not matter.
        needs: Needs | None = getattr(self.poses, "needs", None)
        if needs is not None:
            needs.check_shown(self.name, num_past, stride)
            needs.check_rate(self.name, clips)

    def forecast_poses(
        self, seen: Sequence[SeenVideo], steps: int, samples: int = 1
    ) -> list[PoseForecast | None]:
        """The futures of each clip; None from a method of frames alone, or of stored forecasts."""
        if self.poses is None:
            return [None] * len(seen)
        return [*checked(self.poses.forecast_poses(seen, steps, samples), seen, steps, samples)]

    def futures_of(
        self, job: Job, forecast: PoseForecast | None, samples: int
    ) -> PoseForecast | None:
        """Of a clip, what was forecast now, or what lies on disk."""
        return forecast if self.stored is None else self.stored.poses(job.clip.clip_id, samples)

    def draw(
        self, job: Job, video: ClipVideo, poses: PoseForecast | None, drawn: int = 1
    ) -> UInt8[np.ndarray, "s n h w 3"] | None:
        """Frames of the first futures, as many as the clip has; None from a method of poses alone.
        The oracle draws the true poses."""
        length = job.truth.num_truth
        if self.stored is not None:
            frames = self.stored.frames(job.clip.clip_id, drawn)
            return None if frames is None else frames[:, :length]
        if self.frames is not None:
            frames = np.asarray(self.frames.predict_frames(video.seen, length))
            return self._checked(frames[None], video.seen, length)
        poses = job.true_poses() if self.kind == "oracle" else poses
        if self.drawer is None or poses is None:
            return None
        drawer, visible = self.drawer, poses.visible[:length]
        futures = poses.joints_px[:drawn, :length]
        frames = [drawer.draw_frames(video.seen, joints, visible) for joints in futures]
        return self._checked(np.stack(frames), video.seen, futures.shape[1])

    def _checked(
        self, frames: UInt8[np.ndarray, "n t h w 3"], seen: SeenVideo, steps: int
    ) -> UInt8[np.ndarray, "n t h w 3"]:
        """PosecastError unless they can be held beside the true ones."""
        wanted = (steps, *seen.pictures.shape[1:])
        if frames.shape[1:] != wanted or frames.dtype != np.uint8:
            raise PosecastError(
                f"{self.name} gave frames {frames.dtype} {frames.shape[1:]}; expected uint8 "
                f"{wanted}, RGB, which show what the seen ones show"
            )
        return frames


def baseline_methods(names: Sequence[str], train_clips: Sequence[StoredClip] = ()) -> list[Method]:
    """Untrained baselines by name; the mean training pose is the mean of `train_clips`.

    PosecastError for an unknown name, or a mean of no clips.
    """
    check_names(names, (*POSE_BASELINES, *FRAME_BASELINES), "baseline")
    return [_baseline(name, train_clips) for name in names]


def _baseline(name: str, train_clips: Sequence[StoredClip]) -> Method:
    if name in FRAME_BASELINES:
        frames = baselines.LastFrame() if name == "last frame" else baselines.OpticalFlow()
        return Method(name, frames=frames)
    if name == "last pose":
        return Method(name, poses=baselines.LastPose())
    if name == "constant velocity":
        poses = baselines.ConstantVelocity()
        return Method(name, poses=poses, origin={"window": poses.window})
    if not train_clips:
        raise PosecastError("the mean training pose needs training clips, this store has none")
    mean = baselines.MeanPose(mean_joints(train_clips))
    return Method(name, poses=mean, origin={"num_training_clips": len(train_clips)})


def stored_method(path: str | Path, name: str = "forecast") -> Method:
    """Forecasts that 'posecast predict' wrote, judged as they lie there."""
    settings = forecast_files.read_settings(path)
    described = [settings.get(key) for key in ("pose_run", "image_run")]
    runs = tuple(Path(run["path"]) for run in described if run)
    present = tuple(r for r in runs if is_name(r) or r.is_file() or (r / "config.json").is_file())
    kind: Kind = "oracle" if settings.get("method") == "oracle" else "forecast"
    origin = {"forecasts": str(Path(path).resolve()), "prediction": settings}
    return Method(name, kind, stored=StoredForecasts(Path(path)), runs=present, origin=origin)
