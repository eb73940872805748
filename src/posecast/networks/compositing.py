"""Moving the person of the source frame along with the pose, and drawing what that leaves open.

Beyond the paper. Its generator draws every pixel from a code of 1/8 of the picture's side, through
which even a background at rest has to be squeezed; merely repeating the source frame scores 19 to
21 dB of PSNR on real clips. Here the source frame is taken along. Each heat map says where its part
was and where it is wanted, so a coarse motion field is known before anything is trained (zeroth
order, as in Monkey-Net: Siarohin et al., CVPR 2019). Three layers are blended: the person, which is
the source frame moved with the parts; the background, the source frame where it was; and what the
decoder draws, for uncovered background and for what the source does not show. The network learns
which part each place of the person belongs to, motion that parts do not explain, what to draw, and
the blending.
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional

BACKGROUND_STRENGTH = 0.2
"""Before training the background shows where no heat map is above this. With 0.1 and 0.4 the moved
frames of real and drawn clips score up to 0.2 dB less."""

SHARPNESS = 2.0
"""Power to which heat maps are taken when they compete for a place; 4 scores 0.15 dB less."""

START_DRAWN_LOGIT = -3.0
"""Before training 5 % of the background is drawn."""


class Compositor(nn.Module):
    """Last layers of a generator whose output is "composite".

    Before training it shows the source frame, the person moved along with the pose.
    """

    def __init__(self, width: int, num_heatmaps: int) -> None:
        super().__init__()
        hidden = max(width // 2, 8)
        self.to_motion = nn.Conv2d(2 * width, num_heatmaps + 4, 3, padding=1)
        self.merge = nn.Conv2d(width + 8, hidden, 3, padding=1)
        self.to_layers = nn.Conv2d(hidden, 5, 3, padding=1)

    @torch.no_grad()
    def start_as_moved_source(self) -> None:
        """Initial values, in place of random ones, under which heat maps alone decide."""
        nn.init.zeros_(self.to_motion.weight)
        nn.init.zeros_(self.to_layers.weight[:2])
        self.get_parameter("to_layers.bias")[1] = START_DRAWN_LOGIT

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
        motion = self.to_motion(coarse)
        # Coordinates need more than half precision.
        with torch.autocast(source_image.device.type, enabled=False):
            moves, known = part_moves(source_heatmaps, target_heatmaps)
            wanted = target_heatmaps * known[..., None, None]
            person_flow, rest_flow = _flows(moves, motion.to(moves.dtype), wanted)
            source = source_image.expand(len(wanted), -1, -1, -1)
            person, background = warp(source, person_flow), warp(source, rest_flow)
            left = source_heatmaps.amax(1, keepdim=True).expand(len(wanted), -1, -1, -1)
            covered = wanted.amax(1, keepdim=True)
            hints = torch.cat([person, background, left, covered], dim=1)
        merged = self.merge(torch.cat([features, hints.to(features.dtype)], dim=1))
        layers = self.to_layers(functional.relu(merged)).to(source_image.dtype)
        # What is covered is limited below: a person wider than the heat maps can be learned.
        strength = SHARPNESS * (covered.clamp(min=0.01) / BACKGROUND_STRENGTH).log()
        logits = torch.cat([strength, torch.zeros_like(strength)], dim=1) + layers[:, :2]
        shares = functional.pad(logits, (0, 0, 0, 0, 0, 1)).softmax(dim=1)
        drawn = layers[:, 2:].tanh()
        return shares[:, :1] * person + shares[:, 1:2] * drawn + shares[:, 2:] * background


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
) -> tuple[Float[Tensor, "n c 2"], Bool[Tensor, "n c"]]:
    """For each part the way (x, y) from where it is wanted back to where it was.

    And whether it is known: a part that one of the two poses lacks has move 0.
    """
    source, in_source = part_places(source_heatmaps)
    target, in_target = part_places(target_heatmaps)
    known = in_source & in_target
    return (source - target) * known[..., None], known


def _flows(
    moves: Float[Tensor, "n c 2"],
    motion: Float[Tensor, "n m h4 w4"],
    wanted: Float[Tensor, "n c h w"],
) -> tuple[Float[Tensor, "n 2 h w"], Float[Tensor, "n 2 h w"]]:
    """Motion fields of the person and of the background, at the heat maps' resolution.

    The person's is a mixture of the parts' moves, by their heat maps and a learned logit for each.
    To both is added learned motion. `motion` holds the logits, then the two motions in units of its
    own pixels.
    """
    logits, extra = motion[:, :-4], motion[:, -4:] * (2 / motion.shape[-1])
    near = functional.adaptive_avg_pool2d(wanted, (motion.shape[-2], motion.shape[-1]))
    mixture = (SHARPNESS * near.clamp(min=1e-12).log() + logits).softmax(dim=1)
    person = torch.einsum("nchw,ncd->ndhw", mixture, moves) + extra[:, :2]
    flows = torch.cat([person, extra[:, 2:]], dim=1)
    flows = functional.interpolate(flows, wanted.shape[-2:], mode="bilinear")
    return flows[:, :2], flows[:, 2:]


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
