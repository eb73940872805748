"""Settings of image training, and what they name: feature networks, training and held-out pairs."""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from lightning_fabric import Fabric

from posecast.clips import ImageBatch
from posecast.computing.devices import Flat
from posecast.errors import PosecastError, check_names
from posecast.losses import FeatureNetwork, ImageLossWeights
from posecast.networks import alexnet
from posecast.networks.discriminator import DiscriminatorConfig
from posecast.networks.generator import GeneratorConfig
from posecast.networks.hourglass import Hourglass, HourglassFeatures
from posecast.networks.kinds import load_network
from posecast.records.configs import check_at_least, check_over_zero
from posecast.skeletons import SKELETONS
from posecast.store.reading import Store, StoredClip
from posecast.training.image_steps import FeatureNetworks
from posecast.training.settings import FitConfig, FrameTrainingConfig, share_of
from posecast.villegas2017 import hourglass2017
from posecast.windows import ImagePairs, ImagePairSampler

FITTING = (
    *("skeleton", "generator.size", "generator.num_heatmaps"),
    *("discriminator.size", "discriminator.num_heatmaps"),
)
"""Settings that have to be what the store has."""


@dataclass(frozen=True)
class ImageTrainingConfig(FrameTrainingConfig):
    """Settings of image training; the defaults are the paper's for Penn Action."""

    KIND = "image"
    NETWORK = "generator"
    MAY_CHANGE = ("sample_every",)

    generator: GeneratorConfig = GeneratorConfig()
    discriminator: DiscriminatorConfig = DiscriminatorConfig()
    skeleton: str = "penn_action"
    """Skeleton of the store's poses, and so of the pose images."""
    sigma_px: float = 8.0
    """Width of the heat maps' blobs in pixels of the source frame."""
    pairs: ImagePairs = ImagePairs()
    fit: Flat[FitConfig] = FitConfig(
        steps=100_000,
        batch_size=8,
        optimizer="adam-2017",
        learning_rate=1e-4,
        beta1=0.5,
        weight_decay=0.0,
        schedule="constant",
        clip_norm=0.0,
        validate_every=1000,
        checkpoint_every=500,
    )
    feature_weight: float = 1.0
    """Weight of the AlexNet feature loss; 0 trains without it (and without its weight file)."""
    pose_feature_weight: float = 1.0
    """Weight of the pose network's feature loss; 0 trains without it."""
    adversarial_weight: float = 1.0
    """Weight of deceiving the discriminator; 0 trains without one, and draws blurry pictures."""
    alexnet_file: Path | None = None
    """bvlc_alexnet.npy or torchvision's alexnet checkpoint."""
    hourglass_folder: Path | None = None
    """Folder of the 2017 hourglass weights, hourglass_weights_1.npy and so on."""
    hourglass_layer: int = 3
    """Which level of the 2017 hourglass is compared, 0 (innermost) to 3."""
    pose_features: Path | None = None
    """Run folder of an estimator that you trained, in place of the 2017 hourglass."""
    gating: Literal["2017", "off"] = "2017"
    """Let generator or discriminator rest while it is too strong, or train both always."""
    gate_margin: float = 0.3
    """Discriminator losses below this, or above 1 minus this, let one of them rest."""
    sample_every: int = 500
    """Steps between sheets of sample pictures; 0 makes none."""
    validation_pairs: int = 64
    """Pairs in a validation, the same ones every time."""

    def __post_init__(self) -> None:
        check_names((self.skeleton,), list(SKELETONS), "skeleton")
        check_at_least(1, self, "validation_pairs")
        check_at_least(0, self, "sample_every")
        check_over_zero(self, "sigma_px")
        if self.hourglass_folder is not None and self.pose_features is not None:
            raise PosecastError("give hourglass_folder or pose_features, not both")
        _ = self.weights  # checks them

    @property
    def weights(self) -> ImageLossWeights:
        return ImageLossWeights(
            self.feature_weight, self.pose_feature_weight, self.adversarial_weight
        )


def load_feature_networks(config: ImageTrainingConfig) -> FeatureNetworks:
    """The networks whose loss has a weight above 0.

    PosecastError where weights are missing says where to get them and how to train without.
    """
    features = pose = None
    if config.feature_weight > 0:
        if config.alexnet_file is None:
            raise PosecastError(f"no AlexNet weights: no file was given. {alexnet.WHERE_TO_GET}")
        features = alexnet.load_alexnet(config.alexnet_file)
    if config.pose_feature_weight > 0:
        pose = _load_pose_network(config)
    return FeatureNetworks(features, pose)


def _load_pose_network(config: ImageTrainingConfig) -> FeatureNetwork:
    if config.pose_features is not None:
        return HourglassFeatures(load_network(config.pose_features, Hourglass).network)
    if config.hourglass_folder is None:
        raise PosecastError(
            f"no hourglass weights: no folder was given. {hourglass2017.WHERE_TO_GET}"
        )
    return hourglass2017.load_hourglass2017(config.hourglass_folder, config.hourglass_layer)


def pair_batches(
    config: ImageTrainingConfig,
    store: Store,
    clips: list[StoredClip],
    fabric: Fabric,
    seed: int | None = None,
) -> Callable[[int], ImageBatch]:
    """Pairs of frames of these clips, this process's share of each batch."""
    size = config.fit.batch_size
    sampler = ImagePairSampler(store, clips, config.pairs, size, share_of(fabric, size))
    return functools.partial(sampler.batch, config.fit.seed if seed is None else seed)
