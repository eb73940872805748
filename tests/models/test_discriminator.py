"""The discriminator: padding, moments of its own batch, order of features, errors."""

import numpy as np
import pytest
import torch
from torch.nn import functional

from posecast.networks.discriminator import Discriminator, DiscriminatorConfig


def small() -> Discriminator:
    torch.manual_seed(0)
    return Discriminator(DiscriminatorConfig(num_heatmaps=2, width=4, size=32))


def inputs(batch: int = 4, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    image = torch.rand(batch, 3, 32, 32, generator=generator) * 2 - 1
    return image, torch.rand(batch, 2, 32, 32, generator=generator)


def test_same_padding_puts_the_surplus_at_the_end() -> None:
    """Output i of a 5 x 5 stride 2 SAME convolution reads rows 2 i - 1 to 2 i + 3."""
    network = small()
    image, heatmaps = inputs(1)
    bumped = image.clone()
    bumped[..., 31, 31] += 1
    first = network.convolutions[0]
    hidden = [first(torch.cat([x, heatmaps], 1)) for x in (image, bumped)]
    changed = (hidden[0] - hidden[1]).abs().sum(1)[0] > 0
    assert changed.nonzero().tolist() == [[14, 14], [14, 15], [15, 14], [15, 15]]


def test_equals_the_same_network_written_plainly_in_numpy_order() -> None:
    network = small().double()
    image, heatmaps = (x.double() for x in inputs())
    hidden = torch.cat([image, heatmaps], 1)
    for level in range(4):
        layer = network.convolutions[level]
        padded = functional.pad(hidden, (1, 2, 1, 2))
        hidden = functional.conv2d(padded, layer.weight, layer.bias, stride=2)
        if level:
            mean = hidden.mean((0, 2, 3), keepdim=True)
            variance = hidden.var((0, 2, 3), correction=0, keepdim=True)
            hidden = (hidden - mean) / (variance + 1e-3).sqrt()
        hidden = torch.where(hidden > 0, hidden, 0.2 * hidden)
    rows = hidden.detach().numpy().transpose(0, 2, 3, 1).reshape(4, -1)
    plain = rows @ network.to_logit.weight.detach().numpy().T
    np.testing.assert_allclose(network(image, heatmaps).detach().numpy(), plain, atol=1e-12)


def test_evaluation_mode_still_uses_the_batch_s_own_moments() -> None:
    network = small()
    image, heatmaps = inputs()
    training = network(image, heatmaps)
    evaluating = network.eval()(image, heatmaps)
    torch.testing.assert_close(training, evaluating, rtol=0, atol=0)
    alone = network(image[:2], heatmaps[:2])
    assert (alone - training[:2]).abs().max() > 1e-4
    assert not list(network.buffers())


def test_kinds_of_pictures_are_judged_together_as_each_by_itself() -> None:
    network = small().double()
    pictures, (_, heatmaps) = [inputs(seed=seed)[0].double() for seed in range(3)], inputs()
    alone = [network(each, heatmaps.double()) for each in pictures]
    together = network(torch.cat(pictures), heatmaps.double())
    torch.testing.assert_close(together, torch.cat(alone), rtol=0, atol=1e-12)


def test_parameters_of_the_paper_s_network() -> None:
    """As many as the 2017 code has at full size."""
    with torch.device("meta"):
        network = Discriminator(DiscriminatorConfig())
    assert sum(p.numel() for p in network.parameters()) == 4_417_921


def test_starts_as_in_2017() -> None:
    network = Discriminator(DiscriminatorConfig(48, width=16, size=64))
    assert network.to_logit.weight.std().item() == pytest.approx(0.02, rel=0.1)
    kernel = network.convolutions[1].weight
    assert kernel.abs().max() <= (6 / (25 * (16 + 32))) ** 0.5
    for name, parameter in network.named_parameters():
        if name.startswith("norms"):
            assert parameter.eq(1 if name.endswith("weight") else 0).all()
        elif name.endswith("bias"):
            assert parameter.eq(0).all()


def test_bfloat16_autocast_gives_single_precision_logits() -> None:
    network = small().to(memory_format=torch.channels_last)
    image, heatmaps = inputs()
    with torch.no_grad():
        full = network(image, heatmaps)
        with torch.autocast("cpu", torch.bfloat16):
            half = network(image, heatmaps)
    assert half.dtype == torch.float32
    assert (half - full).abs().max() < 0.05


def test_refuses_pictures_and_settings_that_do_not_fit() -> None:
    network = small()
    with pytest.raises(ValueError, match="32 x 32 pixels, got 64 x 64"):
        network(torch.zeros(1, 3, 64, 64), torch.zeros(1, 2, 64, 64))
    with pytest.raises(ValueError, match="size is 100; it must be a multiple of 16"):
        DiscriminatorConfig(size=100)
    with pytest.raises(ValueError, match="num_heatmaps is 0"):
        DiscriminatorConfig(num_heatmaps=0)
