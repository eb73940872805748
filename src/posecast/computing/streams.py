"""Work that a GPU does beside other work."""

from contextlib import AbstractContextManager, nullcontext
from functools import cache
from typing import Any

import torch
from torch import cuda


class Beside:
    """What is started inside `with` goes on beside what follows, until `wait`.

    Small kernels leave most of a GPU idle, so that two chains of them take hardly longer than one;
    in a recording they become two branches. Elsewhere everything happens in its order.

    Tensors made inside may be used until the next `Beside` of this device begins its work. Weights
    that autocast rounds and keeps for all calls, as it does those that learn, may not be used both
    inside and beside it: neither would wait for the other's rounding.
    """

    def __init__(self, device: torch.device) -> None:
        self._stream = _stream(device) if device.type == "cuda" else None
        self._inside: AbstractContextManager[Any] = nullcontext()

    def __enter__(self) -> None:
        if self._stream is not None:
            self._stream.wait_stream(cuda.current_stream(self._stream.device))
            self._inside = cuda.stream(self._stream)
        self._inside.__enter__()

    def __exit__(self, *error: Any) -> None:
        self._inside.__exit__(*error)

    def wait(self) -> None:
        """Before its results are used."""
        if self._stream is not None:
            cuda.current_stream(self._stream.device).wait_stream(self._stream)


@cache
def _stream(device: torch.device) -> cuda.Stream:
    return cuda.Stream(device)
