"""Ready settings by name. A paper's hyperparameters stand here and in the settings' defaults alone.

`penn-action` and `human36m` are Villegas et al., ICML 2017, as the authors' code trains them; what
differs from that code is listed in docs/deviations.md. `demo` and `human36m-demo` learn something
to look at in minutes on two processor cores. `tiny` learns nothing: it is for trying out commands
and for tests.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from posecast.computing.devices import ComputeConfig
from posecast.datasets.penn_action import ABSENT_FROM_2017_TRAINING, PAPER_ACTIONS
from posecast.networks.carrying import CarryingConfig
from posecast.networks.discriminator import DiscriminatorConfig
from posecast.networks.generator import GeneratorConfig
from posecast.networks.hourglass import HourglassConfig
from posecast.networks.motion_residual import MotionResidualConfig
from posecast.networks.pose_lstm import PoseLSTMConfig
from posecast.store.reading import ClipSelection
from posecast.training.carrying import CarryingTrainingConfig
from posecast.training.carrying_stream import StreamConfig
from posecast.training.estimator import EstimatorTrainingConfig
from posecast.training.image_setup import ImageTrainingConfig
from posecast.training.motion import MotionTrainingConfig
from posecast.training.motion_augmentation import MotionAugmentation
from posecast.training.motion_batches import MotionMix
from posecast.training.motion_windows import WindowChoice
from posecast.training.outline import OutlineTrainingConfig
from posecast.training.pose import PoseTrainingConfig
from posecast.training.pose_augmentation import PoseAugmentation
from posecast.training.settings import FitConfig
from posecast.windows import ImagePairs, PoseWindows

NOTES: Mapping[str, str] = {
    "penn-action": "the paper's settings for Penn Action (8 actions, 2017 training list)",
    "penn-action-best": "the forecaster that ships, under two hours on a core: see docs/motion.md",
    "penn-action-alone": "the forecaster on Penn Action's labels alone: see docs/motion.md",
    "own-videos": "on videos of one's own, as the refinement that ships: see docs/carrying.md",
    "penn-action-plus": "beyond the paper, better on few steps: see docs/results-trained.md",
    "human36m": "the paper's settings for Human3.6M (every 4th frame, 32 joints)",
    "demo": "small networks for the built-in data set, minutes on two cores",
    "human36m-demo": "small networks for Human3.6M, minutes on two cores",
    "tiny": "two steps of the smallest networks, to try out commands",
}
"""Name of a preset -> what it is for."""

BF16 = ComputeConfig(precision="bf16-mixed")
_TWO_STEPS: Any = {"steps": 2, "validate_every": 2, "checkpoint_every": 2, "log_every": 1}
_OTHER_LOSSES = ("feature_weight", "pose_feature_weight", "adversarial_weight")
_PIXELS_ALONE: Any = dict.fromkeys(_OTHER_LOSSES, 0.0)
_POSE_DEMO_FIT = FitConfig(
    steps=800,
    batch_size=64,
    learning_rate=2e-3,
    weight_decay=0.0,
    validate_every=100,
    checkpoint_every=400,
)
_IMAGE_DEMO_FIT = replace(
    ImageTrainingConfig.fit, steps=800, learning_rate=5e-4, validate_every=200, checkpoint_every=200
)

POSE: Mapping[str, PoseTrainingConfig] = {
    "penn-action": PoseTrainingConfig(
        clips=ClipSelection("train", PAPER_ACTIONS, without=ABSENT_FROM_2017_TRAINING),
        validation=ClipSelection("validation", PAPER_ACTIONS),
    ),
    "human36m": PoseTrainingConfig(
        model=PoseLSTMConfig(num_joints=32),
        skeleton="human36m",
        validation_future=128,
        validation_windows=4,
    ),
    "penn-action-plus": PoseTrainingConfig(
        model=PoseLSTMConfig(
            hidden=512, encoder=64, output="residual", inputs="motion", dropout=0.1
        ),
        validation=ClipSelection("validation", PAPER_ACTIONS),
        windows=PoseWindows(num_future=64),
        augmentation=PoseAugmentation(mirror=True, scale=0.15, shift=0.1, rotation_degrees=6.0),
        loss="distance",
        fit=FitConfig(steps=1500, batch_size=128, validate_every=100, checkpoint_every=500),
        run_on=BF16,
    ),
    "demo": PoseTrainingConfig(
        model=PoseLSTMConfig(hidden=192, output="residual", inputs="motion"),
        loss="distance",
        validation_future=32,
        fit=_POSE_DEMO_FIT,
    ),
    "human36m-demo": PoseTrainingConfig(
        model=PoseLSTMConfig(num_joints=32, hidden=128, output="residual", inputs="motion"),
        skeleton="human36m",
        augmentation=PoseAugmentation(mirror=True, scale=0.1, shift=0.1),
        loss="distance",
        validation_future=128,
        validation_windows=8,
        fit=_POSE_DEMO_FIT,
    ),
    "tiny": PoseTrainingConfig(
        model=PoseLSTMConfig(hidden=8, encoder=4),
        windows=PoseWindows(num_past=4, num_future=6),
        validation_future=6,
    ).but(batch_size=4, **_TWO_STEPS),
}
"""Settings of `posecast train pose`."""

MOTION: Mapping[str, MotionTrainingConfig] = {
    "penn-action-alone": MotionTrainingConfig(
        model=MotionResidualConfig(
            width=256, blocks=4, dropout=0.25, input_dropout=0.1, cautious=False
        ),
        windows=WindowChoice(first=6, others=10, slowest=0.75, fastest=1.33),
        mix=MotionMix(first=0.5, clip=0.5, unknown=0.15),
        augmentation=MotionAugmentation(
            rotation_degrees=19.0, stretch=0.19, shaken=0.48, hidden=0.48, no_guess=0.16
        ),
        preferred_actions=PAPER_ACTIONS,
        moment_steps=1500,
    ).but(steps=800, batch_size=512, learning_rate=2e-3, average=0.998, validate_every=200),
    "penn-action-best": MotionTrainingConfig(
        model=MotionResidualConfig(
            width=256, blocks=4, dropout=0.25, input_dropout=0.1, trimmed=True
        ),
        windows=WindowChoice(rounds_clip=4, every=8, slowest=0.75, fastest=1.33),
        preferred_actions=PAPER_ACTIONS,
        moment_steps=1500,
        run_on=BF16,
    ),
    "tiny": MotionTrainingConfig(
        model=MotionResidualConfig(width=8, blocks=2),
        windows=WindowChoice(rounds_clip=1, first=2, others=2),
        moment_steps=2,
    ).but(batch_size=8, **_TWO_STEPS),
}
"""Settings of `posecast train motion`."""

IMAGE: Mapping[str, ImageTrainingConfig] = {
    # The 2017 image model was trained on all 15 actions, unlike the pose model.
    "penn-action": ImageTrainingConfig(),
    "human36m": ImageTrainingConfig(
        generator=GeneratorConfig(num_heatmaps=32),
        discriminator=DiscriminatorConfig(num_heatmaps=32),
        skeleton="human36m",
        # Gaps of 1 to 999 frames in 2017, which drew from all 50 frames a second.
        pairs=ImagePairs(max_gap=999 // 4),
    ),
    "penn-action-plus": ImageTrainingConfig(
        generator=GeneratorConfig(width=32, output="composite"),
        discriminator=DiscriminatorConfig(width=32),
        sample_every=250,
        run_on=BF16,
        **_PIXELS_ALONE,
    ).but(steps=2000, learning_rate=5e-4, validate_every=250, checkpoint_every=250),
    "demo": ImageTrainingConfig(
        generator=GeneratorConfig(width=16, size=64, output="composite"),
        discriminator=DiscriminatorConfig(width=16, size=64),
        sample_every=200,
        fit=_IMAGE_DEMO_FIT,
        **_PIXELS_ALONE,
    ),
    "human36m-demo": ImageTrainingConfig(
        generator=GeneratorConfig(num_heatmaps=32, width=16, size=64, output="composite"),
        discriminator=DiscriminatorConfig(num_heatmaps=32, width=16, size=64),
        skeleton="human36m",
        # Crops are about 600 pixels wide: the paper's 8 would be less than a pixel of 64.
        sigma_px=16.0,
        pairs=ImagePairs(max_gap=128),
        sample_every=200,
        fit=_IMAGE_DEMO_FIT,
        **_PIXELS_ALONE,
    ),
    "tiny": ImageTrainingConfig(
        generator=GeneratorConfig(width=4, size=16),
        discriminator=DiscriminatorConfig(width=4, size=16),
        pairs=ImagePairs(max_gap=5),
        sample_every=2,
        validation_pairs=2,
        feature_weight=0.0,
        pose_feature_weight=0.0,
    ).but(batch_size=2, **_TWO_STEPS),
}
"""Settings of `posecast train image`."""

ESTIMATOR: Mapping[str, EstimatorTrainingConfig] = {
    "penn-action": EstimatorTrainingConfig(run_on=BF16),
    "demo": EstimatorTrainingConfig(
        model=HourglassConfig(stacks=1, width=64, depth=3, size=64), run_on=BF16
    ).but(steps=1000, batch_size=16, validate_every=250, checkpoint_every=250),
    "tiny": EstimatorTrainingConfig(
        model=HourglassConfig(stacks=1, width=8, depth=1, size=16), validation_frames=4
    ).but(batch_size=2, **_TWO_STEPS),
}
"""Settings of `posecast train estimator`; the 2017 code had none."""

CARRYING: Mapping[str, CarryingTrainingConfig] = {
    "own-videos": CarryingTrainingConfig(run_on=BF16),
    "tiny": CarryingTrainingConfig(
        model=CarryingConfig(refinement_widths=(8, 8), refinement_norm="batch"),
        stream=StreamConfig(samples=8, first=4, per_step=4),
        fit=FitConfig(batch_size=4, **_TWO_STEPS),
    ),
}
"""Settings of `posecast train carrying`."""

OUTLINE: Mapping[str, OutlineTrainingConfig] = {
    "own-videos": OutlineTrainingConfig(run_on=BF16),
    "tiny": OutlineTrainingConfig(
        model=CarryingConfig(mask_widths=(8, 8), refinement_widths=()),
        fit=FitConfig(batch_size=2, **_TWO_STEPS),
    ),
}
"""Settings of `posecast train outline`."""
