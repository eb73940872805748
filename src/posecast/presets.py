"""Ready settings by name. The only place that holds a paper's hyperparameters.

`penn-action` is Villegas et al., ICML 2017, on Penn Action, as the authors' code trains it; what
differs from that code is listed in docs/deviations.md. `demo` learns something to look at in a few
minutes on two processor cores. `tiny` learns nothing: it is for trying out commands and for tests.
"""

from collections.abc import Mapping
from types import MappingProxyType

from posecast.datasets.penn_action import ABSENT_FROM_2017_TRAINING, PAPER_ACTIONS
from posecast.models.discriminator import DiscriminatorConfig
from posecast.models.generator import GeneratorConfig
from posecast.models.pose_lstm import PoseLSTMConfig
from posecast.store import ClipSelection
from posecast.training.image import ImageTrainingConfig
from posecast.training.pose import PoseTrainingConfig
from posecast.windows import ImagePairs, PoseWindows

NOTES: Mapping[str, str] = MappingProxyType(
    {
        "penn-action": "the paper's settings for Penn Action (8 actions, 2017 training list)",
        "demo": "small networks for the built-in data set, minutes on two cores",
        "tiny": "two steps of the smallest networks, to try out commands",
    }
)
"""Name of a preset -> what it is for."""

POSE: Mapping[str, PoseTrainingConfig] = MappingProxyType(
    {
        "penn-action": PoseTrainingConfig(
            model=PoseLSTMConfig(num_joints=13, hidden=1024, layers=1, encoder=32),
            clips=ClipSelection("train", PAPER_ACTIONS, without=ABSENT_FROM_2017_TRAINING),
            validation=ClipSelection("validation", PAPER_ACTIONS),
            windows=PoseWindows(num_past=10, num_future=32),
            steps=37_500,
            batch_size=256,
            optimizer="rmsprop",
            learning_rate=1e-3,
            clip_norm=25.0,
        ),
        "demo": PoseTrainingConfig(
            model=PoseLSTMConfig(hidden=192, output="residual", inputs="motion"),
            windows=PoseWindows(num_past=10, num_future=32),
            steps=800,
            batch_size=64,
            optimizer="adam",
            learning_rate=2e-3,
            schedule="cosine",
            clip_norm=1.0,
            validate_every=100,
            validation_future=32,
            checkpoint_every=400,
        ),
        "tiny": PoseTrainingConfig(
            model=PoseLSTMConfig(hidden=8, encoder=4),
            windows=PoseWindows(num_past=4, num_future=6),
            steps=2,
            batch_size=4,
            validate_every=2,
            validation_future=6,
            checkpoint_every=2,
            log_every=1,
        ),
    }
)
"""Settings of `posecast train pose`."""

IMAGE: Mapping[str, ImageTrainingConfig] = MappingProxyType(
    {
        "penn-action": ImageTrainingConfig(
            generator=GeneratorConfig(num_heatmaps=48, width=64, size=128, output="image"),
            discriminator=DiscriminatorConfig(num_heatmaps=48, width=64, size=128),
            sigma_px=8.0,
            clips=ClipSelection(
                "train", PAPER_ACTIONS, without=ABSENT_FROM_2017_TRAINING, with_frames=True
            ),
            validation=ClipSelection("validation", PAPER_ACTIONS, with_frames=True),
            pairs=ImagePairs(max_gap=29),
            batch_size=8,
            steps=100_000,
            learning_rate=1e-4,
            beta1=0.5,
            feature_weight=1.0,
            pose_feature_weight=1.0,
            adversarial_weight=1.0,
            hourglass_layer=3,
            gating="2017",
        ),
        "demo": ImageTrainingConfig(
            generator=GeneratorConfig(width=16, size=64, output="composite"),
            discriminator=DiscriminatorConfig(width=16, size=64),
            pairs=ImagePairs(max_gap=29),
            batch_size=8,
            steps=800,
            learning_rate=5e-4,
            adversarial_weight=0.0,
            checkpoint_every=200,
            sample_every=200,
            validate_every=200,
            feature_weight=0.0,
            pose_feature_weight=0.0,
        ),
        "tiny": ImageTrainingConfig(
            generator=GeneratorConfig(width=4, size=16),
            discriminator=DiscriminatorConfig(width=4, size=16),
            pairs=ImagePairs(max_gap=5),
            batch_size=2,
            steps=2,
            checkpoint_every=2,
            sample_every=2,
            validate_every=2,
            validation_pairs=2,
            log_every=1,
            feature_weight=0.0,
            pose_feature_weight=0.0,
        ),
    }
)
"""Settings of `posecast train image`."""
