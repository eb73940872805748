"""Maps normalised by the moments of their batch in few passes: own kernels for NVIDIA GPUs (see
`kernels`)."""

# pyright: reportMissingImports=false, reportUnknownParameterType=false
# ruff: noqa: N803  (numbers that a kernel is compiled for)

from typing import Any

import torch
import triton.language as tl
from jaxtyping import Float
from torch import Tensor

from posecast.computing.bias_kernels import Cut, cut_off, maps_with_border, num_sums_of, total_of
from posecast.computing.tiles import (
    SMALL,
    WARPS,
    channels_of,
    compiled,
    layout,
    places_at,
    tile_of,
    with_border,
    without_border,
)


class NormReLU(torch.autograd.Function):
    """cut off((x - mean) / sqrt(variance + eps) * scale + shift) with the moments of the batch, or
    of its kinds; and x, for what else reads it: what flows back from there is added in the same
    pass. Without a scale that is 1."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Float[Tensor, "b c h w"],
        scale: Float[Tensor, " c"] | None,
        shift: Float[Tensor, " c"],
        eps: float,
        cut: Cut,
    ) -> tuple[Float[Tensor, "b c _ _"], Float[Tensor, "b c h w"]]:
        ctx.told = (shift if scale is None else scale, shift, eps, scale is not None, cut)
        moments, y = _means(x, x, x, ctx.told, back=False), maps_with_border(x, cut.border)
        (count, channels), tile, grid = layout(y, cut.kinds)
        maps, sides = (x, moments, *ctx.told[:2], y), x.shape[2:]
        flags = (scale is not None, cut.slope, cut.border, moments.shape[1])
        _normalise[grid](*maps, count, channels, *sides, eps, *flags, *tile, num_warps=WARPS)
        ctx.save_for_backward(x, moments, *ctx.told[:2])
        ctx.set_materialize_grads(False)
        ctx.told = ctx.told[2:]
        return y, x

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        x, moments, scale, shift = ctx.saved_tensors
        eps, has_scale, cut = ctx.told
        above, beside = (
            each if each is None else each.contiguous(memory_format=torch.channels_last)
            for each in gradients
        )
        if above is None:
            return beside, None, None, None, None
        means = _means(x, above, moments, (scale, shift, *ctx.told), back=True)
        gradient = torch.empty_like(x)
        (count, channels), tile, grid = layout(x, cut.kinds)
        maps = (x, above, above if beside is None else beside, moments, means, scale, shift)
        flags = (beside is not None, has_scale, cut.slope, cut.border, moments.shape[1])
        told = (count, channels, *x.shape[2:], eps, *flags)
        _normalise_back[grid](*maps, gradient, *told, *tile, num_warps=WARPS)
        asked = ctx.needs_input_grad[1:3]
        summed = means.sum((0, 1)) * count if any(asked) else (None, None)
        return (
            gradient,
            summed[1] if asked[0] else None,
            summed[0] if asked[1] else None,
            None,
            None,
        )


def _means(
    x: Tensor, above: Tensor, moments: Tensor, told: tuple[Any, ...], back: bool
) -> Float[Tensor, "kinds parts 2 c"]:
    """Of x and its square, both less the first pixel; backwards of what flows back, and of that
    times x normalised. In parts that are still to be added up where maps are small."""
    scale, shift, eps, has_scale, cut = told
    (count, channels), tile, grid = layout(x, cut.kinds)
    num_sums = num_sums_of(count, tile[0])
    sums = torch.empty(cut.kinds, num_sums, 2, channels, dtype=torch.float32, device=x.device)
    maps, numbers = (x, above, moments, scale, shift, sums), (count, channels, *x.shape[2:])
    parts = moments.shape[1] if back else 1  # forwards there are no moments yet
    flags = (num_sums, eps, back, has_scale, cut.slope, cut.border, parts)
    where = (grid[1], num_sums, cut.kinds)
    _partial_sums[where](*maps, *numbers, *flags, *tile, num_warps=WARPS)
    return sums if count <= SMALL else total_of(sums)


@compiled
def _added(sums, columns, known, channels, PARTS: tl.constexpr):
    """Both means of these channels, their parts added up."""
    places = tl.arange(0, PARTS)[:, None] * 2 * channels + columns[None]
    first = tl.load(sums + places, known[None], 0.0)
    second = tl.load(sums + channels + places, known[None], 0.0)
    return tl.sum(first, 0), tl.sum(second, 0)


@compiled
def _moments(x, moments, columns, known, channels, eps, PARTS: tl.constexpr):
    """Mean and 1 / deviation of these channels."""
    less, square = _added(moments, columns, known, channels, PARTS)
    mean = tl.load(x + columns, known, 0.0).to(tl.float32) + less
    return mean, tl.rsqrt(tl.maximum(square - less * less, 0.0) + eps)


@compiled
def _affine(scale, shift, columns, known, HAS_SCALE: tl.constexpr):
    """What these channels are multiplied by, and what is added."""
    factor = tl.zeros(columns.shape, tl.float32) + 1.0
    if HAS_SCALE:
        factor = tl.load(scale + columns, known, 0.0).to(tl.float32)
    return factor, tl.load(shift + columns, known, 0.0).to(tl.float32)


@compiled
def _first_of(kind, count, channels, height, width, BORDER: tl.constexpr):
    """Where the maps of a kind begin, without a border and with one."""
    first = kind.to(tl.int64) * count
    if BORDER == 0:
        return first * channels, first * channels
    pictures = first // (height * width)
    # Times channels last: numbers that are known to be multiples of eight are read as wide ones.
    return first * channels, pictures * ((height + BORDER) * (width + BORDER)) * channels


@compiled
def _partial_sums(
    x,
    above,
    moments,
    scale,
    shift,
    sums,
    count,
    channels,
    height,
    width,
    num_sums,
    eps,
    BACK: tl.constexpr,
    HAS_SCALE: tl.constexpr,
    SLOPE: tl.constexpr,
    BORDER: tl.constexpr,
    PARTS: tl.constexpr,
    ROWS: tl.constexpr,
    COLUMNS: tl.constexpr,
):
    columns, known = channels_of(tl.program_id(0), channels, COLUMNS)
    kind = tl.program_id(2)
    begin, bordered = _first_of(kind, count, channels, height, width, BORDER)
    x, above, moments = x + begin, above + bordered, moments + kind * PARTS * 2 * channels
    first = tl.zeros((ROWS, COLUMNS), tl.float32)
    second = tl.zeros((ROWS, COLUMNS), tl.float32)
    if BACK:
        mean, inverse = _moments(x, moments, columns, known, channels, eps, PARTS)
        factor, offset = _affine(scale, shift, columns, known, HAS_SCALE)
    else:
        mean = tl.load(x + columns, known, 0.0).to(tl.float32)
    for start in range(tl.program_id(1) * ROWS, count, num_sums * ROWS):
        rows = start + tl.arange(0, ROWS)
        inside = (rows < count)[:, None] & known[None]
        centred = tl.load(x + places_at(rows, columns, channels), inside, 0.0).to(tl.float32)
        centred -= mean[None]
        if BACK:
            normed = centred * inverse[None]
            places = places_at(with_border(rows, height, width, BORDER), columns, channels)
            flowing = tl.load(above + places, inside, 0.0).to(tl.float32)
            value = normed * factor[None] + offset[None]
            flowing = tl.where(value > 0, flowing, flowing * SLOPE)
            first += flowing
            second += flowing * normed
        else:
            centred = tl.where(inside, centred, 0.0)
            first += centred
            second += centred * centred
    place = sums + (kind * num_sums + tl.program_id(1)) * 2 * channels + columns
    tl.store(place, tl.sum(first, 0) / count, known)
    tl.store(place + channels, tl.sum(second, 0) / count, known)


@compiled
def _normalise(
    x,
    moments,
    scale,
    shift,
    y,
    count,
    channels,
    height,
    width,
    eps,
    HAS_SCALE: tl.constexpr,
    SLOPE: tl.constexpr,
    BORDER: tl.constexpr,
    PARTS: tl.constexpr,
    ROWS: tl.constexpr,
    COLUMNS: tl.constexpr,
):
    """`count` is of pixels with the border."""
    rows, columns, inside = tile_of(count, channels, ROWS, COLUMNS)
    kind, known = tl.program_id(2), columns < channels
    pixels, there = without_border(rows, height, width, BORDER)
    within = count // ((height + BORDER) * (width + BORDER)) * (height * width)
    begin, bordered = _first_of(kind, within, channels, height, width, BORDER)
    x, y, moments = x + begin, y + bordered, moments + kind * PARTS * 2 * channels
    mean, inverse = _moments(x, moments, columns, known, channels, eps, PARTS)
    factor, offset = _affine(scale, shift, columns, known, HAS_SCALE)
    value = tl.load(x + places_at(pixels, columns, channels), inside & there[:, None], 0.0)
    value = (value.to(tl.float32) - mean[None]) * (inverse * factor)[None] + offset[None]
    value = tl.where(there[:, None], cut_off(value, SLOPE), 0.0)
    tl.store(y + places_at(rows, columns, channels), value.to(y.dtype.element_ty), inside)


@compiled
def _normalise_back(
    x,
    above,
    beside,
    moments,
    means,
    scale,
    shift,
    gradient,
    count,
    channels,
    height,
    width,
    eps,
    HAS_BESIDE: tl.constexpr,
    HAS_SCALE: tl.constexpr,
    SLOPE: tl.constexpr,
    BORDER: tl.constexpr,
    PARTS: tl.constexpr,
    ROWS: tl.constexpr,
    COLUMNS: tl.constexpr,
):
    rows, columns, inside = tile_of(count, channels, ROWS, COLUMNS)
    kind, known = tl.program_id(2), columns < channels
    begin, bordered = _first_of(kind, count, channels, height, width, BORDER)
    parts = kind * PARTS * 2 * channels
    places = begin + places_at(rows, columns, channels)
    edged = bordered + places_at(with_border(rows, height, width, BORDER), columns, channels)
    mean, inverse = _moments(x + begin, moments + parts, columns, known, channels, eps, PARTS)
    factor, offset = _affine(scale, shift, columns, known, HAS_SCALE)
    flown, along = _added(means + parts, columns, known, channels, PARTS)
    normed = (tl.load(x + places, inside, 0.0).to(tl.float32) - mean[None]) * inverse[None]
    flowing = tl.load(above + edged, inside, 0.0).to(tl.float32)
    flowing = tl.where(normed * factor[None] + offset[None] > 0, flowing, flowing * SLOPE)
    value = (inverse * factor)[None] * (flowing - flown[None] - normed * along[None])
    if HAS_BESIDE:
        value += tl.load(beside + places, inside, 0.0).to(tl.float32)
    tl.store(gradient + places, value.to(gradient.dtype.element_ty), inside)
