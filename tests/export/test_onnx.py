"""Exported files: described as they are, free in number, equal to the networks, used without
PyTorch."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from posecast.cli import main
from posecast.computing.devices import ForecasterOptions
from posecast.errors import PosecastError
from posecast.estimation import PoseEstimator
from posecast.estimation.estimator import EstimatorOptions
from posecast.export import writing
from posecast.export.network_graphs import chain_graphs, drawer_graphs
from posecast.export.running import load_onnx
from posecast.forecasting.forecaster import Forecaster
from posecast.media.videos import read_video
from posecast.media.writing import write_mp4
from posecast.networks.kinds import load_network
from posecast.own_video.forecast import forecast_video
from posecast.own_video.pictures import View, future_frames
from posecast.own_video.poses import EstimatedPoses, OwnVideoConfig
from posecast.pretrained import DEFAULT_DRAWER, DEFAULT_FORECASTER
from posecast.records.files import WriteError
from posecast.records.versions import load_extra
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
    command = [sys.executable, "-m", "posecast", "export", "onnx", "--out", str(folder)]
    paths = {"PYTHONPATH": os.pathsep.join([str(ROOT / "src"), *sys.path])}
    subprocess.run(command, check=True, env={**os.environ, **paths}, cwd=folder.parent)
    return folder


@pytest.mark.slow
def test_the_description_is_true(exported: Path) -> None:
    facts = json.loads((exported / "posecast-onnx.json").read_text())
    assert {name for names in facts["chain"].values() for name in names} == set(facts["graphs"])
    assert str(exported.parent) not in json.dumps(facts)
    for said in facts["graphs"].values():
        session = onnxruntime.InferenceSession(exported / said["file"])
        for described, real in (
            (said["inputs"], session.get_inputs()),
            (said["outputs"], session.get_outputs()),
        ):
            assert [(each["name"], each["shape"]) for each in described] == [
                (each.name, each.shape) for each in real
            ]
            assert [f"tensor({each['type']})" for each in described] == [each.type for each in real]


@pytest.mark.slow
def test_the_whole_chain_agrees_with_torch(exported: Path) -> None:
    forecaster = Forecaster.load(DEFAULT_FORECASTER, DEFAULT_DRAWER, CPU)
    estimator = PoseEstimator.pretrained(options=EstimatorOptions(device="cpu"))
    config = OwnVideoConfig(steps=4, futures=2)
    first, second = (
        forecast_video(SAMPLE, used, EstimatedPoses(finder), config=config, from_s=1.0)
        for used, finder in ((forecaster, estimator), load_onnx(exported))
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
def test_the_whole_chain_of_graphs_draws_as_posecast_does(exported: Path) -> None:
    """With another number and size of frames than the exporter saw, and hidden joints."""
    forecaster = Forecaster.load(DEFAULT_FORECASTER, DEFAULT_DRAWER, CPU)
    estimator = PoseEstimator.pretrained(options=EstimatorOptions(device="cpu"))
    config = OwnVideoConfig(steps=64)
    own = forecast_video(SAMPLE, forecaster, EstimatedPoses(estimator), config=config, from_s=1.8)
    seen = own.seen.last(12)
    seen.visible[:, 9] = False
    seen.visible[-3:, [forecaster.skeleton.index(f"{side}_hip") for side in ("left", "right")]] = (
        False
    )
    forecast = forecaster.draw(seen, own.forecast)
    known = run_chain(
        exported,
        "begin",
        {
            "last_frames": seen.pictures,
            "last_joints_px": seen.joints_px.astype(np.float32),
            "last_visible": seen.visible,
            "future_joints_px": own.forecast.joints_px[:1].astype(np.float32),
        },
    )
    known = run_chain(exported, "draw", known | {"numbers": np.array([0, 30, 63])})
    view = View.of(seen.image_hw, 0)
    drawn = list(future_frames(replace(own, seen=seen, forecast=forecast), view))
    for number, found in zip((0, 30, 63), known["whole_frames"], strict=True):
        assert psnr(found, drawn[number]) > 36, "dB; it draws 256 pixels where posecast draws 408"
    assert psnr(seen.pictures[-1], drawn[30]) < 30, "and that is not for want of movement"


def psnr(one: np.ndarray, other: np.ndarray) -> float:
    error = np.square(one.astype(float) - other).mean()
    return 10 * np.log10(255**2 / max(error, 1e-9))  # where nobody moves frames are the same


@pytest.mark.slow
def test_the_example_needs_no_torch(exported: Path, tmp_path: Path) -> None:
    assert len(EXAMPLE.read_text().splitlines()) <= 42
    out = tmp_path / "future.mp4"
    without = "import runpy, sys; sys.modules['torch'] = None; sys.modules['posecast'] = None; "
    code = f"{without}sys.argv[1:] = {[str(exported), str(SAMPLE), str(out)]!r}; "
    subprocess.run([sys.executable, "-c", f"{code}runpy.run_path({str(EXAMPLE)!r})"], check=True)
    future = np.stack(list(read_video(out))).astype(int)
    last = list(read_video(SAMPLE))[-1].astype(int)
    assert future.shape == (64, *last.shape)
    apart = np.abs(future - last).mean(axis=-1)
    assert np.median(apart, axis=(1, 2)).max() < 6, "the room stays, but for what coding loses"
    moved = (apart > 40).mean(axis=(1, 2))
    assert moved[0] < 0.01 < moved[20] < 0.2, "the person moves"


@pytest.mark.slow
def test_the_example_says_where_nobody_is_or_no_video(exported: Path, tmp_path: Path) -> None:
    write_mp4(tmp_path / "nobody.mp4", [np.full((96, 128, 3), 90, np.uint8)] * 4, 30.0)
    (tmp_path / "text.mp4").write_text("no video")
    for name in ("nobody.mp4", "text.mp4", "missing.mp4"):
        asked = [sys.executable, EXAMPLE, exported, tmp_path / name, tmp_path / "future.mp4"]
        done = subprocess.run([str(each) for each in asked], capture_output=True, text=True)
        assert (done.returncode, "Traceback" in done.stderr) == (1, False)
        assert f"{name}: not a video, or nobody in it" in done.stderr
    assert not (tmp_path / "future.mp4").exists()


def test_the_example_says_how_it_is_used() -> None:
    for words in ([], ["onnx"], ["onnx", "my.mp4", "future.mp4", "more"]):
        done = subprocess.run([sys.executable, EXAMPLE, *words], capture_output=True, text=True)
        assert (done.returncode, "Traceback" in done.stderr) == (1, False)
        assert "usage: python examples/forecast_onnx.py FOLDER" in done.stderr


def run_chain(folder: Path, part: str, known: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    facts = json.loads((folder / "posecast-onnx.json").read_text())
    for name in facts["chain"][part]:
        session = onnxruntime.InferenceSession(folder / facts["graphs"][name]["file"])
        said = session.run(None, {each.name: known[each.name] for each in session.get_inputs()})
        known = known | dict(zip([each.name for each in session.get_outputs()], said, strict=True))
    return known


_OWN_ESTIMATOR = """
import numpy as np, torch
from posecast.estimation.estimator import EstimatorOptions, PoseEstimator
from posecast.estimation.onnx_files import open_onnx
from posecast.export import writing
from posecast.export.network_graphs import estimator_graph
from posecast.networks.hourglass import Hourglass, HourglassConfig
from posecast.skeletons import PENN_ACTION

torch.manual_seed(0)  # of some, near-ties are decided otherwise after export
network = Hourglass(HourglassConfig(stacks=1, width=16)).eval()
estimator = PoseEstimator(network, PENN_ACTION, EstimatorOptions(device="cpu"))
program = writing._exported("estimator", estimator_graph(network, estimator))
pictures = np.random.default_rng(0).integers(0, 256, (3, 128, 128, 3), np.uint8)
session = open_onnx(program.model_proto.SerializeToString(), "onnx")
found = session.run(None, {"pictures": pictures})
for want, got in zip(estimator.estimate(pictures), found, strict=True):
    np.testing.assert_allclose(got, want, atol=1e-3)
"""


@pytest.mark.slow
def test_an_estimator_of_ones_own_is_exported() -> None:
    """In a process of its own, as `exported`."""
    paths = {"PYTHONPATH": os.pathsep.join([str(ROOT / "src"), *sys.path])}
    subprocess.run([sys.executable, "-c", _OWN_ESTIMATOR], check=True, env={**os.environ, **paths})


def test_what_is_no_export_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PosecastError, match="posecast export onnx --out"):
        load_onnx(tmp_path)
    (tmp_path / writing.MANIFEST).write_text('{"format": "posecast onnx 9"}')
    with pytest.raises(PosecastError, match="'posecast onnx 9'; expected 'posecast onnx 2'"):
        load_onnx(tmp_path)
    with pytest.raises(PosecastError, match=r"nosuch is not installed .*posecast\[onnx\]"):
        load_extra("nosuch", "onnx")


def test_where_nothing_can_be_written_nothing_is_traced(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(writing, "load_network", None)
    (tmp_path / "onnx").write_text("a file")
    with pytest.raises(WriteError, match=r"cannot write .*onnx is a file"):
        writing.export_onnx(tmp_path / "onnx")


def test_an_odd_side_is_refused() -> None:
    with pytest.raises(PosecastError, match="--side 200: expected a multiple of 128"):
        chain_graphs({}, PENN_ACTION, 200, 0.3)


def test_other_networks_than_can_be_exported_are_refused(release: Path, tmp_path: Path) -> None:
    sources = writing.OnnxSources(pose_run=release / "pose")
    with pytest.raises(PosecastError, match="kind 'pose', expected 'motion'"):
        writing.export_onnx(tmp_path, sources)
