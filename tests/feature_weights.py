"""Random weights of the reference feature networks, drawn by the recipe of the reference notes.

The reference numbers store only the seeds; the SHA-256 of the drawn bytes shows that the weights
are the same here.
"""

import hashlib
from collections.abc import Iterable, Iterator
from functools import lru_cache

import numpy as np
from torch import nn

from posecast.networks.alexnet import BVLC_SHAPES, BvlcAlexNet
from posecast.villegas2017.hourglass2017 import Hourglass2017


def golden_alexnet(numbers: dict[str, np.ndarray]) -> BvlcAlexNet:
    """AlexNet with the weights behind a file of reference numbers; reads its pictures as given."""
    layers = alexnet_layers(int(numbers["alexnet_seed"]))
    arrays = (array for name in BVLC_SHAPES for array in layers[name])
    assert _sha256(arrays) == str(numbers["alexnet_sha256"])
    network = BvlcAlexNet(layers)
    turn_round(network.conv1)
    return network


def golden_hourglass(numbers: dict[str, np.ndarray], layer: int = 3) -> Hourglass2017:
    """Hourglass with the weights behind a file of reference numbers; reads pictures as given."""
    arrays = hourglass_arrays(int(numbers["hourglass_seed"]))
    assert _sha256(arrays) == str(numbers["hourglass_sha256"])
    network = Hourglass2017(arrays, layer=layer)
    turn_round(network.stem)
    return network


def turn_round(first: nn.Conv2d) -> None:
    """The kernel as it is in the file: for pictures in blue, green and red."""
    first.weight.data = first.weight.data.flip(1)


@lru_cache(maxsize=2)
def alexnet_layers(seed: int) -> dict[str, list[np.ndarray]]:
    """Layer name -> [kernel (kh, kw, in, out), bias], as in `bvlc_alexnet.npy`."""
    random = np.random.RandomState(seed)
    layers = {}
    for name, shape in BVLC_SHAPES.items():
        gain = 0.1 if name == "conv3" else 1.0
        kernel = random.standard_normal(shape) * (gain * np.sqrt(2 / np.prod(shape[:3])))
        bias = 0.1 * random.standard_normal(shape[-1])
        layers[name] = [kernel.astype(np.float32), bias.astype(np.float32)]
    return layers


@lru_cache(maxsize=2)
def hourglass_arrays(seed: int) -> tuple[np.ndarray, ...]:
    """The arrays of hourglass_weights_1.npy ... _414.npy in order."""
    random = np.random.RandomState(seed)
    arrays = []
    for role, shape in _hourglass_files():
        array = random.standard_normal(shape)
        if role == "kernel":
            array *= np.sqrt(0.32 / np.prod(shape[1:]))
        elif role == "gamma":
            array = 1 + 0.1 * array
        else:
            array *= 0.1
        arrays.append(array.astype(np.float32))
    return tuple(arrays)


def _hourglass_files() -> Iterator[tuple[str, tuple[int, ...]]]:
    """(role, shape) of each file, written down apart from the network under test."""
    yield from _conv(3, 64, 7)
    yield from _norm(64)
    for num_in, num_out in ((64, 128), (128, 128), (128, 128), (128, 256)):
        yield from _residual(num_in, num_out)
    yield from _level(4)


def _level(depth: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    for num_in, num_out in ((256, 256), (256, 256), (256, 512), *[(256, 256)] * 3):
        yield from _residual(num_in, num_out)
    yield from _level(depth - 1) if depth > 1 else _residual(256, 512)
    yield from _residual(512, 512)


def _residual(num_in: int, num_out: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    half = num_out // 2
    for channels, out, size in ((num_in, half, 1), (half, half, 3), (half, num_out, 1)):
        yield from _norm(channels)
        yield from _conv(channels, out, size)
    if num_in != num_out:
        yield from _conv(num_in, num_out, 1)


def _norm(channels: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    yield "beta", (channels,)
    yield "gamma", (channels,)


def _conv(num_in: int, num_out: int, size: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    yield "kernel", (num_out, num_in, size, size)
    yield "bias", (num_out,)


def _sha256(arrays: Iterable[np.ndarray]) -> str:
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(array.astype("<f4").tobytes())
    return digest.hexdigest()
