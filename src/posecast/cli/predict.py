"""Of a store's clips: `posecast estimate` finds their poses, `posecast predict` forecasts them."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from posecast.cli.parsing import Command, OverClips, print_json
from posecast.computing.devices import Flat
from posecast.estimation import EstimationConfig, estimate_store
from posecast.forecasting.prediction import PredictionConfig, predict_store
from posecast.pretrained import DEFAULT_ESTIMATOR


@dataclass(frozen=True)
class Estimate(Command):
    """Find poses in the frames of a store and add them beside its labels.

    'predict' and 'evaluate' start from them with --seen-poses estimated. Ends with PCK@0.2 by
    joint against the labels, beside the mean pose; test clips are scored with --final only.

    Examples:
      posecast estimate store
      posecast estimate store --run runs/estimator
      posecast estimate store --run runs/estimator --clips.split validation
      posecast estimate store --run pose_landmarker.task
    """

    store: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="STORE")]
    """Prepared store with frames."""
    run: Path = Path(DEFAULT_ESTIMATOR)
    """Shipped weights by name ('posecast models'), a run of 'posecast train estimator', or a model
    file (.safetensors, .task or .onnx)."""
    json: bool = False
    """Print one JSON value in place of lines for people."""
    config: Flat[EstimationConfig] = EstimationConfig()

    def __call__(self) -> None:
        report = estimate_store(self.store, self.run, self.config)
        if self.json:
            print_json(report)
        else:
            print(f"{self.store}: {report.summary()}")


@dataclass(frozen=True)
class Predict(Command):
    """Forecast clips of a prepared store: future poses, and from them future frames.

    Writes, for each clip, OUT/clips/ID/ with joints.npz, the frames, and forecast.mp4 and
    forecast.gif, which show forecast, truth and pose side by side; seen frames have a green
    border, forecast ones a red one. The default is the test split.
    The same command again goes on where it stopped.

    Examples:
      posecast predict --store store --pose-run runs/pose --image-run runs/image --out forecasts
      posecast predict --store store --pose-run runs/pose --image-run runs/image --out jumps \\
        --clips.actions jump_rope jumping_jacks --steps 96
      posecast predict --store store --pose-run runs/pose --out poses --frames none
      posecast predict --store store --image-run runs/image --out oracle --poses true
    """

    store: Path
    """Prepared store."""
    out: Path
    """Folder for the forecasts."""
    pose_run: Path | None = None
    """Run of 'posecast train pose' or 'train motion', or shipped weights by name."""
    image_run: Path | None = None
    """Run of 'posecast train image' or 'train carrying', or shipped weights by name."""
    config: Flat[PredictionConfig] = PredictionConfig()
    how: Flat[OverClips] = OverClips()

    def __call__(self) -> int:
        share = self.how.share(self.config.run_on.device)
        report = predict_store(
            self.config, self.store, self.pose_run, self.image_run, self.out, share
        )
        if share.is_first and self.how.json:
            print_json(report)
        elif share.is_first:
            print(f"{self.out}: {report.summary()}")
        return 1 if self.how.strict and report.left_out else 0
