import os
import pickle

import numpy as np
import pytest
import torch
from torch.nn import functional

from feature_weights import alexnet_layers, turn_round
from posecast.networks.alexnet import (
    TORCHVISION_SHAPES,
    BvlcAlexNet,
    TorchvisionAlexNet,
    _normalise_response,
    load_alexnet,
    load_torchvision_alexnet,
)


@pytest.fixture
def images():
    return torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 2 - 1


@pytest.fixture
def bvlc_file(tmp_path):
    """A file as the published one: pickled with Python 2's protocol inside an .npy."""
    path = tmp_path / "bvlc_alexnet.npy"
    write_pickled_npy(path, alexnet_layers(1))
    return path


def write_pickled_npy(path, content):
    array = np.empty((), dtype=object)
    array[()] = content
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(
            file, {"shape": (), "fortran_order": False, "descr": "|O"}
        )
        pickle.dump(array, file, protocol=2)


def torchvision_state():
    generator = torch.Generator().manual_seed(2)
    state = {"classifier.6.bias": torch.zeros(1000)}
    for name, shape in TORCHVISION_SHAPES.items():
        state[f"{name}.weight"] = torch.randn(shape, generator=generator) * 0.05
        state[f"{name}.bias"] = torch.randn(shape[0], generator=generator) * 0.1
    return state


def test_bvlc_file_gives_the_same_features_as_its_layers(bvlc_file, images):
    loaded = load_alexnet(bvlc_file)
    assert isinstance(loaded, BvlcAlexNet)
    expected = BvlcAlexNet(alexnet_layers(1))
    assert torch.equal(loaded(images), expected(images))
    assert loaded(images).shape == (2, 256, 3, 3)


def test_bvlc_kernel_reads_bgr_from_rgb_pictures(bvlc_file, images):
    as_in_file = BvlcAlexNet(alexnet_layers(1))
    turn_round(as_in_file.conv1)
    from_rgb = load_alexnet(bvlc_file)(images)
    assert torch.allclose(from_rgb, as_in_file(images.flip(1)), atol=1e-5)
    assert not torch.allclose(from_rgb, as_in_file(images), atol=1e-2)


def test_bvlc_features_ignore_brightness_of_the_whole_batch(images):
    network = BvlcAlexNet(alexnet_layers(1))
    assert torch.allclose(network(images), network(images + 0.3), atol=2e-3)


def test_response_normalisation_equals_torch():
    x = 100 * torch.randn(2, 7, 3, 4, generator=torch.Generator().manual_seed(3))
    # torch divides alpha by the size of the window.
    expected = functional.local_response_norm(x, 5, alpha=5 * 2e-5, beta=0.75, k=1.0)
    assert torch.allclose(_normalise_response(x), expected, rtol=1e-5)


def test_torchvision_file_gives_conv5_of_that_architecture(tmp_path, images):
    state = torchvision_state()
    torch.save(state, tmp_path / "alexnet.pth")
    network = load_alexnet(tmp_path / "alexnet.pth")
    assert isinstance(network, TorchvisionAlexNet)
    x = torch.stack([functional.pad(image, (2, 2, 2, 2)) for image in images])
    mean, deviation = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    for channel in range(3):
        inside = (images[:, channel] + 1) / 2
        x[:, channel, 2:-2, 2:-2] = (inside - mean[channel]) / deviation[channel]
    for name, stride, padding in zip(
        TORCHVISION_SHAPES, (4, 1, 1, 1, 1), (0, 2, 1, 1, 1), strict=True
    ):
        weight, bias = state[f"{name}.weight"], state[f"{name}.bias"]
        x = functional.relu(functional.conv2d(x, weight, bias, stride, padding))
        if name in ("features.0", "features.3"):
            x = functional.max_pool2d(x, 3, 2)
    assert torch.allclose(network(images), x, atol=1e-5)


@pytest.mark.parametrize("network", [BvlcAlexNet(alexnet_layers(1)), None])
def test_networks_are_frozen_and_let_gradients_through(network, images):
    network = network or TorchvisionAlexNet(torchvision_state())
    assert not any(parameter.requires_grad for parameter in network.parameters())
    images.requires_grad_()
    network(images).square().mean().backward()
    assert images.grad.abs().max() > 0


@pytest.mark.parametrize("network", [BvlcAlexNet(alexnet_layers(1)), None])
def test_bfloat16_features_are_near(network, images):
    network = (network or TorchvisionAlexNet(torchvision_state())).to(
        memory_format=torch.channels_last
    )
    images = images.to(memory_format=torch.channels_last)
    expected = network(images)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        got = network(images)
    assert got.dtype == torch.bfloat16
    assert (got - expected).abs().max() < 0.03 * expected.abs().max()


@pytest.mark.parametrize("load", [load_alexnet, load_torchvision_alexnet])
def test_missing_file_says_where_to_get_it_and_how_to_go_without(tmp_path, load):
    with pytest.raises(ValueError, match=r"no file .*absent.*alexnet-owt.*--feature-weight 0"):
        load(tmp_path / "absent")


class Harmful:
    def __reduce__(self):
        return os.getcwd, ()


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (Harmful(), "getcwd, which no weights need"),
        ({"conv1": Harmful()}, "getcwd, which no weights need"),
        ([1, 2], "holds a list"),
        ({"conv1": alexnet_layers(1)["conv1"]}, "no layer conv2"),
        ({**alexnet_layers(1), "conv2": alexnet_layers(1)["conv3"]}, "conv2 has shapes"),
        ({**alexnet_layers(1), "conv2": 3}, "conv2 is no pair"),
    ],
)
def test_bad_bvlc_files_are_refused(tmp_path, content, problem):
    write_pickled_npy(tmp_path / "bad.npy", content)
    with pytest.raises(ValueError, match=f"bad.npy is not a bvlc_alexnet.npy: .*{problem}"):
        load_alexnet(tmp_path / "bad.npy")


def test_plain_array_and_cut_file_are_refused(tmp_path, bvlc_file):
    np.save(tmp_path / "plain.npy", np.zeros(3))
    with pytest.raises(ValueError, match="array of shape"):
        load_alexnet(tmp_path / "plain.npy")
    bvlc_file.write_bytes(bvlc_file.read_bytes()[:5000])
    with pytest.raises(ValueError, match="is not a bvlc_alexnet"):
        load_alexnet(bvlc_file)


def test_bad_torchvision_files_are_refused(tmp_path):
    path = tmp_path / "bad.pth"
    for content, problem in (
        ([1], "holds a list"),
        ({}, "no weight features.0.weight"),
        ({**torchvision_state(), "features.3.bias": torch.zeros(3)}, "features.3.bias has shape"),
        (Harmful(), "no torchvision AlexNet"),
    ):
        torch.save(content, path)
        with pytest.raises(ValueError, match=problem):
            load_alexnet(path)
    path.write_bytes(b"not a checkpoint")
    with pytest.raises(ValueError, match="no torchvision AlexNet"):
        load_alexnet(path)
