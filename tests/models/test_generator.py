"""The image generator: un-pooling, initial values, both ways of calling it, both outputs."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from posecast.losses import half_mean_square
from posecast.networks.generator import Generator, GeneratorConfig

OUTPUTS = ["image", "composite"]


def small(output: str = "image", num_heatmaps: int = 5) -> Generator:
    torch.manual_seed(0)
    return Generator(GeneratorConfig(num_heatmaps, width=4, size=32, output=output))


def blobs(batch: int, channels: int, side: int = 32, seed: int = 0) -> torch.Tensor:
    """Heat maps of joints at random places."""
    generator = torch.Generator().manual_seed(seed)
    centres = torch.rand(batch, channels, 2, generator=generator) * side
    pixels = torch.arange(side) + 0.5
    x = (pixels - centres[..., :1]) / 2
    y = (pixels - centres[..., 1:]) / 2
    return torch.exp(-0.5 * (x[..., None, :] ** 2 + y[..., :, None] ** 2))


def pictures(batch: int, side: int = 32, seed: int = 1) -> torch.Tensor:
    return torch.rand(batch, 3, side, side, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def test_stuffing_with_zeros_and_convolving_is_what_the_decoder_does() -> None:
    """The 2017 way, written out: un-pool to the top left of each cell, then convolve 3 x 3."""
    layer = small().coarse_decoder[0].double()
    assert isinstance(layer, nn.ConvTranspose2d)
    small_map = torch.randn(2, layer.in_channels, 5, 7, dtype=torch.float64)
    stuffed = torch.zeros(2, layer.in_channels, 10, 14, dtype=torch.float64)
    stuffed[:, :, ::2, ::2] = small_map
    naive = functional.conv_transpose2d(stuffed, layer.weight, layer.bias, padding=1)
    torch.testing.assert_close(layer(small_map), naive, rtol=0, atol=1e-13)


def test_parameters_of_the_paper_s_network() -> None:
    """As many as the 2017 code has at full size."""
    with torch.device("meta"):
        networks = Generator(GeneratorConfig()), Generator(GeneratorConfig(num_heatmaps=32))
    counts = [sum(p.numel() for p in network.parameters()) for network in networks]
    assert counts == [5_232_131, 5_222_915]


def test_starts_as_in_2017() -> None:
    network = Generator(GeneratorConfig(6, width=16))
    kernel = network.image_encoder[2].weight
    limit = (6 / (9 * (16 + 16))) ** 0.5
    assert 0.95 * limit < kernel.abs().max() <= limit
    assert kernel.std().item() == pytest.approx(limit / 3**0.5, rel=0.1)
    for name, parameter in network.named_parameters():
        assert not name.endswith("bias") or parameter.eq(0).all()


@pytest.mark.parametrize("output", OUTPUTS)
def test_drawing_in_two_steps_equals_one(output: str) -> None:
    network = small(output)
    nn.init.normal_(network.get_parameter("coarse_decoder.0.weight"), std=0.3)
    image, source, target = pictures(3), blobs(3, 5), blobs(3, 5, seed=2)
    in_one = network(image, source, target)
    in_two = network.draw(network.encode_source(image, source), target)
    assert in_one.shape == (3, 3, 32, 32)
    torch.testing.assert_close(in_one, in_two, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("output", OUTPUTS)
def test_one_source_serves_many_targets(output: str) -> None:
    network = small(output)
    image, source, targets = pictures(1), blobs(1, 5), blobs(4, 5, seed=2)
    together = network.draw(network.encode_source(image, source), targets)
    repeated = network(image.expand(4, -1, -1, -1), source.expand(4, -1, -1, -1), targets)
    torch.testing.assert_close(together, repeated, rtol=1e-5, atol=1e-6)
    assert (together[0] - together[1]).abs().max() > 1e-3


@pytest.mark.parametrize("output", OUTPUTS)
def test_pictures_stay_in_range_and_all_parameters_learn(output: str) -> None:
    network = small(output)
    drawn = network(pictures(2), blobs(2, 5), blobs(2, 5, seed=2))
    assert drawn.abs().max() <= 1
    half_mean_square(drawn, pictures(2, seed=3)).backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().max() > 0, name


@pytest.mark.parametrize("output", OUTPUTS)
def test_half_precision_with_channels_last_is_near_full_precision(output: str) -> None:
    network = small(output)
    inputs = pictures(2), blobs(2, 5), blobs(2, 5, seed=2)
    with torch.no_grad():
        full = network(*inputs)
        network.to(memory_format=torch.channels_last)
        with torch.autocast("cpu", torch.bfloat16):
            half = network(*(x.contiguous(memory_format=torch.channels_last) for x in inputs))
    assert half.dtype == torch.float32
    assert (half - full).abs().max() < 0.03


@pytest.mark.parametrize("output", OUTPUTS)
def test_learns_one_batch_by_heart(output: str) -> None:
    network = small(output)
    inputs, truth = (pictures(2), blobs(2, 5), blobs(2, 5, seed=2)), pictures(2, seed=3)
    smooth = functional.interpolate(truth[..., ::16, ::16], 32, mode="bilinear")
    optimizer = torch.optim.Adam(network.parameters(), 3e-3)
    losses = []
    for _ in range(60):
        loss = half_mean_square(network(*inputs), smooth)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"size": 100}, "size is 100; it must be a multiple of 8"),
        ({"width": 0}, "width is 0"),
        ({"num_heatmaps": 0}, "num_heatmaps is 0"),
    ],
)
def test_refuses_impossible_sizes(settings: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        GeneratorConfig(**settings)
