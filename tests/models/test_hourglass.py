import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

from posecast.networks.hourglass import (
    Hourglass,
    HourglassConfig,
    HourglassFeatures,
    decode_joint_maps,
    draw_joint_maps,
    estimate_heatmaps,
)

TINY = HourglassConfig(num_joints=3, stacks=2, width=16, depth=2, size=32)


def pictures(num=2, height=32, width=32):
    generator = torch.Generator().manual_seed(0)
    return torch.rand(num, 3, height, width, generator=generator) * 2 - 1


def test_every_stack_gives_maps_of_a_quarter():
    maps = Hourglass(TINY)(pictures(2, 32, 48))
    assert maps.shape == (2, 2, 3, 8, 12)


def test_default_size_is_that_of_the_docstring():
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        Hourglass(HourglassConfig())(pictures(1, 128, 128))
    assert counter.get_total_flops() == pytest.approx(1.1e9, rel=0.1)


def test_one_batch_is_learnt_to_within_a_map_pixel():
    torch.manual_seed(0)
    network = Hourglass(TINY)
    joints = 0.2 + 0.6 * torch.rand(4, 3, 2)
    visible = torch.ones(4, 3, dtype=torch.bool)
    visible[0, 0] = False
    target = draw_joint_maps(joints, visible, 8, sigma=1.0)
    images = pictures(4)
    optimizer = torch.optim.Adam(network.parameters(), 5e-3)
    for _ in range(70):
        logits = network(images)
        loss = functional.binary_cross_entropy_with_logits(logits, target.expand_as(logits))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    got, confidence = decode_joint_maps(network(images)[-1].detach().sigmoid())
    assert (got - joints)[visible].abs().max() < 1 / 8
    assert confidence[visible].min() > 0.5
    assert confidence[0, 0] < 0.3


def test_all_weights_learn():
    network = Hourglass(TINY)
    network(pictures()).square().mean().backward()
    without = [
        name
        for name, parameter in network.named_parameters()
        if parameter.grad is None or not parameter.grad.abs().sum() > 0
    ]
    assert without == []


class Bright(nn.Module):
    """Stands in for an estimator: joint 0 is the red light, joint 1 (its mirror) the green one."""

    def forward(self, images):
        return images[None, :, :2]


def test_mirrored_average_swaps_sides_back():
    images = pictures(2)
    got = estimate_heatmaps(Bright(), images, mirror=(1, 0))
    # The mirrored picture's green light, mirrored back, is where green is in the straight one.
    lights = images[:, :2].sigmoid()
    assert torch.allclose(got, (lights + lights.flip(1)) / 2)
    assert torch.equal(estimate_heatmaps(Bright(), images), lights)


def test_mirrored_picture_gives_mirrored_maps():
    network = Hourglass(TINY).eval()
    images = pictures(2)
    with torch.no_grad():
        straight = estimate_heatmaps(network, images, mirror=(0, 2, 1))
        mirrored = estimate_heatmaps(network, images.flip(-1), mirror=(0, 2, 1))
    assert torch.allclose(mirrored[:, [0, 2, 1]].flip(-1), straight, atol=1e-5)


def test_features_are_frozen_and_let_gradients_through():
    network = Hourglass(TINY)
    features = HourglassFeatures(network)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    images = pictures().requires_grad_()
    got = features(images)
    got.square().mean().backward()
    assert got.shape == (2, 16, 8, 8)
    assert images.grad.abs().max() > 0
    assert all(parameter.grad is None for parameter in network.parameters())
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    alone = features(images[:1])
    assert torch.allclose(alone, got[:1], atol=1e-5)


def test_bfloat16_maps_are_near():
    network = Hourglass(TINY).eval().to(memory_format=torch.channels_last)
    images = pictures().to(memory_format=torch.channels_last)
    with torch.no_grad():
        expected = network(images)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            got = network(images)
    assert (got - expected).abs().max() < 0.05 * expected.abs().max()


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({"stacks": 0}, "stacks is 0"),
        ({"width": 30}, "multiple of 4"),
        ({"size": 100}, "multiple of 64"),
        ({"size": 32}, "multiple of 64"),
    ],
)
def test_impossible_sizes_are_refused(values, problem):
    with pytest.raises(ValueError, match=problem):
        HourglassConfig(**values)


def test_pictures_of_wrong_sides_are_refused():
    with pytest.raises(ValueError, match=r"32 x 40 pixels .* multiples of 16"):
        Hourglass(TINY)(pictures(1, 40, 32))
