"""What is learned about carrying a person along: the person's mask, and a refinement of layers.

`posecast.carrying` makes a future frame of seen pixels without training. Two small U-nets help it.
One says how much of each pixel of a seen frame the person covers, given the pose. The other looks
at the layers of a future frame and says how each should move a little, how much of each shows,
and what to draw where none is right. Its last layers begin with zeros: then nothing changes.

Both work at one fixed size, `posecast.carrying.layers.COARSE`, whatever the size of the frames.
Pictures are in [-1, 1], `maps` (b m c/2 c/2) from `body_maps`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import cv2
import numpy as np
import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

from posecast.carrying import composing
from posecast.carrying.body_maps import NUM_MAPS, body_maps
from posecast.carrying.body_parts import body_size
from posecast.carrying.layers import COARSE
from posecast.media.grey_levels import to_network
from posecast.networks.compositing import warp
from posecast.skeletons import Skeleton

NUM_LAYERS = 4
"""Person, what is behind its front parts, bent last frame, plate."""
BATCH = 16
"""Frames looked at together."""
Norm = Literal["groups", "batch"]


@dataclass(frozen=True)
class CarryingConfig:
    """Size of the networks."""

    mask_widths: tuple[int, ...] = (24, 40, 64, 80)
    """Channels of the mask's U-net at 1/2, 1/4, ... of the picture's side, multiples of 8; none:
    the body's parts are the mask."""
    refinement_widths: tuple[int, ...] = (32, 56, 96, 144)
    """Likewise of the refinement; none: the layers stay as they are."""
    refinement_norm: Norm = "groups"
    """How the refinement's features are normalised: in groups of 8 channels, or over the batch."""


class CarryingNetwork(nn.Module):
    """Both networks, each of which may be absent."""

    def __init__(self, config: CarryingConfig) -> None:
        super().__init__()
        self.config = config
        self.mask = PersonMask(config.mask_widths) if config.mask_widths else None
        widths, norm = config.refinement_widths, config.refinement_norm
        self.refinement = Refinement(widths, norm) if widths else None

    def without_norms(self) -> "CarryingNetwork":
        """Itself, to draw with: normalisations over the batch become part of convolutions."""
        for module in self.modules():
            if isinstance(module, nn.Sequential):
                for number, (before, norm) in enumerate(pairwise(module), 1):
                    if isinstance(before, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                        module[number - 1] = fuse_conv_bn_eval(before, norm)
                        module[number] = nn.Identity()
        return self

    def forward(
        self, layers: "LayerBatch", maps: Float[Tensor, "b m d d"]
    ) -> Float[Tensor, "b 3 h w"]:
        if self.refinement is None:
            return layers.mixed()
        return refined(layers, self.refinement(layers, maps))


class _UNet(nn.Module):
    """A U-net on pictures whose pixels were put together two by two."""

    def __init__(self, channels_in: int, widths: tuple[int, ...], norm: Norm = "groups") -> None:
        super().__init__()
        self.first = nn.Conv2d(channels_in, widths[0], 3, padding=1)
        before = (widths[0], *widths[:-1])
        self.down = nn.ModuleList(_block(a, b, norm) for a, b in zip(before, widths, strict=True))
        pairs = zip(widths[:0:-1], widths[-2::-1], strict=True)
        self.up = nn.ModuleList(_block(a + b, b, norm) for a, b in pairs)

    def forward(
        self, pictures: Float[Tensor, "b i h w"], maps: Float[Tensor, "b m d d"]
    ) -> Float[Tensor, "b o d d"]:
        """Pictures of twice the side of the maps."""
        x = self._together(pictures, maps)
        kept = []
        for number, block in enumerate(self.down):
            x = block(functional.avg_pool2d(x, 2) if number else x)
            kept.append(x)
        kept.pop()
        for block in self.up:
            x = torch.cat([functional.interpolate(x, scale_factor=2.0), kept.pop()], dim=1)
            x = block(x)
        return x

    def _together(
        self, pictures: Float[Tensor, "b i h w"], maps: Float[Tensor, "b m d d"]
    ) -> Float[Tensor, "b o d d"]:
        """`first` of the maps beside pixels put together two by two (`pixel_unshuffle`), which it
        is told by larger kernels: writing them anew for each frame took longer than convolving."""
        kernels = self.first.weight.split((4 * pictures.shape[1], maps.shape[1]), dim=1)
        large = functional.pixel_shuffle(kernels[0], 2)
        pictures, maps = (  # in two steps: narrower first is sooner on a processor
            each.to(large.dtype).contiguous(memory_format=torch.channels_last)
            for each in (pictures, maps)
        )
        x = functional.conv2d(pictures, large, self.first.bias, stride=2, padding=2)
        return x + functional.conv2d(maps, kernels[1], padding=1)


def _block(channels_in: int, channels: int, norm: Norm) -> nn.Sequential:
    layers: list[nn.Module] = []
    for width in (channels_in, channels):
        normed = nn.GroupNorm(8, channels) if norm == "groups" else nn.BatchNorm2d(channels)
        layers += [nn.Conv2d(width, channels, 3, padding=1), normed, nn.SiLU()]
    return nn.Sequential(*layers)


class PersonMask(nn.Module):
    """How much of each pixel the person covers whose pose is given."""

    def __init__(self, widths: tuple[int, ...]) -> None:
        super().__init__()
        self.widths = widths
        self.body = _UNet(4 * 3 + NUM_MAPS, widths)
        self.last = nn.Conv2d(widths[0], 4, 3, padding=1)

    def forward(
        self, pictures: Float[Tensor, "b 3 c c"], maps: Float[Tensor, "b m d d"]
    ) -> Float[Tensor, "b 1 c c"]:
        """Logits."""
        return functional.pixel_shuffle(self.last(self.body(pictures, maps)), 2)


@torch.inference_mode()
def person_masks(
    network: nn.Module,
    frames: UInt8[np.ndarray, "t s s 3"],
    joints_crop: Float[np.ndarray, "t j 2"],
    visible: Bool[np.ndarray, "t j"],
    skeleton: Skeleton,
) -> Float[np.ndarray, "t c c"]:
    """How much the person covers of each seen frame, by a `PersonMask` or what stands in for it."""
    device = next((each.device for each in network.parameters()), torch.device("cpu"))
    size = body_size(joints_crop, visible, skeleton)
    if frames.shape[1] != COARSE:
        how = cv2.INTER_AREA if frames.shape[1] > COARSE else cv2.INTER_LINEAR
        frames = np.stack([cv2.resize(f, (COARSE, COARSE), interpolation=how) for f in frames])
    places, shown = (torch.from_numpy(each).to(device) for each in (joints_crop, visible))
    masks = []
    for first in range(0, len(frames), BATCH):
        part = slice(first, first + BATCH)
        pictures = to_network(torch.from_numpy(frames[part]).to(device))
        maps = body_maps(places[part], shown[part], size, skeleton, COARSE // 2)
        masks.append(network(pictures, maps)[:, 0].float().sigmoid().cpu().numpy())
    return np.concatenate(masks)


@dataclass(frozen=True, eq=False)
class LayerBatch:
    """Layers of frames (`carrying.layers.Layers`) as tensors."""

    pictures: Float[Tensor, "b 12 h w"]
    """The `NUM_LAYERS`, channels one after the other."""
    shares: Float[Tensor, "b 4 h w"]
    distance: Float[Tensor, "b 1 h w"]
    """To the nearest part of the body, in radii."""
    holes: Float[Tensor, "b 1 h w"]
    """1 where no seen frame shows what the plate does."""

    def mixed(self) -> Float[Tensor, "b 3 h w"]:
        """The frame without refinement."""
        total = self.pictures[:, :3] * self.shares[:, :1]
        for number in range(1, NUM_LAYERS):
            total = torch.addcmul(total, self.picture(number), self.share(number))
        return total

    def picture(self, number: int) -> Float[Tensor, "b 3 h w"]:
        return self.pictures[:, 3 * number : 3 * number + 3]

    def share(self, number: int) -> Float[Tensor, "b 1 h w"]:
        return self.shares[:, number : number + 1]


@dataclass(frozen=True, eq=False)
class Changes:
    """What the refinement says of a frame, at its own size; all zeros change nothing."""

    logits: Float[Tensor, "b 5 c c"]
    """How much more or less each layer shows, and what is drawn."""
    drawn: Float[Tensor, "b 3 c c"]
    """What is drawn, less the unrefined frame."""
    flow: Float[Tensor, "b 8 d d"]
    """(x, y) for each layer, in `FLOW_UNIT`."""

    def of_frames(self) -> Iterator[composing.FrameChanges]:
        """One after the other, for frames of any size."""
        parts = (
            each.float().contiguous().cpu().numpy() for each in (self.logits, self.drawn, self.flow)
        )
        return (composing.FrameChanges(*map(list, each)) for each in zip(*parts, strict=True))


class Refinement(nn.Module):
    """Looks at the layers of a frame and says what to change."""

    def __init__(self, widths: tuple[int, ...], norm: Norm) -> None:
        super().__init__()
        self.body = _UNet(4 * (4 * NUM_LAYERS + 3 + 1 + 1) + NUM_MAPS, widths, norm)
        self.to_shares = nn.Conv2d(widths[0], 4 * (NUM_LAYERS + 1 + 3), 3, padding=1)
        self.to_flow = nn.Conv2d(widths[0], 2 * NUM_LAYERS, 3, padding=1)
        for head in (self.to_shares, self.to_flow):
            nn.init.zeros_(head.weight)
            nn.init.zeros_(head.get_parameter("bias"))

    def forward(self, layers: LayerBatch, maps: Float[Tensor, "b m d d"]) -> Changes:
        """`layers` at the coarse size, maps of the wanted poses."""
        near = layers.distance.clamp(max=4) / 4
        shares = 2 * layers.shares - 1
        seen = torch.cat([layers.pictures, shares, layers.mixed(), near, layers.holes], dim=1)
        features = self.body(seen, maps)
        said = _smoothed(functional.pixel_shuffle(self.to_shares(features), 2).float())
        split = NUM_LAYERS + 1
        return Changes(said[:, :split], said[:, split:], self.to_flow(features).float())


def refined(layers: LayerBatch, changes: Changes) -> Float[Tensor, "b 3 h w"]:
    """The frames with changes applied, to train with (`carrying.composing` draws them).

    Written as the unrefined frame and a difference, so that zeros change not a single bit, and
    nothing is changed far from the body; where frames are drawn, nothing far from what moved.
    """
    plain = layers.mixed()
    shown = functional.pad(layers.shares, (0, 0, 0, 0, 0, 1)) + composing.LEAST_SHARE
    shown[:, composing.BENT] = layers.shares[:, composing.BENT] + composing.LEAST_BENT
    shown = shown.log()
    before = shown.softmax(dim=1)
    after = (shown + composing.PULL * changes.logits).softmax(dim=1)
    # The drawing's own share of the unrefined frame is of that frame, not of the drawing.
    drawn = plain + changes.drawn
    change = after[:, -1:] * drawn - before[:, -1:] * plain
    for number in range(NUM_LAYERS):
        picture, part = layers.picture(number), slice(number, number + 1)
        moved = _moved(picture, changes.flow[:, 2 * number : 2 * number + 2])
        change = torch.addcmul(change, after[:, part], moved)
        change = torch.addcmul(change, before[:, part], picture, value=-1)
    return plain + change * ((composing.REACH - layers.distance) / composing.FADING).clamp(0, 1)


def _moved(
    pictures: Float[Tensor, "b 3 h w"], flow: Float[Tensor, "b 2 d d"]
) -> Float[Tensor, "b 3 h w"]:
    """Pixels fetched from where the flow points."""
    flow = functional.interpolate(flow, pictures.shape[-2:], mode="bilinear") * composing.FLOW_UNIT
    return warp(pictures, flow)


def _smoothed(values: Float[Tensor, "b n h w"]) -> Float[Tensor, "b n h w"]:
    """Binomial means of 3 x 3: a loss that asks for sharp pictures is not to get chequered ones."""
    for dim in (2, 3):
        size = values.shape[dim]
        first, last = values.narrow(dim, 0, 1), values.narrow(dim, size - 1, 1)
        around = torch.cat([first, values, last], dim)
        sides = around.narrow(dim, 0, size) + around.narrow(dim, 2, size)
        values = torch.add(sides, values, alpha=2)
    return values / 16
