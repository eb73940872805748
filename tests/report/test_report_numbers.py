"""What a report says in numbers: headlines, tables, names of metrics, charts."""

import re
from pathlib import Path

import numpy as np
import pytest
from test_report import evaluated

from posecast.evaluation.summary import summarise
from posecast.evaluation.table import Curve, TableWriter
from posecast.report.charts import Line, line_chart, round_ticks
from posecast.report.headline import headline_text, verdicts
from posecast.report.metric_names import in_order, style_of
from posecast.report.tables import action_table, headline_tables, horizon_table


@pytest.fixture
def two_methods(tmp_path) -> Path:
    """Forecast 2 % off, the last pose 2 % to 6 % off; the oracle is perfect."""
    writer = TableWriter(tmp_path / "rows.csv")
    frames = np.arange(1, 9)
    for n in range(10):
        values = {"oracle": 0.0 * frames, "forecast": 0.02 + 0.0 * frames}
        values["last pose"] = 0.02 + 0.005 * (frames - 1) + 0.0001 * n
        curves = [
            Curve(name, "distance", frames, each, np.ones(8), "") for name, each in values.items()
        ]
        writer.write(f"c{n}", "walk", curves, frames)
    return tmp_path / "rows.csv"


def test_headline_says_what_is_better_beyond_doubt(two_methods):
    table = headline_tables(summarise(two_methods), ["distance"])[0]
    assert table.columns[1:] == (
        "Mean joint distance (% of box) at +2",
        "Mean joint distance (% of box) at +8",
    )
    rows = dict(table.rows)
    assert [cell.text for cell in rows["forecast"]] == ["2.0", "2.0"]
    assert rows["forecast"][1].mark == "best better"
    assert rows["forecast"][1].note.startswith("-3.5 [")
    assert rows["last pose"][1].mark == ""
    assert "best" not in rows["oracle"][1].mark
    by_action = dict(action_table(summarise(two_methods), "distance").rows)["walk"]
    assert [cell.text for cell in by_action] == ["10", "0.0", "2.0", "5.5"]


def test_a_sentence_says_how_much_better_than_standing_still(two_methods, tmp_path):
    (sentence,) = verdicts(summarise(two_methods), ["forecast"])
    assert sentence == (
        "2 frames ahead the joints of 'forecast' are 21 % nearer to the truth than if the person "
        "stood still (2.0 against 2.5 % of the box), 8 frames ahead 64 % nearer (2.0 against 5.5 "
        "% of the box)."
    )
    (sentence,) = verdicts(summarise(two_methods), ["last pose"])
    assert "'last pose' are as near to the truth as if the person stood still (2.5" in sentence
    assert "8 frames ahead as near (5.5 against 5.5" in sentence
    # Of frames by PSNR; where clips disagree it is said.
    evaluation = evaluated(tmp_path / "evaluation")
    (frames,) = verdicts(summarise(evaluation), ["optical flow"])
    assert "the pictures of 'optical flow' are" in frames
    assert "dB" in frames
    assert verdicts(summarise(evaluation), ["nobody"]) == ()


def test_what_the_clips_do_not_tell_is_not_claimed(tmp_path):
    writer = TableWriter(tmp_path / "rows.csv")
    frames = np.arange(1, 3)
    for n in range(10):
        values = {"forecast": 0.02 + 0.01 * (-1) ** n, "last pose": 0.02}
        curves = [
            Curve(name, "distance", frames, np.full(2, each), np.ones(2), "")
            for name, each in values.items()
        ]
        writer.write(f"c{n}", "walk", curves, frames)
    (sentence,) = verdicts(summarise(tmp_path / "rows.csv"), ["forecast"])
    assert sentence.count("not certain from these clips") == 1


def test_tables_say_what_their_metrics_are(two_methods):
    for table in (headline_tables, action_table):
        metric = "distance" if table is action_table else ["distance"]
        made = table(summarise(two_methods), metric)
        (meaning,) = (made[0] if isinstance(made, list) else made).meanings
        assert "the box, the rectangle around the person over the whole clip" in meaning


def test_headline_for_a_terminal(two_methods):
    assert headline_text(summarise(two_methods)).splitlines() == [
        "Mean joint distance (% of box), frames after the last seen one; lower is better",
        "                        +1      +8",
        "  oracle               0.0     0.0",
        "  forecast             2.0     2.0",
        "  last pose            2.0     5.5",
        "  clips with truth      10      10",
    ]


def test_horizon_table_counts_clips(two_methods):
    table = horizon_table(summarise(two_methods), "distance")
    assert table.columns == ("Method", "+1", "+2", "+4", "+8")
    assert [cell.text for cell in dict(table.rows)["clips with truth"]] == ["10"] * 4


def test_metrics_have_names_units_and_order():
    assert style_of("pck@0.05").text(0.1234) == "12.3"
    assert style_of("distance").direction == "lower is better"
    assert style_of("psnr").text(float("nan")) == "-"
    assert style_of("unheard of").title == "unheard of"
    assert in_order(("ssim", "pck@0.1", "new", "psnr")) == ["pck@0.1", "psnr", "ssim", "new"]


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0.0, 1.0, (0, 0.2, 0.4, 0.6, 0.8, 1.0)),
        (12.0, 31.0, (10, 15, 20, 25, 30, 35)),
        (3.0, 3.0, (3, 4)),
        (-1.0, 1.0, (-1, -0.5, 0, 0.5, 1)),
        (0.1, 0.9, (0, 0.2, 0.4, 0.6, 0.8, 1.0)),
    ],
)
def test_axis_has_round_numbers(low, high, expected):
    ticks = round_ticks(low, high)
    assert ticks[0] <= low
    assert ticks[-1] >= high
    assert ticks == pytest.approx(expected)


def test_a_chart_draws_what_it_is_given():
    nan = float("nan")
    line = Line("m", 1, (1.0, 2.0, 3.0), (0.0, 1.0, nan), (nan, 0.5, nan), (nan, 1.5, nan))
    ticks = [(1.0, "+1", "5"), (3.0, "+3", "2")]
    svg = line_chart([line], ticks, 'A "title"', "frames", "words")
    assert 'aria-label="A &quot;title&quot;. words"' in svg
    assert "nan" not in svg
    # y from 0 to 1.5 in the picture: 0 is at its bottom, 1 at two thirds of the height.
    points = re.search(r'class="line s1" d="M([\d.]+) ([\d.]+)L([\d.]+) ([\d.]+)"', svg)
    x0, y0, x1, y1 = map(float, points.groups())
    assert (x0, y0) == (48, 218)
    assert x1 == pytest.approx(48 + 372 / 2)
    assert y1 < y0
