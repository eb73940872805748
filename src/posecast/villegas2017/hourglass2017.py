"""The stacked hourglass of the 2017 code as a frozen feature network.

It walks the first of two stacks as `hg_stacked.py` of the 2017 code does, including what that code
changed against the network that the weights were trained in (Newell et al., ECCV 2016): moments of
the current batch, the first file of each normalisation added and the second unused, bilinear
instead of nearest up-sampling, TensorFlow's SAME padding.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from posecast.computing.processes import num_processes
from posecast.computing.streams import Beside
from posecast.errors import PosecastError
from posecast.networks import gpu_layers
from posecast.villegas2017.doubling import AddDoubled, resize

NUM_FILES = 414
"""Files that the walk consumes, of the 800 distributed."""

WHERE_TO_GET = (
    "Give the folder of hourglass_weights_1.npy ... _414.npy that the authors distributed with the "
    "2017 code (https://github.com/rubenvillegas/icml2017hierchvid), or use an estimator that you "
    "trained (--pose-features RUN), or train without these features: --pose-feature-weight 0"
)


class Hourglass2017(nn.Module):
    """Features of a picture as a pose network sees it; frozen.

    `arrays` are the weight files' arrays in order. The 2017 code showed the network BGR pictures,
    though its weights were trained on RGB (deviations.md 29): the first kernel is turned round
    once, so that RGB pictures have the same effect.

    `layer` 0..3 chooses the level that `forward` returns (8, 16, 32 or 64 pixels wide); levels
    further out are then not computed.
    """

    def __init__(self, arrays: Iterable[np.ndarray], layer: int = 3) -> None:
        if layer not in range(4):
            raise PosecastError(f"hourglass layer {layer} does not exist; choose 0, 1, 2 or 3")
        super().__init__()
        self.layer = layer
        weights = _Weights(arrays)
        self.stem = weights.conv(3, 64, stride=2, normed=True)
        self.stem.weight.data = self.stem.weight.data.flip(1)
        self.stem_norm = weights.norm(64)
        self.residual1 = _Residual(weights, 64, 128)
        self.residuals = nn.Sequential(
            *(_Residual(weights, i, o) for i, o in ((128, 128), (128, 128), (128, 256)))
        )
        self.hourglass = _Level(weights, depth=4)
        self.eval()

    def parts_to_compile(self) -> list[nn.Module]:
        """Its many small blocks, few of which differ in more than the size of their maps."""
        return [module for module in self.modules() if isinstance(module, _Residual | AddDoubled)]

    def forward(self, images: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b 512 fh fw"]:
        """RGB pictures in [-1, 1] of any size -> features of the chosen layer.

        Normalisation uses the moments of the batch, so pictures of one batch influence each other.
        """
        return self.layers(images, self.layer)[-1]

    def layers(
        self, images: Float[Tensor, "b 3 h w"], last: int = 3
    ) -> list[Float[Tensor, "b 512 _ _"]]:
        """Layers 0..last, the innermost (8 x 8) first."""
        x = self.residual1(self.stem_norm(self._begin(images)))
        return self.hourglass(self.residuals(gpu_layers.halve(x)), last)

    def _begin(self, images: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b 64 128 128"]:
        """The first convolution of the pictures at 256 x 256."""
        kernels = gpu_layers.kernels_for(images)
        if kernels is None or images.shape[-2:] != (128, 128):
            return self.stem(resize((images + 1) / 2, (256, 256)))
        maps = kernels.UnfoldDoubled.apply(images, self.stem.weight.dtype)
        kernel = functional.pixel_unshuffle(functional.pad(self.stem.weight, (0, 1, 0, 1)), 2)
        return functional.conv2d(*gpu_layers.in_eights(maps, kernel))


def load_hourglass2017(folder: str | Path, layer: int = 3) -> Hourglass2017:
    """Read `hourglass_weights_1.npy` ... `_414.npy` of a folder.

    PosecastError names the first file that is missing, unreadable or of the wrong shape.
    """
    return Hourglass2017(_read_files(Path(folder)), layer)


def _read_files(folder: Path) -> Iterator[np.ndarray]:
    if not folder.is_dir():
        raise PosecastError(f"no hourglass weights: there is no folder {folder}. {WHERE_TO_GET}")
    for number in range(1, NUM_FILES + 1):
        path = folder / f"hourglass_weights_{number}.npy"
        if not path.is_file():
            raise PosecastError(f"no hourglass weights: {path} is missing. {WHERE_TO_GET}")
        try:
            yield np.load(path, allow_pickle=False)
        except (OSError, ValueError, EOFError) as error:
            raise PosecastError(f"{path} is not an array: {error}. {WHERE_TO_GET}") from error


class _Weights:
    """Turns the arrays into layers, in the order in which the network is built."""

    def __init__(self, arrays: Iterable[np.ndarray]) -> None:
        self._arrays = iter(arrays)
        self._number = 0

    def conv(self, num_in: int, num_out: int, stride: int = 1, normed: bool = False) -> nn.Conv2d:
        """A frozen convolution; its kernel size comes from the array. `normed`: in front of a
        normalisation by the batch's own moments."""
        kernel = self._next((num_out, num_in, None, None))
        bias = self._next((num_out,))
        size = kernel.shape[-1]
        padding = size // 2 if stride == 1 else 0  # a stride of 2 needs an uneven border
        kind = _NormedConv2d if normed else nn.Conv2d
        conv = kind(num_in, num_out, size, stride, padding)
        conv.load_state_dict({"weight": kernel, "bias": bias})
        return conv.requires_grad_(False)

    def norm(self, channels: int) -> "_NormReLU":
        shift = self._next((channels,))
        self._next((channels,))
        return _NormReLU(shift)

    def _next(self, expected: tuple[int | None, ...]) -> Tensor:
        self._number += 1
        array = next(self._arrays, None)
        name = f"hourglass_weights_{self._number}.npy"
        if array is None:
            raise PosecastError(f"{name} is missing; the network needs {NUM_FILES} arrays")
        if not _fits(array.shape, expected):
            shape = " x ".join("odd k" if n is None else str(n) for n in expected)
            raise PosecastError(f"{name} has shape {array.shape}, expected {shape}. {WHERE_TO_GET}")
        return torch.from_numpy(np.array(array, dtype=np.float32))


def _fits(shape: tuple[int, ...], expected: tuple[int | None, ...]) -> bool:
    """None stands for a kernel side: both equal and odd."""
    if len(shape) != len(expected):
        return False
    sides = {n for n, wanted in zip(shape, expected, strict=True) if wanted is None}
    same = all(n == wanted for n, wanted in zip(shape, expected, strict=True) if wanted is not None)
    return same and len(sides) <= 1 and all(side % 2 == 1 for side in sides)


class _NormedConv2d(nn.Conv2d):
    """A convolution whose bias has no effect, since its maps' means are subtracted next. A GPU
    would add it in a pass over the maps."""

    def forward(self, input: Float[Tensor, "b _ h w"]) -> Float[Tensor, "b _ _ _"]:
        bias = None if input.is_cuda else self.bias
        front = self.kernel_size[0] // 2 - 1
        border = (front, front + 1, front, front + 1) if self.stride[0] == 2 else (0, 0, 0, 0)
        return self._conv_forward(*gpu_layers.in_eights(input, self.weight, border), bias)


class _NormReLU(nn.Module):
    """(x - mean) / sqrt(variance + 1e-5) + shift with the batch's own moments, then ReLU."""

    def __init__(self, shift: Tensor) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(len(shift), eps=1e-5, track_running_stats=False)
        self.norm.load_state_dict({"weight": torch.ones_like(shift), "bias": shift})
        self.norm.requires_grad_(False)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        return self.beside(x)[0]

    def beside(
        self, x: Float[Tensor, "b c h w"]
    ) -> tuple[Float[Tensor, "b c h w"], Float[Tensor, "b c h w"]]:
        """And x, for what else reads it: a GPU then adds up what flows back in the same pass."""
        kernels = gpu_layers.kernels_for(x)
        if kernels is not None and num_processes() == 1:
            return kernels.NormReLU.apply(x, None, self.norm.bias, self.norm.eps, kernels.Cut())
        normed = self.norm(x)
        on_processor = normed.dtype == torch.bfloat16 and normed.device.type == "cpu"
        if not on_processor or torch.compiler.is_compiling():
            return functional.relu(normed, inplace=True), x
        return _HalfReLU.apply(normed), x


class _HalfReLU(torch.autograd.Function):
    """ReLU in place of bfloat16 numbers read as whole ones, which have the same signs: four times
    as fast as on numbers that a processor has to widen first.

    It would turn a NaN with a sign to 0: only for frozen networks, whose pictures are compared
    pixel by pixel as well.
    """

    @staticmethod
    def forward(ctx: Any, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        x.view(torch.int16).clamp_min_(0)
        ctx.mark_dirty(x)
        ctx.save_for_backward(x)
        return x

    @staticmethod
    def backward(ctx: Any, *gradients: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        (y,) = ctx.saved_tensors
        # All bits are set where y is over 0, and none where it is 0.
        mask = y.view(torch.int16).neg().bitwise_right_shift_(15)
        return mask.bitwise_and_(gradients[0].view(torch.int16)).view(torch.bfloat16)


class _Residual(nn.Module):
    """Three times norm, ReLU, convolution, beside the input (convolved where channels change)."""

    def __init__(self, weights: _Weights, num_in: int, num_out: int) -> None:
        super().__init__()
        half = num_out // 2
        layers = []
        for channels, out in ((num_in, half), (half, half), (half, num_out)):
            layers += [weights.norm(channels), weights.conv(channels, out, normed=out == half)]
        self.block = nn.Sequential(*layers)
        self.skip = nn.Identity() if num_in == num_out else weights.conv(num_in, num_out)

    def forward(self, x: Float[Tensor, "b _ h w"]) -> Float[Tensor, "b _ h w"]:
        kernels, norm, last = gpu_layers.kernels_for(x), self.block[0], self.block[-1]
        if kernels is None or not isinstance(norm, _NormReLU) or not isinstance(last, nn.Conv2d):
            return self.block(x) + self.skip(x)
        normed, x = norm.beside(x)
        other, bias = x, last.bias
        if isinstance(self.skip, nn.Conv2d) and bias is not None and self.skip.bias is not None:
            other, bias = gpu_layers.without_bias(self.skip, x), bias + self.skip.bias
        maps = gpu_layers.without_bias(last, self.block[1:-1](normed))
        return kernels.AddBias.apply(maps, bias, other, kernels.Cut(slope=1))


class _Level(nn.Module):
    """One level of the hourglass around the next smaller one."""

    def __init__(self, weights: _Weights, depth: int) -> None:
        super().__init__()
        self.index = depth - 1
        self.upper = nn.Sequential(
            *(_Residual(weights, i, o) for i, o in ((256, 256), (256, 256), (256, 512)))
        )
        self.lower = nn.Sequential(*(_Residual(weights, 256, 256) for _ in range(3)))
        self.inner = _Level(weights, depth - 1) if depth > 1 else _Residual(weights, 256, 512)
        self.outer = _Residual(weights, 512, 512)
        self.add_doubled = AddDoubled()

    def forward(self, x: Float[Tensor, "b 256 h w"], last: int) -> list[Tensor]:
        if last < self.index and isinstance(self.inner, _Level):
            return self.inner(self.lower(gpu_layers.halve(x)), last)
        beside = Beside(x, branch=f"hourglass level {self.index}")
        with beside:
            upper = self.upper(x)
        lower = self.lower(gpu_layers.halve(x))
        if isinstance(self.inner, _Level):
            done = self.inner(lower, last)
            outer = self.outer(done[-1])
        else:
            done, outer = [], self.outer(self.inner(lower))
        beside.wait(upper)
        return [*done, self.add_doubled(upper, outer)]
