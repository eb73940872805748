"""How often a joint comes to be within the 90 % radius, by how long the person was seen before.

    python -m benchmarks.motion_radii TRACKS.npz --run motion-forecaster --every 2

Windows end every second of the held-out groups' videos, from two seconds on, if so much was seen.
"""

import argparse
from pathlib import Path

import numpy as np
from jaxtyping import Bool

from benchmarks.motion_judged import Window, load_motion, video_windows
from posecast.forecasting.motion import MotionForecaster
from posecast.motion.basis import HORIZON

SEEN = (1, 2, 5, 10, 20, 30, 60, 120, 240, None)
"""Frames; None: all."""
AHEAD = (1, 4, 8, 16, 32, 64)


def is_within(forecaster: MotionForecaster, window: Window) -> Bool[np.ndarray, "t j"]:
    """Of each joint that came."""
    future = forecaster.forecast_poses([window.seen], HORIZON)[0].joints_px[0]
    off = np.linalg.norm(future - window.future_px, axis=-1)
    return off <= forecaster.radii_px(window.seen)[1]


def asked_for(description: str | None) -> argparse.Namespace:
    """Tracks, run and how many of the windows, from the command line."""
    flags = argparse.ArgumentParser(description=description)
    flags.add_argument("tracks", type=Path)
    flags.add_argument("--run", type=Path, default=Path("motion-forecaster"))
    flags.add_argument("--every", type=int, default=1, help="of the windows every so manyth")
    return flags.parse_args()


def main() -> None:
    """Print a row for each length."""
    asked = asked_for(__doc__)
    forecaster = load_motion(asked.run)
    for seen in SEEN:
        chosen = video_windows(asked.tracks, seen)[:: asked.every]
        within = np.stack([is_within(forecaster, each) for each in chosen])
        counted = np.stack([each.counted for each in chosen])
        shares = (within & counted).sum((0, 2)) / counted.sum((0, 2))
        found = "  ".join(f"k = {k}: {shares[k - 1]:.3f}" for k in AHEAD)
        print(f"{seen or 'all'} seen, {len(chosen)} windows:  {found}", flush=True)


if __name__ == "__main__":
    main()
