"""The image generator: draws a frame from one seen frame and two poses.

Visual-structure analogy of the paper (section 3.2; 2017 conventions): what the seen frame lacks to
show the target pose is the difference of two pose encodings,

    h = f_img(source image) + f_pose(target pose) - f_pose(source pose),

and a decoder draws the frame from h. The 2017 decoder un-pools by writing each value to the top
left of a 2 x 2 cell of zeros and convolves that with a 3 x 3 kernel. The two together are a
transposed convolution of stride 2, which never multiplies by the zeros.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from posecast.computing.streams import Beside
from posecast.networks.compositing import Compositor
from posecast.networks.gpu_layers import ConvReLUs, conv_few
from posecast.records.configs import check_at_least, check_multiple


@dataclass(frozen=True)
class GeneratorConfig:
    """Size of the image generator; the defaults are the paper's Penn Action model."""

    num_heatmaps: int = 48
    """Channels of the pose images: 48 for Penn Action's limbs, 32 for Human3.6M's joints."""
    width: int = 64
    """Channels at full resolution; the first two poolings double them (2017: gf_dim)."""
    size: int = 128
    """Side of the pictures it is trained on, in pixels; other multiples of 8 can be drawn too."""
    output: Literal["image", "composite"] = "image"
    """image: every pixel is drawn, as in the paper. composite: the source frame is moved along with
    the pose and drawn over where that does not do, see `networks.compositing`."""

    def __post_init__(self) -> None:
        check_at_least(1, self, "num_heatmaps", "width")
        check_multiple(8, self, "size")  # halved 3 times


@dataclass(frozen=True)
class SourceFeatures:
    """All that a drawing needs of the source frame; batch 1 serves any number of targets."""

    image: Float[Tensor, "b 3 h w"]
    heatmaps: Float[Tensor, "b c h w"]
    hidden: Float[Tensor, "b f h8 w8"]
    """f_img(source image) - f_pose(source pose)."""


class Generator(nn.Module):
    """Draws the frame of a target pose; images in [-1, 1], heat maps in [0, 1], sides of 8 n."""

    def __init__(self, config: GeneratorConfig) -> None:
        super().__init__()
        self.config = config
        width = config.width
        self.image_encoder = _encoder(3, width)
        self.pose_encoder = _encoder(config.num_heatmaps, width)
        self.coarse_decoder = ConvReLUs(*_upward(4 * width, 4 * width, 4 * width, 2 * width))
        self.fine_decoder = ConvReLUs(*_upward(2 * width, 2 * width, width), *_upward(width, width))
        if config.output == "image":
            self.to_image = nn.Conv2d(width, 3, 3, padding=1)
        else:
            self.compositor = Compositor(width, config.num_heatmaps)
        self.apply(_initialise)

    def parts_to_compile(self) -> list[nn.Module]:
        """Encoders and decoders, where the time goes."""
        return [child for child in self.children() if isinstance(child, nn.Sequential)]

    def forward(
        self,
        image: Float[Tensor, "b 3 h w"],
        source_heatmaps: Float[Tensor, "b c h w"],
        target_heatmaps: Float[Tensor, "b c h w"],
    ) -> Float[Tensor, "b 3 h w"]:
        """As `draw(encode_source(...), ...)`, with both poses encoded in one call."""
        return self.between(image, torch.cat([source_heatmaps, target_heatmaps]))

    def between(
        self, image: Float[Tensor, "b 3 h w"], heatmaps: Float[Tensor, "2*b c h w"]
    ) -> Float[Tensor, "b 3 h w"]:
        """As `forward`; heat maps of all source poses, then those of the target poses."""
        beside = Beside(image, branch="image encoder")
        with beside:
            pictured = self.image_encoder(image)
        source_pose, target_pose = self.pose_encoder(heatmaps).chunk(2)
        beside.wait(pictured)
        source_heatmaps, target_heatmaps = heatmaps.chunk(2)
        source = SourceFeatures(image, source_heatmaps, pictured - source_pose)
        return self._decode(source, target_pose, target_heatmaps)

    def encode_source(
        self, image: Float[Tensor, "b 3 h w"], source_heatmaps: Float[Tensor, "b c h w"]
    ) -> SourceFeatures:
        """Everything that depends on the source frame alone: needed once per clip."""
        hidden = self.image_encoder(image) - self.pose_encoder(source_heatmaps)
        return SourceFeatures(image, source_heatmaps, hidden)

    def draw(
        self, source: SourceFeatures, target_heatmaps: Float[Tensor, "n c h w"]
    ) -> Float[Tensor, "n 3 h w"]:
        """The frames of n target poses, of one source (batch 1) or of one each (batch n)."""
        return self._decode(source, self.pose_encoder(target_heatmaps), target_heatmaps)

    def _decode(
        self,
        source: SourceFeatures,
        target_pose: Float[Tensor, "n f h8 w8"],
        target_heatmaps: Float[Tensor, "n c h w"],
    ) -> Float[Tensor, "n 3 h w"]:
        coarse = self.coarse_decoder(source.hidden + target_pose)
        features = self.fine_decoder(coarse)
        if self.config.output == "composite":
            return self.compositor(coarse, features, source.image, source.heatmaps, target_heatmaps)
        # Half precision ends before the tanh: 8 bits of mantissa are too few for 256 grey levels.
        return torch.tanh(conv_few(self.to_image, features).to(source.image.dtype))


def _encoder(channels: int, width: int) -> nn.Sequential:
    """2 + 2 + 3 convolutions, ReLU after each, 2 x 2 maximum after each group (2017
    conventions)."""
    groups = [
        (channels, width, width),
        (width, 2 * width, 2 * width),
        (2 * width, 4 * width, 4 * width, 4 * width),
    ]
    layers: list[nn.Module] = []
    for group in groups:
        for num_in, num_out in pairwise(group):
            layers += [nn.Conv2d(num_in, num_out, 3, padding=1), nn.ReLU(inplace=True)]
        layers.append(nn.MaxPool2d(2))
    return ConvReLUs(*layers)


def _upward(*widths: int) -> list[nn.Module]:
    """One level of the decoder: to twice the side, then more convolutions, ReLU after each."""
    layers: list[nn.Module] = [
        nn.ConvTranspose2d(widths[0], widths[1], 3, stride=2, padding=1, output_padding=1),
        nn.ReLU(inplace=True),
    ]
    for num_in, num_out in pairwise(widths[1:]):
        layers += [nn.Conv2d(num_in, num_out, 3, padding=1), nn.ReLU(inplace=True)]
    return layers


def _initialise(module: nn.Module) -> None:
    """Glorot uniform kernels, zero biases (2017 conventions)."""
    if isinstance(module, Compositor):
        module.start_as_moved_source()
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        nn.init.xavier_uniform_(module.weight)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
