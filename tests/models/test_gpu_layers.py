"""Kernels of our own compute what torch's layers do.

On a GPU: pytest -m gpu. Without one, slowly, where Triton is installed:
TRITON_INTERPRET=1 pytest -m gpu tests/models/test_gpu_layers.py
"""

import copy
import os

import pytest
import torch
from torch import nn
from torch.nn import functional

from a_card import CARD, pretended
from benchmarks.speed.features import random_feature_networks
from posecast.networks import gpu_layers
from posecast.networks.discriminator import Discriminator, DiscriminatorConfig
from posecast.networks.gpu_layers import (
    ConvReLUs,
    HalvingConv2d,
    conv_few,
    halve,
    in_eights,
    kernels_for,
)
from posecast.villegas2017 import doubling, hourglass2017

INTERPRETED = bool(os.environ.get("TRITON_INTERPRET"))
DEVICE = torch.device("cpu" if INTERPRETED else "cuda")
SHAPES = [(2, 48, 9, 7), (2, 256, 8, 8), (3, 130, 16, 16), (2, 66, 130, 130)]
"""The last one has more pixels than a small map."""


def maps(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    drawn = torch.randn(shape, generator=torch.Generator().manual_seed(seed)) * 2 + 3
    return drawn.to(DEVICE, dtype).contiguous(memory_format=torch.channels_last)


def close(ours: torch.Tensor, theirs: torch.Tensor, tolerance: float) -> bool:
    ours, theirs = ours.detach().double(), theirs.detach()
    return float((ours - theirs).norm() / theirs.norm()) < tolerance


@pytest.fixture(autouse=True)
def exact(monkeypatch):
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)  # ten bits


@pytest.fixture
def kernels(monkeypatch):
    pytest.importorskip("triton")
    from posecast.computing import kernels

    if INTERPRETED:
        monkeypatch.setattr(gpu_layers, "kernels_for", lambda _maps: kernels)
    return kernels


@pytest.mark.gpu
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.bfloat16, 1e-2)])
@pytest.mark.parametrize("read_again", [True, False])
def test_normalising(kernels, shape, dtype, tolerance, read_again):
    x, above = maps(*shape, dtype=dtype), maps(*shape, seed=1, dtype=dtype)
    shift = torch.linspace(-2, 2, shape[1], device=DEVICE)
    ours, theirs = x.clone().requires_grad_(), x.double().requires_grad_()
    got, kept = kernels.NormReLU.apply(ours, None, shift, 1e-5, kernels.Cut())
    scale = torch.ones_like(shift).double()
    normed = functional.batch_norm(theirs, None, None, scale, shift.double(), True, 0, 1e-5)
    expected = normed.relu()
    beside = maps(*shape, seed=2, dtype=dtype) * read_again
    torch.autograd.backward(*zip((got, above), *[(kept, beside)] * read_again, strict=True))
    torch.autograd.backward((expected, theirs * 1), (above.double(), beside.double()))
    assert close(got, expected, tolerance)
    assert torch.equal(kept, x)
    assert close(ours.grad, theirs.grad, tolerance)


@pytest.mark.gpu
@pytest.mark.parametrize("shape", [(6, 48, 9, 7), (6, 34, 130, 130)])
@pytest.mark.parametrize("border", [0, 1])
def test_normalising_kinds_by_their_own_moments(kernels, shape, border):
    x, scale, shift = maps(*shape), *maps(2, shape[1], 1, 1, seed=3)[..., 0, 0]
    above = maps(*shape[:2], shape[2] + border, shape[3] + border, seed=1)
    ours = [each.clone().requires_grad_() for each in (x, scale, shift)]
    theirs = [each.double().requires_grad_() for each in (x, scale, shift)]
    got, _ = kernels.NormReLU.apply(*ours, 1e-3, kernels.Cut(0.2, border, kinds=3))
    parts = theirs[0].chunk(3)
    normed = [functional.batch_norm(p, None, None, *theirs[1:], True, 0, 1e-3) for p in parts]
    expected = functional.pad(functional.leaky_relu(torch.cat(normed), 0.2), (0, border) * 2)
    above *= expected.abs() > 1e-4  # rounding may put the others on the other side of 0
    got.backward(above)
    expected.backward(above.double())
    assert close(got, expected, 1e-5)
    for one, another in zip(ours, theirs, strict=True):
        assert close(one.grad, another.grad, 1e-5)


@pytest.mark.gpu
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("slope", [0.0, 0.2, 1.0])
@pytest.mark.parametrize("border", [0, 1])
@pytest.mark.parametrize("joined", [True, False])
def test_adding(kernels, shape, slope, border, joined):
    x, other = (maps(*shape, seed=seed) for seed in range(2))
    above = maps(*shape[:2], shape[2] + border, shape[3] + border, seed=2)
    bias = torch.linspace(-9, 2, shape[1], device=DEVICE)
    ours = [each.clone().requires_grad_() for each in (x, bias, other)]
    theirs = [each.double().requires_grad_() for each in (x, bias, other)]
    told = (ours[2] if joined else None, kernels.Cut(slope, border))
    got = kernels.AddBias.apply(ours[0] * 1, ours[1], *told)
    expected = theirs[0] + theirs[1][:, None, None] + (theirs[2] if joined else 0)
    expected = functional.pad(functional.leaky_relu(expected, slope), (0, border) * 2)
    got.backward(above)
    expected.backward(above.double())
    assert close(got, expected, 1e-6)
    for one, another in zip(ours[: 2 + joined], theirs, strict=False):
        assert close(one.grad, another.grad, 1e-6)


@pytest.mark.gpu
@pytest.mark.parametrize("shape", [(2, 48, 10, 6), (3, 130, 2, 2), (2, 66, 128, 192)])
def test_halving(kernels, shape):
    x, above = maps(*shape), maps(*shape, seed=1)[:, :, ::2, ::2]
    x[0, :, :4] = 1  # where all are alike, the first one counts
    ours, theirs = x.clone().requires_grad_(), x.clone().requires_grad_()
    got, expected = halve(ours), functional.max_pool2d(theirs, 2)
    assert type(got.grad_fn).__name__ == "MaxPool2Backward"
    got.backward(above)
    expected.backward(above)
    assert torch.equal(got, expected)
    assert torch.equal(ours.grad, theirs.grad)


@pytest.mark.gpu
def test_halving_keeps_numbers_that_are_none(kernels):
    x = maps(1, 8, 2, 2)
    x[0, 3, 1, 0] = torch.nan
    assert torch.equal(halve(x).isnan(), functional.max_pool2d(x, 2).isnan())


@pytest.mark.gpu
@pytest.mark.parametrize("shape", [(2, 48, 5, 3), (3, 130, 1, 1), (2, 66, 64, 72)])
def test_doubling(kernels, shape):
    doubled = (*shape[:2], 2 * shape[2], 2 * shape[3])
    upper, lower, above = maps(*doubled), maps(*shape, seed=1), maps(*doubled, seed=2)
    ours = [each.clone().requires_grad_() for each in (upper, lower)]
    theirs = [each.double().cpu().requires_grad_() for each in (upper, lower)]
    got = kernels.AddDoubled.apply(ours[0] * 1, ours[1])
    expected = doubling.AddedInPlace.apply(theirs[0] * 1, theirs[1])
    got.backward(above)
    expected.backward(above.double().cpu())
    assert close(got.cpu(), expected, 1e-6)
    for one, another in zip(ours, theirs, strict=True):
        assert close(one.grad.cpu(), another.grad, 1e-6)


@pytest.mark.gpu
@pytest.mark.parametrize("shape", [(2, 96, 5, 3), (3, 130, 4, 4)])
def test_normalising_responses(kernels, shape):
    x, above = 50 * maps(*shape), maps(*shape, seed=1)
    ours, theirs = x.clone().requires_grad_(), x.double().cpu().requires_grad_()
    got = kernels.NormaliseResponse.apply(ours, 2e-5)
    expected = functional.local_response_norm(theirs, 5, 1e-4, 0.75)
    got.backward(above)
    expected.backward(above.double().cpu())
    assert close(got.cpu(), expected, 1e-5)
    assert close(ours.grad.cpu(), theirs.grad, 1e-5)


@pytest.mark.gpu
def test_layers(kernels):
    """Of the 2017 hourglass and of a generator, against double precision, which uses no kernels."""
    torch.manual_seed(0)
    hourglass = random_feature_networks().pose
    assert isinstance(hourglass, nn.Module)
    blocks = [each for each in hourglass.modules() if isinstance(each, hourglass2017._Residual)]
    convolutions = ConvReLUs(
        nn.Conv2d(64, 32, 3, padding=1),
        nn.ReLU(),
        nn.ConvTranspose2d(32, 16, 3, stride=2, padding=1, output_padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
    )
    for layer in (*blocks[:2], blocks[6], convolutions):
        layer = layer.to(DEVICE).to(memory_format=torch.channels_last)
        first = next(module for module in layer.modules() if isinstance(module, nn.Conv2d))
        x = maps(2, first.in_channels, 8, 8)
        ours, theirs = x.clone().requires_grad_(), x.cpu().double().requires_grad_()
        got = layer(ours)
        got.square().sum().backward()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(gpu_layers, "kernels_for", lambda _maps: None)
            expected = copy.deepcopy(layer).cpu().double()(theirs)
        expected.square().sum().backward()
        assert close(got.cpu(), expected, 1e-4)
        assert close(ours.grad.cpu(), theirs.grad, 1e-4)


@pytest.mark.gpu
def test_tiles_have_the_size_that_is_set(kernels, monkeypatch):
    """As the benchmark of their sizes sets it."""
    from posecast.computing import tiles

    x = maps(2, 66, 130, 130)
    for size in (2048, 4096):
        monkeypatch.setattr(tiles, "_TILE", size)
        assert tiles.layout(x)[1] == (size // 128, 128)
    assert tiles.layout(x, numbers=1024)[1] == (8, 128)


@pytest.mark.gpu
def test_channels_of_zeros():
    x, kernel = maps(2, 51, 8, 8), maps(4, 51, 3, 3, seed=1)
    wide, deep = in_eights(x, kernel, (1, 2, 0, 1))
    assert wide.shape[1] == deep.shape[1] == (51 if INTERPRETED else 56)
    expected = functional.conv2d(functional.pad(x, (1, 2, 0, 1)).double(), kernel.double())
    assert close(functional.conv2d(wide, deep), expected, 3e-3)
    layer = nn.Conv2d(51, 3, 3).to(DEVICE)
    assert close(conv_few(layer, x), layer.double()(x.double()), 3e-3)


@pytest.mark.gpu
@pytest.mark.parametrize("side", [5, 7])
def test_halving_convolutions(side):
    layer = HalvingConv2d(51, 4, side).to(DEVICE)
    x = maps(2, 51, 16, 12)
    bordered = functional.pad(x.roll(-3, 1), (0, 1, 0, 1))
    got = layer.products(bordered, last=3) + layer.bias[:, None, None]
    assert got.shape == (2, 4, 8, 6)
    assert close(got, layer.double()(x.double()), 3e-3)


@pytest.mark.gpu
@pytest.mark.parametrize("strided", [True, False])
def test_joining(kernels, strided):
    pictures, poses = maps(6, 3, 10, 6), maps(2, 48, 10, 6, seed=1)
    pictures = (pictures if strided else pictures.contiguous()).requires_grad_()
    got = kernels.JoinMaps.apply(pictures, poses, torch.float32)
    expected = functional.pad(torch.cat([poses.repeat(3, 1, 1, 1), pictures], 1), (0, 1, 0, 1))
    assert torch.equal(got[:, :51], expected)
    assert got.shape[1] == 56
    assert not got[:, 51:].any()
    above = maps(*got.shape, seed=2)
    got.backward(above)
    assert torch.equal(pictures.grad, above[:, 48:51, :-1, :-1])


@pytest.mark.gpu
@pytest.mark.parametrize("strided", [True, False])
def test_unfolding(kernels, strided):
    pictures = maps(2, 3, 10, 6)
    pictures = pictures if strided else pictures.contiguous()
    ours, theirs = pictures.clone().requires_grad_(), pictures.double().cpu().requires_grad_()
    got = kernels.UnfoldDoubled.apply(ours, torch.float32)
    doubled = doubling.resize((theirs + 1) / 2, (20, 12))
    expected = functional.pixel_unshuffle(functional.pad(doubled, (2, 4, 2, 4)), 2)
    above = maps(*got.shape, seed=1)
    got.backward(above)
    expected.backward(above[:, :12].double().cpu())
    assert not got[:, 12:].any()
    assert close(got[:, :12].cpu(), expected, 1e-6)
    assert close(ours.grad.cpu(), theirs.grad, 1e-6)


@pytest.mark.gpu
@pytest.mark.parametrize(("width", "strided"), [(8, True), (4, False)])
def test_discriminator_judges_as_on_a_processor(kernels, width, strided):
    network = Discriminator(DiscriminatorConfig(width=width, size=32)).to(DEVICE)
    network = network.to(memory_format=torch.channels_last)
    pictures, poses = maps(6, 3, 32, 32), maps(2, 48, 32, 32, seed=1)
    pictures = pictures if strided else pictures.contiguous()
    ours, theirs = pictures.clone().requires_grad_(), pictures.cpu().double().requires_grad_()
    other = copy.deepcopy(network).cpu().double()
    got = network(ours, poses)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gpu_layers, "kernels_for", lambda _maps: None)
        expected = other(theirs, poses.cpu().double())
    got.square().sum().backward()
    expected.square().sum().backward()
    assert close(got.cpu(), expected, 3e-3)
    assert close(ours.grad.cpu(), theirs.grad, 1e-2)
    weights = zip(network.named_parameters(), other.parameters(), strict=True)
    for (name, one), another in weights:
        if one.grad is not None:
            assert close(one.grad.cpu(), another.grad, 1e-2), name
    assert [n for n, p in network.named_parameters() if p.grad is None] == [
        f"convolutions.{level}.bias" for level in (1, 2, 3)
    ]


@pytest.mark.gpu
@pytest.mark.skipif(INTERPRETED, reason="takes minutes")
@pytest.mark.parametrize("number", [0, 1], ids=["alexnet", "hourglass"])
def test_feature_networks_on_a_card(number):
    network = random_feature_networks()[number]
    assert isinstance(network, nn.Module)
    picture = torch.rand(2, 3, 128, 128, generator=torch.Generator().manual_seed(0)) * 2 - 1
    theirs = picture.double().requires_grad_()
    expected = network.double()(theirs)
    expected.square().mean().backward()
    ours = picture.to(DEVICE, memory_format=torch.channels_last).requires_grad_()
    got = network.float().to(DEVICE).to(memory_format=torch.channels_last)(ours)
    got.square().mean().backward()
    assert close(got.cpu(), expected, 1e-3)
    assert close(ours.grad.cpu(), theirs.grad, 1e-2)


@pytest.fixture
def cudnn_here():
    """Its joined convolution where there is no cuDNN."""

    def conv_relu(x, kernel, bias, *how):
        return functional.conv2d(x, kernel, bias, *how).relu()

    with torch.library._scoped_library("aten", "IMPL") as library:
        if INTERPRETED:
            library.impl("cudnn_convolution_relu", conv_relu, "CPU")
        yield


@pytest.mark.gpu
@pytest.mark.parametrize("learns", [True, False])
@pytest.mark.parametrize(("channels", "name"), [(24, "ConvReLU"), (4, "AddBias")])
def test_convolution_with_bias_and_relu_in_half_precision(
    kernels, cudnn_here, learns, channels, name
):
    layer = nn.Conv2d(16, channels, 3, padding=1).to(DEVICE).to(memory_format=torch.channels_last)
    x = maps(2, 16, 12, 12).requires_grad_(learns)
    other, theirs = copy.deepcopy(layer).cpu().double(), x.detach().cpu().double()
    theirs.requires_grad_(learns)
    for size in range(8, 20):  # what memory held before has no effect
        torch.full((2**size,), torch.nan, dtype=torch.bfloat16, device=DEVICE)
    with torch.autocast(DEVICE.type, torch.bfloat16):
        got = gpu_layers.conv_relu(layer, x)
    assert type(got.grad_fn).__name__ == f"{name}Backward"
    expected = other(theirs).relu()
    got.float().square().sum().backward()
    expected.square().sum().backward()
    assert close(got.cpu(), expected, 1e-2)
    assert close(layer.weight.grad.cpu(), other.weight.grad, 1e-2)
    assert close(layer.bias.grad.cpu(), other.bias.grad, 1e-2)
    assert not torch.equal(layer.bias.grad, layer.bias.grad.bfloat16().float())
    assert not learns or close(x.grad.cpu(), theirs.grad, 1e-2)


@pytest.mark.parametrize("number", [0, 1], ids=["alexnet", "hourglass"])
def test_feature_networks_on_a_card_that_is_none(number):
    """Without the kernels: borders and channels of zeros, biases that have no effect."""
    network = random_feature_networks()[number]
    assert isinstance(network, nn.Module)
    picture = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 2 - 1

    def look(device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
        given = picture.to(device).contiguous(memory_format=torch.channels_last).requires_grad_()
        said = network.to(device).to(memory_format=torch.channels_last)(given)
        said.square().mean().backward()
        return said.detach().cpu(), given.grad.cpu()

    expected = look(torch.device("cpu"))
    with pytest.MonkeyPatch.context() as patch, pretended(patch):
        got = look(CARD)
    for ours, theirs in zip(got, expected, strict=True):
        assert close(ours, theirs, 1e-4)


@pytest.mark.parametrize("channels", [3, 4, 8])
def test_halving_convolutions_of_few_channels_on_a_card_that_is_none(channels, monkeypatch):
    layer, picture = HalvingConv2d(channels, 4, 5), torch.rand(1, channels, 6, 6)
    expected = layer(picture)
    with pretended(monkeypatch):
        layer, bordered = layer.to(CARD), functional.pad(picture, (0, 1, 0, 1)).to(CARD)
        got = (layer.products(bordered) + layer.bias[:, None, None]).cpu()
        torch.testing.assert_close(layer(picture.to(CARD)).cpu(), expected)
    torch.testing.assert_close(got, expected)


def test_pictures_of_any_layout_are_judged_in_few_passes(monkeypatch):
    """Such as a compositor draws."""
    used = []

    def look(_network, image, _maps, _kinds, kernels):
        used.append(kernels)
        return torch.zeros(len(image), 32, 1, 1, device=CARD)

    monkeypatch.setattr(Discriminator, "_look_joined", look)
    with pretended(monkeypatch):
        monkeypatch.setattr(gpu_layers, "_kernels", lambda: gpu_layers)
        poses = torch.zeros(1, 48, 16, 16, device=CARD).to(memory_format=torch.channels_last)
        network = Discriminator(DiscriminatorConfig(width=4, size=16)).to(CARD)
        network(torch.zeros(3, 3, 16, 16, device=CARD), poses)
    assert used == [gpu_layers]


def test_no_kernels_for_double_precision(monkeypatch):
    with pretended(monkeypatch):
        monkeypatch.setattr(gpu_layers, "_kernels", lambda: gpu_layers)
        x = torch.zeros(2, 3, 4, 4, device=CARD).to(memory_format=torch.channels_last)
        assert kernels_for(x) is gpu_layers
        assert kernels_for(x.double()) is None


def test_nothing_of_it_on_a_processor():
    x = torch.zeros(2, 3, 4, 4).contiguous(memory_format=torch.channels_last)
    assert kernels_for(x) is None
    assert in_eights(x, x)[0] is x
