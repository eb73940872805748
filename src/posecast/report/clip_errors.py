"""How far off the forecasts of one clip are, over time: read from the table, drawn as a chart."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup

from posecast.evaluation.examples import ExampleFacts
from posecast.evaluation.table import read_table
from posecast.report.charts import AHEAD, Line, legend_of, line_chart
from posecast.report.metric_names import style_of
from posecast.report.tables import horizons_of

Curves = dict[tuple[str, int], tuple[list[float], list[float]]]
"""Method and future (from 1) -> frames and values."""


@dataclass(frozen=True)
class ErrorChart:
    """A chart of one clip."""

    title: str
    svg: Markup
    legend: tuple[tuple[str, Markup], ...]

    @classmethod
    def of(cls, lines: Sequence[Line], title: str, direction: str) -> "ErrorChart":
        """Lines over the frames that are played; `direction` is which way is better."""
        last = round(max(line.x[-1] for line in lines))
        ticks = [(float(frame), f"+{frame}", "") for frame in horizons_of(last)]
        said = f"{direction}; the upright line is the frame shown"
        svg = line_chart(lines, ticks, title, AHEAD, said, cursor=True)
        legend = legend_of({line.name: line.style for line in lines})
        return cls(f"{title}, {direction}", svg, legend)


def read_clip_errors(path: Path, shown: Sequence[ExampleFacts]) -> dict[str, Curves]:
    """For each of these clips the metric that it was ranked by, of all methods and futures."""
    wanted = {(facts.clip_id, facts.metric) for facts in shown}
    found: dict[str, Curves] = {facts.clip_id: {} for facts in shown}
    for row in read_table(path / "rows.csv"):
        if (row.clip, row.metric) in wanted:
            curve = found[row.clip].setdefault((row.method, row.sample), ([], []))
            curve[0].append(float(row.frame))
            curve[1].append(row.value)
    return found


def error_chart(facts: ExampleFacts, curves: Curves, methods: Sequence[str]) -> ErrorChart:
    """Lines in the colours of the page, those of several futures of the clip's forecast apart;
    `methods` are all of the page, in their order."""
    style = style_of(facts.metric)
    shown = {key: each for key, each in curves.items() if key[1] == 1 or key[0] == facts.method}
    several = any(sample > 1 for _, sample in shown)
    lines = []
    for (method, sample), (frames, values) in shown.items():
        y = tuple(style.scale * value for value in values)
        future = sample if several and method == facts.method else 0
        lines.append(Line(method, methods.index(method), tuple(frames), y, future=future))
    return ErrorChart.of(lines, f"{style.heading} over time", style.direction)
