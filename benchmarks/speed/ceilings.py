"""What the machine can do: matrix product, convolution, copying memory."""

from dataclasses import dataclass
from typing import Literal

import torch

from benchmarks.speed.measuring import time_work

Precision = Literal["fp32", "bf16"]
PRECISIONS: tuple[Precision, ...] = ("fp32", "bf16")


@dataclass(frozen=True)
class Ceilings:
    """The machine's own limits, measured with torch in the same run."""

    matrix_product: dict[str, float]
    """Precision -> floating-point operations a second."""
    convolution: dict[str, float]
    """Precision -> floating-point operations a second, 3 x 3, 256 channels, channels last."""
    copy: float
    """Bytes a second, read and written ones both counted."""

    def flops(self, precision: str) -> float:
        """The higher of the two rates at which products are made."""
        return max(self.matrix_product[precision], self.convolution[precision])

    def at_least(self, other: "Ceilings") -> "Ceilings":
        """The higher one of each."""
        return Ceilings(
            _higher(self.matrix_product, other.matrix_product),
            _higher(self.convolution, other.convolution),
            max(self.copy, other.copy),
        )


def _higher(one: dict[str, float], other: dict[str, float]) -> dict[str, float]:
    return {name: max(one[name], other[name]) for name in one}


@torch.inference_mode()
def measure_ceilings(device: torch.device, side: int, seconds: float) -> Ceilings:
    """Matrices of `side` x `side`, convolutions of about as many products; the fastest of each."""
    products, convolutions = {}, {}
    for precision in PRECISIONS:
        dtype = torch.float32 if precision == "fp32" else torch.bfloat16
        products[precision] = _matrix_product(device, dtype, side, seconds)
        convolutions[precision] = _convolution(device, dtype, side, seconds)
    return Ceilings(products, convolutions, _copy(device, side, seconds))


def _matrix_product(device: torch.device, dtype: torch.dtype, side: int, seconds: float) -> float:
    a, b = (torch.randn(side, side, device=device).to(dtype) for _ in range(2))
    out = torch.empty_like(a)
    timing = time_work(lambda: torch.mm(a, b, out=out), device, 3, seconds)
    return 2 * side**3 / timing.fastest


def _convolution(device: torch.device, dtype: torch.dtype, side: int, seconds: float) -> float:
    channels, width = 256, 32
    batch = max(side**3 // (9 * channels**2 * width**2), 1)
    layer = torch.nn.Conv2d(channels, channels, 3, padding=1, device=device, dtype=dtype)
    # torch's stubs know the layout for tensors only.
    layer = layer.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
    images = torch.randn(batch, channels, width, width, device=device).to(dtype)
    images = images.contiguous(memory_format=torch.channels_last)
    timing = time_work(lambda: layer(images), device, 3, seconds)
    return 2 * 9 * channels**2 * batch * width**2 / timing.fastest


def _copy(device: torch.device, side: int, seconds: float) -> float:
    source = torch.ones(16 * side**2, device=device)
    target = torch.empty_like(source)
    timing = time_work(lambda: target.copy_(source), device, 3, seconds)
    return 2 * source.numel() * source.element_size() / timing.fastest
