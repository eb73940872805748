"""An app that forecasts red people at once, to be tested; as a script it is served."""

import sys
import threading
import time
from pathlib import Path

import numpy as np

from posecast.app.serving import served
from posecast.app.work import Limits, Workshop
from posecast.clips import PoseForecast
from posecast.evaluation.baselines import ConstantVelocity, LastPose
from posecast.forecasting.forecaster import Forecaster
from posecast.forecasting.protocols import Needs
from posecast.own_video.poses import EstimatedPoses
from posecast.skeletons import PENN_ACTION
from red_people import NearestEstimator

SLOWLY = "slowly"
"""While a file of this name is in its folder, the app takes its time."""


class Forked(ConstantVelocity):
    """Goes on as it moves, or stays."""

    needs = Needs(PENN_ACTION, num_past=4, max_past=100, fps=30.0)

    def forecast_poses(self, seen, steps, samples=1):
        on, stays = super().forecast_poses(seen, steps), LastPose().forecast_poses(seen, steps)
        return [
            PoseForecast.of(each, np.concatenate([a.joints_px, b.joints_px])[:samples])
            for each, a, b in zip(seen, on, stays, strict=True)
        ]


class Patient(NearestEstimator):
    """Looks slowly where it is asked to."""

    def __init__(self, root: Path) -> None:
        super().__init__()
        self._root = root

    def estimate(self, pictures):
        if (self._root / SLOWLY).exists():
            time.sleep(0.3)
        return super().estimate(pictures)


def a_workshop(root: Path) -> Workshop:
    """Takes videos of at most 1 MB and 3 s."""
    limits = Limits(max_mb=1, max_seconds=3.0)
    return Workshop(root, Forecaster(Forked()), EstimatedPoses(Patient(root)), limits)


if __name__ == "__main__":
    with served(a_workshop(Path(sys.argv[1]))) as address:
        print(address, flush=True)
        threading.Event().wait()
