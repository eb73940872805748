"""torch.compile as an option: the same numbers up to rounding, sooner, after minutes of compiling.

Networks name the parts that are worth it; parts of the same shape are compiled once.
"""

from collections.abc import Callable, Iterable
from typing import Any, Literal

import torch
from torch import _dynamo, nn

from posecast.errors import PosecastError

Compile = Literal["off", "on", "cuda-graphs"]

_MOST_SHAPES = 64
"""torch's own limit of 8 would leave most parts of a network of many shapes uncompiled."""


def compile_parts(parts: Iterable[nn.Module], how: Compile, device: torch.device) -> None:
    """Let these modules be compiled when they are first run; weights and their names stay.

    "cuda-graphs" replays what a GPU did as a whole, which saves the time between its kernels.
    Needs a C++ compiler on a processor. PosecastError for CUDA graphs without a CUDA device.
    """
    if how == "off":
        return
    if how == "cuda-graphs" and device.type != "cuda":
        raise PosecastError("CUDA graphs need a CUDA device; use --compile on, or off")
    _dynamo.config.recompile_limit = max(_dynamo.config.recompile_limit, _MOST_SHAPES)
    mode = "reduce-overhead" if how == "cuda-graphs" else "default"
    for part in parts:
        # torch passes over frames of its own modules, such as nn.Sequential's: hence the lambda.
        part.forward = torch.compile(_call(part.forward), mode=mode, dynamic=False)


def _call(forward: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *inputs: forward(*inputs)
