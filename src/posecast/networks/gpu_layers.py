"""Convolutions and what follows them as NVIDIA GPUs are fast at: the same numbers up to rounding.

Elsewhere, and where maps do not lie channels last, these are torch's own layers. Maps are (b c h w)
throughout; types say no shapes, as checks of them cannot be traced by torch.compile.
"""

import os
import shutil
from functools import cache
from importlib.util import find_spec
from types import ModuleType

import torch
from torch import Tensor, nn
from torch.nn import functional


class ConvReLUs(nn.Sequential):
    """Convolutions with a ReLU after each, and poolings by 2 between them."""

    def forward(self, input: Tensor) -> Tensor:
        for layer in self:
            if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
                input = conv_relu(layer, input)
            elif isinstance(layer, nn.MaxPool2d):
                input = halve(input)
            elif not isinstance(layer, nn.ReLU):  # which is done with its convolution
                input = layer(input)
        return input


def conv_relu(layer: nn.Conv2d | nn.ConvTranspose2d, x: Tensor) -> Tensor:
    """The layer's answer, cut off below 0."""
    if layer.bias is None or (kernels := kernels_for(x)) is None:
        return functional.relu(layer(x), inplace=True)
    half = x.dtype if x.dtype != torch.float32 else half_of(x)
    in_half = half in (torch.bfloat16, torch.float16) and layer.out_channels % 8 == 0
    if isinstance(layer, nn.Conv2d) and in_half:
        told = (*in_eights(x.to(half), layer.weight.to(half)), layer.bias)
        return kernels.ConvReLU.apply(*told, layer.stride, layer.padding)
    maps = without_bias(layer, x)
    if kernels_for(maps) is not None:
        return kernels.AddBias.apply(maps, layer.bias, None, kernels.Cut())
    return functional.relu(maps + layer.bias[:, None, None])


def conv_few(layer: nn.Conv2d, x: Tensor) -> Tensor:
    """The layer's answer, whose channels a GPU computes in eights, which is faster than three."""
    missing = -layer.out_channels % 8
    if not missing or not x.is_cuda or layer.bias is None:
        return layer(x)
    kernel = functional.pad(layer.weight, (0, 0, 0, 0, 0, 0, 0, missing))
    bias = functional.pad(layer.bias, (0, missing))
    return layer._conv_forward(x, kernel, bias)[:, : layer.out_channels]  # noqa: SLF001


def half_of(x: Tensor) -> torch.dtype:
    """What autocast, where it is on, rounds such numbers to for convolutions."""
    kind = x.device.type
    return torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else x.dtype


def halve(x: Tensor) -> Tensor:
    """The maximum of every 2 x 2 pixels."""
    even = x.shape[2] % 2 == 0 and x.shape[3] % 2 == 0
    if even and (kernels := kernels_for(x)) is not None:
        return kernels.MaxPool2.apply(x)
    return functional.max_pool2d(x, 2)


def without_bias(layer: nn.Conv2d | nn.ConvTranspose2d, x: Tensor) -> Tensor:
    """The layer's products alone."""
    if isinstance(layer, nn.Conv2d):
        return layer._conv_forward(x, layer.weight, None)  # noqa: SLF001
    how = (layer.stride, layer.padding, layer.output_padding, layer.groups, layer.dilation)
    return functional.conv_transpose2d(x, layer.weight, None, *how)  # pyright: ignore[reportArgumentType]


def in_eights(
    x: Tensor, kernel: Tensor, border: tuple[int, int, int, int] = (0, 0, 0, 0)
) -> tuple[Tensor, Tensor]:
    """Maps with a border of zeros (left, right, top, bottom), and the kernel that reads them.

    On a GPU both have channels of zeros besides, up to a multiple of eight, which are multiplied
    faster than three.
    """
    missing = -x.shape[1] % 8 if x.is_cuda else 0
    if missing or any(border):
        x = functional.pad(x, (*border, 0, missing))
    more = x.shape[1] - kernel.shape[1]
    return x, functional.pad(kernel, (0, 0, 0, 0, 0, more)) if more else kernel


class HalvingConv2d(nn.Conv2d):
    """A convolution of stride 2 with TensorFlow's SAME padding of an even side, whose surplus goes
    to the end. The kernel's side is odd."""

    def __init__(self, num_in: int, num_out: int, side: int) -> None:
        super().__init__(num_in, num_out, side, stride=2)
        self.front = side // 2 - 1

    def forward(self, input: Tensor) -> Tensor:
        border = (self.front, self.front + 1, self.front, self.front + 1)
        return self._conv_forward(*in_eights(input, self.weight, border), self.bias)

    def products(self, bordered: Tensor, last: int = 0) -> Tensor:
        """Without the bias, of maps that have a row and a column of zeros at their ends already;
        `last`: how many of the first channels stand behind the others there."""
        kernel = self.weight.roll(-last, 1) if last else self.weight
        return functional.conv2d(*in_eights(bordered, kernel), None, 2, self.front)


def kernels_for(maps: Tensor) -> ModuleType | None:
    """`computing.kernels`, where they can be used on these maps: numbers in double precision would
    be added in single, and torch's convolutions lay them out in another way."""
    usable = maps.is_cuda and maps.dtype != torch.float64 and not torch.compiler.is_compiling()
    usable = usable and maps.is_contiguous(memory_format=torch.channels_last)
    return _kernels() if usable else None


@cache
def _kernels() -> ModuleType | None:
    """Triton compiles them when they are first run, with a C compiler's help, for Ampere and on."""
    compiler = os.environ.get("CC") or any(map(shutil.which, ("gcc", "clang", "cc")))
    suited = torch.version.hip is None and torch.cuda.get_device_capability() >= (8, 0)
    if not compiler or not suited or find_spec("triton") is None:
        return None
    from posecast.computing import kernels

    return kernels
