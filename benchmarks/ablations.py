"""What each optimisation of image training gives: one is taken out, the others stay in place.

    python -m benchmarks.ablations

Medians of bfloat16 iterations at the paper's sizes, and of forecasts by frames at once. Each row is
measured in a process of its own, on a processor; leave the machine alone meanwhile.
"""

# ruff: noqa: SLF001  (what is taken out is private)

import argparse
import subprocess
import sys
import time
from collections.abc import Callable
from statistics import median

import torch
from torch.nn import functional

from benchmarks.speed import work
from posecast.computing.compilation import Compile
from posecast.computing.devices import Device, ForecasterOptions, Precision
from posecast.computing.memory import keep_freed_memory
from posecast.training import image
from posecast.villegas2017 import doubling, hourglass2017

REPEATS = 8
CPU = torch.device("cpu")
WITHOUT = ("nothing", "kept memory", "doubled in place", "relu bits", "channels last", "rounding")
FRAMES_AT_ONCE = ("4", "8", "16", "64")


def main() -> None:
    """Every row, or the one that is named."""
    flags = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    flags.add_argument("--without", choices=WITHOUT)
    flags.add_argument("--frames", choices=FRAMES_AT_ONCE)
    asked = flags.parse_args()
    if asked.without:
        _take_out(asked.without)
        seconds = _median_seconds(work.image_training(work.Sizes(), "bf16", CPU))
        print(f"image iteration without {asked.without}: {seconds:.3f} s", flush=True)
    elif asked.frames:
        keep_freed_memory()
        seconds = _median_seconds(_forecast(int(asked.frames)))
        print(f"forecast, {asked.frames} frames at once: {seconds:.3f} s", flush=True)
    else:
        rows = [("--without", name) for name in WITHOUT]
        rows += [("--frames", number) for number in FRAMES_AT_ONCE]
        for row in rows:
            subprocess.run([sys.executable, "-m", "benchmarks.ablations", *row], check=True)


def _take_out(name: str) -> None:
    if name != "kept memory":
        keep_freed_memory()
    if name == "doubled in place":
        doubling.AddedInPlace.apply = staticmethod(_add_doubled)
    elif name == "relu bits":
        hourglass2017._NormReLU.forward = lambda self, x: functional.relu(self.norm(x), True)
    elif name == "channels last":
        image._fast = lambda network, device: network.to(device)
    elif name == "rounding":
        image._round_once = lambda network: None


def _add_doubled(upper: torch.Tensor, lower: torch.Tensor) -> torch.Tensor:
    return upper + doubling.resize(lower, upper.shape[-2:])


def _forecast(frames_at_once: int) -> Callable[[], object]:
    def options(device: Device, precision: Precision, compile: Compile) -> ForecasterOptions:
        return ForecasterOptions(device, precision, compile, frames_at_once)

    work.ForecasterOptions = options
    return work.forecasting(work.Sizes(), 1, "bf16", CPU)


def _median_seconds(do: Callable[[], object]) -> float:
    do()
    seconds = []
    for _ in range(REPEATS):
        begin = time.monotonic()
        do()
        seconds.append(time.monotonic() - begin)
    return median(seconds)


if __name__ == "__main__":
    main()
