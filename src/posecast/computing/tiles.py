"""Maps in tiles of pixels and channels, as our own kernels for NVIDIA GPUs go through them."""

# pyright: reportMissingImports=false, reportUnknownParameterType=false
# ruff: noqa: N803  (numbers that a kernel is compiled for)

import inspect
from collections.abc import Callable
from typing import Any

import torch
import triton
import triton.language as tl
from jaxtyping import Float
from torch import Tensor

_TILE = 8192
"""Numbers that are loaded at once, where a kernel does not ask for fewer."""
WARPS = 8
SMALL = 32768
"""Pixels up to which moments are added up where they are used, which saves a kernel."""


_Pair = tuple[int, int]


def layout(
    maps: Float[Tensor, "b c h w"], kinds: int = 1, numbers: int | None = None
) -> tuple[_Pair, _Pair, tuple[int, int, int]]:
    """Pixels of all maps of one of so many kinds, which lie one after the other, and their
    channels; how many of both are in a tile; how many tiles there are along both, and kinds."""
    count, channels = maps.numel() // maps.shape[1] // kinds, maps.shape[1]
    columns = 32 if count <= SMALL else 128 if channels > 64 else 64
    rows = (numbers or _TILE) // columns
    grid = (triton.cdiv(count, rows), triton.cdiv(channels, columns), kinds)
    return (count, channels), (rows, columns), grid


def empty_maps(
    shape: tuple[int, ...], dtype: torch.dtype, like: Tensor
) -> Float[Tensor, "b c h w"]:
    """Maps that lie channels last, on the device of others; nothing is written yet."""
    where = {"device": like.device, "memory_format": torch.channels_last}
    return torch.empty(shape, dtype=dtype, **where)


def compiled(function: Callable[..., Any]) -> Any:
    """By Triton, which reads the source: without the type checks that tests wrap it into."""
    return triton.jit(inspect.unwrap(function))


@compiled
def channels_of(pid, channels, COLUMNS: tl.constexpr):
    """Channels of a tile, and which of them there are."""
    columns = pid * COLUMNS + tl.arange(0, COLUMNS)
    return columns, columns < channels


@compiled
def tile_of(count, channels, ROWS: tl.constexpr, COLUMNS: tl.constexpr):
    """Pixels and channels of this program's tile, and which numbers of it there are."""
    columns, known = channels_of(tl.program_id(1), channels, COLUMNS)
    rows = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    return rows, columns, (rows < count)[:, None] & known[None]


@compiled
def places_at(rows, columns, channels):
    """Where the numbers of these pixels and channels are."""
    return rows[:, None].to(tl.int64) * channels + columns[None]


@compiled
def with_border(rows, height, width, BORDER: tl.constexpr):
    """Which pixels these are in maps with a border at the ends of rows and columns."""
    if BORDER == 0:
        return rows
    down = rows // width
    return (down + down // height * BORDER) * (width + BORDER) + rows % width


@compiled
def without_border(rows, height, width, BORDER: tl.constexpr):
    """Which pixels these of maps with a border are in maps without, and which of them there are."""
    if BORDER == 0:
        return rows, rows >= 0
    across, down = rows % (width + BORDER), rows // (width + BORDER)
    row, picture = down % (height + BORDER), down // (height + BORDER)
    return (picture * height + row) * width + across, (row < height) & (across < width)
