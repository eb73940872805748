"""Work that a GPU does beside other work."""

from functools import cache
from typing import Any

import torch
from torch import Tensor, cuda


class Beside:
    """What is started inside `with` goes on beside what follows, until `wait`.

    Small kernels leave most of a GPU idle, so that two chains of them take hardly longer than one;
    in a recording they become two branches, and what flows back through them does, too. Elsewhere
    everything happens in its order. `read` are the tensors made outside that are read inside: their
    memory, and that of what `wait` is told of, is nobody else's while either side may read it. Work
    of one `branch` is done in its order.
    """

    def __init__(self, *read: Tensor, branch: str) -> None:
        device = read[0].device
        self._stream = _stream(device, branch) if device.type == "cuda" else None
        self._read = read

    def __enter__(self) -> None:
        if self._stream is not None:
            self._stream.wait_stream(cuda.current_stream(self._stream.device))
            for each in self._read:
                each.record_stream(self._stream)
            self._inside = cuda.stream(self._stream)
            self._inside.__enter__()
            # Weights that autocast rounded here would be used outside before they are there.
            self._cached = torch.is_autocast_cache_enabled()
            torch.set_autocast_cache_enabled(False)

    def __exit__(self, *error: Any) -> None:
        if self._stream is not None:
            torch.set_autocast_cache_enabled(self._cached)
            self._inside.__exit__(*error)

    def wait(self, *made: Tensor | None) -> None:
        """Before what was made inside is used."""
        if self._stream is not None:
            current = cuda.current_stream(self._stream.device)
            current.wait_stream(self._stream)
            for each in made:
                if each is not None:
                    each.record_stream(current)


@cache
def _stream(device: torch.device, branch: str) -> cuda.Stream:
    return cuda.Stream(device)
