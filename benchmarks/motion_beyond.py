"""How people of real videos go on beyond the horizon: as it is, and where they come to rest.

    python -m benchmarks.motion_beyond TRACKS.npz [--known] [--seen FRAMES]

Every other second of the groups held out, with --known at most twelve of each video of the groups
that were trained on; all is seen, or so many frames. Of the windows whose past does not repeat
(those that do are carried on by it): distance as a share of the last pose's, movement as a share of
the true one (median), limbs longer than 1.1 times the longest seen. Nothing is random.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float

from benchmarks.markdown import head, row
from benchmarks.motion_judged import ANY_SIZE
from benchmarks.motion_long import energy, is_stretched
from posecast.clips import SeenVideo
from posecast.computing.devices import ForecasterOptions
from posecast.datasets.pose_tracks import pose_tracks_of
from posecast.forecasting.loading import load_pose_forecaster
from posecast.motion.long import REPEATS
from posecast.motion.own_past import own_past
from posecast.motion.seen import fill_hidden
from posecast.motion.tracks import MotionTrack
from posecast.pretrained import DEFAULT_FORECASTER

SPANS = ((1, 64), (65, 96), (97, 128), (129, 256))
_MOST_SEEN, _FIRST, _EVERY, _MOST_KNOWN = 900, 59, 60, 12
_LEAST_JOINTS, _LEAST_SHOWN, _STILL = 8, 0.7, 1e-3
Poses = Float[np.ndarray, "t j 2"]
Window = tuple[SeenVideo, Poses, Poses, Bool[np.ndarray, "t j"]]
"""What was seen, the same without gaps, what came, and which of that counts."""


def windows_of(tracks: list[MotionTrack], seen: int, known: bool) -> Iterator[Window]:
    """Those that do not repeat themselves."""
    for track in tracks:
        ends = np.arange(_FIRST, len(track) - SPANS[2][1], _EVERY)
        if known and len(ends) > _MOST_KNOWN:
            ends = ends[np.linspace(0, len(ends) - 1, _MOST_KNOWN).astype(int)]
        for end in ends.tolist():
            past, shown = (
                x[max(end + 1 - seen, 0) : end + 1] for x in (track.joints_px, track.visible)
            )
            came = slice(end + 1, end + 1 + SPANS[-1][1])
            future, counted = track.joints_px[came], track.visible[came]
            if shown[-1].sum() < _LEAST_JOINTS or counted[: SPANS[2][1]].mean() < _LEAST_SHOWN:
                continue
            if own_past(past, shown).misfit > REPEATS:
                filled = fill_hidden(past[None], shown[None])[0][0]
                yield SeenVideo(past, shown, 30.0, ANY_SIZE), filled, future, counted


def facts(window: Window, forecast: Poses) -> Float[np.ndarray, "s 4"]:
    """Of each span: error and that of the last pose, share of the true movement, stretched limbs;
    NaN where the video ends before."""
    _, past, future, counted = window
    size = float(np.ptp(past[-1], axis=0).max())
    true = fill_hidden(future[None], counted[None])[0][0]
    stretched = is_stretched(past, forecast)
    found = np.full((len(SPANS), 4), np.nan)
    for number, (first, end) in enumerate(SPANS):
        part = slice(first - 1, end)
        if len(future[part]) < (end - first) // 2:
            continue
        off = [
            np.linalg.norm(each - future[part], axis=-1)
            for each in (forecast[part][: len(future[part])], past[-1])
        ]
        error = [float(each[counted[part]].sum() / size) for each in off]
        moved = [energy(each[part]) / size + _STILL for each in (forecast, true)]
        found[number] = (*error, moved[0] / moved[1], stretched[part].mean())
    return found


def main() -> None:
    """Print the table as Markdown."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("tracks", type=Path, metavar="TRACKS.npz")
    parser.add_argument("--known", action="store_true", help="groups that were trained on")
    parser.add_argument("--seen", type=int, default=_MOST_SEEN, help="frames")
    asked = parser.parse_args()
    tracks = pose_tracks_of(asked.tracks, held_out=not asked.known)
    windows = list(windows_of(tracks, asked.seen, asked.known))
    print(head(f"{len(windows)} windows", *(f"{first} to {end}" for first, end in SPANS)))
    for lively in (True, False):
        forecaster = load_pose_forecaster(DEFAULT_FORECASTER, ForecasterOptions(lively=lively))
        said = [forecaster.forecast_poses([w[0]], SPANS[-1][1])[0].joints_px[0] for w in windows]
        found = np.array([facts(*each) for each in zip(windows, said, strict=True)])
        name = "as it is" if lively else "comes to rest"
        errors = np.nansum(found[..., 0], axis=0) / np.nansum(found[..., 1], axis=0)
        print(row(f"{name}: of the last pose's error", *(f"{each:.2f}" for each in errors)))
        moved = np.nanmedian(found[..., 2], axis=0)
        print(row(f"{name}: of the true movement", *(f"{each:.2f}" for each in moved)))
        stretched = 100 * np.nanmean(found[..., 3], axis=0)
        print(
            row(f"{name}: stretched limbs, %", *(f"{each:.1f}" for each in stretched)), flush=True
        )


if __name__ == "__main__":
    main()
