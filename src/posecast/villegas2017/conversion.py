"""Networks from the variables of the 2017 code, and runs of them that are read like any other.

Variables are named as TensorFlow named them, without the trailing ":0"; dense kernels are
(in, out), convolutions (kh, kw, in, out), transposed convolutions (kh, kw, out, in). Sizes come
from the arrays, and so does the precision of the network. Pictures keep the order of channels that
the weights were trained with, which in 2017 was blue, green, red.

The file is an .npz of the variables (a trailing ":0" is passed over), made where TensorFlow can
still read the checkpoint:

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
from posecast.networks.pose_lstm import PoseLSTM, PoseLSTMConfig
from posecast.records.training_runs import training_run
from posecast.skeletons import SKELETONS

_POSE_VARIABLE, _IMAGE_VARIABLE = "lm_enc/Matrix", "GEN/enc_iconv1_1/w"


def import_2017(file: str | Path, run_path: str | Path) -> Literal["pose", "image"]:
    """Make a run of a pose LSTM or an image generator of the 2017 code; says which it was.

    The 2017 image model reads and draws blue, green, red; its channels are turned round, so that
    the run works on RGB like all others. Variables of the discriminator and the optimiser are
    passed over. PosecastError: no such file, not an .npz of variables, variables missing or
    misshapen, or the folder holds another run.
    """
    variables = _read_variables(Path(file))
    if _POSE_VARIABLE in variables:
        pose_model = pose_lstm(variables).float()
        skeleton = _skeleton_of(pose_model.config.num_joints, "num_joints")
        _make_run(Path(run_path), "pose", pose_model, _ImportedPose(pose_model.config, skeleton))
        return "pose"
    if _IMAGE_VARIABLE in variables:
        model = to_rgb(generator(variables).float())
        skeleton = _skeleton_of(model.config.num_heatmaps, "num_heatmaps")
        _make_run(Path(run_path), "image", model, _ImportedImage(model.config, skeleton))
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


_CELL = "GEN/G_LSTM/rnn/multi_rnn_cell/cell_{}/basic_lstm_cell/{}"

_ENCODER = ("1_1", "1_2", "2_1", "2_2", "3_1", "3_2", "3_3")
_DECODER = ("3_3", "3_2", "3_1", "2_2", "2_1", "1_2", "1_1")


def pose_lstm(variables: Mapping[str, np.ndarray]) -> PoseLSTM:
    """The pose LSTM; any number of layers of one width.

    Raises PosecastError where a variable is missing or its shape does not fit the others.
    """
    encoder = _variable(variables, "lm_enc/Matrix", (None, None))
    decoder = _variable(variables, "GEN/G_LSTM/dec_fc2/Matrix", (None, encoder.shape[0]))
    (features, width), hidden = encoder.shape, decoder.shape[0]
    if features % 2:
        raise PosecastError(
            f"lm_enc/Matrix reads {features} numbers; expected x and y of each joint"
        )
    layers = sum(_CELL.format(layer, "kernel") in variables for layer in range(len(variables)))
    state = {
        "encoder.weight": encoder.T,
        "encoder.bias": _variable(variables, "lm_enc/bias", (width,)),
        "decoder.weight": decoder.T,
        "decoder.bias": _variable(variables, "GEN/G_LSTM/dec_fc2/bias", (features,)),
    }
    for layer in range(max(layers, 1)):
        state |= _lstm_layer(variables, layer, width if layer == 0 else hidden, hidden)
    config = PoseLSTMConfig(features // 2, hidden, max(layers, 1), width)
    network = PoseLSTM(config).to(torch.from_numpy(encoder).dtype)
    tensors = {name: torch.from_numpy(np.ascontiguousarray(array)) for name, array in state.items()}
    network.load_state_dict(network.state_dict() | tensors)
    return network


def _lstm_layer(
    variables: Mapping[str, np.ndarray], layer: int, inputs: int, hidden: int
) -> dict[str, np.ndarray]:
    """Gates i, j, f, o in columns become gates i, f, g, o in rows.

    The forget bias of 1, which the 2017 cell added by itself, is the network's frozen second bias.
    """
    kernel = _variable(variables, _CELL.format(layer, "kernel"), (inputs + hidden, 4 * hidden))
    bias = _variable(variables, _CELL.format(layer, "bias"), (4 * hidden,))
    in_gate, new, forget, out = np.split(np.arange(4 * hidden), 4)
    order = np.concatenate((in_gate, forget, new, out))
    rows = kernel.T[order]
    return {
        f"lstm.weight_ih_l{layer}": rows[:, :inputs],
        f"lstm.weight_hh_l{layer}": rows[:, inputs:],
        f"lstm.bias_ih_l{layer}": bias[order],
    }


def generator(variables: Mapping[str, np.ndarray]) -> Generator:
    """The image generator, `(image, source_heatmaps, target_heatmaps) -> image`.

    Raises PosecastError where a variable is missing or its shape does not fit the others.
    """
    image_kernel = _variable(variables, "GEN/enc_iconv1_1/w", (3, 3, 3, None))
    width = image_kernel.shape[-1]
    pose_kernel = _variable(variables, "GEN/enc_pconv1_1/w", (3, 3, None, width))
    network = Generator(GeneratorConfig(num_heatmaps=pose_kernel.shape[2], width=width))
    network = network.to(torch.from_numpy(image_kernel).dtype)
    parts = {
        "enc_iconv": (_ENCODER, network.image_encoder.modules()),
        "enc_pconv": (_ENCODER, network.pose_encoder.modules()),
        "dec_deconv": (
            _DECODER,
            [*network.coarse_decoder, *network.fine_decoder, network.to_image],
        ),
    }
    for prefix, (levels, modules) in parts.items():
        layers = [each for each in modules if isinstance(each, nn.Conv2d | nn.ConvTranspose2d)]
        for level, layer in zip(levels, layers, strict=True):
            name = f"GEN/{prefix}{level}"
            _fill_convolution(variables, name, layer, transposed=prefix == "dec_deconv")
    return network


def _fill_convolution(
    variables: Mapping[str, np.ndarray],
    name: str,
    layer: nn.Conv2d | nn.ConvTranspose2d,
    transposed: bool,
) -> None:
    """A transposed convolution of stride 1 is a convolution with its kernel turned by 180 degrees.

    (That of stride 2 stays one: it stands for un-pooling and convolving, see `networks.generator`.)
    """
    size, (num_in, num_out) = layer.kernel_size, (layer.in_channels, layer.out_channels)
    channels = (num_out, num_in) if transposed else (num_in, num_out)
    kernel = _variable(variables, f"{name}/w", (*size, *channels))
    bias = _variable(variables, f"{name}/biases", (num_out,))
    if transposed and isinstance(layer, nn.Conv2d):
        kernel = kernel[::-1, ::-1].transpose(2, 3, 0, 1)
    else:
        kernel = kernel.transpose(3, 2, 0, 1)
    _fill(layer.weight, kernel)
    if layer.bias is not None:
        _fill(layer.bias, bias)


@torch.no_grad()
def _fill(parameter: torch.Tensor, array: np.ndarray) -> None:
    parameter.copy_(torch.from_numpy(np.ascontiguousarray(array)))


def _variable(
    variables: Mapping[str, np.ndarray], name: str, shape: tuple[int | None, ...]
) -> np.ndarray:
    """One variable, its shape checked (None: any size)."""
    if name not in variables:
        known = ", ".join(sorted(variables)) or "none"
        raise PosecastError(f"2017 variable {name} is missing; variables given: {known}")
    array = np.asarray(variables[name])
    fits = array.ndim == len(shape) and all(
        want in (None, size) for size, want in zip(array.shape, shape, strict=True)
    )
    if not fits:
        wanted = tuple("any" if size is None else size for size in shape)
        raise PosecastError(f"2017 variable {name} has shape {array.shape}; expected {wanted}")
    return array
