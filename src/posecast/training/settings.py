"""What every training is told: settings, and the clips of a store that fit them."""

import math
from dataclasses import dataclass, fields, replace
from operator import attrgetter
from pathlib import Path
from typing import Any, ClassVar, Literal, NamedTuple, TypeVar

from lightning_fabric import Fabric

from posecast.computing.devices import ComputeConfig, Flat
from posecast.errors import PosecastError, check_names
from posecast.records.arguments import check_setting, check_settings
from posecast.records.configs import check_at_least, check_below_one, check_over_zero
from posecast.skeletons import SKELETONS
from posecast.store.reading import ClipSelection, Store, StoredClip

T = TypeVar("T", bound="TrainingConfig")


@dataclass(frozen=True)
class FitConfig:
    """How weights are fitted."""

    steps: int = 2000
    """Updates of the weights."""
    batch_size: int = 32
    """Samples in an update, over all processes together."""
    optimizer: Literal["adam", "adam-2017", "rmsprop"] = "adam"
    """adam: AdamW of PyTorch. adam-2017, rmsprop: TensorFlow's, as in 2017."""
    learning_rate: float = 1e-3
    beta1: float = 0.9
    """Decay of the mean gradient, of both Adams."""
    weight_decay: float = 1e-2
    """Of the optimizer adam."""
    schedule: Literal["constant", "cosine"] = "cosine"
    """constant, or cosine: from the learning rate down to 0 at the last step."""
    clip_norm: float = 1.0
    """Gradients are scaled down to this global norm; 0: never."""
    average: float = 0.0
    """Decay of a moving average of the weights, 0.999 say, which is validated and kept in place of
    the weights themselves; 0: none."""
    init_from: Path | None = None
    """Run of the same kind, or weight file, that training starts from instead of random weights."""
    validate_every: int = 200
    """Steps between validations; 0: never, and then no best weights are kept."""
    patience: int = 0
    """Stop after this many validations without a better one; 0: never."""
    checkpoint_every: int = 200
    """Steps between checkpoints; also the most that a kill can cost."""
    log_every: int = 10
    """Steps between records in the run's metrics."""
    workers: int = 0
    """Processes that prepare batches ahead; 0: each is prepared when it is needed."""
    seed: int = 0
    """Decides initial weights and all batches."""

    def __post_init__(self) -> None:
        check_at_least(1, self, "steps", "batch_size", "checkpoint_every", "log_every")
        check_at_least(0, self, "validate_every", "patience", "workers", "seed")
        check_at_least(0, self, "weight_decay", "clip_norm")
        check_over_zero(self, "learning_rate")
        check_below_one(self, "beta1", "average")
        check_setting(self, "init_from", "init_from")

    def rate_factor(self, number: int) -> float:
        """Share of the learning rate in update `number`, counted from 0."""
        if self.schedule == "constant":
            return 1.0
        return (1 + math.cos(math.pi * number / self.steps)) / 2


@dataclass(frozen=True)
class TrainingConfig:
    """What every training is told; each kind of training adds to it."""

    KIND: ClassVar[str]
    """Of the runs, such as "pose"."""
    NETWORK: ClassVar[str] = "model"
    """Field with the settings of the network that is kept."""
    MAY_CHANGE: ClassVar[tuple[str, ...]] = ()
    """Further settings that a run may be continued with other values of."""

    clips: ClipSelection = ClipSelection()
    """Clips to train on."""
    validation: ClipSelection = ClipSelection("validation")
    """Clips that the best weights are chosen on; never test clips."""
    fit: Flat[FitConfig] = FitConfig()
    run_on: Flat[ComputeConfig] = ComputeConfig()

    def but(self: T, **changes: Any) -> T:
        """A copy with other values of these fields, those of `fit` and `run_on` among them."""
        for group in ("fit", "run_on"):
            config = changes.get(group, getattr(self, group))
            names = {field.name for field in fields(config)} & changes.keys()
            changes[group] = replace(config, **{name: changes.pop(name) for name in names})
        return replace(self, **changes)


@dataclass(frozen=True)
class FrameTrainingConfig(TrainingConfig):
    """Of trainings that look at pictures."""

    clips: ClipSelection = ClipSelection(with_frames=True)
    """Clips to train on."""
    validation: ClipSelection = ClipSelection("validation", with_frames=True)
    """Clips that the best weights are chosen on; never test clips."""


class ChosenClips(NamedTuple):
    """Clips of a store by what they are for."""

    train: list[StoredClip]
    validation: list[StoredClip]
    """Empty where nothing is validated."""


def choose_clips(config: TrainingConfig, store: Store) -> ChosenClips:
    """PosecastError where there are none, or validation clips are test clips or trained on."""
    train = store.select(config.clips)
    if config.fit.validate_every == 0:
        return ChosenClips(train, [])
    try:
        validation = store.select(config.validation)
    except PosecastError as error:
        problem = str(error).replace("--clips.", "--validation.")
        raise PosecastError(
            f"validation clips: {problem}. Or train without choosing the best weights: "
            "--validate-every 0"
        ) from error
    trained = {clip.clip_id for clip in train}
    wrong = [clip.clip_id for clip in validation if clip.split == "test" or clip.clip_id in trained]
    if wrong:
        raise PosecastError(
            f"validation clips {wrong[:5]} are test clips or trained on: choose others, or "
            "--validate-every 0 to train without validation"
        )
    return ChosenClips(train, validation)


def long_enough(clips: list[StoredClip], num_frames: int) -> list[StoredClip]:
    """Clips with so many frames to look at; PosecastError where none of some has them."""
    usable = [clip for clip in clips if clip.has_frames and clip.num_frames >= num_frames]
    if clips and not usable:
        raise PosecastError(
            f"none of the {len(clips)} clips has frames and at least {num_frames} of them: choose "
            "others, or look at fewer"
        )
    return usable


def check_skeleton(skeleton: str, num_joints: int) -> None:
    """PosecastError for an unknown skeleton, or a model of another number of joints."""
    check_names((skeleton,), list(SKELETONS), "skeleton")
    needed = SKELETONS[skeleton].num_joints
    if num_joints != needed:
        raise PosecastError(
            f"skeleton {skeleton} has {needed} joints, the model {num_joints}: set "
            f"model.num_joints to {needed}"
        )


def open_store(path: str | Path, config: T, kind: type[T], *fitting: str) -> Store:
    """The store to learn from; PosecastError where the settings are no `kind`, or do not fit it as
    `check_fit` says."""
    check_settings(config, kind, "config")
    store = Store.open(path)
    check_fit(store, config, *fitting)
    return store


def check_fit(store: Store, config: TrainingConfig, *names: str) -> None:
    """PosecastError where one of these settings (dotted names that end on skeleton, size or
    num_heatmaps) is not what the store has."""
    held = {
        "skeleton": store.info.skeleton,
        "size": store.size,
        "num_heatmaps": store.skeleton.num_heatmaps,
    }
    expected = {name: (attrgetter(name)(config), held[name.split(".")[-1]]) for name in names}
    wrong = {
        name: f"{name} is {asked}, the store needs {needed}"
        for name, (asked, needed) in expected.items()
        if asked != needed
    }
    if wrong:
        sized = any(name.endswith("size") for name in wrong)
        raise PosecastError(
            f"the settings do not fit the store {store.path}: {'; '.join(wrong.values())}. Choose "
            "the preset made for this data set, or give these values"
            f"{', or prepare with another --size' * sized}"
        )


def share_of(fabric: Fabric, size: int, of_each: int = 1) -> slice:
    """Rows of a batch that this process takes, each of so many samples of the `size` together;
    PosecastError unless every process can take as many."""
    count = fabric.world_size
    if size % (count * of_each):
        raise PosecastError(
            f"a batch of {size} cannot be shared equally by {count} processes: choose a batch size "
            f"that is a multiple of {count * of_each}"
        )
    return slice(fabric.global_rank, None, count)


def check_alone(compute: ComputeConfig) -> None:
    """PosecastError where several processes are asked for a training that does not share batches:
    each would learn all of every one."""
    if compute.num_devices * compute.num_nodes > 1:
        raise PosecastError(
            f"num_devices is {compute.num_devices}, num_nodes {compute.num_nodes}: this training "
            "does not share its batches among processes, and would be no sooner done; give "
            "--num-devices 1 --num-nodes 1"
        )
