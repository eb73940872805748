"""`posecast train ...`: a preset where the kind has some, overrides, a store, a run."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

from posecast.cli.parsing import Command, parse, split_preset, with_config
from posecast.presets import CARRYING, ESTIMATOR, IMAGE, MOTION, NOTES, OUTLINE, POSE
from posecast.records.configs import config_to_dict
from posecast.training import action
from posecast.training.carrying import train_carrying
from posecast.training.conv_lstm import ConvLSTMTrainingConfig, train_conv_lstm
from posecast.training.estimator import train_estimator
from posecast.training.fitting import FitResult
from posecast.training.image import train_image
from posecast.training.motion import train_motion
from posecast.training.outline import train_outline
from posecast.training.pose import train_pose
from posecast.training.settings import TrainingConfig


class Kind(NamedTuple):
    """What can be trained."""

    train: Callable[..., FitResult]
    presets: TrainingConfig | Mapping[str, TrainingConfig]
    """By name, or the one that there is."""
    best: str
    """What the best score is, with a place for it."""
    help: str
    examples: tuple[str, ...]
    """What follows 'posecast train KIND'; whole commands begin with 'posecast'."""

    def text(self, name: str) -> str:
        lines = (
            f"  {each}" if each.startswith("posecast") else f"  posecast train {name} {each}"
            for each in self.examples
        )
        return "\n".join([f"{self.help}\n\n{_GOES_ON}\n\nExamples:", *lines])


_GOES_ON = "The same command again goes on where training stopped. Ctrl-C saves first."
_INTO = "--store store --run runs/"

KINDS: Mapping[str, Kind] = {
    "pose": Kind(
        *(train_pose, POSE, "distance {:.3f} of the last pose's"),
        "Train the pose model: from seen poses to future poses.",
        (
            f"penn-action {_INTO}pose",
            f"penn-action {_INTO}pose --steps 2000 --device cpu",
            f"demo {_INTO}longer --init-from runs/pose",
            f"demo {_INTO}pose --dry-run",
        ),
    ),
    "motion": Kind(
        *(train_motion, MOTION, "distance {:.3f} of the last pose's"),
        """\
Train the motion network: from all that was seen, its own past and what others did, to future poses.

It needs poses alone. Files of pose tracks of real videos may be added.""",
        (
            f"penn-action-best {_INTO}motion",
            f"penn-action-best {_INTO}motion --tracks tracks.npz",
            f"tiny {_INTO}motion --dry-run",
        ),
    ),
    "image": Kind(
        *(train_image, IMAGE, "skill {:.4f} (0 is copying the frame)"),
        """\
Train the image model: from a seen frame and a pose to the frame of that pose.

The paper's full loss needs the weights of two feature networks; without them, say so with two
zeros.""",
        (
            f"penn-action {_INTO}image \\\n"
            "    --alexnet-file bvlc_alexnet.npy --hourglass-folder hourglass",
            f"penn-action {_INTO}image \\\n"
            "    --feature-weight 0 --pose-feature-weight 0 --precision bf16-mixed",
            f"demo {_INTO}image --dry-run",
        ),
    ),
    "outline": Kind(
        *(train_outline, OUTLINE, "overlap {:.3f} with the person's outline"),
        """\
Train the network that finds the outline of the person in seen frames, whose pose is known.

It learns from masks of another program that lie in the store: docs/carrying.md says how they come
there. The store is that of 'posecast train carrying', which goes on from here.""",
        (
            "posecast prepare videos videos store --poses keypoints --num-seen 10000 --size 192",
            f"own-videos {_INTO}outline",
            f"posecast train carrying own-videos {_INTO}carrying --mask runs/outline",
            f"tiny {_INTO}outline --dry-run",
        ),
    ),
    "carrying": Kind(
        *(train_carrying, CARRYING, "{:.2f} dB above what was carried"),
        """\
Train the drawer that carries the person along: from the layers of a future frame to the frame.

The store is of own videos, those of each group of people and places in a folder of its own: every
fifth folder is held out and chooses the best weights. Samples are made while it trains, by
--stream.makers processes beside it.""",
        (
            "posecast prepare videos videos store --poses keypoints --num-seen 10000 --size 192",
            f"own-videos {_INTO}carrying --stream.makers 14",
            "posecast forecast video.mp4 --image-run runs/carrying",
            f"tiny {_INTO}carrying --dry-run",
        ),
    ),
    "estimator": Kind(
        *(train_estimator, ESTIMATOR, "PCK@0.1 {:.4f}"),
        "Train the pose estimator: from a frame to the places of the joints in it.",
        (f"penn-action {_INTO}estimator", f"demo {_INTO}estimator --dry-run"),
    ),
    "pose-action": Kind(
        *(action.train_pose_classifier, action.PoseActionTrainingConfig(), "log likelihood {:.4f}"),
        """\
Train the classifier that says which action a pose sequence shows; poses alone will do.

'posecast evaluate --pose-action-run RUN' asks it whether forecasts still look like their
action.""",
        (f"{_INTO}pose-action",),
    ),
    "flow-action": Kind(
        *(action.train_flow_classifier, action.FlowActionTrainingConfig(), "log likelihood {:.4f}"),
        """\
Train the classifier that says which action frames show, by their optical flow.

'posecast evaluate --flow-action-run RUN' asks it whether forecast frames still look like their
action.""",
        (f"{_INTO}flow-action",),
    ),
    "conv-lstm": Kind(
        *(train_conv_lstm, ConvLSTMTrainingConfig()),
        "skill {:.4f} (0 is repeating the last frame)",
        """\
Train the ConvLSTM baseline: future frames from seen frames, without poses.

'posecast evaluate --conv-lstm-run RUN' shows it beside the forecast.""",
        (f"{_INTO}conv-lstm --model.size 64",),
    ),
}


@dataclass(frozen=True)
class Train(Command):
    """What every `posecast train` is told."""

    name: ClassVar[str]
    """Of what is trained, a key of KINDS."""

    store: Path
    """Prepared store to learn from."""
    run: Path
    """Folder for weights, checkpoints, metrics and sample pictures."""
    config: Any
    fresh: bool = False
    """Start over: an older run in the folder is moved aside."""
    dry_run: bool = False
    """Print the settings as JSON and do nothing."""

    @classmethod
    def flags(cls, name: str) -> type[Command] | Mapping[str, type[Command]]:
        name = name.removeprefix("train ")
        presets = KINDS[name].presets
        if not isinstance(presets, Mapping):
            return cls._with(presets, name)
        return {preset: cls._with(config, name) for preset, config in presets.items()}

    @classmethod
    def _with(cls, config: TrainingConfig, name: str) -> "type[Train]":
        """These settings where nothing else is said."""
        kind = with_config(cls, config, KINDS[name].text(name))
        kind.name = name
        return kind

    @classmethod
    def read(cls, name: str, words: Sequence[str]) -> Command:
        flags, program = cls.flags(name), f"posecast {name}"
        if isinstance(flags, Mapping):
            preset, words = split_preset(words, flags, NOTES, program)
            flags, program = flags[preset], f"{program} {preset}"
        return parse(flags, words, program)

    def __call__(self) -> int:
        if self.dry_run:
            print(json.dumps(config_to_dict(self.config), indent=2))
            return 0
        kind = KINDS[self.name]
        result = kind.train(self.config, self.store, self.run, fresh=self.fresh)
        best = result.best_score
        score = "" if best is None else f", best validation {kind.best.format(best)}"
        print(f"{self.run}: {self.name} after {result.step} steps ({result.ended}){score}")
        return 130 if result.ended == "stopped" else 0
