"""Weights of the 2017 code as runs that prediction reads like any other.

The file is an .npz of TensorFlow variables, named as in 2017 (a trailing ":0" is passed over), made
where TensorFlow can still read the checkpoint:

    reader = tf.train.load_checkpoint(path)
    np.savez("model.npz", **{n: reader.get_tensor(n) for n in reader.get_variable_to_shape_map()})
"""

import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import nn

from posecast.errors import PosecastError
from posecast.networks.generator import Generator, GeneratorConfig
from posecast.networks.pose_lstm import PoseLSTMConfig
from posecast.records.training_runs import training_run
from posecast.skeletons import SKELETONS
from posecast.villegas2017 import conversion

_POSE_VARIABLE, _IMAGE_VARIABLE = "lm_enc/Matrix", "GEN/enc_iconv1_1/w"


def import_2017(file: str | Path, run_path: str | Path) -> Literal["pose", "image"]:
    """Make a run of a pose LSTM or an image generator of the 2017 code; says which it was.

    The 2017 image model reads and draws blue, green, red; its channels are turned round, so that
    the run works on RGB like all others. Variables of the discriminator and the optimiser are
    passed over.

    Raises:
        PosecastError: no such file, not an .npz of variables, variables missing or misshapen, or
            the folder holds another run.
    """
    variables = _read_variables(Path(file))
    if _POSE_VARIABLE in variables:
        pose_model = conversion.pose_lstm(variables).float()
        skeleton = _skeleton_of(pose_model.config.num_joints, "num_joints")
        _make_run(Path(run_path), "pose", pose_model, _ImportedPose(pose_model.config, skeleton))
        return "pose"
    if _IMAGE_VARIABLE in variables:
        generator = to_rgb(conversion.generator(variables).float())
        skeleton = _skeleton_of(generator.config.num_heatmaps, "num_heatmaps")
        _make_run(Path(run_path), "image", generator, _ImportedImage(generator.config, skeleton))
        return "image"
    raise PosecastError(
        f"{file} holds neither a pose model ({_POSE_VARIABLE}) nor an image model "
        f"({_IMAGE_VARIABLE}); its first variables: {', '.join(sorted(variables)[:5]) or 'none'}"
    )


@dataclass(frozen=True)
class _ImportedPose:
    """What is known of the training of an imported pose model, named as in a run's config.json."""

    model: PoseLSTMConfig
    skeleton: str


@dataclass(frozen=True)
class _ImportedImage:
    """The same of an image model."""

    generator: GeneratorConfig
    skeleton: str
    sigma_px: float = 8.0


def _make_run(path: Path, kind: str, network: nn.Module, config: Any) -> None:
    with training_run(path, config, kind) as run:
        run.save_weights("best", network, step=0)


def _read_variables(path: Path) -> Mapping[str, np.ndarray]:
    if not path.is_file():
        raise PosecastError(f"{path}: no such file")
    try:
        with path.open("rb") as file, np.load(file) as arrays:
            return {name.removesuffix(":0"): arrays[name] for name in arrays.files}
    except (OSError, ValueError, AttributeError, zipfile.BadZipFile) as error:
        raise PosecastError(
            f"{path} is not a whole .npz file of arrays ({error}); "
            "'posecast import-2017 --help' says how to make one"
        ) from error


@torch.no_grad()
def to_rgb(generator: Generator) -> Generator:
    """Turn the order of colour channels round, in what the network reads and what it draws."""
    reads = generator.get_parameter("image_encoder.0.weight")
    reads.copy_(reads.flip(1))
    for draws in (generator.to_image.weight, generator.get_parameter("to_image.bias")):
        draws.copy_(draws.flip(0))
    return generator


def _skeleton_of(number: int, what: Literal["num_joints", "num_heatmaps"]) -> str:
    """The 2017 files name no skeleton, but each known one has its own numbers."""
    for skeleton in SKELETONS.values():
        if getattr(skeleton, what) == number:
            return skeleton.name
    raise PosecastError(f"the network has {what} = {number}, as no known skeleton has")
