"""Make the files that ship of a run of the motion network.

    python -m benchmarks.ship_motion RUN STORE TRACKS.npz FOLDER

Its 50 and 90 % radii are widened or narrowed, frame by frame, until they hold so many of the true
joints of validation clips and of videos of held-out groups. Weights are stored in half precision.
"""

import argparse
from pathlib import Path

import numpy as np
import torch

from benchmarks.motion_table import Window, clip_windows, video_windows
from posecast.forecasting.loading import load_pose_forecaster
from posecast.forecasting.motion import MotionForecaster
from posecast.motion.basis import HORIZON
from posecast.motion.neighbours import BASE_FILE
from posecast.motion.seen import RECENT
from posecast.networks.kinds import facts_of, load_network
from posecast.networks.motion_residual import QUANTILES, MotionResidual
from posecast.records.weights import write_weights
from posecast.store.reading import Store

NAME = "motion-forecaster"
_KNOTS = (1, 2, 4, 8, 16, 32, 64)


def widening(forecaster: MotionForecaster, sets: list[list[Window]]) -> np.ndarray:
    """Logarithms by which the radii of each level and frame are to be changed, (levels, frames)."""
    changes = []
    for windows in sets:
        off = []
        for each in windows:
            future = forecaster.forecast_poses([each.seen], HORIZON)[0].joints_px[0]
            distance = np.linalg.norm(future - each.future_px, axis=-1)
            ratio = np.log(np.maximum(distance, 1e-6) / forecaster.radii_px(each.seen))
            off.append(np.where(each.counted, ratio, np.nan))
        found = [
            [np.nanquantile(np.stack(off)[:, level, k - 1], QUANTILES[level]) for k in _KNOTS]
            for level in range(len(QUANTILES))
        ]
        changes.append(found)
    frames = np.log(np.arange(1, HORIZON + 1))
    return np.stack([np.interp(frames, np.log(_KNOTS), row) for row in np.mean(changes, axis=0)])


def main() -> None:
    """Write FOLDER/motion-forecaster.safetensors and the database beside it."""
    flags = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ("run", "store", "tracks", "folder"):
        flags.add_argument(name, type=Path)
    asked = flags.parse_args()
    forecaster = load_pose_forecaster(asked.run)
    if not isinstance(forecaster, MotionForecaster):
        raise SystemExit(f"{asked.run} is no run of the motion network")
    sets = [
        clip_windows(Store.open(asked.store), final=False),
        video_windows(asked.tracks, None),
        video_windows(asked.tracks, RECENT),
    ]
    change = widening(forecaster, sets)
    network = load_network(asked.run, MotionResidual).network
    network.widening += torch.from_numpy(change).float()
    tensors = {name: tensor.half() for name, tensor in network.state_dict().items()}
    write_weights(asked.folder / f"{NAME}.safetensors", tensors, facts_of(asked.run))
    forecaster.base.save(asked.folder / BASE_FILE)


if __name__ == "__main__":
    main()
