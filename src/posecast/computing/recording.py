"""Work of a GPU, recorded once and replayed as a whole: CUDA graphs.

A recording repeats the same kernels on the same places in memory, so what is recorded must be a
function of tensors (and of plain values, each of which gets a recording of its own), change other
tensors in place only, and wait for nothing: it may neither read a number nor bring one to the GPU.
"""

from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass, replace
from typing import Any, NamedTuple, TypeVar

import torch
from torch import Tensor, cuda

from posecast.computing.compilation import Compile, is_recorded
from posecast.errors import PosecastError

T = TypeVar("T")

PLAIN_CALLS = 3
"""Calls of each kind before one is recorded: libraries choose their kernels in the first ones."""
_MOST_RECORDINGS = 16


def map_tensors(function: Callable[[Tensor], Any], value: Any) -> Any:
    """The value with every tensor in it replaced; goes into dataclasses, tuples, lists, dicts."""
    if isinstance(value, Tensor):
        return function(value)
    if is_dataclass(value) and not isinstance(value, type):
        inside = {each.name: getattr(value, each.name) for each in fields(value) if each.init}
        return replace(value, **{name: map_tensors(function, v) for name, v in inside.items()})
    if isinstance(value, Mapping):
        return {name: map_tensors(function, each) for name, each in value.items()}
    if isinstance(value, tuple | list):
        items = [map_tensors(function, each) for each in value]
        return type(value)(*items) if hasattr(value, "_fields") else type(value)(items)
    return value


def on_device(value: T, device: torch.device) -> T:
    """The value with every tensor in it on the device."""
    return map_tensors(lambda each: each.to(device), value)


def leaves(value: Any) -> list[Any]:
    """Tensors and plain values inside a value, in order."""
    if is_dataclass(value) and not isinstance(value, type):
        value = [getattr(value, each.name) for each in fields(value) if each.init]
    elif isinstance(value, Mapping):
        value = [each for item in value.items() for each in item]
    elif not isinstance(value, tuple | list):
        return [value]
    return [leaf for each in value for leaf in leaves(each)]


def tensors_in(value: Any) -> list[Tensor]:
    """All tensors of a value, in order."""
    return [leaf for leaf in leaves(value) if isinstance(leaf, Tensor)]


def _kind(inputs: tuple[Any, ...]) -> tuple[Any, ...]:
    """What one recording can serve: the same shapes and plain values."""
    return tuple(
        (leaf.shape, leaf.dtype) if isinstance(leaf, Tensor) else leaf for leaf in leaves(inputs)
    )


class _Recording(NamedTuple):
    graph: cuda.CUDAGraph
    inputs: list[Tensor]
    """Where each call puts its own."""
    output: Any


def recorded(function: Callable[..., T], how: Compile, device: torch.device) -> Callable[..., T]:
    """The function; on a GPU, unless `how` forbids it, replayed from the fourth call on.

    Arguments with other shapes or other plain values are other recordings. All calls are real ones:
    the first few change weights as the later ones do.
    """
    return _Recorded(function, device) if is_recorded(how, device) else function


class _Recorded:
    def __init__(self, function: Callable[..., Any], device: torch.device) -> None:
        self._function, self._device = function, device
        self._stream, self._pool = cuda.Stream(device), cuda.graph_pool_handle()
        self._calls: dict[Any, int] = {}
        self._recordings: dict[Any, _Recording] = {}

    def __call__(self, *inputs: Any) -> Any:
        kind = _kind(inputs)
        if kind not in self._recordings:
            self._calls[kind] = self._calls.get(kind, 0) + 1
            if self._calls[kind] <= PLAIN_CALLS or len(self._recordings) == _MOST_RECORDINGS:
                return self._run(inputs)
            self._recordings[kind] = self._record(inputs)
        recording = self._recordings[kind]
        for place, given in zip(recording.inputs, tensors_in(inputs), strict=True):
            place.copy_(given, non_blocking=True)
        recording.graph.replay()
        return map_tensors(Tensor.clone, recording.output)

    def _run(self, inputs: tuple[Any, ...]) -> Any:
        """As it is, on the stream that it will be recorded on."""
        current = cuda.current_stream(self._device)
        self._stream.wait_stream(current)
        with cuda.stream(self._stream):
            output = self._function(*inputs)
        current.wait_stream(self._stream)
        return output

    def _record(self, inputs: tuple[Any, ...]) -> _Recording:
        """Nothing is computed yet."""
        own = map_tensors(Tensor.clone, inputs)
        graph = cuda.CUDAGraph()
        try:
            # Only this thread: another one may be bringing the next batch.
            with cuda.graph(graph, self._pool, self._stream, capture_error_mode="thread_local"):
                output = self._function(*own)
        except RuntimeError as error:
            problem = f"this work cannot be recorded on the GPU ({error})"
            raise PosecastError(problem, "; give --compile off") from error
        return _Recording(graph, tensors_in(own), output)
