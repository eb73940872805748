"""The feature networks against the 2017 code's own graphs (golden/notes.md sections 2 and 3)."""

import numpy as np
import pytest
import torch
from torch.nn import functional

from feature_weights import golden_alexnet, golden_hourglass
from posecast.villegas2017 import hourglass2017

SAMPLES = {
    "perceptual_64": {0: "hg0", 1: "hg1_c0_2", 2: "hg2_c0_16", 3: "hg3_c0_64"},
    "perceptual_128": {0: "hg0_c0_4", 1: "hg1_c0_16", 2: "hg2_c0_64", 3: "hg3_c0_128"},
}


def as_images(array: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(array.transpose(0, 3, 1, 2).copy())


def largest_share(got: np.ndarray, expected: np.ndarray) -> float:
    """Largest difference as a share of the largest expected number."""
    assert got.shape == expected.shape
    return float(np.abs(got - expected).max() / np.abs(expected).max())


@pytest.mark.parametrize("name", SAMPLES)
def test_alexnet_features_equal_the_2017_graph(golden, name):
    numbers = golden(name)
    with torch.no_grad():
        features = golden_alexnet(numbers)(as_images(numbers["x"]))
    got = features.permute(0, 2, 3, 1).numpy()
    # Float32 noise of the reference itself is 1e-6 of the maximum (section 3).
    assert largest_share(got, numbers["alexnet_conv5"]) < 3e-6


def check_hourglass(numbers, keys, tolerance):
    with torch.no_grad():
        layers = golden_hourglass(numbers).layers(as_images(numbers["x"]))
    for index, (layer, key) in enumerate(zip(layers, keys.values(), strict=True)):
        got = layer.permute(0, 2, 3, 1).numpy()
        assert got.shape == tuple(numbers[f"hg{index}_shape"])
        every = int(key.rsplit("_", 1)[1]) if "_" in key else 1
        assert largest_share(got[..., ::every], numbers[key]) < tolerance
        assert largest_share(got.mean((1, 2)), numbers[f"hg{index}_chan_mean"]) < tolerance
        assert largest_share(got.std((1, 2)), numbers[f"hg{index}_chan_std"]) < tolerance


def mean_in_four_running_sums(rows: np.ndarray) -> np.ndarray:
    """Mean over rows in single precision as the reference's CPU kernel adds them up."""
    sums = np.cumsum(rows.reshape(-1, 4, rows.shape[1]), axis=0, dtype=np.float32)[-1]
    return ((sums[0] + sums[2]) + (sums[1] + sums[3])) * np.float32(1 / len(rows))


def norm_as_the_reference_rounds(self, x: torch.Tensor) -> torch.Tensor:
    rows = x.permute(0, 2, 3, 1).reshape(-1, x.shape[1]).numpy()
    mean = mean_in_four_running_sums(rows)
    variance = mean_in_four_running_sums((rows - mean) ** 2)
    scale = 1 / np.sqrt(variance + np.float32(1e-5))
    shift = self.norm.bias - torch.from_numpy(mean * scale)
    return functional.relu(x * torch.from_numpy(scale).view(-1, 1, 1) + shift.view(-1, 1, 1))


@pytest.mark.parametrize("name", SAMPLES)
def test_hourglass_layers_equal_the_2017_graph(golden, name, monkeypatch):
    """With the batch moments rounded as the reference rounds them.

    Its kernel adds thousands of numbers in four running float32 sums. The next layers magnify the
    lost digits to 1e-4 of the maximum; it is not in the noise floor of section 3, because both of
    the reference's settings add in that way.
    """
    monkeypatch.setattr(hourglass2017._NormReLU, "forward", norm_as_the_reference_rounds)
    # Float32 noise of the reference itself is 5e-6 of the maximum (section 3).
    check_hourglass(golden(name), SAMPLES[name], tolerance=1.5e-5)


@pytest.mark.parametrize("name", SAMPLES)
def test_hourglass_layers_with_accurate_moments_stay_close(golden, name):
    check_hourglass(golden(name), SAMPLES[name], tolerance=3e-4)


@pytest.mark.parametrize("name", ["losses", "losses_h36m"])
def test_feature_distances_equal_the_2017_graph_in_double_precision(golden, name):
    numbers, expected = golden(name), golden(f"{name}_f64")
    drawn = as_images(expected["G"][:, :, :, 0]).double()
    true = as_images(numbers["xtpn"]).double()
    networks = {
        "feat_loss1": golden_alexnet(numbers),
        "feat_loss2": golden_hourglass(numbers, layer=int(numbers["layer"])),
    }
    for key, network in networks.items():
        with torch.no_grad():
            network = network.double()
            loss = 0.5 * (network(drawn) - network(true)).square().mean()
        assert loss.item() == pytest.approx(expected[key].item(), rel=1e-10)
