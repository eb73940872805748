"""The two losses of image training, each a function of networks and a batch."""

from typing import NamedTuple

from jaxtyping import Float
from torch import Tensor, nn

from posecast.computing.streams import Beside
from posecast.losses import (
    FeatureNetwork,
    ImageLossWeights,
    discriminator_loss,
    distance_to,
    generator_loss,
)
from posecast.training.image_inputs import ImagePairTensors


class FeatureNetworks(NamedTuple):
    """Frozen networks whose features drawn and true pictures are compared by."""

    alexnet: FeatureNetwork | None = None
    pose: FeatureNetwork | None = None


def generator_step(
    generator: nn.Module,
    discriminator: nn.Module,
    pairs: ImagePairTensors,
    weights: ImageLossWeights,
    networks: FeatureNetworks,
) -> tuple[Float[Tensor, ""], dict[str, Tensor]]:
    """The generator's loss on a batch, to be minimised in its parameters alone, and its terms.

    What has the weight 0 is not asked, neither networks nor discriminator.
    """
    asked = zip(networks, (weights.feature, weights.pose_feature), strict=True)
    true_features = Beside(pairs.target.device)
    with true_features:
        distances = [distance_to(pairs.target, n) if n and weight else None for n, weight in asked]
    drawn = generator(pairs.source, pairs.source_heatmaps, pairs.target_heatmaps)
    logits = discriminator(drawn, pairs.target_heatmaps) if weights.adversarial else None
    true_features.wait()
    features = [distance and distance(drawn) for distance in distances]
    loss = generator_loss(drawn, pairs.target, logits, weights, *features)
    return loss.total, {
        "generator_loss": loss.total,
        "pixel_loss": loss.pixel,
        "feature_loss": loss.feature,
        "pose_feature_loss": loss.pose_feature,
        "adversarial_loss": loss.adversarial,
    }


def discriminator_step(
    discriminator: nn.Module, pairs: ImagePairTensors, drawn: Float[Tensor, "b 3 h w"]
) -> tuple[Float[Tensor, ""], dict[str, Tensor]]:
    """The discriminator's loss on true, drawn (without gradient) and mismatched pairs.

    Mismatched is the source picture with the target's pose.
    """
    poses = pairs.target_heatmaps
    loss = discriminator_loss(
        real_logits=discriminator(pairs.target, poses),
        drawn_logits=discriminator(drawn.detach(), poses),
        mismatched_logits=discriminator(pairs.source, poses),
    )
    return loss.total, {
        "discriminator_loss": loss.total,
        "real_error": loss.real,
        "drawn_error": loss.drawn,
        "mismatched_error": loss.mismatched,
    }
