"""Work that a GPU does beside other work."""

from functools import cache
from typing import Any

import torch
from torch import cuda


class Beside:
    """What is started inside `with` goes on beside what follows, until `wait`.

    Small kernels leave most of a GPU idle, so that two chains of them take hardly longer than one;
    in a recording they become two branches. Elsewhere everything happens in its order. Tensors made
    inside may be used until the next `Beside` of this device begins its work.
    """

    def __init__(self, device: torch.device) -> None:
        self._stream = _stream(device) if device.type == "cuda" else None

    def __enter__(self) -> None:
        if self._stream is not None:
            self._stream.wait_stream(cuda.current_stream(self._stream.device))
            self._inside = cuda.stream(self._stream)
            self._inside.__enter__()
            # Weights that autocast rounded here would be used outside before they are there.
            self._cached = torch.is_autocast_cache_enabled()
            torch.set_autocast_cache_enabled(False)

    def __exit__(self, *error: Any) -> None:
        if self._stream is not None:
            torch.set_autocast_cache_enabled(self._cached)
            self._inside.__exit__(*error)

    def wait(self) -> None:
        """Before results are used."""
        if self._stream is not None:
            cuda.current_stream(self._stream.device).wait_stream(self._stream)


@cache
def _stream(device: torch.device) -> cuda.Stream:
    return cuda.Stream(device)
