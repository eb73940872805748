"""The discriminator: does this picture look real, and does it show this pose? (2017 conventions;
deviations.md 32)."""

from dataclasses import dataclass
from types import ModuleType
from typing import cast

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from posecast.computing.processes import num_processes
from posecast.errors import PosecastError
from posecast.networks import gpu_layers
from posecast.networks.gpu_layers import HalvingConv2d
from posecast.records.configs import check_at_least, check_multiple

SLOPE = 0.2
"""Of numbers below 0."""


@dataclass(frozen=True)
class DiscriminatorConfig:
    """Size of the discriminator; the defaults are the paper's Penn Action model."""

    num_heatmaps: int = 48
    """Channels of the pose images, as the generator's."""
    width: int = 64
    """Channels after the first convolution; each of the next three doubles them (2017: df_dim)."""
    size: int = 128
    """Side of the pictures in pixels, a multiple of 16."""

    def __post_init__(self) -> None:
        check_at_least(1, self, "num_heatmaps", "width")
        check_multiple(16, self, "size")  # halved 4 times


class Discriminator(nn.Module):
    """Logits of "this is a real frame of this pose"; images in [-1, 1], heat maps in [0, 1].

    Normalises with the moments of the batch it is given, in evaluation too, as in 2017 (running
    averages were never kept): real, mismatched and drawn pictures each by their own, and a logit
    depends on the rest of its kind.
    """

    def __init__(self, config: DiscriminatorConfig) -> None:
        super().__init__()
        self.config = config
        widths = [3 + config.num_heatmaps, *(config.width * 2**level for level in range(4))]
        self.convolutions = nn.ModuleList(
            HalvingConv2d(widths[level], widths[level + 1], 5) for level in range(4)
        )
        self.norms = nn.ModuleList(
            nn.BatchNorm2d(channels, eps=1e-3, track_running_stats=False) for channels in widths[2:]
        )
        self.to_logit = nn.Linear(widths[-1] * (config.size // 16) ** 2, 1)
        self.apply(_initialise)

    def forward(
        self, image: Float[Tensor, "kb 3 h w"], heatmaps: Float[Tensor, "b c h w"]
    ) -> Float[Tensor, "kb 1"]:
        """One logit a picture, of one or several kinds of pictures of the same poses, kind after
        kind; PosecastError for a size other than the configured one."""
        side, kinds = self.config.size, len(image) // len(heatmaps)
        if image.shape[-2:] != (side, side):
            raise PosecastError(
                f"this discriminator judges pictures of {side} x {side} pixels, got "
                f"{image.shape[-2]} x {image.shape[-1]}"
            )
        kernels = gpu_layers.kernels_for(heatmaps) if num_processes() == 1 else None
        if kernels is None or heatmaps.requires_grad:
            hidden = self._look(image, heatmaps, kinds)
        else:
            hidden = self._look_joined(image, heatmaps, kinds, kernels)
        features = hidden.permute(0, 2, 3, 1).flatten(1)  # rows, columns, channels, as in 2017
        return self.to_logit(features).to(image.dtype)

    def _look(self, image: Tensor, heatmaps: Tensor, kinds: int) -> Tensor:
        poses = _rounded(heatmaps)
        joined = [torch.cat([each, poses], dim=1) for each in _rounded(image).chunk(kinds)]
        hidden = functional.leaky_relu(self.convolutions[0](_together(joined)), SLOPE)
        for convolution, norm in zip(self.convolutions[1:], self.norms, strict=True):
            normed = [norm(each) for each in convolution(hidden).chunk(kinds)]
            hidden = functional.leaky_relu(_together(normed), SLOPE)
        return hidden

    def _look_joined(
        self, image: Tensor, heatmaps: Tensor, kinds: int, kernels: ModuleType
    ) -> Tensor:
        """The same with one pass after each convolution, which writes the next one's border, too.
        Biases in front of a normalisation have no effect and are left out."""
        first, *others = cast(list[HalvingConv2d], self.convolutions)
        joined = kernels.JoinMaps.apply(image, heatmaps, gpu_layers.half_of(image))
        maps = first.products(joined, last=image.shape[1])
        hidden = kernels.AddBias.apply(maps, first.bias, None, kernels.Cut(SLOPE, border=1))
        for level, (convolution, norm) in enumerate(zip(others, self.norms, strict=True)):
            border = 0 if level == len(others) - 1 else 1
            told = (norm.weight, norm.bias, norm.eps, kernels.Cut(SLOPE, border, kinds))
            hidden, _ = kernels.NormReLU.apply(convolution.products(hidden), *told)
        return hidden


def _together(maps: list[Tensor]) -> Tensor:
    return maps[0] if len(maps) == 1 else torch.cat(maps)


def _rounded(images: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
    """As autocast will round them for the first convolution: to be joined and padded in half."""
    return images.to(gpu_layers.half_of(images))


def _initialise(module: nn.Module) -> None:
    """Glorot uniform kernels, normal(0.02) dense weights, zero biases (2017 conventions)."""
    if isinstance(module, nn.Conv2d):
        nn.init.xavier_uniform_(module.weight)
    elif isinstance(module, nn.Linear):
        nn.init.normal_(module.weight, std=0.02)
    if isinstance(module, nn.Conv2d | nn.Linear) and module.bias is not None:
        nn.init.zeros_(module.bias)
