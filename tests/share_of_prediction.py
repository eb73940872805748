"""Run by a test in one or two processes: STORE POSE_RUN OUT NUM_DEVICES."""

import sys
from pathlib import Path

import torch

from posecast.prediction import PredictionConfig, predict_store


def main(store: Path, pose_run: Path, out: Path, num_devices: int) -> None:
    torch.set_num_threads(1)
    config = PredictionConfig(
        steps=6, frames="none", view_scale=1, mp4=False, device="cpu", num_devices=num_devices
    )
    report = predict_store(config, store, pose_run, None, out)
    # Every process says the same of all clips together.
    print(f"report: {report.num_forecast} {report.num_kept} {sorted(report.left_out)}", flush=True)


if __name__ == "__main__":
    main(*(Path(word) for word in sys.argv[1:4]), int(sys.argv[4]))
