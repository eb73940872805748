"""Passes over the maps of a convolution network joined into few: own kernels for NVIDIA GPUs.

torch's own kernels normalise, add a bias and cut off below 0 in separate passes over maps that are
read from and written to memory each time, some of them at a quarter of its speed. Maps are channels
last here, so that a pixel is a row of channels; numbers are added in single precision.
"""

from posecast.computing.bias_kernels import AddBias, Cut
from posecast.computing.convolutions import ConvReLU
from posecast.computing.map_kernels import AddDoubled, MaxPool2, NormaliseResponse
from posecast.computing.norm_kernels import NormReLU
from posecast.computing.picture_kernels import JoinMaps, UnfoldDoubled

__all__ = [
    "AddBias",
    "AddDoubled",
    "ConvReLU",
    "Cut",
    "JoinMaps",
    "MaxPool2",
    "NormReLU",
    "NormaliseResponse",
    "UnfoldDoubled",
]
