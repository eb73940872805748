"""Settings of image training, and what they name: feature networks, training and held-out pairs."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NamedTuple

from lightning_fabric import Fabric

from posecast.clips import ImageBatch
from posecast.computing.compilation import Compile
from posecast.computing.devices import Device, Precision
from posecast.errors import PosecastError
from posecast.losses import FeatureNetwork, ImageLossWeights
from posecast.networks import alexnet
from posecast.networks.discriminator import DiscriminatorConfig
from posecast.networks.generator import GeneratorConfig
from posecast.networks.hourglass import Hourglass, HourglassFeatures
from posecast.networks.kinds import load_network
from posecast.records.training_data import TrainingData
from posecast.skeletons import SKELETONS, Skeleton
from posecast.store.identity import training_data
from posecast.store.reading import ClipSelection, Store, StoredClip
from posecast.training.image_steps import FeatureNetworks
from posecast.villegas2017 import hourglass2017
from posecast.windows import ImagePairs, ImagePairSampler


@dataclass(frozen=True)
class ImageTrainingConfig:
    """Settings of image training; the defaults are the paper's for Penn Action."""

    generator: GeneratorConfig = field(default_factory=GeneratorConfig)
    discriminator: DiscriminatorConfig = field(default_factory=DiscriminatorConfig)
    skeleton: str = "penn_action"
    """Skeleton of the store's poses, and so of the pose images."""
    sigma_px: float = 8.0
    """Width of the heat maps' blobs in pixels of the source frame."""
    clips: ClipSelection = field(
        default_factory=lambda: ClipSelection(split="train", with_frames=True)
    )
    """Clips to train on."""
    validation: ClipSelection = field(
        default_factory=lambda: ClipSelection(split="validation", with_frames=True)
    )
    """Clips that the best weights are chosen on; never test clips."""
    pairs: ImagePairs = field(default_factory=ImagePairs)
    init_from: Path | None = None
    """Image run whose generator's weights training starts from, instead of random ones."""
    batch_size: int = 8
    """Pairs of frames an iteration, of all processes together."""
    steps: int = 100_000
    """Iterations in total; a finished run is trained on by asking for more."""
    learning_rate: float = 1e-4
    beta1: float = 0.5
    """Adam's decay of the mean gradient."""
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
    seed: int = 0
    """Of starting weights and of the choice of pairs."""
    device: Device = "auto"
    num_devices: int = 1
    """Processes on each machine, one a device."""
    num_nodes: int = 1
    """Machines."""
    precision: Precision = "32-true"
    """bf16-mixed is several times faster where the processor has it."""
    compile: Compile = "off"
    """on: torch.compile, which takes a minute or more at the start and needs a C++ compiler; on two
    processor cores it gains nothing here. cuda-graphs: besides, whole CUDA graphs."""
    log_every: int = 10
    checkpoint_every: int = 500
    """Steps between checkpoints; also the most that a kill can cost."""
    sample_every: int = 500
    """Steps between sheets of sample pictures; 0 makes none."""
    validate_every: int = 1000
    """Steps between validations; 0 makes none, and then no best weights are chosen."""
    validation_pairs: int = 64
    """Pairs in a validation, the same ones every time."""

    def __post_init__(self) -> None:
        for name in ("batch_size", "steps", "validation_pairs", "log_every", "checkpoint_every"):
            if getattr(self, name) < 1:
                raise PosecastError(f"{name} is {getattr(self, name)}; give 1 or more")
        for name in ("sample_every", "validate_every", "seed"):
            if getattr(self, name) < 0:
                raise PosecastError(f"{name} is {getattr(self, name)}; give 0 or more")
        if not (self.learning_rate > 0 and 0 <= self.beta1 < 1 and self.sigma_px > 0):
            raise PosecastError(
                "give learning_rate and sigma_px above 0 and beta1 in [0, 1), got "
                f"{self.learning_rate}, {self.sigma_px}, {self.beta1}"
            )
        if self.skeleton not in SKELETONS:
            raise PosecastError(
                f"unknown skeleton {self.skeleton!r}; known: {', '.join(SKELETONS)}"
            )
        if self.hourglass_folder is not None and self.pose_features is not None:
            raise PosecastError("give hourglass_folder or pose_features, not both")
        _ = self.weights  # checks them

    @property
    def weights(self) -> ImageLossWeights:
        """The weights of the generator's loss."""
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


class ImageData(NamedTuple):
    """This process's share of the data."""

    sampler: ImagePairSampler
    validation: list[ImageBatch]
    skeleton: Skeleton
    record: TrainingData
    """What the run's data.json holds."""


def open_data(config: ImageTrainingConfig, store: Store, fabric: Fabric) -> ImageData:
    """Training and validation pairs; PosecastError where store and settings do not go together."""
    _check_store(config, store)
    share = {"rank": fabric.global_rank, "num_ranks": fabric.world_size}
    clips = store.select(config.clips)
    sampler = ImagePairSampler(store, clips, config.pairs, config.batch_size, **share)
    validation, held_out = [], []
    if config.validate_every:
        held_out = _held_out(config, store, {clip.clip_id for clip in clips})
        held_out_sampler = ImagePairSampler(
            store, held_out, config.pairs, config.batch_size, **share
        )
        num_batches = -(-config.validation_pairs // config.batch_size)
        validation = [held_out_sampler.batch(0, number) for number in range(num_batches)]
    record = training_data(store, clips, held_out, earlier=config.init_from)
    return ImageData(sampler, validation, store.skeleton, record)


def _check_store(config: ImageTrainingConfig, store: Store) -> None:
    """The networks must read what the store holds."""
    expected = {
        "skeleton": (config.skeleton, store.info.skeleton),
        "generator.num_heatmaps": (config.generator.num_heatmaps, store.skeleton.num_heatmaps),
        "discriminator.num_heatmaps": (
            config.discriminator.num_heatmaps,
            store.skeleton.num_heatmaps,
        ),
        "generator.size": (config.generator.size, store.size),
        "discriminator.size": (config.discriminator.size, store.size),
    }
    wrong = [
        f"{name} is {got}, the store needs {needed}"
        for name, (got, needed) in expected.items()
        if got != needed
    ]
    if wrong:
        raise PosecastError(
            f"the settings do not fit the store {store.path}: {'; '.join(wrong)}. Choose the "
            "preset made for this data set, give these values, or prepare with another --size"
        )


def _held_out(config: ImageTrainingConfig, store: Store, train_ids: set[str]) -> list[StoredClip]:
    try:
        clips = store.select(config.validation)
    except ValueError as error:
        raise PosecastError(
            f"validation clips: {error}. Or train without choosing the best weights: "
            "--validate-every 0"
        ) from error
    tested = [clip.clip_id for clip in clips if clip.split == "test"]
    trained = [clip.clip_id for clip in clips if clip.clip_id in train_ids]
    if tested or trained:
        raise PosecastError(
            f"validation clips {(tested + trained)[:5]} are test clips or trained on: choose "
            "others, or --validate-every 0 to train without validation"
        )
    return clips
