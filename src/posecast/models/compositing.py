"""Moving the source frame along with the pose, and drawing over where that does not do.

Beyond the paper. Its generator draws every pixel from a code of 1/8 of the picture's side, through
which even a background at rest has to be squeezed; merely repeating the source frame scores 19 to
21 dB of PSNR on real clips. Here the source frame is taken along: each heat map says where its part
was and where it is wanted, so a coarse motion field is known before anything is trained (zeroth
order, as in Monkey-Net: Siarohin et al., CVPR 2019). On top of it the network learns which part
each place belongs to, a rest of motion that parts do not explain, and a mask with what to draw in
place of the moved frame: uncovered background, and what the source does not show.
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional

BACKGROUND_STRENGTH = 0.1
"""Before training a place is background where all heat maps are below this. On real clips 0.05 to
0.5 differ by 0.2 dB in the moved frame."""

SHARPNESS = 2.0
"""Power to which heat maps are taken when they compete for a place; 1 to 4 differ by 0.05 dB, but
the middle of a part should move all the way."""

START_MASK_LOGIT = -3.0
"""Before training 5 % of each pixel is drawn and 95 % moved."""


class Compositor(nn.Module):
    """Last layers of a generator whose output is "composite".

    Before training its output is the source frame moved along with the pose.
    """

    def __init__(self, width: int, num_heatmaps: int) -> None:
        super().__init__()
        hidden = max(width // 2, 8)
        self.num_parts = num_heatmaps
        self.to_motion = nn.Conv2d(2 * width, num_heatmaps + 3, 3, padding=1)
        self.merge = nn.Conv2d(width + 5, hidden, 3, padding=1)
        self.to_layers = nn.Conv2d(hidden, 4, 3, padding=1)

    @torch.no_grad()
    def start_as_warp(self) -> None:
        """Initial values, in place of random ones, under which motion is the heat maps' alone."""
        nn.init.zeros_(self.to_motion.weight)
        nn.init.zeros_(self.to_layers.weight[:1])
        self.to_layers.bias[0] = START_MASK_LOGIT  # type: ignore[index]

    def forward(
        self,
        coarse: Float[Tensor, "n f4 h4 w4"],
        features: Float[Tensor, "n f h w"],
        source_image: Float[Tensor, "b 3 h w"],
        source_heatmaps: Float[Tensor, "b c h w"],
        target_heatmaps: Float[Tensor, "n c h w"],
    ) -> Float[Tensor, "n 3 h w"]:
        """Decoder features at 1/4 and at full resolution, and the source, to the picture.

        The source has the targets' batch n, or batch 1 for all of them.
        """
        dtype = source_image.dtype
        motion = self.to_motion(coarse).to(dtype)
        # Coordinates need more than half precision.
        with torch.autocast(source_image.device.type, enabled=False):
            moves = part_moves(source_heatmaps, target_heatmaps)
            flow = _mix(moves, motion, target_heatmaps)
            moved = warp(source_image.expand(len(flow), -1, -1, -1), flow)
            covered = target_heatmaps.amax(1, keepdim=True)
            left = source_heatmaps.amax(1, keepdim=True).expand_as(covered)
        hints = torch.cat([moved, left, covered], dim=1).to(features.dtype)
        hidden = functional.relu(self.merge(torch.cat([features, hints], dim=1)))
        layers = self.to_layers(hidden).to(dtype)
        mask, drawn = layers[:, :1].sigmoid(), layers[:, 1:].tanh()
        return moved + mask * (drawn - moved)


def part_places(
    heatmaps: Float[Tensor, "b c h w"],
) -> tuple[Float[Tensor, "b c 2"], Bool[Tensor, "b c"]]:
    """Centre (x, y) of each blob, in [-1, 1] from border to border, and whether there is one.

    The fourth power sharpens blobs, so that one cut off by the border is still found near its peak.
    """
    weights = heatmaps.square().square()
    columns, rows = weights.sum(2), weights.sum(3)
    mass = rows.sum(-1).clamp(min=1e-6)
    x = (columns * _pixel_centres(heatmaps.shape[3], heatmaps)).sum(-1) / mass
    y = (rows * _pixel_centres(heatmaps.shape[2], heatmaps)).sum(-1) / mass
    return torch.stack([x, y], dim=-1), heatmaps.amax((2, 3)) > 0.5


def part_moves(
    source_heatmaps: Float[Tensor, "b c h w"], target_heatmaps: Float[Tensor, "n c h w"]
) -> Float[Tensor, "n c 3"]:
    """For each part: the way (x, y) from where it is wanted back to where it was; 1 if known.

    Unknown (0, 0, 0) is a part that one of the two poses lacks.
    """
    source, in_source = part_places(source_heatmaps)
    target, in_target = part_places(target_heatmaps)
    known = (in_source & in_target)[..., None].to(target.dtype)
    return torch.cat([(source - target) * known, known], dim=-1)


def _mix(
    moves: Float[Tensor, "n c 3"],
    motion: Float[Tensor, "n m h4 w4"],
    target_heatmaps: Float[Tensor, "n c h w"],
) -> Float[Tensor, "n 2 h w"]:
    """The motion field: parts' moves, each where its heat map and the network say so.

    `motion` holds a learned logit for each part and for the background, then the rest of motion in
    units of its own pixels.
    """
    parts = moves.shape[1]
    size = motion.shape[-2:]
    strength = functional.adaptive_avg_pool2d(target_heatmaps, (size[0], size[1])).clamp(min=1e-6)
    strength = strength * (moves[..., 2, None, None] > 0)
    strength = functional.pad(strength, (0, 0, 0, 0, 0, 1), value=BACKGROUND_STRENGTH)
    shares = (SHARPNESS * strength.log() + motion[:, : parts + 1]).softmax(dim=1)
    flow = torch.einsum("nchw,ncd->ndhw", shares[:, :parts], moves[..., :2])
    flow = flow + motion[:, parts + 1 :] * (2 / size[1])
    return functional.interpolate(flow, target_heatmaps.shape[-2:], mode="bilinear")


def warp(
    image: Float[Tensor, "n 3 h w"], flow: Float[Tensor, "n 2 h w"]
) -> Float[Tensor, "n 3 h w"]:
    """The picture whose pixel p is the image's at p + flow(p); beyond the border it goes on.

    Flow (x, y) in units in which the image reaches from -1 to 1.
    """
    height, width = image.shape[-2:]
    columns, rows = _pixel_centres(width, image), _pixel_centres(height, image)
    grid = torch.stack(torch.meshgrid(columns, rows, indexing="xy"), dim=-1)
    grid = grid + flow.permute(0, 2, 3, 1)
    return functional.grid_sample(image, grid, padding_mode="border", align_corners=False)


def _pixel_centres(count: int, like: Tensor) -> Float[Tensor, " {count}"]:
    """Centres of pixels in [-1, 1] from border to border."""
    return (torch.arange(count, device=like.device, dtype=like.dtype) + 0.5) * (2 / count) - 1
