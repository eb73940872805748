"""LPIPS: distance of pictures in the layers of a classification network."""

import importlib.util
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from posecast.media.grey_levels import to_network
from posecast.metrics.image import check_pair

Layers = Callable[[Tensor], Sequence[Tensor]]
"""Pictures "b 3 h w" in [-1, 1] -> feature maps of several layers, "b c h w" each."""

_FRAMES_PER_BATCH = 32
_TINY = 1e-8


@torch.inference_mode()
def lpips(
    predicted: UInt8[np.ndarray, "t h w 3"],
    true: UInt8[np.ndarray, "t h w 3"],
    layers: Layers,
    weights: Sequence[Float[Tensor, " _"]],
) -> Float[np.ndarray, " t"]:
    """Learned perceptual distance of each frame, 0 for equal pictures.

    Zhang, Isola, Efros, Shechtman and Wang, 2018, version 0.1: features of each layer scaled to
    unit length at each place, squared differences weighted by channel, mean over places, sum over
    layers. `layers` is torchvision's AlexNet up to its five ReLUs and `weights` are
    `load_lpips_weights()`. Weakness: made for patches of 64 pixels; a sharp wrong picture can be
    nearer than a blurred right one.
    """
    check_pair(predicted, true)
    scores = []
    for first in range(0, len(predicted), _FRAMES_PER_BATCH):
        part = slice(first, first + _FRAMES_PER_BATCH)
        pair = torch.cat([torch.from_numpy(predicted[part]), torch.from_numpy(true[part])])
        parts = []
        features = [each.cpu() for each in layers(to_network(pair))]
        for values, weight in zip(features, weights, strict=True):
            lengths = (_TINY + values.square().sum(dim=1, keepdim=True)).sqrt()
            ours, theirs = (values / lengths).chunk(2)
            weighted = torch.einsum("tchw,c->thw", (ours - theirs).square(), weight)
            parts.append(weighted.mean(dim=(1, 2)))
        scores.append(torch.stack(parts).sum(dim=0))
    return torch.cat(scores).double().numpy()


def load_lpips_weights() -> list[Float[Tensor, " _"]]:
    """The channel weights of version 0.1 for AlexNet, from the torchmetrics package."""
    package = importlib.util.find_spec("torchmetrics")
    assert package is not None
    assert package.origin is not None
    folder = Path(package.origin).parent / "functional" / "image" / "lpips_models"
    state = torch.load(folder / "alex.pth", map_location="cpu", weights_only=True)
    return [state[f"lin{layer}.model.1.weight"].flatten() for layer in range(5)]
