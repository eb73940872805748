"""Line charts as inline SVG: they follow the page's colours, print sharply and need no script."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
from jaxtyping import Num
from markupsafe import Markup

from posecast.report.tables import Table

WIDTH, HEIGHT = 440, 270
LEFT, RIGHT, TOP, BOTTOM = 48, 20, 12, 52
_ABOUT, _APART = 5, 30
"""Ticks of the y axis; distance between those of the x axis, at least."""
AHEAD = "frames after the last seen one"
"""What most x axes count."""
NUM_LINE_STYLES = 8
"""Colours and dashes of the page's style sheet."""
_KEY = (
    '<svg class="key" viewBox="0 0 28 8" aria-hidden="true">'
    '<path class="line s{}" d="M1 4H27"/></svg>'
)

Numbers = Sequence[float] | Num[np.ndarray, " n"]


@dataclass(frozen=True, eq=False)
class Line:
    """One curve; NaN leaves a gap."""

    name: str
    style: int
    """Which colour and dash, from 0."""
    x: Numbers
    y: Numbers
    low: Numbers = ()
    """Of a band around it, as `high`; () for none."""
    high: Numbers = ()
    future: int = 0
    """Which of several futures of one method, from 1; 0: the method has no others in the chart."""


@dataclass(frozen=True)
class Figure:
    """A chart with its numbers."""

    title: str
    meaning: str
    svg: Markup
    table: Table


def line_chart(
    lines: Sequence[Line],
    ticks: Sequence[tuple[float, str, str]],
    title: str,
    x_label: str,
    description: str,
    cursor: bool = False,
) -> Markup:
    """An SVG element with bands, lines, y axis of round numbers, and two rows of x labels.

    `ticks` are x, label, and a note below it (the number of clips). `description` is for readers
    who cannot see it. `cursor` adds an upright line, hidden until the page's script moves it to a
    frame.
    """
    scale = _Scale.of(lines)
    parts = [_axis(scale, ticks, x_label)]
    parts += [_band(scale, line) for line in lines]
    parts += [_curve(scale, line) for line in lines]
    parts += [_cursor(scale)] if cursor else []
    return Markup(
        f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'aria-label="{escape(title)}. {escape(description)}">{"".join(parts)}</svg>'
    )


@dataclass(frozen=True)
class _Scale:
    """From numbers to places in the picture."""

    x_low: float
    x_high: float
    y_ticks: tuple[float, ...]

    @classmethod
    def of(cls, lines: Sequence[Line]) -> "_Scale":
        xs = [x for line in lines for x in line.x]
        ys = [y for line in lines for row in (line.y, line.low, line.high) for y in row]
        ys = [y for y in ys if math.isfinite(y)] or [0.0]
        return cls(float(min(xs)), float(max(xs)), round_ticks(min(ys), max(ys)))

    def x(self, value: float) -> float:
        span = (self.x_high - self.x_low) or 1.0
        return LEFT + (WIDTH - LEFT - RIGHT) * (value - self.x_low) / span

    def y(self, value: float) -> float:
        low, high = self.y_ticks[0], self.y_ticks[-1]
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * (value - low) / (high - low)


def round_ticks(low: float, high: float) -> tuple[float, ...]:
    """Round numbers, evenly spaced, from at or below `low` to at or above `high`.

    Starts at 0 where that costs little of the picture.
    """
    low = 0.0 if 0 < low < 0.25 * high else low
    span = (high - low) or max(abs(high), 1.0)
    power = 10.0 ** math.floor(math.log10(span / _ABOUT))
    step = next(power * each for each in (1, 2, 2.5, 5, 10) if power * each * _ABOUT >= span)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    last = max(last, first + 1)
    return tuple(float(round(step * number, 10)) for number in range(first, last + 1))


def _axis(scale: _Scale, ticks: Sequence[tuple[float, str, str]], x_label: str) -> str:
    parts = []
    for value in scale.y_ticks:
        y = scale.y(value)
        parts.append(f'<path class="grid" d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}"/>')
        parts.append(f'<text class="y" x="{LEFT - 6}" y="{y + 4:.1f}">{value:g}</text>')
    base = HEIGHT - BOTTOM
    for value, label, note in _spaced(scale, ticks):
        x = scale.x(value)
        parts.append(f'<path class="tick" d="M{x:.1f} {base}v4"/>')
        parts.append(f'<text class="x" x="{x:.1f}" y="{base + 16}">{escape(label)}</text>')
        parts.append(f'<text class="n" x="{x:.1f}" y="{base + 29}">{escape(note)}</text>')
    middle = (LEFT + WIDTH - RIGHT) / 2
    parts.append(f'<text class="x" x="{middle:.0f}" y="{HEIGHT - 6}">{escape(x_label)}</text>')
    return "".join(parts)


def _spaced(scale: _Scale, ticks: Sequence[tuple[float, str, str]]) -> list[tuple[float, str, str]]:
    """Ticks that do not run into one another; the last one always stays."""
    kept: list[tuple[float, str, str]] = []
    for tick in reversed(ticks):
        if not kept or scale.x(kept[-1][0]) - scale.x(tick[0]) >= _APART:
            kept.append(tick)
    return kept[::-1]


def _points(scale: _Scale, xs: Numbers, ys: Numbers) -> list[str]:
    return [f"{scale.x(x):.1f} {scale.y(y):.1f}" for x, y in zip(xs, ys, strict=True)]


def _band(scale: _Scale, line: Line) -> str:
    known = np.isfinite(line.low) & np.isfinite(line.high)
    if not known.any():
        return ""
    xs, lows, highs = (np.array(each, float)[known] for each in (line.x, line.low, line.high))
    low, high = _points(scale, xs, lows), _points(scale, xs, highs)
    return (
        f'<path class="band s{line.style % NUM_LINE_STYLES}" d="M{"L".join(high + low[::-1])}Z"/>'
    )


def _curve(scale: _Scale, line: Line) -> str:
    known = np.isfinite(line.y)
    if not known.any():
        return ""
    points = _points(scale, np.array(line.x, float)[known], np.array(line.y)[known])
    style = f"s{line.style % NUM_LINE_STYLES}"
    future = f' data-future="{line.future}"' if line.future else ""
    if len(points) == 1:
        return f'<path class="line dot {style}"{future} d="M{points[0]}h.1"/>'
    return f'<path class="line {style}"{future} d="M{"L".join(points)}"/>'


def _cursor(scale: _Scale) -> str:
    """At frame 0; the script shifts it by `data-frame` a frame."""
    start, apart = scale.x(0.0), scale.x(1.0) - scale.x(0.0)
    return (
        f'<path class="cursor" data-frame="{apart:.4f}" hidden '
        f'd="M{start:.1f} {TOP}V{HEIGHT - BOTTOM}"/>'
    )


def legend_of(styles: Mapping[str, int]) -> tuple[tuple[str, Markup], ...]:
    """Names of lines, each with a short piece of its line."""
    return tuple((name, Markup(_KEY.format(n % NUM_LINE_STYLES))) for name, n in styles.items())
