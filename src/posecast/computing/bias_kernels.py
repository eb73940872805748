"""Biases, other maps and ReLU added in one pass: own kernels for NVIDIA GPUs (see `kernels`)."""

# pyright: reportMissingImports=false, reportUnknownParameterType=false
# ruff: noqa: N803  (numbers that a kernel is compiled for)

from typing import Any, NamedTuple

import torch
import triton
import triton.language as tl
from jaxtyping import Float
from torch import Tensor

from posecast.computing.tiles import (
    SMALL,
    WARPS,
    channels_of,
    compiled,
    empty_maps,
    layout,
    places_at,
    tile_of,
    with_border,
    without_border,
)

_MOST_SUMS = 256


class Cut(NamedTuple):
    """What becomes of maps that are normalised, or to which a bias was added."""

    slope: float = 0.0
    """Numbers below 0 are multiplied by it; 1 keeps them."""
    border: int = 0
    """Rows and columns of zeros at the ends of the maps."""
    kinds: int = 1
    """Parts of the batch that are normalised by their own moments."""


class AddBias(torch.autograd.Function):
    """maps + bias, + other maps, cut off; written into `maps` where there is no border."""

    @staticmethod
    def forward(
        ctx: Any,
        maps: Float[Tensor, "b c h w"],
        bias: Float[Tensor, " c"],
        other: Float[Tensor, "b c h w"] | None,
        cut: Cut,
    ) -> Float[Tensor, "b c _ _"]:
        y = maps_with_border(maps, cut.border) if cut.border else maps
        (count, channels), tile, grid = layout(y)
        more = maps if other is None else other.contiguous(memory_format=torch.channels_last)
        told = (count, channels, *maps.shape[2:], other is not None, cut.slope, cut.border)
        _add_bias[grid](maps, bias, more, y, *told, *tile, num_warps=WARPS)
        if not cut.border:
            ctx.mark_dirty(maps)
        ctx.cut, ctx.dtype = cut, bias.dtype
        if cut != Cut(slope=1):
            ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        gradient, summed, wanted = gradients[0], None, ctx.needs_input_grad
        if ctx.cut != Cut(slope=1):
            gradient, summed = cut_off_back(gradient, ctx.saved_tensors[0], ctx.cut)
            summed = summed.to(ctx.dtype)
        elif wanted[1]:
            summed = gradient.sum((0, 2, 3), dtype=ctx.dtype)
        return gradient, summed, gradient if wanted[2] else None, None


def cut_off_back(
    gradient: Float[Tensor, "b c _ _"], maps: Float[Tensor, "b c _ _"], cut: Cut
) -> tuple[Float[Tensor, "b c h w"], Float[Tensor, " c"]]:
    """What flows back through the cutting off that gave these maps, and its sum over all pixels."""
    gradient = gradient.contiguous(memory_format=torch.channels_last)
    flown = maps_with_border(maps, -cut.border)
    (count, channels), tile, grid = layout(flown)
    num_sums = num_sums_of(count, tile[0])
    sums = torch.empty(1, num_sums, channels, dtype=torch.float32, device=maps.device)
    told = (count, channels, *flown.shape[2:], num_sums, cut.slope, cut.border)
    _cut_off_sums[(grid[1], num_sums)](maps, gradient, flown, sums, *told, *tile, num_warps=WARPS)
    return flown, total_of(sums)[0, 0]


def maps_with_border(maps: Float[Tensor, "b c h w"], border: int) -> Float[Tensor, "b c _ _"]:
    """As these, so many rows and columns larger; nothing is written yet."""
    batch, channels, height, width = maps.shape
    return empty_maps((batch, channels, height + border, width + border), maps.dtype, maps)


def num_sums_of(count: int, rows: int) -> int:
    """Into how many sums of tiles the pixels are divided: a power of two where they are few."""
    if count > SMALL:
        return min(triton.cdiv(count, 2 * rows), _MOST_SUMS)
    return min(triton.next_power_of_2(triton.cdiv(count, rows)), 32)


def total_of(sums: Float[Tensor, "kinds parts *c"]) -> Float[Tensor, "kinds 1 *c"]:
    """All parts of each kind added up."""
    parts, numbers = sums.shape[1], sums[0, 0].numel()
    total = torch.empty_like(sums[:, :1])
    grid = (triton.cdiv(numbers, 32), len(sums))
    _add_parts[grid](sums, total, parts, numbers, _MOST_SUMS, 32)
    return total


@compiled
def cut_off(value, SLOPE: tl.constexpr):
    """Numbers below 0 multiplied by the slope."""
    if SLOPE == 0:
        return tl.maximum(value, 0.0)
    return tl.where(value > 0, value, value * SLOPE)


@compiled
def _add_parts(sums, total, parts, numbers, PARTS: tl.constexpr, COLUMNS: tl.constexpr):
    columns, known = channels_of(tl.program_id(0), numbers, COLUMNS)
    rows, kind = tl.arange(0, PARTS), tl.program_id(1)
    inside = (rows < parts)[:, None] & known[None]
    places = (kind * parts + rows)[:, None] * numbers + columns[None]
    added = tl.sum(tl.load(sums + places, inside, 0.0), 0)
    tl.store(total + kind * numbers + columns, added, known)


@compiled
def _add_bias(
    maps,
    bias,
    other,
    y,
    count,
    channels,
    height,
    width,
    HAS_OTHER: tl.constexpr,
    SLOPE: tl.constexpr,
    BORDER: tl.constexpr,
    ROWS: tl.constexpr,
    COLUMNS: tl.constexpr,
):
    """`count` is of pixels with the border."""
    rows, columns, inside = tile_of(count, channels, ROWS, COLUMNS)
    pixels, there = without_border(rows, height, width, BORDER)
    places, there = places_at(pixels, columns, channels), inside & there[:, None]
    value = tl.load(maps + places, there, 0.0).to(tl.float32)
    value += tl.load(bias + columns, columns < channels, 0.0).to(tl.float32)[None]
    if HAS_OTHER:
        value += tl.load(other + places, there, 0.0).to(tl.float32)
    value = tl.where(there, cut_off(value, SLOPE), 0.0)
    tl.store(y + places_at(rows, columns, channels), value.to(y.dtype.element_ty), inside)


@compiled
def _cut_off_sums(
    maps,
    above,
    gradient,
    sums,
    count,
    channels,
    height,
    width,
    num_sums,
    SLOPE: tl.constexpr,
    BORDER: tl.constexpr,
    ROWS: tl.constexpr,
    COLUMNS: tl.constexpr,
):
    columns, known = channels_of(tl.program_id(0), channels, COLUMNS)
    total = tl.zeros((ROWS, COLUMNS), tl.float32)
    for start in range(tl.program_id(1) * ROWS, count, num_sums * ROWS):
        rows = start + tl.arange(0, ROWS)
        inside = (rows < count)[:, None] & known[None]
        edged = places_at(with_border(rows, height, width, BORDER), columns, channels)
        flowing = tl.load(above + edged, inside, 0.0).to(tl.float32)
        kept = tl.load(maps + edged, inside, 0.0) > 0
        flowing = tl.where(kept, flowing, flowing * SLOPE)
        places = places_at(rows, columns, channels)
        tl.store(gradient + places, flowing.to(gradient.dtype.element_ty), inside)
        total += flowing
    tl.store(sums + tl.program_id(1) * channels + columns, tl.sum(total, 0), known)
