"""Who is evaluated: forecasts of runs, baselines, oracle, and forecasts that lie on disk.

A method is given what was seen and nothing else; only the oracle gets true future poses.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
from jaxtyping import Bool, Float, UInt8

from posecast.errors import PosecastError
from posecast.evaluation.baselines import (
    ConstantVelocity,
    FramePredictor,
    LastFrame,
    LastPose,
    MeanPose,
    OpticalFlow,
    PosePredictor,
    SeenVideo,
    mean_pose,
)
from posecast.forecasting.forecast_files import read_forecast, read_frames, read_settings
from posecast.forecasting.forecaster import Forecaster
from posecast.networks.kinds import facts_of
from posecast.store.files import check_names
from posecast.store.reading import StoredClip
from posecast.windows import ClipWindow

POSE_BASELINES: Final = ("last pose", "constant velocity", "mean training pose")
FRAME_BASELINES: Final = ("last frame", "optical flow")

Kind = Literal["forecast", "baseline", "oracle"]


@dataclass(frozen=True, eq=False)
class Method:
    """One way to forecast, and where it comes from."""

    name: str
    """As in tables and reports."""
    kind: Kind = "baseline"
    poses: PosePredictor | None = None
    """Forecasts poses; None for a method of frames alone, and for the oracle."""
    frames: FramePredictor | None = None
    """Forecasts frames from seen frames alone."""
    drawer: Forecaster | None = None
    """Draws frames of the forecast poses (oracle: of the true ones)."""
    stored: Path | None = None
    """Folder of forecasts on disk, instead of all of the above."""
    runs: tuple[Path, ...] = ()
    """Run folders that it was loaded from."""
    origin: dict[str, Any] = field(default_factory=dict)
    """What evaluation.json says of it besides: plain JSON values."""

    def __post_init__(self) -> None:
        if not (self.poses or self.frames or self.drawer or self.stored):
            raise PosecastError(f"method {self.name} forecasts nothing")
        if self.name in ("", "truth"):
            raise PosecastError(f"a method cannot be called {self.name!r}; choose another name")

    def predict_frames(
        self,
        seen: SeenVideo,
        joints_crop: Float[np.ndarray, "t j 2"] | None,
        visible: Bool[np.ndarray, "t j"] | None,
        steps: int,
    ) -> UInt8[np.ndarray, "t h w 3"] | None:
        """Future frames, or None from a method of poses alone.

        `joints_crop` and `visible` are the poses to draw.
        """
        if self.frames is not None:
            return self.frames.predict_frames(seen, steps)
        if self.drawer is None or joints_crop is None or visible is None:
            return None
        return self.drawer.draw_frames(
            *(seen.frames[-1], seen.joints_crop[-1], seen.visible[-1]),
            *(joints_crop, visible, seen.crop_hw),
        )


def baseline_methods(
    names: Sequence[str], train_clips: Sequence[StoredClip] = (), velocity_window: int = 4
) -> list[Method]:
    """Untrained baselines by name; the mean training pose is the mean of `train_clips`.

    PosecastError for an unknown name, or a mean of no clips.
    """
    check_names(names, (*POSE_BASELINES, *FRAME_BASELINES), "baseline")
    return [_baseline(name, train_clips, velocity_window) for name in names]


def _baseline(name: str, train_clips: Sequence[StoredClip], velocity_window: int) -> Method:
    if name == "last pose":
        return Method(name, poses=LastPose())
    if name == "constant velocity":
        origin = {"window": velocity_window}
        return Method(name, poses=ConstantVelocity(velocity_window), origin=origin)
    if name == "last frame":
        return Method(name, frames=LastFrame())
    if name == "optical flow":
        return Method(name, frames=OpticalFlow())
    if not train_clips:
        raise PosecastError("the mean training pose needs training clips, this store has none")
    mean = mean_pose(
        np.concatenate([clip.joints_crop for clip in train_clips]),
        np.concatenate([clip.visible for clip in train_clips]),
    )
    return Method(name, poses=MeanPose(mean), origin={"num_training_clips": len(train_clips)})


def forecast_method(
    forecaster: Forecaster,
    runs: Sequence[str | Path],
    name: str = "forecast",
    draws: bool = True,
) -> Method:
    """The hierarchical forecast: poses of the pose run, frames of the image run if there is one."""
    drawer = forecaster if draws else None
    return Method(name, "forecast", forecaster, drawer=drawer, **_run_facts(runs))


def oracle_method(
    forecaster: Forecaster, runs: Sequence[str | Path], name: str = "oracle"
) -> Method:
    """True future poses through the image model: what the image stage alone costs."""
    return Method(name, "oracle", drawer=forecaster, **_run_facts(runs))


def trained_frame_method(
    predictor: FramePredictor, runs: Sequence[str | Path], name: str
) -> Method:
    """A trained pixel baseline."""
    return Method(name, frames=predictor, **_run_facts(runs))


def stored_method(path: str | Path, name: str = "forecast") -> Method:
    """Forecasts that 'posecast predict' wrote, judged as they lie there."""
    settings = read_settings(path)
    described = [settings.get(key) for key in ("pose_run", "image_run")]
    runs = tuple(Path(run["path"]) for run in described if run)
    present = tuple(run for run in runs if (run / "config.json").is_file())
    kind: Kind = "oracle" if settings.get("method") == "oracle" else "forecast"
    origin = {"forecasts": str(Path(path).resolve()), "prediction": settings}
    return Method(name, kind, stored=Path(path), runs=present, origin=origin)


def _run_facts(runs: Sequence[str | Path]) -> dict[str, Any]:
    """Fields `runs` and `origin` of a method that was loaded from run folders."""
    described = [_describe(Path(path)) for path in runs]
    return {"runs": tuple(Path(path) for path in runs), "origin": {"runs": described}}


def _describe(run: Path) -> dict[str, Any]:
    facts = facts_of(run)
    path = str(run.resolve())
    return {"path": path, "kind": facts.kind, "weights_step": facts.step, "seed": facts.seed}


def window_poses(
    method: Method, windows: Sequence[tuple[str, ClipWindow]], steps: int
) -> list[Float[np.ndarray, "t j 2"] | None]:
    """The method's poses for each clip (id and seen window), None from a method of frames alone.

    Forecasts on disk are read; all others are computed for all clips together.
    """
    if method.stored is not None:
        return [_stored_poses(method.stored, *window, steps) for window in windows]
    if method.poses is None:
        return [None] * len(windows)
    past = np.stack([window.past_joints_crop for _, window in windows])
    visible = np.stack([window.past_visible for _, window in windows])
    return list(method.poses.predict_poses(past, visible, steps))


def _stored_poses(
    path: Path, clip_id: str, window: ClipWindow, steps: int
) -> Float[np.ndarray, "t j 2"]:
    """Poses of a clip among forecasts on disk; PosecastError if they are of another window."""
    forecast = read_forecast(path / "clips" / clip_id)
    found = (forecast.facts.start, forecast.facts.num_past)
    asked = (int(window.past_frames[0]), len(window.past_frames))
    if found != asked:
        raise PosecastError(
            f"{path}: clip {clip_id} was seen from frame {found[0]} for {found[1]} frames, the "
            f"evaluation is of {asked[0]} for {asked[1]}: predict again or evaluate the same window"
        )
    return forecast.predicted_joints_crop[:steps]


def stored_frames(path: Path, clip_id: str, steps: int) -> UInt8[np.ndarray, "t h w 3"] | None:
    """Frames of a clip among forecasts on disk, None where only poses were forecast."""
    folder = path / "clips" / clip_id
    if read_forecast(folder).facts.frames == "none":
        return None
    return read_frames(folder)[:steps]
