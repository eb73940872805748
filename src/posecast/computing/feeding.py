"""Batches made ready before they are needed: by other processes, and on the device."""

import atexit
import multiprocessing
import signal
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import cv2
import torch
from torch import Tensor, cuda
from torch.utils.data import DataLoader, Dataset

from posecast.computing.recording import map_tensors, on_device, tensors_in

T = TypeVar("T")
Batches = Callable[[int], Any]
"""Number, from 0 -> this process's share of that batch, on the CPU. Can be pickled."""

_AHEAD = 3


def prepared(batches: Batches, numbers: range, workers: int, ahead: int = 2) -> Iterable[Any]:
    """The batches of these numbers, in order; each worker makes so many `ahead`."""
    if workers == 0 or not numbers:
        return map(batches, numbers)
    loader = DataLoader(
        _Numbered(batches),
        batch_size=None,
        sampler=numbers,
        num_workers=workers,
        prefetch_factor=ahead,
        multiprocessing_context="spawn",
        worker_init_fn=_begin_work,
    )
    return iter(loader)


class _Numbered(Dataset[Any]):
    """Batches as a DataLoader wants them."""

    def __init__(self, batches: Batches) -> None:
        self._batches = batches

    def __getitem__(self, number: int) -> Any:
        return self._batches(number)


def _begin_work(worker: int) -> None:
    """Signals are for the first process, and each has a core (torch sees to its own threads)."""
    cv2.setNumThreads(1)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)


@atexit.register
def _end_workers() -> None:
    """Where an error leaves some: Python would wait for them forever, whose signal they ignore."""
    if hasattr(signal, "SIGCHLD"):
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # torch's would raise an error of its own
    for each in multiprocessing.active_children():
        if each.daemon:
            each.kill()


def brought_ahead(batches: Iterable[T], device: torch.device) -> Iterator[T]:
    """The batches, on the device; a GPU gets them prepared and copied while it works."""
    if device.type != "cuda":
        yield from (on_device(batch, device) for batch in batches)
        return
    stream, waiting = cuda.Stream(device), iter(batches)

    def bring() -> tuple[T, Any] | None:
        batch = next(waiting, None)
        if batch is None:
            return None
        with cuda.stream(stream):
            return map_tensors(_bring, batch), stream.record_event()

    def _bring(each: Tensor) -> Tensor:
        return each if each.is_cuda else each.pin_memory().to(device, non_blocking=True)

    with ThreadPoolExecutor(1) as pool:
        ahead = deque(pool.submit(bring) for _ in range(_AHEAD))
        while (brought := ahead.popleft().result()) is not None:
            ahead.append(pool.submit(bring))
            current = cuda.current_stream(device)
            current.wait_event(brought[1])
            for each in tensors_in(brought[0]):
                each.record_stream(current)
            yield brought[0]
