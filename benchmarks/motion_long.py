"""Whether forecasts of 1,000 frames freeze, leave or fall apart.

    python -m benchmarks.motion_long STORE --run RUN [--other RUN ...]

From the first ten frames of every validation clip: movement a frame as a share of that of the seen
frames (its median over clips), share of limbs longer than 1.1 times their longest in the ten seen
frames, and how many body sizes the mean joint is from where it was seen last (median), at several
frames ahead. Of the truth the stretched limbs of the first 64 frames alone, where both ends show.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float

from benchmarks.markdown import head, row
from benchmarks.motion_judged import Window, clip_windows, filled, limb_lengths
from posecast.forecasting.loading import load_pose_forecaster
from posecast.motion.basis import HORIZON
from posecast.skeletons import PENN_ACTION
from posecast.store.reading import Store

STEPS = 1000
_AROUND = ((1, 16), (16, 64), (64, 128), (128, 256), (256, 512), (512, 1000))
_STRETCHED = 1.1


def energy(poses: Float[np.ndarray, "t j 2"]) -> float:
    """Mean movement of a joint a frame."""
    return float(np.linalg.norm(np.diff(poses, axis=0), axis=-1).mean())


def is_stretched(
    past: Float[np.ndarray, "p j 2"], future: Float[np.ndarray, "t j 2"]
) -> Bool[np.ndarray, "t l"]:
    """Limbs longer than they were seen to be, and a little."""
    longest = limb_lengths(past, PENN_ACTION).max(axis=0)
    still = 1e-3 * (np.ptp(past[-1], axis=0).max() + 1e-6)
    return limb_lengths(future, PENN_ACTION) > _STRETCHED * longest + still


def stretched_truth(windows: Sequence[Window]) -> Float[np.ndarray, " a"]:
    """Share of the limbs whose ends show, in each part of the first 64 frames."""
    long = np.array([is_stretched(filled(each), each.future_px) for each in windows])
    hidden = [np.where(each.counted[..., None], 0.0, np.nan) for each in windows]
    shown = limb_lengths(np.array(hidden), PENN_ACTION) == 0
    parts = [np.s_[:, first - 1 : end] for first, end in _AROUND if end <= HORIZON]
    return np.array([100 * long[part][shown[part]].mean() for part in parts])


def facts(
    past: Float[np.ndarray, "p j 2"], future: Float[np.ndarray, "t j 2"]
) -> Float[np.ndarray, "3 a"]:
    """Movement, stretched limbs and distance in each part of the future."""
    size = np.ptp(past[-1], axis=0).max() + 1e-6
    still = 1e-3 * size
    stretched = is_stretched(past, future)
    columns = []
    for first, end in _AROUND:
        part = future[first - 1 : end]
        long = stretched[first - 1 : end]
        away = np.linalg.norm(part.mean(axis=1) - past[-1].mean(axis=0), axis=-1).mean() / size
        moved = (energy(part) + still) / (energy(past) + still)
        columns.append((moved, long.mean(), away))
    return np.array(columns).T


def main() -> None:
    """Print a table."""
    flags = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    flags.add_argument("store", type=Path)
    flags.add_argument("--run", type=str, required=True)
    flags.add_argument("--other", type=str, nargs="*", default=[])
    asked = flags.parse_args()
    windows = clip_windows(Store.open(asked.store), final=False)
    print(head("", *(f"{first} to {end}" for first, end in _AROUND)))
    truth = (f"{value:.2f}" for value in stretched_truth(windows))
    print(row("truth: stretched limbs, %", *truth), flush=True)
    for run in (asked.run, *asked.other):
        forecaster = load_pose_forecaster(run)
        found = [
            facts(filled(each), forecaster.forecast_poses([each.seen], STEPS)[0].joints_px[0])
            for each in windows
        ]
        _show(Path(run).name, np.array(found))


def _show(name: str, found: Float[np.ndarray, "n 3 a"]) -> None:
    rows: Sequence[tuple[str, np.ndarray]] = (
        ("movement, of the seen", np.median(found[:, 0], axis=0)),
        ("stretched limbs, %", 100 * found[:, 1].mean(axis=0)),
        ("from home, body sizes", np.median(found[:, 2], axis=0)),
    )
    for what, values in rows:
        print(row(f"{name}: {what}", *(f"{value:.2f}" for value in values)))


if __name__ == "__main__":
    main()
