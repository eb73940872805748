"""The discriminator of the 2017 code, from its variables: only tests need it."""

import math
from collections.abc import Mapping

import numpy as np
import torch
from torch import nn

from posecast.errors import PosecastError
from posecast.networks.discriminator import Discriminator, DiscriminatorConfig
from posecast.villegas2017.conversion import _fill, _fill_convolution, _variable


def discriminator(variables: Mapping[str, np.ndarray]) -> Discriminator:
    """The discriminator, `(image, heatmaps) -> logits`; it takes square pictures.

    Raises PosecastError where a variable is missing or its shape does not fit the others.
    """
    kernel = _variable(variables, "DIS/dis_h0_conv/w", (5, 5, None, None))
    dense = _variable(variables, "DIS/dis_h3_lin/Matrix", (None, 1))
    width = kernel.shape[-1]
    side = math.isqrt(len(dense) // (8 * width))
    if kernel.shape[2] < 4 or side < 1 or side**2 * 8 * width != len(dense):
        raise PosecastError(
            f"2017 variables DIS/dis_h0_conv/w {kernel.shape} and DIS/dis_h3_lin/Matrix "
            f"{dense.shape} do not fit a square picture and its heat maps"
        )
    config = DiscriminatorConfig(kernel.shape[2] - 3, width, 16 * side)
    network = Discriminator(config).to(torch.from_numpy(kernel).dtype)
    for level, layer in enumerate(network.convolutions):
        _fill_convolution(variables, f"DIS/dis_h{level}_conv", layer, transposed=False)
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    for level, norm in enumerate(norms, start=1):
        channels = (norm.num_features,)
        _fill(norm.weight, _variable(variables, f"DIS/bn{level}/gamma", channels))
        _fill(norm.bias, _variable(variables, f"DIS/bn{level}/beta", channels))
    _fill(network.to_logit.weight, dense.T)
    _fill(network.to_logit.bias, _variable(variables, "DIS/dis_h3_lin/bias", (1,)))
    return network
