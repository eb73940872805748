"""Measuring: seconds, products, peak memory."""

import gc
import multiprocessing
import resource
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import torch
from torch.utils.flop_counter import FlopCounterMode, conv_flop_count

from posecast.computing.recording import PLAIN_CALLS

Work = Callable[[], object]
"""Something to be timed; what it returns is not looked at."""


@dataclass(frozen=True)
class Timing:
    """Seconds of one work, done several times."""

    seconds: float
    """Median."""
    fastest: float
    slowest: float
    repeats: int

    def divided_by(self, units: int) -> "Timing":
        """Seconds of one unit, of works that do several at once."""
        return Timing(
            self.seconds / units, self.fastest / units, self.slowest / units, self.repeats
        )


def time_work(work: Work, device: torch.device, repeats: int, at_least_s: float) -> Timing:
    """Do it once to warm up (on a GPU until it is recorded), then `repeats` times, and on until
    `at_least_s` have passed."""
    for _ in range(1 if device.type == "cpu" else PLAIN_CALLS + 2):
        work()
    _wait(device)
    gc.collect()
    times: list[float] = []
    while len(times) < repeats or sum(times) < at_least_s:
        start = time.perf_counter()
        work()
        _wait(device)
        times.append(time.perf_counter() - start)
    return Timing(median(times), min(times), max(times), len(times))


def _wait(device: torch.device) -> None:
    """A GPU works on after the call has returned."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def count_flop(work: Work) -> int:
    """Floating-point operations in the products of the work: convolutions and matrix products.

    Recurrent layers are one opaque operation to the counter and are not in it.
    """
    joined = {torch.ops.aten.cudnn_convolution_relu: _conv_relu_flop}
    with FlopCounterMode(display=False, custom_mapping=joined) as counter:
        work()
    return counter.get_total_flops()


def _conv_relu_flop(
    x: list[int], kernel: list[int], *_told: object, out_shape: list[int], **_more: object
) -> int:
    return conv_flop_count(x, kernel, out_shape)


def peak_memory_of(work: Work, device: torch.device) -> int:
    """Bytes that doing the work takes at most, interpreter and libraries included on a CPU.

    On a CPU it is done in a process of its own, so `work` must be picklable.
    """
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        work()
        return torch.cuda.max_memory_allocated(device)
    context = multiprocessing.get_context("spawn")
    with context.Pool(1) as pool:
        return pool.apply(_peak_after, (work, torch.get_num_threads()))


def _peak_after(work: Work, num_threads: int) -> int:
    torch.set_num_threads(num_threads)
    work()
    return peak_memory()


def peak_memory() -> int:
    """Most bytes of memory that this process has held so far."""
    status = Path("/proc/self/status")
    if status.is_file():  # unlike getrusage, not handed down by the process that started this one
        lines = dict(line.split(":", 1) for line in status.read_text().splitlines() if ":" in line)
        return int(lines["VmHWM"].split()[0]) * 1024
    scale = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * scale
