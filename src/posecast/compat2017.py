"""Networks from the variables of the 2017 code.

Variables are named as TensorFlow named them, without the trailing ":0"; dense kernels are
(in, out). Sizes come from the arrays, and so does the precision of the network.
"""

from collections.abc import Mapping

import numpy as np
import torch

from posecast.models.pose_lstm import PoseLSTM, PoseLSTMConfig

_CELL = "GEN/G_LSTM/rnn/multi_rnn_cell/cell_{}/basic_lstm_cell/{}"


def pose_lstm(variables: Mapping[str, np.ndarray]) -> PoseLSTM:
    """The pose LSTM; any number of layers of one width.

    Raises ValueError where a variable is missing or its shape does not fit the others.
    """
    encoder = _variable(variables, "lm_enc/Matrix", (None, None))
    decoder = _variable(variables, "GEN/G_LSTM/dec_fc2/Matrix", (None, encoder.shape[0]))
    (features, width), hidden = encoder.shape, decoder.shape[0]
    if features % 2:
        raise ValueError(f"lm_enc/Matrix reads {features} numbers; expected x and y of each joint")
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


def _variable(
    variables: Mapping[str, np.ndarray], name: str, shape: tuple[int | None, ...]
) -> np.ndarray:
    """One variable, its shape checked (None: any size)."""
    if name not in variables:
        known = ", ".join(sorted(variables)) or "none"
        raise ValueError(f"2017 variable {name} is missing; variables given: {known}")
    array = np.asarray(variables[name])
    fits = array.ndim == len(shape) and all(
        want in (None, size) for size, want in zip(array.shape, shape, strict=True)
    )
    if not fits:
        wanted = tuple("any" if size is None else size for size in shape)
        raise ValueError(f"2017 variable {name} has shape {array.shape}; expected {wanted}")
    return array
