"""Passes over the maps of a convolution network joined into few: own kernels for NVIDIA GPUs.

torch's own kernels normalise, add a bias and cut off below 0 in separate passes over maps that are
read from and written to memory each time, some of them at a quarter of its speed. Maps are channels
last here, so that a pixel is a row of channels; numbers are added in single precision.
"""

# pyright: reportMissingImports=false, reportUnknownParameterType=false
# ruff: noqa: N803  (numbers that a kernel is compiled for)

from typing import Any

import torch
import triton
import triton.language as tl
from jaxtyping import Float
from torch import Tensor

from posecast.computing.tiles import SMALL, WARPS, channels_of, compiled, layout, places_at, tile_of

_MOST_SUMS = 256


class NormReLU(torch.autograd.Function):
    """relu((x - mean) / sqrt(variance + eps) + shift) with the moments of the batch; and x, for
    what else reads it: what flows back from there is added in the same pass."""

    @staticmethod
    def forward(
        ctx: Any, x: Float[Tensor, "b c h w"], shift: Float[Tensor, " c"], eps: float
    ) -> tuple[Float[Tensor, "b c h w"], Float[Tensor, "b c h w"]]:
        moments, y = _means(x, x, x, shift, eps, back=False), torch.empty_like(x)
        (count, channels), tile, grid = layout(x)
        told = (count, channels, eps, len(moments))
        _normalise[grid](x, moments, shift, y, *told, *tile, num_warps=WARPS)
        ctx.save_for_backward(x, moments, shift)
        ctx.set_materialize_grads(False)
        ctx.eps = eps
        return y, x

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, None, None]:
        x, moments, shift = ctx.saved_tensors
        above, beside = (
            each if each is None else each.contiguous(memory_format=torch.channels_last)
            for each in gradients
        )
        if above is None:
            return beside, None, None
        means, gradient = _means(x, above, moments, shift, ctx.eps, back=True), torch.empty_like(x)
        (count, channels), tile, grid = layout(x)
        maps = (x, above, above if beside is None else beside, moments, means, shift, gradient)
        told = (count, channels, ctx.eps, beside is not None, len(moments))
        _normalise_back[grid](*maps, *told, *tile, num_warps=WARPS)
        return gradient, None, None


class AddBias(torch.autograd.Function):
    """maps + bias, + other maps, cut off below 0 if asked; written into `maps`."""

    @staticmethod
    def forward(
        ctx: Any,
        maps: Float[Tensor, "b c h w"],
        bias: Float[Tensor, " c"],
        other: Float[Tensor, "b c h w"] | None,
        relu: bool,
    ) -> Float[Tensor, "b c h w"]:
        (count, channels), tile, grid = layout(maps)
        more = maps if other is None else other.contiguous(memory_format=torch.channels_last)
        told = (count, channels, other is not None, relu)
        _add_bias[grid](maps, bias, more, *told, *tile, num_warps=WARPS)
        ctx.mark_dirty(maps)
        ctx.relu, ctx.dtype = relu, bias.dtype
        if relu:
            ctx.save_for_backward(maps)
        return maps

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        gradient, summed, wanted = gradients[0], None, ctx.needs_input_grad
        if ctx.relu and wanted[1]:
            gradient, summed = _cut_off_back(gradient, ctx.saved_tensors[0])
            summed = summed.to(ctx.dtype)
        elif ctx.relu:
            gradient = torch.ops.aten.threshold_backward(gradient, ctx.saved_tensors[0], 0)
        elif wanted[1]:
            summed = gradient.sum((0, 2, 3), dtype=ctx.dtype)
        return gradient, summed, gradient if wanted[2] else None, None


def _num_sums(count: int, rows: int) -> int:
    """Into how many sums of tiles the pixels are divided: a power of two where they are few."""
    if count > SMALL:
        return min(triton.cdiv(count, 2 * rows), _MOST_SUMS)
    return min(triton.next_power_of_2(triton.cdiv(count, rows)), 32)


def _means(
    x: Tensor, above: Tensor, moments: Tensor, shift: Tensor, eps: float, back: bool
) -> Float[Tensor, "parts 2 c"]:
    """Of x and its square, both less the first pixel; backwards of what flows back, and of that
    times x normalised. In parts that are still to be added up where maps are small."""
    (count, channels), tile, grid = layout(x)
    num_sums = _num_sums(count, tile[0])
    sums = torch.empty(num_sums, 2, channels, dtype=torch.float32, device=x.device)
    maps, told = (x, above, moments, shift, sums), (count, channels, num_sums, eps, back)
    parts = len(moments) if back else 1  # forwards there are no moments yet
    _partial_sums[(grid[1], num_sums)](*maps, *told, parts, *tile, num_warps=WARPS)
    return sums if count <= SMALL else _total(sums)


def _cut_off_back(gradient: Tensor, maps: Tensor) -> tuple[Tensor, Float[Tensor, " c"]]:
    """What flows back through a ReLU that gave these maps, and its sum over all pixels."""
    gradient = gradient.contiguous(memory_format=torch.channels_last)
    (count, channels), tile, grid = layout(maps)
    flown = torch.empty_like(maps)
    num_sums = _num_sums(count, tile[0])
    sums = torch.empty(num_sums, channels, dtype=torch.float32, device=maps.device)
    told = (maps, gradient, flown, sums, count, channels, num_sums)
    _cut_off_sums[(grid[1], num_sums)](*told, *tile, num_warps=WARPS)
    return flown, _total(sums)[0]


def _total(sums: Float[Tensor, "parts *c"]) -> Float[Tensor, "1 *c"]:
    parts, numbers = len(sums), sums[0].numel()
    total = torch.empty_like(sums[:1])
    _add_parts[(triton.cdiv(numbers, 32),)](sums, total, parts, numbers, _MOST_SUMS, 32)
    return total


@compiled
def _added(sums, columns, known, channels, PARTS: tl.constexpr):
    """Both means of these channels, their parts added up."""
    places = tl.arange(0, PARTS)[:, None] * 2 * channels + columns[None]
    first = tl.load(sums + places, known[None], 0.0)
    second = tl.load(sums + channels + places, known[None], 0.0)
    return tl.sum(first, 0), tl.sum(second, 0)


@compiled
def _add_parts(sums, total, parts, numbers, PARTS: tl.constexpr, COLUMNS: tl.constexpr):
    columns, known = channels_of(tl.program_id(0), numbers, COLUMNS)
    rows = tl.arange(0, PARTS)
    inside = (rows < parts)[:, None] & known[None]
    added = tl.sum(tl.load(sums + rows[:, None] * numbers + columns[None], inside, 0.0), 0)
    tl.store(total + columns, added, known)


@compiled
def _moments(x, moments, columns, known, channels, eps, PARTS: tl.constexpr):
    """Mean and 1 / deviation of these channels."""
    less, square = _added(moments, columns, known, channels, PARTS)
    mean = tl.load(x + columns, known, 0.0).to(tl.float32) + less
    return mean, tl.rsqrt(tl.maximum(square - less * less, 0.0) + eps)


@compiled
def _partial_sums(
    x,
    above,
    moments,
    shift,
    sums,
    count,
    channels,
    num_sums,
    eps,
    BACK: tl.constexpr,
    PARTS: tl.constexpr,
    ROWS: tl.constexpr,
    COLUMNS: tl.constexpr,
):
    columns, known = channels_of(tl.program_id(0), channels, COLUMNS)
    first = tl.zeros((ROWS, COLUMNS), tl.float32)
    second = tl.zeros((ROWS, COLUMNS), tl.float32)
    if BACK:
        mean, scale = _moments(x, moments, columns, known, channels, eps, PARTS)
        offset = tl.load(shift + columns, known, 0.0).to(tl.float32)
    else:
        mean = tl.load(x + columns, known, 0.0).to(tl.float32)
    for start in range(tl.program_id(1) * ROWS, count, num_sums * ROWS):
        rows = start + tl.arange(0, ROWS)
        places = places_at(rows, columns, channels)
        inside = (rows < count)[:, None] & known[None]
        centred = tl.load(x + places, inside, 0.0).to(tl.float32) - mean[None]
        if BACK:
            normed = centred * scale[None]
            flowing = tl.load(above + places, inside, 0.0).to(tl.float32)
            flowing = tl.where(normed + offset[None] > 0, flowing, 0.0)
            first += flowing
            second += flowing * normed
        else:
            centred = tl.where(inside, centred, 0.0)
            first += centred
            second += centred * centred
    place = sums + tl.program_id(1) * 2 * channels + columns
    tl.store(place, tl.sum(first, 0) / count, known)
    tl.store(place + channels, tl.sum(second, 0) / count, known)


@compiled
def _normalise(
    x,
    moments,
    shift,
    y,
    count,
    channels,
    eps,
    PARTS: tl.constexpr,
    ROWS: tl.constexpr,
    COLUMNS: tl.constexpr,
):
    rows, columns, inside = tile_of(count, channels, ROWS, COLUMNS)
    places, known = places_at(rows, columns, channels), columns < channels
    mean, scale = _moments(x, moments, columns, known, channels, eps, PARTS)
    offset = tl.load(shift + columns, known, 0.0).to(tl.float32)
    value = tl.load(x + places, inside, 0.0).to(tl.float32)
    value = (value - mean[None]) * scale[None] + offset[None]
    tl.store(y + places, tl.maximum(value, 0.0).to(y.dtype.element_ty), inside)


@compiled
def _normalise_back(
    x,
    above,
    beside,
    moments,
    means,
    shift,
    gradient,
    count,
    channels,
    eps,
    HAS_BESIDE: tl.constexpr,
    PARTS: tl.constexpr,
    ROWS: tl.constexpr,
    COLUMNS: tl.constexpr,
):
    rows, columns, inside = tile_of(count, channels, ROWS, COLUMNS)
    places, known = places_at(rows, columns, channels), columns < channels
    mean, scale = _moments(x, moments, columns, known, channels, eps, PARTS)
    offset = tl.load(shift + columns, known, 0.0).to(tl.float32)
    flown, along = _added(means, columns, known, channels, PARTS)
    normed = (tl.load(x + places, inside, 0.0).to(tl.float32) - mean[None]) * scale[None]
    flowing = tl.load(above + places, inside, 0.0).to(tl.float32)
    flowing = tl.where(normed + offset[None] > 0, flowing, 0.0)
    value = scale[None] * (flowing - flown[None] - normed * along[None])
    if HAS_BESIDE:
        value += tl.load(beside + places, inside, 0.0).to(tl.float32)
    tl.store(gradient + places, value.to(gradient.dtype.element_ty), inside)


@compiled
def _add_bias(
    maps,
    bias,
    other,
    count,
    channels,
    HAS_OTHER: tl.constexpr,
    RELU: tl.constexpr,
    ROWS: tl.constexpr,
    COLUMNS: tl.constexpr,
):
    rows, columns, inside = tile_of(count, channels, ROWS, COLUMNS)
    places, known = places_at(rows, columns, channels), columns < channels
    offset = tl.load(bias + columns, known, 0.0).to(tl.float32)
    value = tl.load(maps + places, inside, 0.0).to(tl.float32) + offset[None]
    if HAS_OTHER:
        value += tl.load(other + places, inside, 0.0).to(tl.float32)
    if RELU:
        value = tl.maximum(value, 0.0)
    tl.store(maps + places, value.to(maps.dtype.element_ty), inside)


@compiled
def _cut_off_sums(
    maps,
    above,
    gradient,
    sums,
    count,
    channels,
    num_sums,
    ROWS: tl.constexpr,
    COLUMNS: tl.constexpr,
):
    columns, known = channels_of(tl.program_id(0), channels, COLUMNS)
    total = tl.zeros((ROWS, COLUMNS), tl.float32)
    for start in range(tl.program_id(1) * ROWS, count, num_sums * ROWS):
        rows = start + tl.arange(0, ROWS)
        places = places_at(rows, columns, channels)
        inside = (rows < count)[:, None] & known[None]
        flowing = tl.load(above + places, inside, 0.0)
        flowing = tl.where(tl.load(maps + places, inside, 0.0) > 0, flowing, 0.0)
        tl.store(gradient + places, flowing.to(gradient.dtype.element_ty), inside)
        total += flowing.to(tl.float32)
    tl.store(sums + tl.program_id(1) * channels + columns, tl.sum(total, 0), known)
