"""Programs outside the package: each says what it does and which words it takes."""

import runpy
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import kills

ROOT = Path(__file__).parents[1]
PROGRAMS = sorted(
    path.relative_to(ROOT)
    for path in ROOT.glob("benchmarks/**/*.py")
    if 'if __name__ == "__main__":' in path.read_text(encoding="utf-8")
)


@pytest.mark.parametrize("program", PROGRAMS, ids=str)
def test_every_program_says_how_it_is_called(program, capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", [str(program), "--help"])
    with pytest.raises(SystemExit) as stop:
        runpy.run_path(str(ROOT / program), run_name="__main__")
    assert stop.value.code in (0, None)
    said = capsys.readouterr().out
    assert said.startswith("usage: ")
    assert "--help" in said


def test_ablations_measure_each_row_by_a_process_that_starts(monkeypatch):
    called = []
    with monkeypatch.context() as patch:
        patch.setattr(sys, "argv", ["ablations"])
        patch.setattr(subprocess, "run", lambda command, **_: called.append(command))
        runpy.run_path(str(ROOT / "benchmarks/ablations.py"), run_name="__main__")
    assert len(called) == 10
    subprocess.run([*called[0][:-2], "--help"], cwd=ROOT, check=True)


def test_what_is_killed_can_be_set_up(tmp_path, monkeypatch):
    for name in ("write_penn_layout", "_prepare", "train_pose", "train_image"):
        monkeypatch.setattr(kills, name, lambda *given, **named: None)

    assert len(kills._stages(tmp_path)) == 5


def test_there_are_programs():
    assert len(PROGRAMS) > 20
