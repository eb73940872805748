"""Run by a test in two processes: STORE POSE_RUN OUT."""

import sys
from pathlib import Path

import torch

from posecast.computing.devices import ForecasterOptions, Share
from posecast.forecasting.prediction import PredictionConfig, predict_store

CONFIG = PredictionConfig(
    steps=6, frames="none", view_scale=1, mp4=False, run_on=ForecasterOptions("cpu")
)


def main(store: Path, pose_run: Path, out: Path) -> None:
    torch.set_num_threads(1)
    report = predict_store(CONFIG, store, pose_run, None, out, Share.join("cpu", 2, 1))
    # Every process says the same of all clips together, in one write: lines must not mix.
    facts = f"report: {report.num_forecast} {report.num_kept} {sorted(report.left_out)}\n"
    sys.stdout.write(facts)
    sys.stdout.flush()


if __name__ == "__main__":
    main(*(Path(word) for word in sys.argv[1:4]))
