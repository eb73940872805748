"""Networks from the variables of the 2017 code.

Variables are named as TensorFlow named them, without the trailing ":0"; dense kernels are
(in, out), convolutions (kh, kw, in, out), transposed convolutions (kh, kw, out, in). Sizes come
from the arrays, and so does the precision of the network. Pictures keep the order of channels that
the weights were trained with, which in 2017 was blue, green, red.
"""

from collections.abc import Iterable, Mapping

import numpy as np
import torch
from torch import nn

from posecast.errors import PosecastError
from posecast.networks.generator import Generator, GeneratorConfig
from posecast.networks.pose_lstm import PoseLSTM, PoseLSTMConfig

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
        layers = _convolutions(modules)
        for level, layer in zip(levels, layers, strict=True):
            name = f"GEN/{prefix}{level}"
            _fill_convolution(variables, name, layer, transposed=prefix == "dec_deconv")
    return network


def _convolutions(modules: Iterable[nn.Module]) -> list[nn.Conv2d | nn.ConvTranspose2d]:
    return [module for module in modules if isinstance(module, nn.Conv2d | nn.ConvTranspose2d)]


def _fill_convolution(
    variables: Mapping[str, np.ndarray],
    name: str,
    layer: nn.Conv2d | nn.ConvTranspose2d,
    transposed: bool,
) -> None:
    """A transposed convolution of stride 1 is a convolution with its kernel turned by 180 degrees.

    (That of stride 2 stays one: it stands for un-pooling and convolving, see `models.generator`.)
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
