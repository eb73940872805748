"""Two processes compute what one does."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from drawn_squares import write_squares
from torch import Tensor, nn

from feature_weights import hourglass_arrays
from posecast.computing.processes import average_metrics, finest, join_batch_moments
from posecast.networks.kinds import facts_of
from posecast.records.runs import Run
from posecast.villegas2017.hourglass2017 import Hourglass2017

SCRIPT = Path(__file__).with_name("two_processes.py")
TORCHRUN = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")


def _run(
    tmp_path: Path, store: Path, num_devices: int, *launcher: str, device: str = "cpu"
) -> Path:
    out = tmp_path / f"{device}-{num_devices}-{len(launcher)}"
    out.mkdir()
    path = os.pathsep.join(str(SCRIPT.parents[level]) for level in (0, 1))
    environment = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
    told = (str(store), str(out), str(num_devices), device)
    command = [sys.executable, *launcher, str(SCRIPT), *told]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    return out


def _tensors(state: object) -> dict[str, Tensor]:
    if isinstance(state, Tensor):
        return {"": state}
    if isinstance(state, int | float):
        return {"": torch.tensor(float(state))}
    items = state.items() if isinstance(state, dict) else enumerate(state)  # type: ignore[arg-type]
    return {f"{k}.{name}": t for k, value in items for name, t in _tensors(value).items()}


@pytest.mark.slow
def test_two_processes_compute_what_one_does(tmp_path: Path) -> None:
    """Losses, both networks and optimisers, in double precision; launched in both ways."""
    _assert_same(tmp_path, "cpu", (), TORCHRUN)


@pytest.mark.gpu
@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="there are no two CUDA devices")
def test_two_gpus_compute_what_one_does(tmp_path: Path) -> None:
    """By nccl."""
    _assert_same(tmp_path, "cuda", ())


def _assert_same(tmp_path: Path, device: str, *launchers: tuple[str, ...]) -> None:
    store = tmp_path / "store"
    write_squares(store)
    alone = _run(tmp_path, store, 1, device=device)
    expected = _tensors(torch.load(alone / "double.pt", weights_only=True, map_location="cpu"))
    assert len(expected) > 100
    for launcher in launchers:
        together = _run(tmp_path, store, 2, *launcher, device=device)
        got = _tensors(torch.load(together / "double.pt", weights_only=True, map_location="cpu"))
        assert got.keys() == expected.keys()
        for name, value in expected.items():
            torch.testing.assert_close(got[name], value, rtol=1e-6, atol=1e-9, msg=name)
        _assert_same_run(Run.open(alone / "run"), Run.open(together / "run"))


def _assert_same_run(alone: Run, together: Run) -> None:
    """In single precision only about the same."""
    for one, other in zip(alone.read_metrics(), together.read_metrics(), strict=True):
        assert one == pytest.approx(other, rel=1e-3)
    assert facts_of(together.path).step == facts_of(alone.path).step


def test_joined_normalisation_is_the_usual_one_in_one_process() -> None:
    norm = nn.BatchNorm2d(3, eps=1e-3, track_running_stats=False)
    images = torch.randn(4, 3, 5, 5, generator=torch.Generator().manual_seed(0))
    usual = norm(images)
    join_batch_moments(norm)
    assert torch.equal(norm(images), usual)


def test_metrics_are_doubles_where_the_device_has_them():
    tenth = torch.tensor(0.1, dtype=torch.float64)
    assert average_metrics({"a": tenth}).read() == {"a": 0.1}
    assert finest(torch.device("mps")) == torch.float32
    assert finest(torch.device("cpu")) == finest(torch.device("cuda")) == torch.float64


def test_average_of_one_process_is_its_own() -> None:
    metrics = average_metrics({"a": torch.tensor(2.0), "b": torch.tensor(3)})
    assert metrics.read() == {"a": 2.0, "b": 3.0}


def test_the_hourglass_of_2017_can_be_joined() -> None:
    network = Hourglass2017(hourglass_arrays(2), layer=0)
    join_batch_moments(network)
    kinds = [type(module).__name__ for module in network.modules()]
    assert kinds.count("_JoinedBatchNorm2d") == kinds.count("_NormReLU") > 0
