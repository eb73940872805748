"""Training the pose model (paper section 3.2): seen poses in, future poses out."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

from jaxtyping import Float
from lightning_fabric import Fabric
from torch import Tensor, nn

from posecast.clips import PoseBatch
from posecast.computing.options import Flat
from posecast.computing.recording import map_tensors
from posecast.geometry import flatten_joints
from posecast.losses import joint_distance_loss, masked_pose_loss
from posecast.networks.pose_lstm import PoseLSTM, PoseLSTMConfig
from posecast.records.configs import check_at_least
from posecast.store.reading import Store, StoredClip
from posecast.training.beginning import (
    TrainingConfig,
    begin,
    check_skeleton,
    check_store_skeleton,
    choose_clips,
)
from posecast.training.fitting import Descent, FitConfig, FitResult, Validation, fit
from posecast.training.pose_augmentation import PoseAugmentation, PoseAugmenter, PoseDraws
from posecast.training.pose_validation import PoseValidation
from posecast.windows import PoseTensors, PoseWindows, PoseWindowSampler, WindowChoice

LossName = Literal["squared", "distance"]


@dataclass(frozen=True)
class PoseTrainingConfig(TrainingConfig):
    """How a pose model is trained; the defaults are the paper's for Penn Action."""

    KIND = "pose"

    model: PoseLSTMConfig = PoseLSTMConfig()
    skeleton: str = "penn_action"
    """Skeleton of the store's poses; `model.num_joints` has to be its number of joints."""
    windows: PoseWindows = PoseWindows()
    augmentation: PoseAugmentation = PoseAugmentation()
    loss: LossName = "squared"
    """squared: mean squared error of coordinates (paper). distance: mean distance of joints,
    with less weight on far frames."""
    fit: Flat[FitConfig] = FitConfig(
        steps=37_500,
        batch_size=256,
        optimizer="rmsprop",
        weight_decay=0.0,
        schedule="constant",
        clip_norm=25.0,
        validate_every=500,
        checkpoint_every=500,
    )
    validation_future: int = 64
    """Future frames that validation looks at."""
    validation_windows: int = 1
    """Windows of each validation clip, evenly spread; 1 is the start of the clip."""

    def __post_init__(self) -> None:
        check_skeleton(self.skeleton, self.model.num_joints)
        check_at_least(1, self, "validation_future", "validation_windows")


def train_pose(
    config: PoseTrainingConfig, store_path: Path, run_path: Path, *, fresh: bool = False
) -> FitResult:
    """Train a pose model on a prepared store, or go on with the run in `run_path`.

    The best score is the validation ratio: distance over that of the last pose, below 1 is better.
    PosecastError where config, store or run do not fit; see also `fitting.fit`.
    """
    store = Store.open(store_path)
    check_store_skeleton(store, config.skeleton)
    clips = choose_clips(config, store)
    validation = _validation(config, clips.validation) if clips.validation else None
    fabric = config.run_on.launch()
    batches = PoseBatches.of(config, store, clips.train, fabric)
    poses = map_tensors(lambda each: each.to(fabric.device), batches.sampler.poses)

    def step(network: nn.Module, drawn: DrawnWindows) -> tuple[Tensor, dict[str, Tensor]]:
        return pose_step(network, batches.cut(drawn, poses), config.loss)

    with begin(config, store, clips, run_path, fabric, fresh=fresh) as session:
        network = PoseLSTM(config.model)
        return fit(Descent(network, step, session), batches, validation, session)


def pose_step(
    model: nn.Module, batch: PoseBatch, loss: LossName = "squared"
) -> tuple[Float[Tensor, ""], dict[str, Tensor]]:
    """Loss of one batch, and what to log of it."""
    poses, past = flatten_joints(batch.joints_norm), batch.num_past
    future, shown = poses[:, past:], batch.visible[:, past:]
    predicted = model(poses[:, :past], batch.visible[:, :past], future.shape[1])
    term = masked_pose_loss if loss == "squared" else joint_distance_loss
    value = term(predicted, future, shown)
    return value, {"loss": value.detach()}


def _validation(config: PoseTrainingConfig, clips: list[StoredClip]) -> Validation:
    windows = (config.windows, config.validation_future, config.validation_windows)
    validation = PoseValidation.of(clips, *windows)
    last_pose = {f"last_pose_{k}": value for k, value in validation.score_last_pose().items()}
    return Validation(validation.score, "validation_ratio", lowest=True, reference=last_pose)


class DrawnWindows(NamedTuple):
    """All that is random about a batch: little to bring to a GPU, which holds the poses."""

    choice: WindowChoice
    draws: PoseDraws | None


@dataclass(frozen=True)
class PoseBatches:
    """Varied windows, this process's share of each batch."""

    sampler: PoseWindowSampler
    augmenter: PoseAugmenter
    seed: int

    @classmethod
    def of(
        cls, config: PoseTrainingConfig, store: Store, clips: list[StoredClip], fabric: Fabric
    ) -> "PoseBatches":
        """Of these clips."""
        share = (config.fit.batch_size, fabric.global_rank, fabric.world_size)
        return cls(
            PoseWindowSampler(clips, config.windows, *share),
            PoseAugmenter(config.augmentation, store.skeleton, *share),
            config.fit.seed,
        )

    def __call__(self, number: int) -> DrawnWindows:
        """Batch number `number`, on the CPU."""
        draws = self.augmenter.draw(self.seed, number, self.sampler.config.num_past)
        return DrawnWindows(self.sampler.choose(self.seed, number), draws)

    def cut(self, drawn: DrawnWindows, poses: PoseTensors) -> PoseBatch:
        """The batch, on the device that holds the poses and what was drawn."""
        batch = poses.cut(drawn.choice, self.sampler.config.num_past)
        return self.augmenter.vary(batch, drawn.draws)
