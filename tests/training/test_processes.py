"""Two processes compute what one does."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from drawn_squares import write_squares
from lightning_fabric import Fabric
from torch import Tensor, nn

from feature_weights import hourglass_arrays
from posecast.cli.train import KINDS
from posecast.computing.processes import average_metrics, finest, join_batch_moments
from posecast.computing.recording import tensors_in
from posecast.errors import PosecastError
from posecast.networks.action_classifier import FlowClassifierConfig, PoseClassifierConfig
from posecast.networks.conv_lstm import ConvLSTMConfig
from posecast.networks.discriminator import DiscriminatorConfig
from posecast.networks.generator import GeneratorConfig
from posecast.networks.hourglass import HourglassConfig
from posecast.networks.kinds import facts_of
from posecast.networks.pose_lstm import PoseLSTMConfig
from posecast.records.runs import Run
from posecast.store.reading import ClipSelection, Store
from posecast.training.settings import TrainingConfig
from posecast.villegas2017.hourglass2017 import Hourglass2017
from posecast.windows import ImagePairs, PoseWindows
from small_store import SIZE, a_clip, a_store

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


TINY: dict[str, dict[str, Any]] = {
    "pose": {
        "model": PoseLSTMConfig(hidden=8, encoder=4),
        "windows": PoseWindows(num_past=4, num_future=6),
    },
    "image": {
        "generator": GeneratorConfig(width=4, size=SIZE),
        "discriminator": DiscriminatorConfig(width=4, size=SIZE),
        "pairs": ImagePairs(max_gap=4),
        "feature_weight": 0.0,
        "pose_feature_weight": 0.0,
    },
    "estimator": {"model": HourglassConfig(stacks=1, width=8, depth=1, size=SIZE)},
    "pose-action": {"model": PoseClassifierConfig(width=8), "num_frames": 12},
    "flow-action": {"model": FlowClassifierConfig(num_flows=3, width=8)},
    "conv-lstm": {"model": ConvLSTMConfig(width=4, layers=1, size=SIZE), "num_past": 3},
}
"""What is trained by several processes, small."""


def _smallest(kind: str) -> TrainingConfig:
    presets = KINDS[kind].presets
    return presets if isinstance(presets, TrainingConfig) else next(iter(presets.values()))


class _BegunError(Exception):
    """Nothing is learned here: the batch is all that is asked for."""


@pytest.mark.parametrize("kind", TINY)
def test_the_batches_of_two_processes_are_together_that_of_one(kind, tmp_path, monkeypatch):
    actions = ("jump", "walk", "jump", "walk", "jump")
    clips = [
        a_clip(f"c{n}", 1 + n, "train", action=action, has_frames=True)
        for n, action in enumerate(actions)
    ]
    store, train = a_store(tmp_path / "store", *clips), KINDS[kind].train
    config = _smallest(kind).but(**TINY[kind], clips=ClipSelection(), batch_size=8, device="cpu")
    config = config.but(validate_every=0)

    def fit(_update: object, batches: Callable[[int], Any], *_rest: object) -> None:
        raise _BegunError(tensors_in(batches(3)))

    def batch(rank: int, count: int) -> list[Tensor]:
        monkeypatch.setattr(Fabric, "world_size", count)
        monkeypatch.setattr(Fabric, "global_rank", rank)
        with pytest.raises(_BegunError) as begun:
            train(config, store.path, tmp_path / f"{rank}-of-{count}")
        return begun.value.args[0]

    monkeypatch.setattr(Store, "open", lambda _path: store)
    monkeypatch.setattr(sys.modules[train.__module__], "fit", fit)
    whole, *halves = batch(0, 1), batch(0, 2), batch(1, 2)
    for one, first, second in zip(whole, *halves, strict=True):
        assert len(first) == len(second) == len(one) / 2
        assert _rows(torch.cat([first, second])) == _rows(one)
    assert any(len(set(_rows(one))) > 4 for one in whole)
    least = 6 if kind == "estimator" else 3  # which learns from pairs of frames
    with pytest.raises(PosecastError, match=rf"batch of 8 .* by 3 processes.* of {least}$"):
        batch(0, 3)


def _rows(values: Tensor) -> list[bytes]:
    return sorted(row.numpy().tobytes() for row in values)


@pytest.mark.parametrize("kind", sorted(KINDS.keys() - TINY.keys()))
@pytest.mark.parametrize("asked", ["num_devices", "num_nodes"])
def test_what_does_not_share_its_batches_takes_one_process(kind, asked):
    with pytest.raises(PosecastError, match=rf"{asked}.* 2.*give --num-devices 1 --num-nodes 1"):
        _smallest(kind).but(**{asked: 2})
