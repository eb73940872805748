"""The few numbers to read first: in a terminal when an evaluation has ended, in a sentence above
the tables of a page."""

from collections.abc import Sequence
from dataclasses import dataclass

from posecast.evaluation.summary import Summary
from posecast.report import tables
from posecast.report.metric_names import is_pose_metric, style_of

_SHOWN = ("+1", "+8", "+16", "+32", "+64")


def headline_text(summary: Summary) -> str:
    """One metric of poses and one of frames: methods by a few horizons, and the clips behind them.

    Mean joint distance and PSNR where they were measured, else the first metric of the kind.
    """
    metrics = tables.curve_metrics(summary)
    of_poses = [metric for metric in metrics if is_pose_metric(metric)]
    of_frames = [metric for metric in metrics if not is_pose_metric(metric)]
    chosen = [
        favourite if favourite in group else group[0]
        for favourite, group in (("distance", of_poses), ("psnr", of_frames))
        if group
    ]
    return "\n\n".join(_metric_text(summary, metric) for metric in chosen)


def _metric_text(summary: Summary, metric: str) -> str:
    style, table = style_of(metric), tables.horizon_table(summary, metric)
    title = f"{style.heading}, frames after the last seen one; {style.direction}"
    return "\n".join([title, *text_lines(table)])


def text_lines(table: tables.Table) -> list[str]:
    """The table in columns of text, those of _SHOWN and the last one, without the intervals."""
    last = len(table.columns) - 1
    places = [n for n, name in enumerate(table.columns) if name in _SHOWN or n == last]
    rows = [("", [table.columns[n] for n in places])]
    rows += [(name, [cells[n - 1].text for n in places]) for name, cells in table.rows]
    return in_columns(rows)


def in_columns(rows: Sequence[tuple[str, Sequence[str]]]) -> list[str]:
    """Rows of a name and cells as lines."""
    width = max(len(name) for name, _ in rows)
    return [f"  {name:{width}}" + "".join(f"{text:>8}" for text in texts) for name, texts in rows]


@dataclass(frozen=True)
class _Wording:
    """How a metric is told beside the trivial forecast."""

    metric: str
    still: str
    what: str
    than: str
    unit: str
    relative: bool


_WORDINGS = (
    _Wording(
        *("distance", tables.POSE_REFERENCE, "joints", "the truth than if the person stood still"),
        *("% of the box", True),
    ),
    _Wording(
        *("psnr", tables.FRAME_REFERENCE, "pictures", "the true ones than the last seen frame is"),
        *("dB", False),
    ),
)


def verdicts(summary: Summary, forecasts: Sequence[str]) -> tuple[str, ...]:
    """For each forecast a sentence that says how much better it is than that nothing moves.

    Of poses by the mean joint distance, of frames by PSNR, at an early and a late frame; nothing of
    what was not measured beside the last pose or the last frame.
    """
    sentences = []
    for name in forecasts:
        parts = []
        for each in _WORDINGS:
            if summary.has(name, each.metric) and summary.has(each.still, each.metric):
                whose = f"its {each.what}" if parts else f"the {each.what} of '{name}'"
                parts.append(_against_still(summary, name, each, whose))
        if parts:
            sentences.append(f"{'; '.join(parts)}.")
    return tuple(sentences)


def _against_still(summary: Summary, name: str, words: _Wording, whose: str) -> str:
    mine, still = (summary.curve(each, words.metric) for each in (name, words.still))
    difference = summary.difference(name, words.still, words.metric)
    style, texts = style_of(words.metric), []
    for frame in dict.fromkeys(tables.headline_horizons(mine)):
        a, b = mine.at(frame), still.at(frame)
        gain = a - b if style.higher_is_better else b - a
        amount = (
            f"{abs(100 * gain / b):.0f} %" if words.relative else f"{abs(gain):.1f} {words.unit}"
        )
        is_none = float(amount.split()[0]) == 0
        side = "as near" if is_none else f"{amount} {'nearer' if gain > 0 else 'farther'}"
        than = words.than.replace(" than ", " as ") if is_none else words.than
        low, high = difference.interval(frame)
        sure = "" if low > 0 or high < 0 else ", not certain from these clips"
        told = side if texts else f"{whose} are {side} to {than}"
        numbers = f"{style.text(a)} against {style.text(b)} {words.unit}{sure}"
        texts.append(f"{frame} frames ahead {told} ({numbers})")
    return ", ".join(texts)
