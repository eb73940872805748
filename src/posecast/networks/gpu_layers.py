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
    if layer.bias is not None and (kernels := kernels_for(x)) is not None:
        maps = without_bias(layer, x)
        if kernels_for(maps) is not None:
            return kernels.AddBias.apply(maps, layer.bias, None, True)
        return functional.relu(maps + layer.bias[:, None, None])
    return functional.relu(layer(x), inplace=True)


def halve(x: Tensor) -> Tensor:
    """The maximum of every 2 x 2 pixels."""
    even = x.shape[2] % 2 == 0 and x.shape[3] % 2 == 0
    if even and kernels_for(x) is not None:
        return sampling_kernels().MaxPool2.apply(x)
    return functional.max_pool2d(x, 2)


def without_bias(layer: nn.Conv2d | nn.ConvTranspose2d, x: Tensor) -> Tensor:
    """The layer's products alone."""
    if isinstance(layer, nn.Conv2d):
        return layer._conv_forward(x, layer.weight, None)  # noqa: SLF001
    how = (layer.stride, layer.padding, layer.output_padding, layer.groups, layer.dilation)
    return functional.conv_transpose2d(x, layer.weight, None, *how)  # pyright: ignore[reportArgumentType]


def in_eights(x: Tensor, kernel: Tensor) -> tuple[Tensor, Tensor]:
    """Both with channels of zeros up to a multiple of eight, which a GPU multiplies faster than
    three."""
    missing = -x.shape[1] % 8
    if not missing or not x.is_cuda:
        return x, kernel
    return tuple(functional.pad(each, (0, 0, 0, 0, 0, missing)) for each in (x, kernel))  # type: ignore[return-value]


class EightsConv2d(nn.Conv2d):
    """A convolution of any number of channels, `in_eights`."""

    def forward(self, input: Tensor) -> Tensor:
        return self._conv_forward(*in_eights(input, self.weight), self.bias)


def kernels_for(maps: Tensor) -> ModuleType | None:
    """`computing.kernels`, where they can be used on these maps."""
    usable = maps.is_cuda and not torch.compiler.is_compiling()
    usable = usable and maps.is_contiguous(memory_format=torch.channels_last)
    return _kernels() if usable else None


def sampling_kernels() -> ModuleType:
    """`computing.sampling_kernels`, where `kernels_for` gives kernels."""
    from posecast.computing import sampling_kernels

    return sampling_kernels


@cache
def _kernels() -> ModuleType | None:
    """Triton compiles them when they are first run, with a C compiler's help, for Ampere and on."""
    compiler = os.environ.get("CC") or any(map(shutil.which, ("gcc", "clang", "cc")))
    suited = torch.version.hip is None and torch.cuda.get_device_capability() >= (8, 0)
    if not compiler or not suited or find_spec("triton") is None:
        return None
    from posecast.computing import kernels

    return kernels
