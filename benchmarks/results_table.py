"""Print the curves of an evaluation as Markdown tables, with bootstrap intervals over clips.

python -m benchmarks.results_table EVALUATION [METRIC ...]
"""

import argparse
from pathlib import Path

from benchmarks.markdown import head, row
from posecast.evaluation.summary import PooledCurve, Summary, summarise

HORIZONS = (1, 2, 4, 8, 16, 24, 32, 48, 64)
SHARES = ("pck", "distance", "velocity")
"""Metrics that are printed in percent."""


def main() -> None:
    """Read the arguments, print a table for each metric."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("evaluation", type=Path)
    parser.add_argument("metrics", nargs="*")
    parser.add_argument("--horizons", type=int, nargs="+", default=HORIZONS)
    asked = parser.parse_args()
    summary = summarise(asked.evaluation)
    for metric in asked.metrics or [m for m in summary.metrics if not summary.is_whole(m)]:
        print_table(summary, metric, asked.horizons)


def print_table(summary: Summary, metric: str, horizons: list[int]) -> None:
    """Methods by horizons, then the number of clips behind each horizon."""
    curves = [summary.curve(m, metric) for m in summary.methods if summary.has(m, metric)]
    present = [k for k in horizons if k in curves[0].frames]
    print("\n" + head(metric, *(f"k = {k}" for k in present)))
    for curve in curves:
        print(row(curve.method, *(cell(curve, k) for k in present)))
    counts = [curves[0].num_clips[list(curves[0].frames).index(k)] for k in present]
    print(row("clips", *counts))


def cell(curve: PooledCurve, horizon: int) -> str:
    """Value and half the width of its 95 % interval."""
    if horizon not in curve.frames:
        return ""
    place = list(curve.frames).index(horizon)
    scale = 100 if curve.metric.startswith(SHARES) else 1
    digits = 3 if curve.metric == "ssim" else 1
    value, low, high = (scale * x[place] for x in (curve.values, curve.low, curve.high))
    return f"{value:.{digits}f} +-{(high - low) / 2:.{digits}f}"


if __name__ == "__main__":
    main()
