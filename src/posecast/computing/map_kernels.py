"""Halving, doubling, response normalisation of maps in one pass each: own kernels for NVIDIA GPUs
(see `kernels`)."""

# pyright: reportMissingImports=false, reportUnknownParameterType=false
# ruff: noqa: N803  (numbers that a kernel is compiled for)

from typing import Any

import torch
import triton.language as tl
from jaxtyping import Float
from torch import Tensor

from posecast.computing.tiles import WARPS, compiled, empty_maps, layout, places_at, tile_of

_FEW = 2048
"""Numbers of a tile whose neighbours are read, too: of more, registers would not hold them."""


class MaxPool2(torch.autograd.Function):
    """The maximum of every 2 x 2 pixels, of maps of even sides."""

    @staticmethod
    def forward(ctx: Any, x: Float[Tensor, "b c h2 w2"]) -> Float[Tensor, "b c h w"]:
        y = _empty(x, x.shape[2] // 2, x.shape[3] // 2)
        which = torch.empty_like(y, dtype=torch.uint8)
        size, tile, grid = layout(y)
        _pool[grid](x, y, which, *size, y.shape[3], *tile, num_warps=WARPS)
        ctx.save_for_backward(which)
        return y

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Float[Tensor, "b c h2 w2"]:
        (which,) = ctx.saved_tensors
        above = gradients[0].contiguous(memory_format=torch.channels_last)
        gradient = _empty(above, 2 * above.shape[2], 2 * above.shape[3])
        size, tile, grid = layout(above)
        told = (*size, above.shape[3])
        _pool_back[grid](above, which, gradient, *told, *tile, num_warps=WARPS)
        return gradient


class AddDoubled(torch.autograd.Function):
    """upper + lower at twice the side (bilinear, no half-pixel offsets), written into `upper`."""

    @staticmethod
    def forward(
        ctx: Any, upper: Float[Tensor, "b c h2 w2"], lower: Float[Tensor, "b c h w"]
    ) -> Float[Tensor, "b c h2 w2"]:
        lower = lower.contiguous(memory_format=torch.channels_last)
        size, tile, grid = layout(upper)
        sides = lower.shape[2:]
        _add_doubled[grid](upper, lower, *size, *sides, *tile, num_warps=WARPS)
        ctx.mark_dirty(upper)
        return upper

    @staticmethod
    def backward(
        ctx: Any, *gradients: Tensor
    ) -> tuple[Float[Tensor, "b c h2 w2"], Float[Tensor, "b c h w"]]:
        above = gradients[0].contiguous(memory_format=torch.channels_last)
        gradient = _empty(above, above.shape[2] // 2, above.shape[3] // 2)
        size, tile, grid = layout(gradient)
        sides = gradient.shape[2:]
        _halve_back[grid](above, gradient, *size, *sides, *tile, num_warps=WARPS)
        return above, gradient


class NormaliseResponse(torch.autograd.Function):
    """x / (1 + alpha * squares of five neighbouring channels, added) ** 0.75."""

    @staticmethod
    def forward(ctx: Any, x: Float[Tensor, "b c h w"], alpha: float) -> Float[Tensor, "b c h w"]:
        y, divisor = torch.empty_like(x), torch.empty_like(x, dtype=torch.float32)
        size, tile, grid = layout(x, numbers=_FEW)
        _normalise_response[grid](x, y, divisor, *size, alpha, *tile, num_warps=WARPS)
        ctx.save_for_backward(x, divisor)
        ctx.alpha = alpha
        return y

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Float[Tensor, "b c h w"], None]:
        x, divisor = ctx.saved_tensors
        above = gradients[0].contiguous(memory_format=torch.channels_last)
        size, tile, grid = layout(x, numbers=_FEW)
        maps = (x, divisor, above, gradient := torch.empty_like(x))
        _response_back[grid](*maps, *size, ctx.alpha, *tile, num_warps=WARPS)
        return gradient, None


def _empty(maps: Float[Tensor, "b c _ _"], height: int, width: int) -> Float[Tensor, "b c h w"]:
    return empty_maps((*maps.shape[:2], height, width), maps.dtype, maps)


@compiled
def _pool(x, y, which, count, channels, width, ROWS: tl.constexpr, COLUMNS: tl.constexpr):
    rows, columns, inside = tile_of(count, channels, ROWS, COLUMNS)
    corner = rows // width * 4 * width + rows % width * 2
    best = tl.load(x + places_at(corner, columns, channels), inside, 0.0)
    number = tl.zeros((ROWS, COLUMNS), tl.uint8)
    for place in tl.static_range(1, 4):
        pixel = corner + place // 2 * 2 * width + place % 2
        value = tl.load(x + places_at(pixel, columns, channels), inside, 0.0)
        above = (value > best) | (value != value)  # numbers that are none go on, as torch's do
        best, number = tl.where(above, value, best), tl.where(above, place, number)
    tl.store(y + places_at(rows, columns, channels), best, inside)
    tl.store(which + places_at(rows, columns, channels), number.to(tl.uint8), inside)


@compiled
def _pool_back(
    above, which, gradient, count, channels, width, ROWS: tl.constexpr, COLUMNS: tl.constexpr
):
    rows, columns, inside = tile_of(count, channels, ROWS, COLUMNS)
    corner = rows // width * 4 * width + rows % width * 2
    flowing = tl.load(above + places_at(rows, columns, channels), inside, 0.0)
    number = tl.load(which + places_at(rows, columns, channels), inside, 0)
    for place in tl.static_range(4):
        pixel = corner + place // 2 * 2 * width + place % 2
        value = tl.where(number == place, flowing, 0.0).to(gradient.dtype.element_ty)
        tl.store(gradient + places_at(pixel, columns, channels), value, inside)


@compiled
def _add_doubled(
    upper, lower, count, channels, height, width, ROWS: tl.constexpr, COLUMNS: tl.constexpr
):
    rows, columns, inside = tile_of(count, channels, ROWS, COLUMNS)
    across, down = rows % (2 * width), rows // (2 * width) % (2 * height)
    first = rows // (4 * width * height) * height
    total = tl.load(upper + places_at(rows, columns, channels), inside, 0.0).to(tl.float32)
    for place in tl.static_range(4):  # of which two or all are one pixel, on even rows or columns
        row = tl.minimum(down // 2 + down % 2 * (place // 2), height - 1)
        column = tl.minimum(across // 2 + across % 2 * (place % 2), width - 1)
        pixel = (first + row) * width + column
        total += 0.25 * tl.load(lower + places_at(pixel, columns, channels), inside, 0.0).to(
            tl.float32
        )
    tl.store(upper + places_at(rows, columns, channels), total.to(upper.dtype.element_ty), inside)


@compiled
def share_of(place, at, side):
    """How much of a pixel flows to the doubled row `2 at + place`, place -1, 0, 1."""
    last = tl.where(at == side - 1, 1.0, 0.5)
    outside = tl.where(at == 0, 0.0, 0.5)
    return tl.where(place == 0, 1.0, tl.where(place == 1, last, outside))


@compiled
def _halve_back(
    above, gradient, count, channels, height, width, ROWS: tl.constexpr, COLUMNS: tl.constexpr
):
    rows, columns, inside = tile_of(count, channels, ROWS, COLUMNS)
    across, down = rows % width, rows // width % height
    first = rows // (width * height) * 2 * height
    total = tl.zeros((ROWS, COLUMNS), tl.float32)
    for place in tl.static_range(9):
        row, column = 2 * down + place // 3 - 1, 2 * across + place % 3 - 1
        share = share_of(place // 3 - 1, down, height) * share_of(place % 3 - 1, across, width)
        pixel = (first + tl.maximum(row, 0)) * 2 * width + tl.maximum(column, 0)
        value = tl.load(above + places_at(pixel, columns, channels), inside, 0.0).to(tl.float32)
        total += share[:, None] * value
    tl.store(
        gradient + places_at(rows, columns, channels), total.to(gradient.dtype.element_ty), inside
    )


@compiled
def _near(maps, rows, columns, step, channels, inside):
    """Of the channel `step` further on; 0 beyond the first and the last."""
    near = columns + step
    known = inside & ((near >= 0) & (near < channels))[None]
    return tl.load(maps + places_at(rows, near, channels), known, 0.0).to(tl.float32)


@compiled
def _normalise_response(
    x, y, divisor, count, channels, alpha, ROWS: tl.constexpr, COLUMNS: tl.constexpr
):
    rows, columns, inside = tile_of(count, channels, ROWS, COLUMNS)
    squares = tl.zeros((ROWS, COLUMNS), tl.float32)
    for step in tl.static_range(-2, 3):
        near = _near(x, rows, columns, step, channels, inside)
        squares += near * near
    below = 1.0 + alpha * squares
    value = _near(x, rows, columns, 0, channels, inside) * tl.exp2(-0.75 * tl.log2(below))
    tl.store(y + places_at(rows, columns, channels), value.to(y.dtype.element_ty), inside)
    tl.store(divisor + places_at(rows, columns, channels), below, inside)


@compiled
def _response_back(
    x, divisor, above, gradient, count, channels, alpha, ROWS: tl.constexpr, COLUMNS: tl.constexpr
):
    rows, columns, inside = tile_of(count, channels, ROWS, COLUMNS)
    shared = tl.zeros((ROWS, COLUMNS), tl.float32)
    for step in tl.static_range(-2, 3):
        flowing = _near(above, rows, columns, step, channels, inside)
        below = tl.maximum(_near(divisor, rows, columns, step, channels, inside), 1.0)
        value = _near(x, rows, columns, step, channels, inside)
        shared += flowing * value * tl.exp2(-1.75 * tl.log2(below))
    below = tl.maximum(_near(divisor, rows, columns, 0, channels, inside), 1.0)
    own = _near(above, rows, columns, 0, channels, inside) * tl.exp2(-0.75 * tl.log2(below))
    value = own - 1.5 * alpha * shared * _near(x, rows, columns, 0, channels, inside)
    tl.store(
        gradient + places_at(rows, columns, channels), value.to(gradient.dtype.element_ty), inside
    )
