"""What image training computes: pairs of frames as the networks read them, the two losses, each a
function of networks and a batch, and who learns next: the gating rule of the 2017 code."""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from posecast import losses
from posecast.clips import ImageBatch
from posecast.computing.streams import Beside
from posecast.heatmaps import draw_heatmaps
from posecast.media.grey_levels import to_network
from posecast.networks.generator import Generator
from posecast.skeletons import Skeleton


@dataclass(frozen=True)
class ImagePairTensors:
    """A batch for generator and discriminator: pictures in [-1, 1], heat maps in [0, 1]."""

    source: Float[Tensor, "b 3 h w"]
    target: Float[Tensor, "b 3 h w"]
    heatmaps: Float[Tensor, "2*b c h w"]
    """Of all source poses, then of the target poses."""

    @property
    def target_heatmaps(self) -> Float[Tensor, "b c h w"]:
        return self.heatmaps.chunk(2)[1]


def image_tensors(
    batch: ImageBatch, skeleton: Skeleton, sigma_px: float, half: torch.dtype | None = None
) -> ImagePairTensors:
    """Scale the pictures and draw the heat maps, on the device that holds the batch.

    Of several source frames the last one is taken. `half` is what heat maps are rounded to at once
    where networks would do so each time.
    """
    size = batch.target_images.shape[1]
    heatmaps = draw_heatmaps(
        torch.cat([batch.source_joints_crop[:, -1], batch.target_joints_crop]),
        torch.cat([batch.source_visible[:, -1], batch.target_visible]),
        torch.cat([batch.crop_hw, batch.crop_hw]),
        skeleton,
        size,
        sigma_px,
        channels_last=True,
        half=half,
    )
    return ImagePairTensors(
        to_network(batch.source_images[:, -1]), to_network(batch.target_images), heatmaps
    )


class FeatureNetworks(NamedTuple):
    """Frozen networks whose features drawn and true pictures are compared by."""

    alexnet: losses.FeatureNetwork | None = None
    pose: losses.FeatureNetwork | None = None


def generator_step(
    generator: Generator,
    discriminator: nn.Module,
    pairs: ImagePairTensors,
    weights: losses.ImageLossWeights,
    networks: FeatureNetworks,
) -> tuple[Float[Tensor, ""], dict[str, Tensor]]:
    """The generator's loss on a batch, to be minimised in its parameters alone, and its terms.

    What has the weight 0 is not asked, neither networks nor discriminator.
    """
    asked = zip(networks, (weights.feature, weights.pose_feature), strict=True)
    alexnet, pose = (network if weight else None for network, weight in asked)
    true_features = Beside(pairs.target, branch="true features")
    with true_features, torch.no_grad():
        true_pose, true = pose and pose(pairs.target), alexnet and alexnet(pairs.target)
    drawn = generator.between(pairs.source, pairs.heatmaps)
    pose_features = Beside(drawn, branch="pose features")
    with pose_features:
        pose_feature = _distance(pose, drawn, true_pose, true_features)
    feature = _distance(alexnet, drawn, true, true_features)
    logits = discriminator(drawn, pairs.target_heatmaps) if weights.adversarial else None
    pose_features.wait(pose_feature)
    loss = losses.generator_loss(drawn, pairs.target, logits, weights, feature, pose_feature)
    return loss.total, {
        "generator_loss": loss.total,
        "pixel_loss": loss.pixel,
        "feature_loss": loss.feature,
        "pose_feature_loss": loss.pose_feature,
        "adversarial_loss": loss.adversarial,
    }


def _distance(
    network: losses.FeatureNetwork | None,
    drawn: Float[Tensor, "b 3 h w"],
    true: Float[Tensor, "b f fh fw"] | None,
    made: Beside,
) -> Float[Tensor, ""] | None:
    """Between features of drawn pictures and those of true ones, which were `made` beside."""
    features = None if network is None else network(drawn)
    made.wait(true)  # without a network, too: a recording has to wait for all that it began
    return None if features is None or true is None else losses.half_mean_square(features, true)


def discriminator_step(
    discriminator: nn.Module, pairs: ImagePairTensors, drawn: Float[Tensor, "b 3 h w"]
) -> tuple[Float[Tensor, ""], dict[str, Tensor]]:
    """The discriminator's loss on true, drawn (without gradient) and mismatched pairs.

    Mismatched is the source picture with the target's pose.
    """
    pictures = torch.cat([pairs.target, drawn.detach(), pairs.source])
    loss = losses.discriminator_loss(*discriminator(pictures, pairs.target_heatmaps).chunk(3))
    return loss.total, {
        "discriminator_loss": loss.total,
        "real_error": loss.real,
        "drawn_error": loss.drawn,
        "mismatched_error": loss.mismatched,
    }


class Gate(NamedTuple):
    """Who is updated in the coming iteration."""

    generator: bool = True
    discriminator: bool = True


def next_gate(gate: Gate, fake_error: float, real_error: float, margin: float = 0.3) -> Gate:
    """The gate after an iteration whose discriminator losses were these (deviations.md 33).

    A discriminator with a loss below `margin` is too strong and rests; a generator that pushes a
    loss above 1 - `margin` is too strong and rests. The rule is sticky: who rests goes on resting
    until the other would rest too, and then both are trained again. `fake_error` is
    `DiscriminatorLoss.drawn` and `.mismatched` together, `real_error` its `.real`, both after the
    updates.
    """
    generator = gate.generator and max(fake_error, real_error) <= 1 - margin
    discriminator = gate.discriminator and min(fake_error, real_error) >= margin
    if not generator and not discriminator:
        return Gate()
    return Gate(generator, discriminator)
