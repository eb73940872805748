"""How often each of several futures comes nearest to what came, over 64 frames.

    python -m benchmarks.motion_futures TRACKS.npz --run motion-forecaster --every 2

Windows as of `benchmarks.motion_radii`; a row for each length seen and each number of futures.
"""

import numpy as np
from jaxtyping import Float

from benchmarks.motion_judged import Window, video_windows
from benchmarks.motion_radii import asked_for
from posecast.forecasting.loading import load_pose_forecaster
from posecast.forecasting.protocols import PoseForecaster
from posecast.motion.basis import HORIZON

COUNTS = (2, 3, 4, 6, 8, 20)


def distances(forecaster: PoseForecaster, window: Window) -> Float[np.ndarray, " s"]:
    """Of each future from the truth: pixels, the mean over joints and frames."""
    futures = forecaster.forecast_poses([window.seen], HORIZON, max(COUNTS))[0].joints_px
    off = np.linalg.norm(futures - window.future_px, axis=-1)
    return (off * window.counted).sum((1, 2)) / window.counted.sum()


def main() -> None:
    """Print the rows."""
    asked = asked_for(__doc__)
    forecaster = load_pose_forecaster(asked.run)
    for seen in (None, 10):
        windows = video_windows(asked.tracks, seen)[:: asked.every]
        off = [distances(forecaster, each) for each in windows]
        for count in COUNTS:
            nearest = [int(np.argmin(each[:count])) for each in off]
            shares = np.bincount(nearest, minlength=count) / len(off)
            found = "  ".join(f"{share:.3f}" for share in shares)
            print(
                f"{seen or 'all'} seen, {len(off)} windows, {count} futures:  {found}", flush=True
            )


if __name__ == "__main__":
    main()
