"""Exported files: described as they are, free in number, equal to the networks, used without
PyTorch."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from posecast.cli import main
from posecast.computing.options import ForecasterOptions
from posecast.errors import PosecastError
from posecast.estimation import PoseEstimator
from posecast.estimation.estimator import EstimatorOptions
from posecast.export import writing
from posecast.export.network_graphs import drawer_graphs
from posecast.export.running import load_onnx
from posecast.forecasting.forecaster import Forecaster
from posecast.forecasting.own_poses import EstimatedPoses, OwnVideoConfig
from posecast.forecasting.own_video import forecast_video
from posecast.networks.kinds import load_network
from posecast.pretrained import DEFAULT_DRAWER, DEFAULT_FORECASTER
from posecast.sample import SAMPLE
from posecast.skeletons import PENN_ACTION

pytest.importorskip("onnxscript", reason="needs pip install 'posecast[onnx]'")
onnxruntime = pytest.importorskip("onnxruntime", reason="needs pip install 'posecast[onnx]'")

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "examples" / "forecast_onnx.py"
CPU = ForecasterOptions(device="cpu")


@pytest.fixture(scope="session")
def exported(tmp_path_factory) -> Path:
    """What the command writes. In a process of its own: the checks of array shapes that tests
    switch on would fix the sizes that must stay free."""
    folder = tmp_path_factory.mktemp("exported") / "onnx"
    command = [sys.executable, "-m", "posecast.cli", "export", "onnx", "--out", str(folder)]
    paths = {"PYTHONPATH": os.pathsep.join([str(ROOT / "src"), *sys.path])}
    subprocess.run(command, check=True, env={**os.environ, **paths}, cwd=folder.parent)
    return folder


@pytest.mark.slow
def test_the_description_is_true(exported: Path) -> None:
    facts = json.loads((exported / "posecast-onnx.json").read_text())
    assert set(facts["graphs"]) == {"estimator", "forecaster", "maps", "mask", "refinement"}
    assert str(exported.parent) not in json.dumps(facts)
    for name, said in facts["graphs"].items():
        session = onnxruntime.InferenceSession(exported / said["file"])
        for described, real in (
            (said["inputs"], session.get_inputs()),
            (said["outputs"], session.get_outputs()),
        ):
            assert [(each["name"], each["shape"]) for each in described] == [
                (each.name, each.shape) for each in real
            ]
            assert all(each["shape"][0] == "batch" for each in described), name
            assert [f"tensor({each['type']})" for each in described] == [each.type for each in real]


@pytest.mark.slow
def test_the_whole_chain_agrees_with_torch(exported: Path) -> None:
    forecaster = Forecaster.load(DEFAULT_FORECASTER, DEFAULT_DRAWER, CPU)
    estimator = PoseEstimator.pretrained(options=EstimatorOptions(device="cpu"))
    chain = load_onnx(exported)
    config = OwnVideoConfig(steps=4, futures=2)
    first, second = (
        forecast_video(SAMPLE, used, EstimatedPoses(finder), config=config, from_s=1.0)
        for used, finder in ((forecaster, estimator), (chain.forecaster, chain.estimator))
    )
    size = np.ptp(first.seen.joints_px[-1], axis=0).max()
    assert first.past_frames == second.past_frames
    np.testing.assert_array_equal(first.seen.visible, second.seen.visible)
    seen = first.seen.visible[..., None]
    apart = np.abs(first.seen.joints_px - second.seen.joints_px) * seen
    assert apart.max() <= 1e-4 * size
    apart = np.abs(first.forecast.joints_px - second.forecast.joints_px)
    assert len(second.forecast.joints_px) == 2
    assert apart.max() <= 1e-4 * size
    assert first.forecast.frames is not None
    assert second.forecast.frames is not None
    grey = np.abs(first.forecast.frames.astype(int) - second.forecast.frames)
    assert grey.max() <= 1


@pytest.mark.slow
@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("name", ["maps", "mask", "refinement"])
def test_the_drawers_networks_take_any_number(exported: Path, name: str, count: int) -> None:
    graph = drawer_graphs(load_network(DEFAULT_DRAWER).network, PENN_ACTION)[name]
    inputs = {
        key: each[:1].repeat(count, *[1] * (each.ndim - 1)) for key, each in graph.inputs.items()
    }
    with torch.inference_mode():
        said = graph.function(*inputs.values())
    expected = said if isinstance(said, tuple) else (said,)
    session = onnxruntime.InferenceSession(exported / f"{name}.onnx")
    found = session.run(None, {key: each.numpy() for key, each in inputs.items()})
    for want, got in zip(expected, found, strict=True):
        assert len(got) == count
        np.testing.assert_allclose(got, want.numpy(), atol=1e-3)


@pytest.mark.slow
def test_the_command_forecasts_with_it(exported: Path, tmp_path: Path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    asked = ["forecast", str(SAMPLE), "--backend", "onnx", "--onnx", str(exported), "--from", "0.6"]
    assert main([*asked, "--steps", "3"]) == 0, capsys.readouterr().err
    assert Path("squats-forecast.mp4").is_file()
    assert main([*asked, "--pose-run", "runs/pose"]) == 2
    assert "--pose-run is for --backend torch" in capsys.readouterr().err


@pytest.mark.slow
def test_the_example_needs_no_torch(exported: Path, tmp_path: Path) -> None:
    out = tmp_path / "future.npz"
    without = "import runpy, sys; sys.modules['torch'] = None; sys.modules['posecast'] = None; "
    code = f"{without}sys.argv[1:] = {[str(exported), str(SAMPLE), str(out)]!r}; "
    subprocess.run([sys.executable, "-c", f"{code}runpy.run_path({str(EXAMPLE)!r})"], check=True)
    with np.load(out) as found:
        joints, seconds = found["joints_px"], found["seconds"]
    assert joints.shape == (64, 13, 2)
    forecaster = Forecaster.load(DEFAULT_FORECASTER, None, CPU)
    finder = load_onnx(exported, draws=False).estimator
    config = OwnVideoConfig(steps=32)
    own = forecast_video(
        SAMPLE, forecaster, EstimatedPoses(finder), config=config, from_s=float(seconds[0])
    )
    size = np.ptp(own.seen.joints_px[-1], axis=0).max()
    apart = np.linalg.norm(joints[:32] - own.forecast.joints_px[0], axis=-1)
    assert apart.mean() < 0.06 * size, "it looks at other crops, so it finds other poses, a little"


def test_what_is_no_export_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PosecastError, match="posecast export onnx --out"):
        load_onnx(tmp_path)
    (tmp_path / writing.MANIFEST).write_text('{"format": "posecast onnx 9"}')
    with pytest.raises(PosecastError, match="'posecast onnx 9'; expected 'posecast onnx 1'"):
        load_onnx(tmp_path)
    with pytest.raises(PosecastError, match=r"nosuch is not installed .*posecast\[onnx\]"):
        writing.extra("nosuch")


def test_other_networks_than_can_be_exported_are_refused(release: Path, tmp_path: Path) -> None:
    sources = writing.OnnxSources(pose_run=release / "pose")
    with pytest.raises(PosecastError, match="kind 'pose', expected 'motion'"):
        writing.export_onnx(tmp_path, sources)
