"""The pose estimator: a stacked hourglass (Newell, Yang and Deng, ECCV 2016), made to be trained.

A picture goes through a stem to a quarter of its size and then through hourglasses, each of which
shrinks it step by step, grows it again and names a heat map per joint; the next hourglass mends
the guess of the one before. Peaks of the maps are the joints. These heat maps are not those that
the image generator reads (`heatmaps`): they are small, with one channel a joint and a blob as wide
in x as in y. Pixel i of a map of n pixels has its centre at (i + 0.5) / n of the crop.

The defaults fit two CPU cores: 1.1 GFLOP a picture forward, 3.2 with its gradients: 24 ms
of one core in bfloat16; 6,000 steps of 32 pictures are 40 minutes of two such cores. The paper's
size (256 pixels, width 256, 8 stacks) costs 55 GFLOP forward.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional

from posecast.errors import PosecastError
from posecast.records.configs import check_at_least, check_multiple


def draw_joint_maps(
    joints_crop: Float[Tensor, "b j 2"], visible: Bool[Tensor, "b j"], size: int, sigma: float
) -> Float[Tensor, "b j {size} {size}"]:
    """What the estimator should say: a Gaussian of height 1 at each joint, sigma in map pixels.

    Invisible joints have an empty map, so that the height of a peak says whether it is a joint.
    """
    centres = torch.arange(size, device=joints_crop.device, dtype=joints_crop.dtype) + 0.5
    offsets = torch.where(visible[..., None], joints_crop, 0.0)[..., None] * size - centres
    lines = torch.exp(-0.5 * (offsets / sigma).square())
    columns, rows = lines.unbind(dim=2)
    return visible[..., None, None] * rows[..., :, None] * columns[..., None, :]


def decode_joint_maps(
    maps: Float[Tensor, "b j h w"],
) -> tuple[Float[Tensor, "b j 2"], Float[Tensor, "b j"]]:
    """Joints as shares of the crop, and confidences in [0, 1] (the height of the peak).

    The peak is placed between pixels by a parabola through the logarithms around the highest
    pixel, which is exact for a Gaussian (Zhang et al., CVPR 2020), border pixels included.
    A map without any positive value gives its highest pixel and confidence 0.
    """
    maps = maps.float()
    _, _, height, width = maps.shape
    highest, place = maps.flatten(2).max(dim=2)
    row, column = place // width, place % width
    rows = maps.gather(2, row[..., None, None].expand(-1, -1, 1, width)).squeeze(2)
    columns = maps.gather(3, column[..., None, None].expand(-1, -1, height, 1)).squeeze(3)
    x = (_peak(rows, column) + 0.5) / width
    y = (_peak(columns, row) + 0.5) / height
    return torch.stack([x, y], dim=-1), highest.clamp(0, 1)


def _peak(line: Float[Tensor, "b j n"], highest: Int[Tensor, "b j"]) -> Float[Tensor, "b j"]:
    """Where a Gaussian through the highest value and its neighbours has its maximum.

    At the border the three values nearest to it are used; the peak may then lie a pixel outside.
    """
    middle = highest.clamp(1, line.shape[-1] - 2)
    around = middle[..., None] + torch.tensor([-1, 0, 1], device=line.device)
    # Below a thousandth of the peak there is no shape to trust.
    floor = 1e-3 * line.amax(dim=-1, keepdim=True).clamp(min=1e-6)
    before, centre, after = torch.maximum(line.gather(-1, around), floor).log().unbind(dim=-1)
    curvature = 2 * centre - before - after
    offset = torch.where(curvature > 1e-6, (after - before) / (2 * curvature), 0.0)
    estimate = middle + offset
    is_shaped = (curvature > 1e-6) & ((estimate - highest).abs() <= 1.5)
    return torch.where(is_shaped, estimate, highest.to(line.dtype))


STRIDE = 4
"""Pixels of the picture per pixel of the heat maps."""

EMPTY_LOGIT = -4.0
"""What an untrained network says everywhere: about the share of a map that a blob covers."""


@dataclass(frozen=True)
class HourglassConfig:
    """Sizes of the pose estimator."""

    num_joints: int = 13
    """Joints, one heat map each: 13 for Penn Action, 32 for Human3.6M."""
    stacks: int = 2
    """Hourglasses, one behind the other (paper: 8)."""
    width: int = 128
    """Channels inside the hourglasses, a multiple of 4 (paper: 256)."""
    depth: int = 4
    """How often an hourglass halves its maps (paper: 4)."""
    size: int = 128
    """Side of the pictures it is trained on, in pixels; heat maps have a quarter of it."""

    def __post_init__(self) -> None:
        check_at_least(1, self, "num_joints", "stacks", "width", "depth")
        check_multiple(4, self, "width")
        if self.size < self.unit or self.size % self.unit:
            raise PosecastError(
                f"hourglass size {self.size} cannot be halved {self.depth + 2} times: give a "
                f"multiple of {self.unit}, or less depth"
            )

    @property
    def unit(self) -> int:
        """Sides of pictures must be multiples of this many pixels."""
        return STRIDE * 2**self.depth


class Hourglass(nn.Module):
    """Pictures in, one heat map per joint and stack out."""

    def __init__(self, config: HourglassConfig) -> None:
        super().__init__()
        self.config = config
        width = config.width
        self.stem = nn.Sequential(
            nn.Conv2d(3, width // 4, 7, stride=2, padding=3, bias=False),
            nn.BatchNorm2d(width // 4),
            nn.ReLU(inplace=True),
            _Residual(width // 4, width // 2),
            nn.MaxPool2d(2),
            _Residual(width // 2, width // 2),
            _Residual(width // 2, width),
        )
        self.stacks = nn.ModuleList(_Stack(config) for _ in range(config.stacks))
        self.returns = nn.ModuleList(
            _Return(width, config.num_joints) for _ in range(config.stacks - 1)
        )

    def forward(self, images: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "s b j hm wm"]:
        """RGB pictures in [-1, 1] -> heat maps of every stack, the best last, as logits.

        All stacks are trained (intermediate supervision); `estimate_heatmaps` gives the maps of
        the last one in [0, 1].
        """
        self._check(images)
        x = self.stem(images)
        maps = []
        for index, stack in enumerate(self.stacks):
            features, guess = stack(x)
            maps.append(guess)
            if index < len(self.returns):
                x = x + self.returns[index](features, guess)
        return torch.stack(maps)

    def features(self, images: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b f hm wm"]:
        """What the first stack knows just before it names joints, normalised, not negative.

        The image model compares pictures by it (second feature loss); later stacks are not run.
        """
        self._check(images)
        features, _ = self.stacks[0](self.stem(images))
        return features

    def _check(self, images: Tensor) -> None:
        unit = self.config.unit
        if images.shape[-2] % unit or images.shape[-1] % unit:
            raise PosecastError(
                f"pictures of {images.shape[-1]} x {images.shape[-2]} pixels do not fit an "
                f"estimator of depth {self.config.depth}: sides must be multiples of {unit}"
            )


class HourglassFeatures(nn.Module):
    """A trained estimator as feature network: frozen, normalised by what it learnt."""

    def __init__(self, network: Hourglass) -> None:
        super().__init__()
        self.network = network.requires_grad_(False)
        self.eval()

    def train(self, mode: bool = True) -> "HourglassFeatures":
        """Stays in evaluation mode, whatever a training loop says."""
        return super().train(False)

    def forward(self, images: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b f hm wm"]:
        """`Hourglass.features` of RGB pictures in [-1, 1]; gradients reach the pictures."""
        return self.network.features(images)


def estimate_heatmaps(
    network: Callable[[Tensor], Sequence[Tensor]],
    images: Float[Tensor, "b 3 h w"],
    mirror: Sequence[int] | None = None,
) -> Float[Tensor, "b j hm wm"]:
    """Heat maps of the last stack, in [0, 1].

    With `mirror` (`Skeleton.mirror`) averaged with those of the mirrored pictures, mirrored back:
    twice the work, steadier joints. Call it on a network in evaluation mode.
    """
    if mirror is None:
        return network(images)[-1].float().sigmoid()
    both = network(torch.cat([images, images.flip(-1)]))[-1].float().sigmoid()
    straight, mirrored = both[: images.shape[0]], both[images.shape[0] :]
    return (straight + mirrored[:, list(mirror)].flip(-1)) / 2


class _Residual(nn.Module):
    """Bottleneck of the paper: three times norm, ReLU, convolution, beside the input."""

    def __init__(self, num_in: int, num_out: int) -> None:
        super().__init__()
        half = num_out // 2
        layers = []
        for channels, out, size in ((num_in, half, 1), (half, half, 3), (half, num_out, 1)):
            layers += [nn.BatchNorm2d(channels), nn.ReLU(inplace=True)]
            # A bias in front of a normalisation has no effect: only the last one is kept.
            layers.append(nn.Conv2d(channels, out, size, padding=size // 2, bias=out == num_out))
        self.block = nn.Sequential(*layers)
        same = num_in == num_out
        self.skip = nn.Identity() if same else nn.Conv2d(num_in, num_out, 1, bias=False)

    def forward(self, x: Float[Tensor, "b _ h w"]) -> Float[Tensor, "b _ h w"]:
        return self.block(x) + self.skip(x)


class _Level(nn.Module):
    """One level of an hourglass, around the next smaller one."""

    def __init__(self, width: int, depth: int) -> None:
        super().__init__()
        self.upper = _Residual(width, width)
        self.down = _Residual(width, width)
        self.inner = _Level(width, depth - 1) if depth > 1 else _Residual(width, width)
        self.up = _Residual(width, width)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        lower = self.up(self.inner(self.down(functional.max_pool2d(x, 2))))
        return self.upper(x) + functional.interpolate(lower, scale_factor=2.0, mode="nearest")


class _Stack(nn.Module):
    """An hourglass and the head that names the joints."""

    def __init__(self, config: HourglassConfig) -> None:
        super().__init__()
        width = config.width
        self.features = nn.Sequential(
            _Level(width, config.depth),
            _Residual(width, width),
            nn.Conv2d(width, width, 1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(inplace=True),
        )
        self.head = nn.Conv2d(width, config.num_joints, 1)
        if self.head.bias is not None:
            nn.init.constant_(self.head.bias, EMPTY_LOGIT)

    def forward(
        self, x: Float[Tensor, "b c h w"]
    ) -> tuple[Float[Tensor, "b c h w"], Float[Tensor, "b j h w"]]:
        features = self.features(x)
        return features, self.head(features)


class _Return(nn.Module):
    """Feeds what a stack found back into the stream of features for the next one."""

    def __init__(self, width: int, num_joints: int) -> None:
        super().__init__()
        self.from_features = nn.Conv2d(width, width, 1)
        self.from_maps = nn.Conv2d(num_joints, width, 1, bias=False)

    def forward(
        self, features: Float[Tensor, "b c h w"], maps: Float[Tensor, "b j h w"]
    ) -> Float[Tensor, "b c h w"]:
        return self.from_features(features) + self.from_maps(maps)
