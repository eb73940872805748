"""What a table says: pooled curves with confidence intervals, by action, by movement.

Pooling is over joints and clips: the sum of value times weight over the sum of weights, the number
that PCK curves of the literature show. Intervals come from drawing the clips anew, with
replacement (bootstrap, percentile method), the same draws for every method, so that differences
between methods can be given intervals too.
"""

import functools
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int

from posecast.evaluation.table import ALL_CLIPS, TRUTH, Row, read_table
from posecast.records.arguments import as_count
from posecast.records.brief import Brief

PAPER_HORIZONS = (1, 2, 4, 8, 16, 24, 32, 48, 64)
"""Frames of the paper's pose table."""


@dataclass(frozen=True, eq=False, repr=False)
class PooledCurve(Brief):
    """One metric of one method over the future frames."""

    method: str
    metric: str
    frames: Int[np.ndarray, " f"]
    """Horizons; a single 0 for a metric of whole clips."""
    values: Float[np.ndarray, " f"]
    low: Float[np.ndarray, " f"]
    """2.5 % of the bootstrap."""
    high: Float[np.ndarray, " f"]
    """97.5 % of the bootstrap."""
    num_clips: Int[np.ndarray, " f"]
    """Clips with something to measure at each frame."""

    def at(self, frame: int) -> float:
        """Value at a horizon; NaN where nothing was measured."""
        return self._at(self.values, frame)

    def interval(self, frame: int) -> tuple[float, float]:
        """Its bounds at a horizon."""
        return self._at(self.low, frame), self._at(self.high, frame)

    def _at(self, numbers: Float[np.ndarray, " f"], frame: int) -> float:
        place = np.flatnonzero(self.frames == frame)
        return float(numbers[place[0]]) if len(place) else float("nan")


@dataclass(frozen=True, eq=False)
class _Measured:
    """All numbers of one metric of one method, clips by frames; weight 0 where there are none."""

    frames: Int[np.ndarray, " f"]
    values: Float[np.ndarray, "c f"]
    weights: Float[np.ndarray, "c f"]


@dataclass(frozen=True, eq=False)
class Summary:
    """A table in memory, to be pooled this way and that."""

    clips: tuple[str, ...]
    actions: tuple[str, ...]
    """Of each clip."""
    methods: tuple[str, ...]
    """In the order of the table, the truth left out."""
    metrics: tuple[str, ...]
    """Metrics over frames and of whole clips that at least one method has."""
    num_draws: int
    seed: int
    measured: dict[tuple[str, str], _Measured] = field(repr=False, default_factory=dict)
    totals: dict[tuple[str, str], float] = field(repr=False, default_factory=dict)
    """Numbers of all clips together, by method and metric; they have no interval."""

    def has(self, method: str, metric: str) -> bool:
        return (method, metric) in self.measured

    def curve(self, method: str, metric: str, chosen: Iterable[int] | None = None) -> PooledCurve:
        """Pooled over all clips, or over those with the `chosen` places in `clips`."""
        measured, rows = self.measured[method, metric], self._rows(chosen)
        values, weights = measured.values[rows], measured.weights[rows]
        return self._pooled(method, metric, measured.frames, values, weights)

    def difference(self, method: str, other: str, metric: str) -> PooledCurve:
        """Curve of `method` minus that of `other`, with the interval of the paired difference."""
        a, b = self.measured[method, metric], self.measured[other, metric]
        draws = self._draws(len(self.clips))
        pairs = [(each.values, each.weights) for each in (a, b)]
        drawn = _drawn(draws, *pairs[0]) - _drawn(draws, *pairs[1])
        low, high = _percentiles(drawn)
        both = (pairs[0][1] > 0) & (pairs[1][1] > 0)
        value = _pool(*pairs[0]) - _pool(*pairs[1])
        name = f"{method} - {other}"
        return PooledCurve(name, metric, a.frames, value, low, high, both.sum(axis=0))

    def overall(self, method: str, metric: str, chosen: Iterable[int] | None = None) -> PooledCurve:
        """One number with its interval, pooled over frames too; its frame is 0."""
        measured, rows = self.measured[method, metric], self._rows(chosen)
        weights = measured.weights[rows].sum(axis=1, keepdims=True)
        total = (measured.values * measured.weights)[rows].sum(axis=1, keepdims=True)
        values = total / np.where(weights > 0, weights, 1)
        return self._pooled(method, metric, np.zeros(1, int), values, weights)

    def _pooled(
        self, method: str, metric: str, frames: np.ndarray, values: np.ndarray, weights: np.ndarray
    ) -> PooledCurve:
        low, high = _percentiles(_drawn(self._draws(len(values)), values, weights))
        counts = (weights > 0).sum(axis=0)
        return PooledCurve(method, metric, frames, _pool(values, weights), low, high, counts)

    def clip_means(self, method: str, metric: str) -> Float[np.ndarray, " c"]:
        """One number a clip: its mean over frames and joints; NaN where nothing was measured."""
        measured = self.measured[method, metric]
        return _pool(measured.values.T, measured.weights.T)

    def by_action(self) -> dict[str, list[int]]:
        """Places in `clips` of each action's clips."""
        actions = np.array(self.actions)
        return {name: np.flatnonzero(actions == name).tolist() for name in sorted({*self.actions})}

    def by_movement(self, num_groups: int) -> list[list[int]]:
        """Places in `clips`, in groups of equal size from those whose joints move least to most.

        The analysis of the paper's supplement, which splits test clips into tenths.
        """
        movement = self.clip_means(TRUTH, "movement")
        order = [place for place in np.argsort(movement, kind="stable") if movement[place] >= 0]
        groups = np.array_split(np.array(order, int), min(num_groups, len(order)))
        return [group.tolist() for group in groups]

    def _rows(self, chosen: Iterable[int] | None) -> Int[np.ndarray, " n"]:
        return np.arange(len(self.clips)) if chosen is None else np.array(list(chosen), int)

    def num_clips(self, metric: str) -> int:
        """Clips of which at least one method was measured with the metric."""
        found = [each.weights for (_, name), each in self.measured.items() if name == metric]
        measured = [weights.any(axis=1) for weights in found]
        return int(np.any(measured, axis=0).sum()) if measured else 0

    def is_whole(self, metric: str) -> bool:
        """Whether the metric is one number a clip, or for all clips, and not a curve."""
        found = (each for (_, name), each in self.measured.items() if name == metric)
        return all(each.frames.tolist() == [0] for each in found)

    def _draws(self, num_clips: int) -> Float[np.ndarray, "d n"]:
        return bootstrap(num_clips, self.num_draws, self.seed)


@functools.lru_cache(maxsize=32)
def bootstrap(num_clips: int, num_draws: int, seed: int) -> Float[np.ndarray, "d n"]:
    """How often each clip is in each bootstrap sample; the same for all methods."""
    shares = np.full(num_clips, 1 / num_clips)
    draws = as_count(num_draws, "num_draws")
    return np.random.default_rng(seed).multinomial(num_clips, shares, draws).astype(float)


def summarise(table: str | Path, num_draws: int = 1000, seed: int = 0) -> Summary:
    """Read a table (a CSV, or the folder of an evaluation).

    `num_draws` bootstrap samples, drawn with `seed`, make the intervals.
    """
    path = Path(table)
    return summarise_rows(read_table(path / "rows.csv" if path.is_dir() else path), num_draws, seed)


def summarise_rows(rows: Iterable[Row], num_draws: int = 1000, seed: int = 0) -> Summary:
    """As `summarise`, from rows: those of the likeliest futures, and of all futures together."""
    clips: dict[str, str] = {}
    places: dict[str, int] = {}
    found: dict[tuple[str, str], list[tuple[int, int, float, float]]] = {}
    totals: dict[tuple[str, str], float] = {}
    for row in rows:
        if row.sample > 1:
            continue
        if row.clip == ALL_CLIPS:
            totals[row.method, row.metric] = row.value
            continue
        place = places.setdefault(row.clip, len(places))
        clips[row.clip] = row.action
        entry = (place, row.frame, row.value, row.weight)
        found.setdefault((row.method, row.metric), []).append(entry)
    methods = dict.fromkeys(method for method, _ in found if method != TRUTH)
    metrics = dict.fromkeys(metric for method, metric in found if method != TRUTH)
    measured = {key: _arrange(entries, len(clips)) for key, entries in found.items()}
    names = (tuple(clips), tuple(clips.values()), tuple(methods), tuple(metrics))
    return Summary(*names, num_draws, seed, measured, totals)


def _arrange(entries: list[tuple[int, int, float, float]], num_clips: int) -> _Measured:
    clip, frame, value, weight = (np.array(column) for column in zip(*entries, strict=True))
    frames, places = np.unique(frame.astype(int), return_inverse=True)
    values, weights = np.zeros((2, num_clips, len(frames)))
    values[clip.astype(int), places] = value
    weights[clip.astype(int), places] = weight
    return _Measured(frames, values, weights)


def _pool(
    values: Float[np.ndarray, "c f"], weights: Float[np.ndarray, "c f"]
) -> Float[np.ndarray, " f"]:
    total = weights.sum(axis=0)
    mean = (values * weights).sum(axis=0) / np.where(total > 0, total, 1)
    return np.where(total > 0, mean, np.nan)


def _drawn(
    draws: Float[np.ndarray, "d c"],
    values: Float[np.ndarray, "c f"],
    weights: Float[np.ndarray, "c f"],
) -> Float[np.ndarray, "d f"]:
    """The pooled curve of each bootstrap sample; NaN where a sample measured nothing."""
    total = draws @ weights
    mean = draws @ (values * weights) / np.where(total > 0, total, 1)
    return np.where(total > 0, mean, np.nan)


def _percentiles(
    drawn: Float[np.ndarray, "d f"],
) -> tuple[Float[np.ndarray, " f"], Float[np.ndarray, " f"]]:
    """2.5 % and 97.5 % of each column, those samples left out that measured nothing there."""
    low, high = np.full((2, drawn.shape[1]), np.nan)
    known = ~np.isnan(drawn).all(axis=0)
    if known.any():
        low[known], high[known] = np.nanpercentile(drawn[:, known], [2.5, 97.5], axis=0)
    return low, high
