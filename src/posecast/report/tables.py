"""Numbers of a summary as tables of text, ready for the page."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from posecast.evaluation.summary import PAPER_HORIZONS, PooledCurve, Summary
from posecast.report.metric_names import MetricStyle, in_order, is_pose_metric, style_of

POSE_REFERENCE, FRAME_REFERENCE = "last pose", "last frame"
"""The trivial forecasts that others are compared with."""


@dataclass(frozen=True)
class Cell:
    """One cell of a table."""

    text: str
    note: str = ""
    """A second, smaller line."""
    mark: str = ""
    """Words of "best" (of its column), "better" or "worse" (than the trivial forecast, beyond
    doubt)."""


@dataclass(frozen=True)
class Table:
    """A table with a header row and a header column."""

    caption: str
    columns: tuple[str, ...]
    """The first one heads the row names."""
    rows: tuple[tuple[str, tuple[Cell, ...]], ...]
    """Name of the row and its cells."""
    meanings: tuple[str, ...] = ()
    """What its metrics are, where nothing near the table says so."""


def horizons_of(num_frames: int) -> list[int]:
    """The paper's horizons up to the last frame, and the last frame itself."""
    chosen = [frame for frame in PAPER_HORIZONS if frame <= num_frames]
    if num_frames not in chosen:
        # A last column right beside another one says nothing.
        chosen = [frame for frame in chosen if frame <= 0.8 * num_frames] + [num_frames]
    return chosen


def headline_horizons(curve: PooledCurve) -> tuple[int, int]:
    """An early and a late frame; the late one is the last that half of the clips still have."""
    enough = curve.frames[curve.num_clips >= 0.5 * curve.num_clips.max()]
    late = max([frame for frame in PAPER_HORIZONS if frame <= enough.max()], default=1)
    early = max([frame for frame in PAPER_HORIZONS if 4 * frame <= late], default=late)
    return early, late


def curve_metrics(summary: Summary) -> list[str]:
    """Metrics that are curves over frames."""
    return [metric for metric in in_order(summary.metrics) if not summary.is_whole(metric)]


def whole_metrics(summary: Summary) -> list[str]:
    """Metrics that are one number a clip, or one for all clips."""
    names = [metric for metric in summary.metrics if summary.is_whole(metric)]
    totals = dict.fromkeys(metric for _, metric in summary.totals)
    return in_order((*names, *totals))


def methods_with(summary: Summary, metric: str) -> list[str]:
    """Methods that were measured with a metric."""
    return [name for name in summary.methods if summary.has(name, metric)]


def reference_for(summary: Summary, metric: str) -> str | None:
    """The trivial forecast to compare with, if it was evaluated."""
    name = POSE_REFERENCE if is_pose_metric(metric) else FRAME_REFERENCE
    return name if summary.has(name, metric) else None


def headline_tables(summary: Summary, metrics: Sequence[str]) -> list[Table]:
    """Poses and frames: methods, each metric at an early and a late frame, with the difference
    from the trivial forecast."""
    poses = [metric for metric in metrics if is_pose_metric(metric)]
    frames = [metric for metric in metrics if not is_pose_metric(metric)]
    named = {"Forecast poses": poses, "Forecast frames": frames}
    return [_headline(summary, title, group) for title, group in named.items() if group]


def _headline(summary: Summary, title: str, metrics: Sequence[str]) -> Table:
    names = [name for name in summary.methods if any(summary.has(name, m) for m in metrics)]
    columns, rows = ["Method"], {name: [] for name in names}
    for metric in metrics:
        style = style_of(metric)
        first = summary.curve(methods_with(summary, metric)[0], metric)
        for frame in dict.fromkeys(headline_horizons(first)):
            columns.append(f"{style.heading} at +{frame}")
            for name, cell in zip(names, _column(summary, names, metric, frame), strict=True):
                rows[name].append(cell)
    reference = reference_for(summary, metrics[0])
    caption = f"{title}, at an early and a late frame after the last seen one"
    if reference is not None:
        caption += f"; below, the difference from '{reference}' with its 95 % interval"
    filled = tuple((name, tuple(row)) for name, row in rows.items())
    return Table(caption, tuple(columns), filled, _meanings(metrics))


def _meanings(metrics: Sequence[str]) -> tuple[str, ...]:
    styles = [style_of(metric) for metric in metrics]
    return tuple(f"{style.title}: {style.meaning}" for style in styles if style.meaning)


def _column(summary: Summary, names: Sequence[str], metric: str, frame: int) -> list[Cell]:
    """A cell for every method; the best forecast is marked."""
    style, cells, values = style_of(metric), [], []
    for name in names:
        known = summary.has(name, metric)
        values.append(summary.curve(name, metric).at(frame) if known else math.nan)
        beside = _against_reference(summary, name, metric, frame) if known else ("", "")
        cells.append(Cell(style.text(values[-1]), *beside))
    return _mark_best(cells, values, names, style)


def _against_reference(summary: Summary, name: str, metric: str, frame: int) -> tuple[str, str]:
    """Difference from the trivial forecast in words, and whether it is beyond doubt."""
    reference = reference_for(summary, metric)
    if reference is None or reference == name:
        return "", ""
    style = style_of(metric)
    difference = summary.difference(name, reference, metric)
    low, high = difference.interval(frame)
    if math.isnan(low):
        return "", ""
    note = f"{style.signed(difference.at(frame))} [{style.signed(low)}, {style.signed(high)}]"
    up, down = low > 0, high < 0
    better = up if style.higher_is_better else down
    worse = down if style.higher_is_better else up
    return note, "better" if better else "worse" if worse else ""


def clips_by_frame(summary: Summary, metric: str) -> dict[int, int]:
    """How many clips were measured at each frame, by the method that forecasts the farthest."""
    curves = [summary.curve(name, metric) for name in methods_with(summary, metric)]
    longest = max(curves, key=lambda curve: len(curve.frames))
    return dict(zip(longest.frames.tolist(), longest.num_clips.tolist(), strict=True))


def horizon_table(summary: Summary, metric: str) -> Table:
    """One metric: methods by frames, with intervals, and the clips behind each column."""
    style = style_of(metric)
    curves = [summary.curve(name, metric) for name in methods_with(summary, metric)]
    frames = horizons_of(max(int(curve.frames.max()) for curve in curves))
    rows = [
        (curve.method, tuple(_with_interval(curve, each, style) for each in frames))
        for curve in curves
    ]
    counts = clips_by_frame(summary, metric)
    rows.append(("clips with truth", tuple(Cell(str(counts.get(frame, 0))) for frame in frames)))
    unit = f", {style.unit}" if style.unit else ""
    return Table(
        f"{style.title}{unit}, by frames after the last seen one, with 95 % intervals "
        f"({style.direction})",
        ("Method", *(f"+{frame}" for frame in frames)),
        tuple(rows),
    )


def _with_interval(curve: PooledCurve, frame: int, style: MetricStyle) -> Cell:
    low, high = curve.interval(frame)
    note = "" if math.isnan(low) else f"{style.text(low)} to {style.text(high)}"
    return Cell(style.text(curve.at(frame)), note)


def whole_table(summary: Summary, metrics: Sequence[str]) -> Table:
    """Metrics of whole clips: methods, and the truth where it was measured too."""
    rows = [
        (name, tuple(_whole_cell(summary, name, metric) for metric in metrics))
        for name in (*summary.methods, "truth")
        if any(summary.has(name, metric) or (name, metric) in summary.totals for metric in metrics)
    ]
    columns = [style_of(metric).heading for metric in metrics]
    caption = "One number for each clip or for all clips together"
    return Table(caption, ("Method", *columns), tuple(rows), _meanings(metrics))


def _whole_cell(summary: Summary, name: str, metric: str) -> Cell:
    if (name, metric) in summary.totals:
        return Cell(style_of(metric).text(summary.totals[name, metric]))
    if not summary.has(name, metric):
        return Cell("-")
    return _with_interval(summary.curve(name, metric), 0, style_of(metric))


def action_table(summary: Summary, metric: str) -> Table:
    """One metric at its late horizon by action; methods are columns."""
    style, names = style_of(metric), methods_with(summary, metric)
    frame = headline_horizons(summary.curve(names[0], metric))[1]
    rows = []
    for action, places in summary.by_action().items():
        curves = [summary.curve(name, metric, places) for name in names]
        cells = [Cell(style.text(curve.at(frame))) for curve in curves]
        cells = _mark_best(cells, [curve.at(frame) for curve in curves], names, style)
        rows.append((action.replace("_", " ") or "(none)", (Cell(str(len(places))), *cells)))
    unit = f", {style.unit}" if style.unit else ""
    return Table(
        f"{style.title}{unit}, {frame} frames after the last seen one ({style.direction})",
        ("Action", "clips", *names),
        tuple(rows),
        _meanings([metric]),
    )


def _mark_best(
    cells: list[Cell], values: Sequence[float], names: Sequence[str], style: MetricStyle
) -> list[Cell]:
    """Mark the best values as shown; an oracle is not in the race, it knows the future poses."""
    racing = [
        value
        for value, name in zip(values, names, strict=True)
        if name != "oracle" and not math.isnan(value)
    ]
    if not racing:
        return cells
    best = style.text(max(racing) if style.higher_is_better else min(racing))
    return [
        replace(cell, mark=f"best {cell.mark}".strip())
        if name != "oracle" and cell.text == best
        else cell
        for cell, name in zip(cells, names, strict=True)
    ]
