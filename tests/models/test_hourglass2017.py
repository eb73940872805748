import re

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from feature_weights import hourglass_arrays, turn_round
from posecast.villegas2017.doubling import AddedInPlace, resize
from posecast.villegas2017.hourglass2017 import Hourglass2017, _HalfReLU, load_hourglass2017


@pytest.fixture(scope="module")
def network():
    return Hourglass2017(hourglass_arrays(1))


@pytest.fixture
def images():
    return torch.rand(1, 3, 32, 48, generator=torch.Generator().manual_seed(0)) * 2 - 1


def write_folder(folder, arrays):
    folder.mkdir()
    for number, array in enumerate(arrays, start=1):
        np.save(folder / f"hourglass_weights_{number}.npy", array)


def test_resize_reads_output_times_ratio_and_clamps():
    row = torch.tensor([0.0, 2.0, 6.0]).view(1, 1, 1, 3)
    got = resize(row, (1, 6))
    assert got.flatten().tolist() == [0, 1, 2, 4, 6, 6]
    assert resize(row, (1, 3)) is row


def test_lower_layers_equal_those_of_the_whole_walk(network, images):
    with torch.no_grad():
        layers = network.layers(images)
        assert [tuple(layer.shape[-2:]) for layer in layers] == [(n, n) for n in (8, 16, 32, 64)]
        for last in range(3):
            assert torch.equal(network.layers(images, last)[-1], layers[last])
        network_1 = Hourglass2017(hourglass_arrays(1), layer=1)
        assert torch.equal(network_1(images), layers[1])


def test_lower_layers_are_cheaper(network, images):
    flops = []
    for layer in (0, 3):
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            network.layers(images, layer)
        flops.append(counter.get_total_flops())
    assert flops[0] < 0.5 * flops[1]


def test_folder_gives_the_same_features_frozen(tmp_path, network, images):
    write_folder(tmp_path / "weights", hourglass_arrays(1))
    loaded = load_hourglass2017(tmp_path / "weights", layer=0)
    assert not any(parameter.requires_grad for parameter in loaded.parameters())
    with torch.no_grad():
        assert torch.equal(loaded(images), network.layers(images, 0)[0])
        raw = load_hourglass2017(tmp_path / "weights", layer=0)
        turn_round(raw.stem)
        # Batch moments magnify rounding, hence the width of the comparison.
        difference = (raw(images.flip(1)) - loaded(images)).abs().max()
        other = (raw(images) - loaded(images)).abs().max()
    assert difference < 1e-3 * loaded(images).abs().max() < other


def test_gradients_reach_the_picture_in_bfloat16_too(images):
    network = Hourglass2017(hourglass_arrays(1), layer=0).to(memory_format=torch.channels_last)
    images = images.to(memory_format=torch.channels_last).requires_grad_()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        features = network(images)
    features.float().square().mean().backward()
    assert images.grad.abs().max() > 0
    assert images.grad.isfinite().all()


def test_rectifying_halves_is_torchs_relu():
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(2, 3, 4, 5, generator=generator).to(torch.bfloat16)
    x[0, 0, 0, :4] = torch.tensor([0.0, -0.0, torch.inf, -torch.inf])
    gradient = torch.randn(x.shape, generator=generator).to(torch.bfloat16)
    ours, theirs = x.clone().requires_grad_(), x.clone().requires_grad_()
    drawn, expected = _HalfReLU.apply(ours * 1), torch.relu(theirs)
    drawn.backward(gradient)
    expected.backward(gradient)
    assert torch.equal(drawn, expected)
    assert ours.grad is not None
    assert theirs.grad is not None
    assert torch.equal(ours.grad, theirs.grad)


def test_bad_layer_is_named():
    with pytest.raises(ValueError, match="layer 4 does not exist"):
        Hourglass2017(hourglass_arrays(1), layer=4)


def test_missing_folder_and_file_are_named(tmp_path):
    with pytest.raises(ValueError, match=r"there is no folder .*absent.*--pose-features RUN"):
        load_hourglass2017(tmp_path / "absent")
    write_folder(tmp_path / "few", hourglass_arrays(1)[:6])
    with pytest.raises(ValueError, match=r"hourglass_weights_7\.npy is missing"):
        load_hourglass2017(tmp_path / "few")
    with pytest.raises(ValueError, match=r"hourglass_weights_7\.npy is missing"):
        Hourglass2017(hourglass_arrays(1)[:6])


@pytest.mark.parametrize(
    ("number", "array", "problem"),
    [
        (2, np.zeros(3), "has shape (3,), expected 64"),
        (7, np.zeros((64, 64, 2, 2)), "has shape (64, 64, 2, 2), expected 64 x 64 x odd k x odd k"),
        (7, np.zeros((64, 64, 3, 1)), "has shape (64, 64, 3, 1)"),
        (7, np.zeros((64, 32, 1, 1)), "has shape (64, 32, 1, 1)"),
    ],
)
def test_first_misshapen_file_is_named(number, array, problem):
    arrays = list(hourglass_arrays(1)[:10])
    arrays[number - 1] = array
    with pytest.raises(ValueError, match=re.escape(f"hourglass_weights_{number}.npy {problem}")):
        Hourglass2017(arrays)


def test_file_with_objects_or_rubbish_is_refused(tmp_path):
    write_folder(tmp_path / "weights", hourglass_arrays(1)[:4])
    path = tmp_path / "weights" / "hourglass_weights_2.npy"
    np.save(path, np.array([{}], dtype=object))
    with pytest.raises(ValueError, match=r"hourglass_weights_2\.npy is not an array"):
        load_hourglass2017(tmp_path / "weights")
    path.write_bytes(b"rubbish")
    with pytest.raises(ValueError, match=r"hourglass_weights_2\.npy is not an array"):
        load_hourglass2017(tmp_path / "weights")


def test_adding_the_doubled_map_equals_resizing_it():
    generator = torch.Generator().manual_seed(0)
    upper, lower = (
        torch.randn(2, 3, 2 * n, n, generator=generator, dtype=torch.float64, requires_grad=True)
        for n in (8, 4)
    )
    weight = torch.randn(2, 3, 16, 8, generator=generator, dtype=torch.float64)
    results = [upper + resize(lower, (16, 8)), AddedInPlace.apply(upper * 1, lower)]
    assert torch.allclose(*results, atol=1e-12)
    for expected, got in zip(
        *(torch.autograd.grad((result * weight).sum(), (upper, lower)) for result in results),
        strict=True,
    ):
        assert torch.allclose(got, expected, atol=1e-12)
