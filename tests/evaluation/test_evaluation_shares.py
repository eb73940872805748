"""Evaluations split over processes, and tables that are put together."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from share_of_evaluation import evaluate_clips

from posecast.computing.devices import Share
from posecast.evaluation.table import Curve, TableWriter, read_table

SCRIPT = Path(__file__).with_name("share_of_evaluation.py")
TORCHRUN = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")
CURVE = Curve("still", "psnr", np.array([1, 2]), np.array([20.0, 19.0]), np.ones(2), "crop 1x1")


def _evaluate_in_two(out: Path) -> list[str]:
    # The sources under test first, wherever the package is installed from.
    root = SCRIPT.parents[2]
    path = os.pathsep.join(map(str, (root / "src", SCRIPT.parent, root / "tests")))
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": path}
    command = [sys.executable, *TORCHRUN, str(SCRIPT), str(out)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    return [line for line in done.stdout.splitlines() if line.startswith("report: ")]


@pytest.mark.slow
def test_two_processes_evaluate_what_one_does(tmp_path: Path) -> None:
    evaluate_clips(tmp_path / "alone", Share())
    assert _evaluate_in_two(tmp_path / "together") == ["report: 5 ['short']"] * 2
    tables = [sorted(read_table(tmp_path / name / "rows.csv")) for name in ("alone", "together")]
    assert tables[0] == tables[1]
    assert not list((tmp_path / "together").glob("rows.process-*"))
    examples = [
        sorted(path.name for path in (tmp_path / name / "examples").iterdir())
        for name in ("alone", "together")
    ]
    assert examples[0] == examples[1]


def _table(path: Path, *clips: str) -> TableWriter:
    table = TableWriter(path)
    for clip in clips:
        table.write(clip, "walk", [CURVE], np.array([4, 5]))
    return table


def test_absorbed_clips_are_there_once(tmp_path: Path) -> None:
    table = _table(tmp_path / "rows.csv", "a")
    parts = [tmp_path / "part-0.csv", tmp_path / "part-1.csv"]
    _table(parts[0], "a", "b")
    _table(parts[1], "c")
    table.absorb(parts)
    rows = list(read_table(tmp_path / "rows.csv"))
    assert [row.clip for row in rows] == [*"aabbcc"]
    assert {row.value for row in rows} == {20.0, 19.0}
    assert table.done == {"a", "b", "c"}
    assert not any(part.exists() for part in parts)


def test_the_last_clip_of_a_broken_table_is_not_absorbed(tmp_path: Path) -> None:
    table = _table(tmp_path / "rows.csv")
    part = tmp_path / "part-0.csv"
    _table(part, "a", "b")
    part.write_text(part.read_text()[:-5])
    table.absorb([part], broken=True)
    assert [row.clip for row in read_table(tmp_path / "rows.csv")] == ["a", "a"]
    assert table.done == {"a"}


def test_the_beginning_of_a_name_does_not_make_the_clip_before_it_whole(tmp_path: Path) -> None:
    """A disk that is full ends a line anywhere: "b" of a clip "bb" is no clip after it."""
    path = tmp_path / "rows.csv"
    _table(path, "a", "bb")
    path.write_text(path.read_text()[: path.read_text().rindex("bb") + 1])
    assert TableWriter(path).done == {"a"}
    assert {row.clip for row in read_table(path)} == {"a"}
