"""Several processes: how clips are split, and that a split prediction is the same prediction."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from posecast.computing.devices import RunOn, Share
from posecast.errors import PosecastError
from posecast.forecasting.prediction import predict_store
from share_of_prediction import CONFIG
from test_prediction import make_store, write_pose_run

SCRIPT = Path(__file__).with_name("share_of_prediction.py")
FORKED = """
import os, signal, torch
import posecast.computing.devices
torch.set_num_threads(2)
large = torch.ones(1000, 1000)
large.exp() @ large  # starts torch's threads, which a fork leaves behind
child = os.fork()
if not child:
    signal.alarm(20)
    large.exp() @ large
    os._exit(0)
os._exit(os.waitpid(child, 0)[1] != 0)
"""


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


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_forked_process_computes_on() -> None:
    subprocess.run([sys.executable, "-c", FORKED], check=True, timeout=120)


def test_no_devices_are_refused() -> None:
    with pytest.raises(ValueError, match="num_devices is 0"):
        Share.join("cpu", 0, 1)


def test_a_device_that_is_none_is_named_with_those_that_are() -> None:
    run_on = RunOn()
    object.__setattr__(run_on, "device", "cuda:1")  # types are checked in tests alone
    with pytest.raises(PosecastError, match="device is 'cuda:1'; give auto, cpu, cuda or mps"):
        run_on.pick_device()


def _predict_in_two(store: Path, run: Path, out: Path) -> list[str]:
    command = [sys.executable, str(SCRIPT), str(store), str(run), str(out)]
    path = os.pathsep.join(map(str, (SCRIPT.parents[1] / "src", SCRIPT.parent)))
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": path}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    return [line for line in done.stdout.splitlines() if line.startswith("report: ")]


@pytest.mark.slow
def test_two_processes_forecast_what_one_does(tmp_path: Path) -> None:
    """Started by Fabric; evaluations in two processes are tested with torchrun."""
    store, run = make_store(tmp_path / "store"), write_pose_run(tmp_path / "pose")
    alone = predict_store(CONFIG, store, run, None, tmp_path / "alone")
    assert (alone.num_kept, alone.num_forecast) == (0, 3)
    said = f"report: {alone.num_forecast} 0 {sorted(alone.left_out)}"
    assert _predict_in_two(store, run, tmp_path / "together") == [said] * 2
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
    # Those that are there are kept, however many processes made them.
    again = predict_store(CONFIG, store, run, None, tmp_path / "together")
    assert (again.num_kept, again.num_forecast) == (3, 0)
