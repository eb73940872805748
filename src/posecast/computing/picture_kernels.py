"""Pictures brought into the maps that networks read first, in one pass: own kernels for NVIDIA GPUs
(see `kernels`). Channels of zeros fill up to eights, which are multiplied faster."""

# pyright: reportMissingImports=false, reportUnknownParameterType=false
# ruff: noqa: N803  (numbers that a kernel is compiled for)

from typing import Any

import torch
import triton
import triton.language as tl
from jaxtyping import Float
from torch import Tensor

from posecast.computing.map_kernels import share_of
from posecast.computing.tiles import (
    WARPS,
    channels_of,
    compiled,
    empty_maps,
    places_at,
    without_border,
)

_ROWS = 128
_UNFOLDED = 16
"""Channels of a picture of 3 whose 2 x 2 pixels have channels of their own, filled up."""


class JoinMaps(torch.autograd.Function):
    """Maps (of one of several kinds of pictures, used for each) and, behind them, pictures, as
    channels of one; with a row and a column of zeros at the ends. Maps learn nothing."""

    @staticmethod
    def forward(
        ctx: Any,
        pictures: Float[Tensor, "kb 3 h w"],
        maps: Float[Tensor, "b c h w"],
        dtype: torch.dtype,
    ) -> Float[Tensor, "kb _ _ _"]:
        maps = maps.contiguous(memory_format=torch.channels_last)
        (batch, few, height, width), more = pictures.shape, maps.shape[1]
        joined = empty_maps(
            (batch, few + more + -(few + more) % 8, height + 1, width + 1), dtype, maps
        )
        count, channels = joined.numel() // joined.shape[1], joined.shape[1]
        columns = triton.next_power_of_2(channels)
        told = (count, channels, more, few, height, width, len(maps), *pictures.stride())
        grid = (triton.cdiv(count, _ROWS),)
        _join[grid](pictures, maps, joined, *told, _ROWS, columns, num_warps=WARPS)
        ctx.here, ctx.dtype = slice(more, more + few), pictures.dtype
        return joined

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        return gradients[0][:, ctx.here, :-1, :-1].to(ctx.dtype), None, None


class UnfoldDoubled(torch.autograd.Function):
    """Pictures in [-1, 1] -> in [0, 1], doubled as `AddDoubled` does, with a border of zeros (2, 3)
    as TensorFlow's SAME gives a kernel of 7 and stride 2, and one more; each 2 x 2 pixels of a
    channel as four channels (`pixel_unshuffle`). A kernel of stride 2 reads them with stride 1."""

    @staticmethod
    def forward(
        ctx: Any, pictures: Float[Tensor, "b 3 h w"], dtype: torch.dtype
    ) -> Float[Tensor, "b 16 _ _"]:
        batch, _, height, width = pictures.shape
        unfolded = empty_maps((batch, _UNFOLDED, height + 3, width + 3), dtype, pictures)
        count = unfolded.numel() // _UNFOLDED
        told, grid = (count, height, width, *pictures.stride()), (triton.cdiv(count, _ROWS),)
        _unfold[grid](pictures, unfolded, *told, _ROWS, _UNFOLDED, num_warps=WARPS)
        ctx.shape, ctx.dtype = pictures.shape, pictures.dtype
        return unfolded

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        above = gradients[0].contiguous(memory_format=torch.channels_last)
        gradient = empty_maps(ctx.shape, ctx.dtype, above)
        count, (height, width) = gradient.numel() // 3, ctx.shape[2:]
        grid = (triton.cdiv(count, _ROWS),)
        _fold_back[grid](above, gradient, count, height, width, _ROWS, 4, num_warps=WARPS)
        return gradient, None


@compiled
def _join(
    pictures,
    maps,
    joined,
    count,
    channels,
    more,
    few,
    height,
    width,
    num_maps,
    step_b,
    step_c,
    step_h,
    step_w,
    ROWS: tl.constexpr,
    COLUMNS: tl.constexpr,
):
    columns, known = channels_of(0, channels, COLUMNS)
    rows = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    pixels, there = without_border(rows, height, width, 1)
    there = there & (rows < count)
    across, down, number = pixels % width, pixels // width % height, pixels // (width * height)
    place = number.to(tl.int64) * step_b + down * step_h + across * step_w
    behind = number % num_maps * (height * width) + pixels % (height * width)
    mapped = there[:, None] & (columns < more)[None]
    value = tl.load(maps + places_at(behind, columns, more), mapped, 0.0).to(tl.float32)
    drawn = there[:, None] & ((columns >= more) & (columns < more + few))[None]
    at = place[:, None] + ((columns - more) * step_c)[None]
    value += tl.load(pictures + at, drawn, 0.0).to(tl.float32)
    inside = (rows < count)[:, None] & known[None]
    value = value.to(joined.dtype.element_ty)
    tl.store(joined + places_at(rows, columns, channels), value, inside)


@compiled
def _unfold(
    pictures,
    unfolded,
    count,
    height,
    width,
    step_b,
    step_c,
    step_h,
    step_w,
    ROWS: tl.constexpr,
    COLUMNS: tl.constexpr,
):
    rows, columns = tl.program_id(0) * ROWS + tl.arange(0, ROWS), tl.arange(0, COLUMNS)
    across, down = rows % (width + 3), rows // (width + 3) % (height + 3)
    first = rows // ((width + 3) * (height + 3)).to(tl.int64) * step_b
    row = (2 * down - 2)[:, None] + (columns // 2 % 2)[None]
    column = (2 * across - 2)[:, None] + (columns % 2)[None]
    inside = (rows < count)[:, None] & (columns < 12)[None]
    inside &= (row >= 0) & (row < 2 * height) & (column >= 0) & (column < 2 * width)
    total = tl.zeros((ROWS, COLUMNS), tl.float32)
    for place in tl.static_range(4):
        high = tl.minimum(row // 2 + row % 2 * (place // 2), height - 1)
        left = tl.minimum(column // 2 + column % 2 * (place % 2), width - 1)
        at = first[:, None] + (columns // 4 * step_c)[None] + high * step_h + left * step_w
        total += 0.125 * tl.load(pictures + at, inside, 0.0).to(tl.float32)
    value = tl.where(inside, total + 0.5, 0.0).to(unfolded.dtype.element_ty)
    known = (rows < count)[:, None] & (columns < COLUMNS)[None]
    tl.store(unfolded + places_at(rows, columns, COLUMNS), value, known)


@compiled
def _fold_back(above, gradient, count, height, width, ROWS: tl.constexpr, COLUMNS: tl.constexpr):
    rows, columns = tl.program_id(0) * ROWS + tl.arange(0, ROWS), tl.arange(0, COLUMNS)
    across, down = rows % width, rows // width % height
    first = rows // (width * height) * (height + 3)
    inside = (rows < count)[:, None] & (columns < 3)[None]
    total = tl.zeros((ROWS, COLUMNS), tl.float32)
    for place in tl.static_range(9):
        row, column = 2 * down + place // 3 - 1, 2 * across + place % 3 - 1
        share = share_of(place // 3 - 1, down, height) * share_of(place % 3 - 1, across, width)
        pixel = (first + (row + 2) // 2) * (width + 3) + (column + 2) // 2
        channel = (row % 2 * 2)[:, None] + (column % 2)[:, None] + 4 * columns[None]
        at = pixel.to(tl.int64)[:, None] * 16 + channel
        ours = inside & (row >= 0)[:, None] & (column >= 0)[:, None]
        total += share[:, None] * tl.load(above + at, ours, 0.0).to(tl.float32)
    value = (0.5 * total).to(gradient.dtype.element_ty)
    tl.store(gradient + places_at(rows, columns, 3), value, inside)
