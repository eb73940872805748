"""`posecast predict`: forecasts for clips of a store."""

from dataclasses import dataclass
from pathlib import Path

from posecast.cli.parsing import OverClips, parse, print_json
from posecast.computing.devices import Flat
from posecast.forecasting.prediction import PredictionConfig, predict_store


@dataclass(frozen=True)
class Predict:
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
    """Run of 'posecast train pose'."""
    image_run: Path | None = None
    """Run of 'posecast train image'."""
    config: Flat[PredictionConfig] = PredictionConfig()
    how: Flat[OverClips] = OverClips()


def predict(words: list[str], program: str) -> int:
    """`posecast predict --store STORE --pose-run RUN --image-run RUN --out OUT`."""
    asked = parse(Predict, words, program)
    share = asked.how.share(asked.config.run_on.device)
    runs = (asked.pose_run, asked.image_run)
    report = predict_store(asked.config, asked.store, *runs, asked.out, share)
    if share.is_first and asked.how.json:
        print_json(report)
    elif share.is_first:
        print(f"{asked.out}: {report.summary()}")
    return 1 if asked.how.strict and report.left_out else 0
