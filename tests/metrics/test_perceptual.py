import numpy as np
import pytest
import torch
from torchmetrics.functional.image import lpips as reference

from posecast.metrics.perceptual import load_lpips_weights, lpips
from posecast.networks.alexnet import TORCHVISION_SHAPES, TorchvisionAlexNet


@pytest.fixture(scope="module")
def alexnet() -> TorchvisionAlexNet:
    """Random weights: distances are not those that people agree with, the arithmetic is."""
    torch.manual_seed(0)
    state = {}
    for name, shape in TORCHVISION_SHAPES.items():
        fan = shape[1] * shape[2] * shape[3]
        state[f"{name}.weight"] = torch.randn(shape) * (2 / fan) ** 0.5
        state[f"{name}.bias"] = 0.1 * torch.randn(shape[0])
    return TorchvisionAlexNet(state)


@pytest.fixture(scope="module")
def frames() -> np.ndarray:
    noise = np.random.default_rng(0).normal(size=(3, 64, 64, 3))
    for axis in (1, 2):
        noise = sum(np.roll(noise, shift, axis) for shift in range(5))
    return ((noise - noise.min()) / np.ptp(noise) * 255).astype(np.uint8)


def test_weights_come_with_torchmetrics():
    weights = load_lpips_weights()
    assert [len(weight) for weight in weights] == [64, 192, 384, 256, 256]
    assert all((weight >= 0).all() for weight in weights)
    assert all(weight.max() > 0 for weight in weights)


def test_equal_pictures_and_shifted_ones(alexnet, frames):
    weights = load_lpips_weights()
    assert lpips(frames, frames, alexnet.layers, weights) == pytest.approx(np.zeros(3))
    near = lpips(np.roll(frames, 1, axis=2), frames, alexnet.layers, weights)
    far = lpips(255 - frames, frames, alexnet.layers, weights)
    assert (near > 0).all()
    assert (far > near).all()


def test_agrees_with_torchmetrics(alexnet, frames):
    """Its arithmetic on our network: its own cannot be built without torchvision."""
    theirs = reference._LPIPS.__new__(reference._LPIPS)
    torch.nn.Module.__init__(theirs)
    theirs.L, theirs.resize, theirs.spatial = 5, None, False
    theirs.scaling_layer = reference.ScalingLayer()
    theirs.net = torch.nn.Module()

    def layers_of_normalised(images):
        back = (images * alexnet.deviation + alexnet.mean) * 2 - 1
        return alexnet.layers(back)

    theirs.net.forward = layers_of_normalised
    weights = load_lpips_weights()
    theirs.lins = torch.nn.ModuleList(
        reference.NetLinLayer(len(weight), use_dropout=True) for weight in weights
    )
    for layer, weight in zip(theirs.lins, weights, strict=True):
        layer.model[1].weight = torch.nn.Parameter(weight[None, :, None, None])
    theirs.eval()
    pair = [
        torch.from_numpy(each).permute(0, 3, 1, 2) / 127.5 - 1
        for each in (frames, frames[::-1].copy())
    ]
    with torch.no_grad():
        expected = theirs(*pair).flatten().numpy()
    ours = lpips(frames, frames[::-1].copy(), alexnet.layers, weights)
    assert ours == pytest.approx(expected, rel=1e-4)
    assert (ours[[0, 2]] > 0.01).all()
