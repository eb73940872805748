"""Feature networks of the paper's sizes with random weights: as slow as the real ones."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from posecast.networks.alexnet import BVLC_SHAPES, BvlcAlexNet
from posecast.training.image_steps import FeatureNetworks
from posecast.villegas2017.hourglass2017 import Hourglass2017


def random_feature_networks(seed: int = 0) -> FeatureNetworks:
    """Both networks of the full loss, on the CPU."""
    rng = np.random.default_rng(seed)
    return FeatureNetworks(BvlcAlexNet(_alexnet(rng)), Hourglass2017(_hourglass(rng)))


def write_random_features(folder: Path, seed: int = 0) -> None:
    """The files of both: bvlc_alexnet.npy, hourglass_weights_1.npy and so on."""
    rng = np.random.default_rng(seed)
    layers = {name: list(arrays) for name, arrays in _alexnet(rng).items()}
    np.save(folder / "bvlc_alexnet.npy", layers, allow_pickle=True)  # type: ignore[arg-type]
    for number, array in enumerate(_hourglass(rng), start=1):
        np.save(folder / f"hourglass_weights_{number}.npy", array)


def _alexnet(rng: np.random.Generator) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    return {
        name: (_kernel(rng, shape, int(np.prod(shape[:3]))), np.zeros(shape[3], np.float32))
        for name, shape in BVLC_SHAPES.items()
    }


def _kernel(rng: np.random.Generator, shape: tuple[int, ...], num_in: int) -> np.ndarray:
    return (rng.standard_normal(shape) * np.sqrt(1 / num_in)).astype(np.float32)


def _hourglass(rng: np.random.Generator) -> Iterator[np.ndarray]:
    """The arrays that `Hourglass2017` reads, in its order."""
    yield from _conv(rng, 3, 64, 7)
    yield from _norm(64)
    for num_in, num_out in ((64, 128), (128, 128), (128, 128), (128, 256)):
        yield from _residual(rng, num_in, num_out)
    yield from _level(rng, depth=4)


def _level(rng: np.random.Generator, depth: int) -> Iterator[np.ndarray]:
    for num_in, num_out in ((256, 256), (256, 256), (256, 512), *[(256, 256)] * 3):
        yield from _residual(rng, num_in, num_out)
    yield from _level(rng, depth - 1) if depth > 1 else _residual(rng, 256, 512)
    yield from _residual(rng, 512, 512)


def _residual(rng: np.random.Generator, num_in: int, num_out: int) -> Iterator[np.ndarray]:
    half = num_out // 2
    for channels, out, size in ((num_in, half, 1), (half, half, 3), (half, num_out, 1)):
        yield from _norm(channels)
        yield from _conv(rng, channels, out, size)
    if num_in != num_out:
        yield from _conv(rng, num_in, num_out, 1)


def _conv(rng: np.random.Generator, num_in: int, num_out: int, size: int) -> Iterator[np.ndarray]:
    yield _kernel(rng, (num_out, num_in, size, size), num_in * size**2)
    yield np.zeros(num_out, np.float32)


def _norm(channels: int) -> Iterator[np.ndarray]:
    yield np.zeros(channels, np.float32)
    yield np.ones(channels, np.float32)
