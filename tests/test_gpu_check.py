"""The script that runs where a card can be had for minutes only: all of its parts, as a toy."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
NEED_CARD = ("compiled", "passes")


@pytest.mark.slow
def test_every_part_runs(tmp_path: Path) -> None:
    out = tmp_path / "gpu.json"
    command = [sys.executable, "-m", "benchmarks.gpu_check", "--toy", "--out", str(out)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT / "src")}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    parts = json.loads(out.read_text())["parts"]
    assert {name: part["status"] for name, part in parts.items()} == dict.fromkeys(parts, 0)
    assert len(parts) == 8
    assert all(part["found"] for name, part in parts.items() if name not in NEED_CARD)
    trainings = parts["trainings"]["found"]
    assert all(each["steps_a_second"] > 0 for each in trainings), trainings
    assert "| image iteration | 2 | bf16 | auto |" in done.stdout
    assert parts["tests"]["found"][0]["failed"] == []
