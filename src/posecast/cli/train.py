"""`posecast train ...`: a preset, overrides, a store, a run."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, TypeVar

import tyro

from posecast.cli.parsing import parse, split_preset, with_config
from posecast.presets import ESTIMATOR, IMAGE, NOTES, POSE
from posecast.records.configs import config_to_dict
from posecast.training.estimator import EstimatorTrainingConfig, train_estimator
from posecast.training.image import ImageTrainingConfig, train_image
from posecast.training.pose import PoseTrainingConfig, train_pose

T = TypeVar("T")


@dataclass(frozen=True)
class TrainPose:
    """Train the pose model: from seen poses to future poses.

    The same command again goes on where training stopped. Ctrl-C saves first.

    Examples:
      posecast train pose penn-action --store store --run runs/pose
      posecast train pose penn-action --store store --run runs/pose --steps 2000 --device cpu
      posecast train pose demo --store store --run runs/pose --dry-run
    """

    store: Path
    """Prepared store to learn from."""
    run: Path
    """Folder for weights, checkpoints and metrics."""
    config: Annotated[PoseTrainingConfig, tyro.conf.arg(name="")]
    fresh: bool = False
    """Start over: an older run in the folder is moved aside."""
    dry_run: bool = False
    """Print the settings as JSON and do nothing."""


@dataclass(frozen=True)
class TrainImage:
    """Train the image model: from a seen frame and a pose to the frame of that pose.

    The same command again goes on where training stopped. Ctrl-C saves first. The paper's full
    loss needs the weights of two feature networks; without them, say so with two zeros.

    Examples:
      posecast train image penn-action --store store --run runs/image \\
        --alexnet-file bvlc_alexnet.npy --hourglass-folder hourglass
      posecast train image penn-action --store store --run runs/image \\
        --feature-weight 0 --pose-feature-weight 0 --precision bf16-mixed
      posecast train image demo --store store --run runs/image --dry-run
    """

    store: Path
    """Prepared store to learn from."""
    run: Path
    """Folder for weights, checkpoints, metrics and sample pictures."""
    config: Annotated[ImageTrainingConfig, tyro.conf.arg(name="")]
    fresh: bool = False
    """Start over: an older run in the folder is moved aside."""
    dry_run: bool = False
    """Print the settings as JSON and do nothing."""


@dataclass(frozen=True)
class TrainEstimator:
    """Train the pose estimator: from a frame to the places of the joints in it.

    The same command again goes on where training stopped. Ctrl-C saves first.

    Examples:
      posecast train estimator penn-action --store store --run runs/estimator
      posecast train estimator demo --store store --run runs/estimator --dry-run
    """

    store: Path
    """Prepared store to learn from."""
    run: Path
    """Folder for weights, checkpoints and metrics."""
    config: Annotated[EstimatorTrainingConfig, tyro.conf.arg(name="")]
    fresh: bool = False
    """Start over: an older run in the folder is moved aside."""
    dry_run: bool = False
    """Print the settings as JSON and do nothing."""


def train_pose_model(words: list[str], program: str) -> int:
    """`posecast train pose PRESET --store STORE --run RUN`."""
    asked = _parse(TrainPose, POSE, words, program)
    if asked.dry_run:
        return _print_settings(asked.config)
    result = train_pose(asked.config, asked.store, asked.run, fresh=asked.fresh)
    best = result.best_ratio
    score = "" if best is None else f", best validation distance {best:.3f} of the last pose's"
    print(f"{asked.run}: pose model after {result.step} steps ({result.ended}){score}")
    return 130 if result.ended == "stopped" else 0


def train_image_model(words: list[str], program: str) -> int:
    """`posecast train image PRESET --store STORE --run RUN`."""
    asked = _parse(TrainImage, IMAGE, words, program)
    if asked.dry_run:
        return _print_settings(asked.config)
    result = train_image(asked.config, asked.store, asked.run, fresh=asked.fresh)
    best = result.best_skill
    score = "" if best is None else f", best validation skill {best:.4f} (0 is copying the frame)"
    print(f"{asked.run}: image model after {result.step} steps ({result.ended}){score}")
    return 130 if result.ended == "stopped" else 0


def train_pose_estimator(words: list[str], program: str) -> int:
    """`posecast train estimator PRESET --store STORE --run RUN`."""
    asked = _parse(TrainEstimator, ESTIMATOR, words, program)
    if asked.dry_run:
        return _print_settings(asked.config)
    result = train_estimator(asked.config, asked.store, asked.run, fresh=asked.fresh)
    best = result.best_pck
    score = "" if best is None else f", best validation PCK@0.1 {best:.4f}"
    print(f"{asked.run}: estimator after {result.step} steps ({result.ended}){score}")
    return 130 if result.ended == "stopped" else 0


def _parse(kind: type[T], presets: Mapping[str, object], words: list[str], program: str) -> T:
    name, config, rest = split_preset(words, presets, NOTES, program)
    return parse(with_config(kind, config), rest, f"{program} {name}")


def _print_settings(
    config: PoseTrainingConfig | ImageTrainingConfig | EstimatorTrainingConfig,
) -> int:
    print(json.dumps(config_to_dict(config), indent=2))
    return 0
