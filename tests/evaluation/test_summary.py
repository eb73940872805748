"""What a table says, on tables small enough to pool by hand."""

import numpy as np
import pytest

from posecast.evaluation.summary import summarise, summarise_rows
from posecast.evaluation.table import Curve, Row, TableWriter
from posecast.records.files import FileError


def rows(values: dict[str, list[float]], method="m", metric="distance", weight=1.0) -> list[Row]:
    """One curve a clip; the action of clip a1 is a."""
    return [
        Row(clip, clip[0], method, metric, 1, frame, value, weight, frame, "")
        for clip, curve in values.items()
        for frame, value in enumerate(curve, start=1)
    ]


def test_pooled_over_joints_and_clips():
    table = rows({"a1": [1.0, 2.0]}, weight=1.0) + rows({"b1": [4.0]}, weight=3.0)
    curve = summarise_rows(table).curve("m", "distance")
    assert curve.frames.tolist() == [1, 2]
    assert curve.values == pytest.approx([(1 + 3 * 4) / 4, 2.0])
    assert curve.num_clips.tolist() == [2, 1]
    assert curve.at(2) == 2.0
    assert np.isnan(curve.at(7))


def test_interval_of_known_spread():
    rng = np.random.default_rng(0)
    table = rows({f"a{number}": [value] for number, value in enumerate(rng.normal(5, 1, 400))})
    curve = summarise_rows(table, num_draws=2000).curve("m", "distance")
    # The mean of 400 numbers of deviation 1 has a deviation of 0.05.
    assert curve.high[0] - curve.low[0] == pytest.approx(4 * 0.05, rel=0.1)
    assert curve.low[0] < 5 < curve.high[0]
    again = summarise_rows(table, num_draws=2000).curve("m", "distance")
    assert (curve.low, curve.high) == (again.low, again.high)


def test_one_clip_has_no_spread():
    curve = summarise_rows(rows({"a1": [3.0]})).curve("m", "distance")
    assert (curve.low[0], curve.high[0]) == (3.0, 3.0)


def test_what_was_measured_of_no_clip_is_nan():
    table = rows({"a1": [1.0]}, metric="psnr") + rows({"a1": [2.0], "b1": [3.0]})
    summary = summarise_rows(table)
    curve = summary.curve("m", "psnr", summary.by_action()["b"])
    assert np.isnan([*curve.values, *curve.low, *curve.high]).all()


def test_paired_differences_are_tighter_than_their_parts():
    rng = np.random.default_rng(0)
    hard = rng.uniform(0, 10, 50)
    table = rows({f"a{n}": [value] for n, value in enumerate(hard)}, "worse")
    table += rows({f"a{n}": [value - 1] for n, value in enumerate(hard)}, "better")
    summary = summarise_rows(table)
    difference = summary.difference("better", "worse", "distance")
    assert difference.values[0] == pytest.approx(-1)
    assert (difference.low[0], difference.high[0]) == pytest.approx((-1, -1))
    assert summary.curve("worse", "distance").high[0] > summary.curve("worse", "distance").low[0]


def test_by_action_and_by_movement():
    values = {f"{'ab'[n % 2]}{n}": [float(n)] for n in range(10)}
    table = rows(values)
    table += [
        Row(clip, clip[0], "truth", "movement", 1, 0, -curve[0] + 20, 1.0, None, "")
        for clip, curve in values.items()
    ]
    summary = summarise_rows(table)
    assert summary.methods == ("m",)
    assert set(summary.metrics) == {"distance"}
    groups = summary.by_movement(5)
    assert [len(group) for group in groups] == [2] * 5
    assert [summary.curve("m", "distance", group).values[0] for group in groups] == pytest.approx(
        [8.5, 6.5, 4.5, 2.5, 0.5]
    )
    by_action = {name: summary.curve("m", "distance", c) for name, c in summary.by_action().items()}
    assert by_action["a"].values[0] == pytest.approx(4)
    assert by_action["b"].values[0] == pytest.approx(5)
    assert summary.clip_means("m", "distance") == pytest.approx(np.arange(10))


def test_a_written_table_reads_back(tmp_path):
    path = tmp_path / "rows.csv"
    curve = Curve(
        "m", "distance", np.array([1, 2]), np.array([0.5, 9.0]), np.array([2.0, 0.0]), "c"
    )
    TableWriter(path).write('clip "1", odd', "walk, fast", [curve], np.array([10, 11]))
    table = summarise(path)
    assert table.clips == ('clip "1", odd',)
    assert table.actions == ("walk, fast",)
    assert table.curve("m", "distance").frames.tolist() == [1]  # weight 0 is not written


def test_damaged_tables_are_named(tmp_path):
    with pytest.raises(FileError, match="there is no table"):
        summarise(tmp_path / "rows.csv")
    (tmp_path / "rows.csv").write_text("clip,frame\n")
    with pytest.raises(FileError, match="has the columns"):
        summarise(tmp_path / "rows.csv")
    TableWriter(tmp_path / "other.csv")
    with (tmp_path / "other.csv").open("a") as file:
        file.write("a,b,c,d,first,0.1,1,2,x\n")
    with pytest.raises(FileError, match="line 2 is damaged"):
        summarise(tmp_path / "other.csv")
