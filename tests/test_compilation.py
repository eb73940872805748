"""torch.compile as an option gives the same numbers."""

import copy
import shutil

import numpy as np
import pytest
import torch
from torch._dynamo.utils import counters

from posecast.clips import SeenVideo
from posecast.computing.compilation import compile_parts, is_recorded
from posecast.computing.devices import ForecasterOptions
from posecast.computing.recording import PLAIN_CALLS
from posecast.forecasting.generator_drawer import GeneratorDrawer
from posecast.geometry import Crop, crop_to_px
from posecast.networks.generator import Generator, GeneratorConfig
from posecast.skeletons import PENN_ACTION

CPU = torch.device("cpu")
has_compiler = pytest.mark.skipif(
    not any(map(shutil.which, ("g++", "clang++", "c++"))), reason="no C++ compiler is installed"
)


def _generator() -> Generator:
    torch.manual_seed(0)
    return Generator(GeneratorConfig(width=4, size=16))


def _gradients(model: Generator, device: torch.device) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    image = torch.rand(2, 3, 16, 16, generator=generator).to(device)
    maps = torch.rand(2, 2, 48, 16, 16, generator=generator).to(device)
    drawn = model(image, maps[0], maps[1])
    return [drawn, *torch.autograd.grad(drawn.square().mean(), list(model.parameters()))]


def _assert_same_training(how: str, device: torch.device, num_parts: int = 4) -> None:
    plain = _generator().to(device)
    compiled = copy.deepcopy(plain)
    compile_parts(compiled.parts_to_compile()[:num_parts], how)  # type: ignore[arg-type]
    assert compiled.state_dict().keys() == plain.state_dict().keys()
    ours, theirs = (_gradients(model, device) for model in (compiled, plain))
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)


def _drawer(how: str, device: str) -> GeneratorDrawer:
    options = ForecasterOptions(device, frames_per_batch=8, compile=how)  # type: ignore[arg-type]
    return GeneratorDrawer(_generator(), PENN_ACTION, options=options)


def _draw(drawer: GeneratorDrawer, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    joints = rng.uniform(0.2, 0.8, (9, 13, 2)).astype(np.float32)
    frame = rng.integers(0, 256, (16, 16, 3), np.uint8)
    shown, crop = np.ones((9, 13), bool), Crop(0, 0, 80, 90)
    joints_px = crop_to_px(joints, crop)
    seen = SeenVideo(joints_px[:1], shown[:1], 30.0, crop.hw, frame[None], crop)
    return drawer.draw_frames(seen, joints_px[1:], shown[1:])


@pytest.mark.slow
@has_compiler
@pytest.mark.filterwarnings("ignore")  # of torch's own compiler
def test_compiled_networks_give_the_same_numbers(monkeypatch, tmp_path) -> None:
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))
    counters.clear()
    _assert_same_training("on", CPU, num_parts=1)  # a part takes five seconds
    assert counters["stats"]["unique_graphs"] == 1, "it was not compiled"
    drawn, plain = (_draw(_drawer(how, "cpu")).astype(int) for how in ("on", "off"))
    assert np.abs(drawn - plain).max() <= 1


@pytest.mark.gpu
@pytest.mark.filterwarnings("ignore")
def test_compiled_networks_give_the_same_numbers_on_a_gpu(monkeypatch) -> None:
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)  # ten bits
    _assert_same_training("on", torch.device("cuda"), num_parts=1)


@pytest.mark.gpu
@pytest.mark.filterwarnings("ignore")
def test_replayed_drawing_gives_the_same_frames() -> None:
    """The same place in memory holds another clip at each call."""
    drawers = [_drawer(how, "cuda") for how in ("cuda-graphs", "off")]
    for seed in range(2 * PLAIN_CALLS):
        drawn, plain = (_draw(drawer, seed).astype(int) for drawer in drawers)
        assert np.abs(drawn - plain).max() <= 1
    assert not np.array_equal(_draw(drawers[0], 0), _draw(drawers[0], 1))


def test_cuda_graphs_need_a_gpu() -> None:
    with pytest.raises(ValueError, match="--compile on"):
        is_recorded("cuda-graphs", CPU)
    assert not is_recorded("auto", CPU)
