"""How much of the past a forecast needs: errors where only the last seconds of it are seen.

    python -m benchmarks.motion_past TRACKS.npz [--known]

Windows of real videos, one a second, of which ten seconds and more are known, of the groups held
out; with --known every other second of the groups that were trained on. Shares of the last pose's
error, sums over a group's windows and over groups. Nothing is random.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float

from benchmarks.markdown import head, row
from benchmarks.motion_judged import Method, Window, cut, last_pose, of_forecaster
from posecast.datasets.pose_tracks import pose_tracks_of
from posecast.forecasting.loading import load_pose_forecaster
from posecast.motion.tracks import MotionTrack
from posecast.pretrained import DEFAULT_FORECASTER

KS = (1, 4, 8, 16, 32, 64)
SECONDS = (2.0, 3.0, 5.0, 7.5, 10.0, 30.0)
_FPS, _LEAST = 30, 300


def ends_of(path: Path, known: bool) -> list[tuple[MotionTrack, int]]:
    """Last seen frames with ten seconds before them."""
    tracks, every = pose_tracks_of(path, held_out=not known), 2 * _FPS if known else _FPS
    return [(each, end) for each in tracks for end in range(_LEAST - 1, len(each) - 1, every)]


def errors(windows: Sequence[Window], method: Method) -> Float[np.ndarray, " k"]:
    """Of all joints together, in sides of the box."""
    total = np.zeros(len(KS))
    for window, made in zip(windows, method(windows), strict=True):
        off = np.linalg.norm(made - window.future_px, axis=-1) / window.side_px
        total += (off * window.counted).sum(axis=1)[np.array(KS) - 1]
    return total


def main() -> None:
    """Print the table as Markdown."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("tracks", type=Path, metavar="TRACKS.npz")
    parser.add_argument("--known", action="store_true", help="groups that were trained on")
    asked = parser.parse_args()
    ends = ends_of(asked.tracks, asked.known)
    forecast = of_forecaster(load_pose_forecaster(DEFAULT_FORECASTER))
    print(head(f"{len(ends)} windows, seen", *KS))
    for seconds in SECONDS:
        seen = round(seconds * _FPS)
        windows = [cut(track, end, max(end + 1 - seen, 0)) for track, end in ends]
        shares = errors(windows, forecast) / errors(windows, last_pose)
        print(row(f"{seconds:g} s", *(f"{share:.3f}" for share in shares)), flush=True)


if __name__ == "__main__":
    main()
