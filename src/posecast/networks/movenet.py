"""MoveNet SinglePose: 17 joints of the one person who is nearest the middle of a picture.

The network that Google published in 2021 ("Next-Generation Pose Detection with MoveNet and
TensorFlow.js"; weights Apache-2.0): MobileNetV2 with a small feature pyramid, and on its finest
level, a quarter of the picture's size, the heads of CenterNet (Zhou et al., "Objects as Points",
2019). Batch norms are part of the convolutions, as in the published graph. It is used here, not
trained. On processors it is fastest with memory laid out as channels_last.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from posecast.errors import PosecastError

STRIDE = 4
"""Pixels of the picture per cell of the heads."""

# MobileNetV2 (Sandler et al., CVPR 2018, table 2): width, expansion, blocks, stride of the first.
_STAGES = (
    (16, 1, 1, 1),
    (24, 6, 2, 2),
    (32, 6, 3, 2),
    (64, 6, 4, 2),
    (96, 6, 3, 1),
    (160, 6, 3, 2),
    (320, 6, 1, 1),
)
_STEM, _TOP = 32, 1280
_LEVELS = {2: 24, 5: 32, 9: 64}
"""Blocks whose results join the pyramid, the finest first, and their widths."""
_HEAD = 96
_NEARNESS = 1.8
"""Cells that are added to a distance before scores are divided by it."""


@dataclass(frozen=True)
class MoveNetConfig:
    """Sizes of MoveNet; those of Lightning."""

    size: int = 192
    """Side of the pictures that it reads, in pixels, a multiple of 32."""
    num_joints: int = 17
    """Joints; 17 are COCO's."""

    def __post_init__(self) -> None:
        if self.size < 32 or self.size % 32 or self.num_joints < 1:
            raise PosecastError(
                f"MoveNet size is {self.size}, num_joints {self.num_joints}; give a multiple of 32 "
                "and 1 or more"
            )


class MoveNet(nn.Module):
    """Pictures in, joints and their scores out."""

    def __init__(self, config: MoveNetConfig) -> None:
        super().__init__()
        self.config = config
        self.stem = nn.Conv2d(3, _STEM, 3, stride=2)
        self.blocks = nn.ModuleList()
        width = _STEM
        for out, expansion, count, stride in _STAGES:
            for number in range(count):
                self.blocks.append(_Block(width, out, expansion, stride if number == 0 else 1))
                width = out
        self.top = nn.Conv2d(width, _TOP, 1)
        fine, middle, coarse = _LEVELS.values()
        self.narrow = nn.Conv2d(_TOP, coarse, 1)
        self.lateral = nn.ModuleList(nn.Conv2d(c, c, 1) for c in (fine, middle, coarse))
        self.merge = nn.ModuleList(
            [_separable(fine, fine), _separable(middle, fine), _separable(coarse, middle)]
        )
        self.centre = _head(fine, 1)
        self.joints = _head(fine, config.num_joints)
        self.ways = _head(fine, 2 * config.num_joints)
        self.offsets = _head(fine, 2 * config.num_joints)

    def forward(
        self, images: Float[Tensor, "b 3 s s"]
    ) -> tuple[Float[Tensor, "b j 2"], Float[Tensor, "b j"]]:
        """RGB in [-1, 1] to joints (x, y) as shares of the picture, and scores in [0, 1].

        Of all people it is the one whose centre has the highest score, divided by the distance
        from the middle; each joint is looked for likewise near where that centre expects it.
        """
        features = self._features(images)
        side = features.shape[-1]
        maps = self.joints(features).sigmoid()
        middle = torch.full((maps.shape[0], 1, 2), float(side // 2), device=maps.device)
        centre = _nearest_peaks(self.centre(features).sigmoid(), middle)
        way = _at(self.ways, features, centre).view(maps.shape[0], -1, 2)
        places = _nearest_peaks(maps, _cells(centre, side) + way.flip(2))
        scores = maps.flatten(2).gather(2, places[..., None]).squeeze(2)
        # Every place has offsets for all joints: its own is on the diagonal.
        offsets = _at(self.offsets, features, places).view(maps.shape[0], -1, 2, places.shape[1])
        offsets = offsets.diagonal(dim1=1, dim2=3).transpose(1, 2)
        # The published graph multiplies by 1 / 48 as float16 has it.
        cell = torch.tensor(1 / side, dtype=torch.float16, device=maps.device)
        return (_cells(places, side) + offsets.flip(2)) * cell, scores

    def _features(self, images: Float[Tensor, "b 3 s s"]) -> Float[Tensor, "b c h w"]:
        """The finest level of the pyramid."""
        x = functional.relu6(_halving(self.stem, images), inplace=True)
        levels = []
        for number, block in enumerate(self.blocks):
            x = block(x)
            if number in _LEVELS:
                levels.append(x)
        x = self.narrow(functional.relu6(self.top(x), inplace=True))
        for number in (2, 1, 0):
            grown = functional.interpolate(x, scale_factor=2.0, mode="bilinear")
            x = self.merge[number](grown + self.lateral[number](levels[number]))
        return x


class _Block(nn.Module):
    """MobileNetV2's inverted residual."""

    def __init__(self, width: int, out: int, expansion: int, stride: int) -> None:
        super().__init__()
        inner = width * expansion
        is_wider = expansion > 1
        self.expand = nn.Conv2d(width, inner, 1) if is_wider else None
        self.depthwise = nn.Conv2d(inner, inner, 3, stride, int(stride == 1), groups=inner)
        self.project = nn.Conv2d(inner, out, 1)
        self._stride = stride
        self._is_residual = stride == 1 and width == out

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d h2 w2"]:
        y = x if self.expand is None else functional.relu6(self.expand(x), inplace=True)
        y = self.depthwise(y) if self._stride == 1 else _halving(self.depthwise, y)
        y = self.project(functional.relu6(y, inplace=True))
        return x + y if self._is_residual else y


def _halving(conv: nn.Conv2d, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d h2 w2"]:
    """TensorFlow's SAME: a stride of 2 over an even size pads below and on the right alone.

    That is padding all round for a kernel that begins with zeros, and copies no picture.
    """
    kernel = functional.pad(conv.weight, (1, 0, 1, 0))
    return functional.conv2d(x, kernel, conv.bias, stride=2, padding=1, groups=conv.groups)


def _separable(width: int, out: int) -> nn.Sequential:
    depthwise = nn.Conv2d(width, width, 3, padding=1, groups=width, bias=False)
    return nn.Sequential(depthwise, nn.Conv2d(width, out, 1), nn.ReLU(inplace=True))


def _head(width: int, out: int) -> nn.Sequential:
    return nn.Sequential(*_separable(width, _HEAD), nn.Conv2d(_HEAD, out, 1))


def _at(
    head: nn.Sequential, features: Float[Tensor, "b c h w"], places: Int[Tensor, "b n"]
) -> Float[Tensor, "b o n"]:
    """What a head says at some cells; only its first layer, which is cheap, looks everywhere."""
    seen = head[0](features).flatten(2)
    picked = seen.gather(2, places[:, None].expand(-1, seen.shape[1], -1))
    return head[1:](picked[..., None]).squeeze(3)


def _nearest_peaks(
    maps: Float[Tensor, "b n h w"], points: Float[Tensor, "b n 2"]
) -> Int[Tensor, "b n"]:
    """Cell of each map with the highest value, divided by the distance from a point (x, y)."""
    height, width = maps.shape[-2:]
    rows = torch.arange(height, device=maps.device, dtype=maps.dtype)[:, None]
    columns = torch.arange(width, device=maps.device, dtype=maps.dtype)
    x, y = points[..., None, None].unbind(dim=2)
    distance = torch.sqrt((columns - x).square() + (rows - y).square())
    return (maps / (distance + _NEARNESS)).flatten(2).argmax(dim=2)


def _cells(places: Int[Tensor, "b n"], width: int) -> Float[Tensor, "b n 2"]:
    """Column and row of cells that are counted row by row."""
    return torch.stack([places % width, places // width], dim=-1).float()
