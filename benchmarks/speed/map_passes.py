"""How fast our own kernels for GPUs go over maps, beside a copy: microseconds and bytes a second.

Each is recorded alone and replayed; tiles of several sizes, of which `computing.tiles` has one.
"""

from collections.abc import Callable, Iterator
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor, cuda

SHAPES = ((256, 64), (128, 64), (64, 128), (256, 32), (256, 16))
"""Channels and side, of the 2017 hourglass and the generator."""
TILES = (2048, 4096, 8192)


def pass_speeds(device: torch.device, batches: tuple[int, ...]) -> Iterator[dict[str, Any]]:
    """Of every kernel, shape and size of tiles; nothing where there is no GPU or no Triton."""
    if device.type != "cuda" or find_spec("triton") is None:
        return
    from posecast.computing import tiles

    usual = tiles._TILE  # noqa: SLF001
    for batch in batches:
        for channels, side in SHAPES:
            x, above = (_maps(batch, channels, side, device) for _ in range(2))
            facts = {"batch": batch, "channels": channels, "side": side}
            for tile in TILES:
                tiles._TILE = tile  # noqa: SLF001
                for name, (work, passes) in _passes(x, above).items():
                    microseconds = 1e6 * _seconds(work)
                    rate = passes * x.numel() * x.element_size() / microseconds / 1e6
                    numbers = {"microseconds": microseconds, "terabytes_a_second": rate}
                    yield facts | {"tile": tile, "kernel": name} | numbers
    tiles._TILE = usual  # noqa: SLF001


def _passes(x: Tensor, above: Tensor) -> dict[str, tuple[Callable[[], object], float]]:
    """Works, and how often they have to read or write all of the maps."""
    from posecast.computing import kernels

    shift = torch.zeros(x.shape[1], device=x.device)
    learns = x.detach().clone().requires_grad_()
    normed = kernels.NormReLU.apply(learns, None, shift, 1e-5, kernels.Cut())

    def back(*flowing: Tensor) -> object:
        told = {"retain_graph": True}
        return torch.autograd.grad(normed[: len(flowing)], learns, flowing, **told)

    return {
        "copy": (lambda: above.copy_(x), 2),
        "norm": (lambda: kernels.NormReLU.apply(x, None, shift, 1e-5, kernels.Cut()), 3),
        "norm back": (lambda: back(above), 5),
        "norm back, and beside": (lambda: back(above, above), 6),
        "bias": (lambda: kernels.AddBias.apply(x, shift, None, kernels.Cut()), 2),
        "bias and other": (lambda: kernels.AddBias.apply(x, shift, above, kernels.Cut(1)), 3),
        "halving": (lambda: kernels.MaxPool2.apply(x), 1.375),
    }


def _maps(batch: int, channels: int, side: int, device: torch.device) -> Tensor:
    maps = torch.randn(batch, channels, side, side, device=device, dtype=torch.bfloat16)
    return maps.contiguous(memory_format=torch.channels_last)


def _seconds(work: Callable[[], object], times: int = 20) -> float:
    stream, graph = cuda.Stream(), cuda.CUDAGraph()
    stream.wait_stream(cuda.current_stream())
    with cuda.stream(stream):
        work()
    with cuda.graph(graph, stream=stream):
        work()
    begin, end = (cuda.Event(enable_timing=True) for _ in range(2))
    graph.replay()
    begin.record()
    for _ in range(times):
        graph.replay()
    end.record()
    end.synchronize()
    return begin.elapsed_time(end) / times / 1e3
