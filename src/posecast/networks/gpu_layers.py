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
        return map_kernels().MaxPool2.apply(x)
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


def joined(*maps: Tensor) -> Tensor:
    """Channels one after the other; on a GPU with channels of zeros up to a multiple of eight."""
    missing = -sum(each.shape[1] for each in maps) % 8
    if missing and maps[0].is_cuda:
        batch, _, *sides = maps[0].shape
        maps = (*maps, maps[0].new_zeros(1).expand(batch, missing, *sides))
    return torch.cat(maps, dim=1)


class HalvingConv2d(nn.Conv2d):
    """A convolution of stride 2 with TensorFlow's SAME padding of an even side, whose surplus goes
    to the end. The kernel's side is odd.

    On a GPU the kernel gets a row and a column of zeros in front and its maps the same border all
    around, which saves a pass over them.
    """

    def __init__(self, num_in: int, num_out: int, side: int) -> None:
        super().__init__(num_in, num_out, side, stride=2)

    def forward(self, input: Tensor) -> Tensor:
        front = self.kernel_size[0] // 2 - 1
        if not input.is_cuda:
            padded = functional.pad(input, (front, front + 1, front, front + 1))
            return self._conv_forward(padded, self.weight, self.bias)
        more = input.shape[1] - self.weight.shape[1]
        kernel = functional.pad(self.weight, (1, 0, 1, 0, 0, more))
        return functional.conv2d(input, kernel, self.bias, 2, front + 1)


def kernels_for(maps: Tensor) -> ModuleType | None:
    """`computing.kernels`, where they can be used on these maps."""
    usable = maps.is_cuda and not torch.compiler.is_compiling()
    usable = usable and maps.is_contiguous(memory_format=torch.channels_last)
    return _kernels() if usable else None


def map_kernels() -> ModuleType:
    """`computing.map_kernels`, where `kernels_for` gives kernels."""
    from posecast.computing import map_kernels

    return map_kernels


@cache
def _kernels() -> ModuleType | None:
    """Triton compiles them when they are first run, with a C compiler's help, for Ampere and on."""
    compiler = os.environ.get("CC") or any(map(shutil.which, ("gcc", "clang", "cc")))
    suited = torch.version.hip is None and torch.cuda.get_device_capability() >= (8, 0)
    if not compiler or not suited or find_spec("triton") is None:
        return None
    from posecast.computing import kernels

    return kernels
