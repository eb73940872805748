"""The few numbers to read in a terminal when an evaluation has ended."""

from posecast.evaluation.summary import Summary
from posecast.report.metric_names import is_pose_metric, style_of
from posecast.report.tables import Table, curve_metrics, horizon_table

_SHOWN = ("+1", "+8", "+16", "+32", "+64")


def headline_text(summary: Summary) -> str:
    """One metric of poses and one of frames: methods by a few horizons, and the clips behind them.

    Mean joint distance and PSNR where they were measured, else the first metric of the kind.
    """
    metrics = curve_metrics(summary)
    of_poses = [metric for metric in metrics if is_pose_metric(metric)]
    of_frames = [metric for metric in metrics if not is_pose_metric(metric)]
    chosen = [
        favourite if favourite in group else group[0]
        for favourite, group in (("distance", of_poses), ("psnr", of_frames))
        if group
    ]
    return "\n\n".join(_metric_text(summary, metric) for metric in chosen)


def _metric_text(summary: Summary, metric: str) -> str:
    style, table = style_of(metric), horizon_table(summary, metric)
    unit = f" ({style.unit})" if style.unit else ""
    title = f"{style.title}{unit}, frames after the last seen one; {style.direction}"
    return "\n".join([title, *text_lines(table)])


def text_lines(table: Table) -> list[str]:
    """The table in columns of text, those of _SHOWN and the last one, without the intervals."""
    last = len(table.columns) - 1
    places = [n for n, name in enumerate(table.columns) if name in _SHOWN or n == last]
    rows = [("", [table.columns[n] for n in places])]
    rows += [(name, [cells[n - 1].text for n in places]) for name, cells in table.rows]
    width = max(len(name) for name, _ in rows)
    return [f"  {name:{width}}" + "".join(f"{text:>8}" for text in texts) for name, texts in rows]
