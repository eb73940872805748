"""Several processes: how clips are split, and that a split prediction is the same prediction."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from posecast.devices import Share, build_fabric
from test_prediction import make_store, write_pose_run

SCRIPT = Path(__file__).with_name("share_of_prediction.py")
TORCHRUN = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")


@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_shares_are_all_of_it_and_differ_by_one_at_most(count: int) -> None:
    items = list(range(7))
    shares = [Share(rank, count).of(items) for rank in range(count)]
    assert sorted(item for share in shares for item in share) == items
    assert max(map(len, shares)) - min(map(len, shares)) <= 1
    assert [Share(rank, count).is_first for rank in range(count)] == [True] + [False] * (count - 1)


def test_one_process_waits_for_nobody() -> None:
    share = Share.join("cpu", 1, 1)
    share.wait()
    assert share.gather("mine") == ["mine"]


def test_no_devices_are_refused() -> None:
    with pytest.raises(ValueError, match="num_devices 0"):
        build_fabric("cpu", 0)


def _predict(store: Path, run: Path, out: Path, num_devices: int, *launcher: str) -> list[str]:
    command = [sys.executable, *launcher, str(SCRIPT), str(store), str(run), str(out)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [*command, str(num_devices)], env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return [line for line in done.stdout.splitlines() if line.startswith("report: ")]


@pytest.mark.slow
@pytest.mark.parametrize("launcher", [(), TORCHRUN], ids=["fabric", "torchrun"])
def test_two_processes_forecast_what_one_does(tmp_path: Path, launcher: tuple[str, ...]) -> None:
    store, run = make_store(tmp_path / "store"), write_pose_run(tmp_path / "pose")
    expected = _predict(store, run, tmp_path / "alone", 1)
    together = _predict(store, run, tmp_path / "together", 2, *launcher)
    assert together == expected * 2
    for name in ("index.jsonl", "left_out.jsonl"):
        assert (tmp_path / "together" / name).read_text() == (tmp_path / "alone" / name).read_text()
    clips = sorted(path.name for path in (tmp_path / "alone" / "clips").iterdir())
    assert clips == sorted(path.name for path in (tmp_path / "together" / "clips").iterdir())
    for clip in clips:
        ours, theirs = (
            np.load(tmp_path / name / "clips" / clip / "joints.npz")
            for name in ("together", "alone")
        )
        assert set(ours) == set(theirs)
        for name in ours:
            np.testing.assert_allclose(ours[name], theirs[name], atol=1e-6)
    # Those that are there are kept, by however many processes.
    again = _predict(store, run, tmp_path / "alone", 2, *launcher)
    assert again[0].startswith(f"report: 0 {expected[0].split()[1]} ")
