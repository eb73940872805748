"""Sooner on the same device, with the same numbers up to rounding.

On a GPU the work of a whole step is recorded and replayed (`recording`), else the processor, which
starts one small kernel after the other, is the limit. torch.compile joins kernels besides, after a
minute or more; networks name the parts that are worth it, and those of one shape are compiled once.
"""

from collections.abc import Callable, Iterable
from typing import Any, Literal

import torch
from torch import nn

from posecast.computing.processes import num_processes
from posecast.errors import PosecastError

Compile = Literal["auto", "off", "on", "cuda-graphs"]
"""auto: record on a GPU. off: neither. on: torch.compile, and record on a GPU. cuda-graphs: as
auto, and an error where there is no GPU."""

_MOST_SHAPES = 64
"""torch's own limit of 8 would leave most parts of a network of many shapes uncompiled."""


def compile_parts(parts: Iterable[nn.Module], how: Compile, *, any_size: bool = False) -> None:
    """Let these modules be compiled when they are first run; weights and their names stay.

    `any_size`: once for maps of all sizes. Needs a C++ compiler on a processor.
    """
    if how != "on":
        return
    from torch import _dynamo  # a second or more, which the command line need not wait for

    _dynamo.config.recompile_limit = max(_dynamo.config.recompile_limit, _MOST_SHAPES)
    for part in parts:
        # torch passes over frames of its own modules, such as nn.Sequential's: hence the lambda.
        part.forward = torch.compile(_call(part.forward), dynamic=any_size)


def _call(forward: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *inputs: forward(*inputs)


def is_recorded(how: Compile, device: torch.device) -> bool:
    """Whether work on this device is recorded and replayed; of several processes none records.

    PosecastError for CUDA graphs without a CUDA device.
    """
    on_gpu = device.type == "cuda"
    if how == "cuda-graphs" and not on_gpu:
        raise PosecastError("CUDA graphs need a CUDA device", "; use --compile on, or off")
    return on_gpu and how != "off" and num_processes() == 1
