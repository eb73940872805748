"""Convolutions whose bias and ReLU cost no pass of their own on an NVIDIA GPU."""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from posecast.computing.bias_kernels import Cut, cut_off_back
from posecast.computing.streams import Beside

_ONE = (1, 1)


class ConvReLU(torch.autograd.Function):
    """The convolution of maps with a kernel, both in the same half precision and channels last, +
    bias, cut off below 0."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Float[Tensor, "b i _ _"],
        kernel: Float[Tensor, "o i _ _"],
        bias: Float[Tensor, " o"],
        stride: tuple[int, int],
        padding: tuple[int, int],
    ) -> Float[Tensor, "b o _ _"]:
        y = torch.cudnn_convolution_relu(x, kernel, bias.to(x.dtype), stride, padding, _ONE, 1)
        ctx.save_for_backward(x, kernel, y)
        ctx.how = (stride, padding, _ONE, False, (0, 0), 1)
        return y

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        x, kernel, y = ctx.saved_tensors
        flown, summed = cut_off_back(gradients[0], y, Cut())
        back = torch.ops.aten.convolution_backward
        wanted = ctx.needs_input_grad
        # Maps are held until `wait`. Told of them, a recording would never use their memory again.
        beside = Beside(summed, branch="kernels")
        with beside:
            of_kernel = back(flown, x, kernel, None, *ctx.how, [False, wanted[1], False])[1]
        of_x = back(flown, x, kernel, None, *ctx.how, [wanted[0], False, False])[0]
        beside.wait(of_kernel)
        return of_x, of_kernel, summed, None, None
