"""Bytes of a picture to what networks read, and back."""

import torch
from jaxtyping import Float, UInt8
from torch import Tensor


def to_network(images: UInt8[Tensor, "*n h w 3"]) -> Float[Tensor, "*n 3 h w"]:
    """Bytes to [-1, 1]; channels first in the shape, still last in memory."""
    return images.movedim(-1, -3).float() / 127.5 - 1


def to_bytes(images: Float[Tensor, "*n 3 h w"]) -> UInt8[Tensor, "*n h w 3"]:
    """Inverse of `to_network`, rounded to the nearest grey level.

    The 2017 code cut the fraction off (deviations.md 18).
    """
    levels = ((images.float() + 1) * 127.5).round().clamp(0, 255)
    return levels.to(torch.uint8).movedim(-3, -1).contiguous()
