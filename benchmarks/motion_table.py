"""How pose forecasts compare, on clips of Penn Action and on tracks of real videos.

    python -m benchmarks.motion_table STORE --run RUN [--tracks TRACKS.npz] [--other RUN]
        [--seeds SEEDS.safetensors] [--final]

Distances as % of the longer side of the box and as shares of the last pose's, PCK at 0.05 and 0.1,
the spread of limb lengths beside that of the truth, how often the truth lies within radii, and the
best of 20 futures. Of seeds (as `benchmarks.motion_many` leaves them) the mean and
the deviation. Half-widths are of 95 % intervals over clips, for videos over
groups. Clips: validation clips, or with --final the test clips of the paper's eight actions, from
their first ten frames. Videos: the groups held out, from every second on, all seen and ten seen.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float

from benchmarks.markdown import give_or_take, head, row
from benchmarks.motion_judged import (
    KS,
    Method,
    Poses,
    Sums,
    Window,
    clip_windows,
    filled,
    joined,
    last,
    last_pose,
    limb_lengths,
    load_motion,
    of_forecaster,
    shares,
    video_windows,
)
from posecast.forecasting.loading import load_pose_forecaster
from posecast.forecasting.motion import MotionForecaster
from posecast.motion.basis import HORIZON, from_cosines
from posecast.motion.own_past import own_past
from posecast.motion.seen import RECENT, see
from posecast.networks.motion_residual import QUANTILES
from posecast.skeletons import PENN_ACTION
from posecast.store.reading import ClipSelection, Store

_AT = np.array(KS) - 1
SAMPLES = 20
LEVELS = (0.5, 0.7, 0.8, 0.9, 0.95)
NUM_SEEDS = 5


def constant_velocity(windows: Sequence[Window]) -> list[Poses]:
    """Joints go on as in the last four frames."""
    ahead = np.arange(1, HORIZON + 1)[:, None, None]
    moved = [filled(each)[-1] - filled(each)[-4:][0] for each in windows]
    apart = [max(min(3, len(each.seen) - 1), 1) for each in windows]
    rows = zip(windows, moved, apart, strict=True)
    return [last(each) + ahead * step / frames for each, step, frames in rows]


def from_own_past(windows: Sequence[Window]) -> list[Poses]:
    """One's own past, however badly it fits."""
    return [last(w) + own_past(w.seen.joints_px, w.seen.visible).mean_px for w in windows]


def from_neighbours(forecaster: MotionForecaster) -> Method:
    """What others did, however far they are."""

    def forecast(windows: Sequence[Window]) -> list[Poses]:
        futures = []
        for each in windows:
            seen = see(each.seen.joints_px[None], each.seen.visible[None])
            moved = from_cosines(forecaster.base.find(seen).mean)[0]
            futures.append(last(each) + moved * seen.size_px[0])
        return futures

    return forecast


def mean_pose(store: Store) -> Method:
    """The mean pose of training clips, as large as the seen person and where it was last."""
    sizes, poses = [], []
    for clip in store.select(ClipSelection("train")):
        shown = clip.visible.all(axis=1)
        if shown.any():
            joints = clip.joints_px[shown]
            size = np.ptp(joints, axis=1).max(axis=-1)
            middle = joints.mean(axis=1, keepdims=True)
            poses.append(((joints - middle) / size[:, None, None]).mean(axis=0))
            sizes.append(len(joints))
    mean = np.average(poses, axis=0, weights=sizes)

    def forecast(windows: Sequence[Window]) -> list[Poses]:
        futures = []
        for each in windows:
            size = see(each.seen.joints_px[None], each.seen.visible[None]).size_px[0]
            pose = mean * size + last(each).mean(axis=0)
            futures.append(np.repeat(pose[None], HORIZON, axis=0))
        return futures

    return forecast


def limb_spread(poses: Sequence[Poses], shown: Sequence[np.ndarray]) -> float:
    """Mean deviation in time of the logarithm of limb lengths, of limbs always shown."""
    values = []
    for each, visible in zip(poses, shown, strict=True):
        frames = visible.any(axis=1)
        if frames.sum() > 8:
            lengths = limb_lengths(each[frames], PENN_ACTION)
            sure = limb_lengths(np.where(visible[frames][..., None], 0.0, np.nan), PENN_ACTION)
            lengths = np.log(np.maximum(lengths, 1e-3)) + sure
            values.append(np.nanmean(np.nanstd(lengths, axis=0)))
    return float(np.nanmean(values))


def futures_facts(
    forecaster: MotionForecaster, windows: Sequence[Window], still: Sums
) -> dict[str, list[float]]:
    """The best of 20 futures, their mean, how their limbs vary, and how often the truth lies within
    radii."""
    best, mean, spread, inside = [], [], [], []
    for each in windows:
        forecast = forecaster.forecast_poses([each.seen], HORIZON, SAMPLES)[0]
        distance = np.linalg.norm(forecast.joints_px - each.future_px, axis=-1) / each.side_px
        totals = (distance * each.counted).sum(axis=2)
        whole = (totals * (1 / np.arange(1, HORIZON + 1))).sum(axis=1)
        best.append(totals[whole.argmin()])
        mean.append(totals.mean(axis=0))
        spread.append(limb_spread(list(forecast.joints_px), [each.counted] * SAMPLES))
        off = np.linalg.norm(forecast.joints_px[0] - each.future_px, axis=-1)
        radii = radii_of(LEVELS, forecaster.radii_px(each.seen))
        inside.append(((off <= radii) & each.counted).sum(axis=2))
    total = still.error.sum(axis=0)
    shares = (np.sum(inside, axis=0) / still.count.sum(axis=0))[:, _AT]
    return {
        "best of 20": (np.sum(best, axis=0) / total)[_AT].tolist(),
        "mean of 20": (np.sum(mean, axis=0) / total)[_AT].tolist(),
        "limbs of 20 futures vary by": [float(np.nanmean(spread))],
        **{
            f"within {100 * level:.0f} % radius": share.tolist()
            for level, share in zip(LEVELS, shares, strict=True)
        },
    }


def radii_of(
    levels: Sequence[float], known: Float[np.ndarray, "2 t j"]
) -> Float[np.ndarray, "n t j"]:
    """Radii that hold given shares of the truths, from those of `QUANTILES`.

    Distances are taken to be Weibull's; the logarithm of a radius is then linear in the double
    logarithm of what lies outside.
    """

    def place(level: float) -> float:
        return np.log(-np.log1p(-level))

    low, high = (place(level) for level in QUANTILES)
    share = np.array([(place(level) - low) / (high - low) for level in levels])
    return known[0] * (known[1] / known[0]) ** share[:, None, None]


Rows = dict[str, Sequence[Float[np.ndarray, " t"]]]
"""Values and half-widths, by what they are."""


def compare(
    name: str,
    windows: Sequence[Window],
    methods: dict[str, Method],
    seeds: Sequence[Method],
    forecaster: MotionForecaster,
) -> dict[str, object]:
    """Print the table of one set, and give its numbers."""
    groups = [each.group if "videos" in name else str(n) for n, each in enumerate(windows)]
    still = Sums.of(windows, last_pose(windows))
    counts = [int((still.count[:, k - 1] > 0).sum()) for k in KS]
    print(f"\n## {name}: {len(windows)} windows\n")
    print(head("", *(f"k = {k}" for k in KS)))
    print(row("windows", *counts))
    table: dict[str, object] = {"windows": counts}
    shown = [each.counted for each in windows]
    truth_spread = limb_spread([each.future_px for each in windows], shown)
    for method, forecast in methods.items():
        futures = forecast(windows)
        rows = rows_of(Sums.of(windows, futures), still, groups)
        for what, pair in rows.items():
            digits = 2 if what.startswith(("share", "distance")) else 1
            means, halves = (each[_AT] for each in pair)
            cells = give_or_take(means, halves, digits)
            print(row(f"{method}, {what}", *cells), flush=True)
        spread = limb_spread(futures, shown)
        print(row(f"{method}, limbs vary by (truth {truth_spread:.3f})", f"{spread:.3f}"))
        table[method] = {
            **{what: [list(map(float, x)) for x in pair] for what, pair in rows.items()},
            "limbs": spread,
        }
    if seeds:
        errors = [Sums.of(windows, forecast(windows)).error.sum(axis=0) for forecast in seeds]
        of_each = (np.stack(errors) / still.error.sum(axis=0))[:, _AT]
        cells = give_or_take(of_each.mean(axis=0), of_each.std(axis=0, ddof=1), 3)
        print(row(f"{len(seeds)} seeds one by one, share of last pose", *cells))
        table["seeds"] = of_each.tolist()
    facts = futures_facts(forecaster, windows, still)
    for what, values in facts.items():
        print(row(what, *(f"{value:.2f}" for value in values)))
    return table | facts


def rows_of(sums: Sums, still: Sums, groups: Sequence[str]) -> Rows:
    """What the table says of a method, beside the last pose, at each frame ahead."""

    def percent(hits: Float[np.ndarray, "n t"]) -> Sequence[np.ndarray]:
        return [100 * each for each in shares(hits, sums.count, groups)]

    return {
        "distance %": percent(sums.error),
        "share of last pose": shares(sums.error, still.error, groups),
        "PCK@0.05": percent(sums.nearer),
        "PCK@0.1": percent(sums.near),
    }


def main() -> None:
    flags = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    flags.add_argument("store", type=Path)
    flags.add_argument("--tracks", type=Path)
    flags.add_argument("--run", type=Path, required=True)
    flags.add_argument("--other", type=Path, nargs="*", default=[])
    flags.add_argument("--seeds", type=Path)
    flags.add_argument("--final", action="store_true")
    flags.add_argument("--out", type=Path)
    asked = flags.parse_args()
    store = Store.open(asked.store)
    forecaster = load_motion(asked.run)
    methods: dict[str, Method] = {
        "last pose": last_pose,
        "mean pose": mean_pose(store),
        "constant velocity": constant_velocity,
        "own past": from_own_past,
        "neighbours": from_neighbours(forecaster),
        **{run.name: of_forecaster(load_pose_forecaster(run)) for run in asked.other},
        "motion network": of_forecaster(forecaster),
    }
    seeds = []
    if asked.seeds:
        networks = [joined(asked.seeds, [seed])[0] for seed in range(NUM_SEEDS)]
        seeds = [of_forecaster(MotionForecaster(each, forecaster.base)) for each in networks]
    rest = (methods, seeds, forecaster)
    tables = {"clips": compare("clips", clip_windows(store, asked.final), *rest)}
    if asked.tracks:
        for name, seen in (("videos, all seen", None), ("videos, ten seen", RECENT)):
            tables[name] = compare(name, video_windows(asked.tracks, seen), *rest)
    if asked.out:
        asked.out.write_text(json.dumps(tables, indent=1))


if __name__ == "__main__":
    main()
