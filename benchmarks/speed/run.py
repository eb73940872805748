"""The whole benchmark: ceilings, the works, ceilings again, peak memory."""

import os
import platform
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Literal

import torch

from benchmarks.speed import work
from benchmarks.speed.ceilings import PRECISIONS, Ceilings, Precision, measure_ceilings
from benchmarks.speed.measuring import Work, count_flop, peak_memory_of, time_work
from benchmarks.speed.results import Results, Row
from posecast.computing.compilation import Compile
from posecast.computing.devices import RunOn
from posecast.computing.memory import keep_freed_memory
from posecast.errors import PosecastError
from posecast.records.versions import code_versions


@dataclass(frozen=True)
class BenchConfig:
    """What is measured."""

    device: Literal["auto", "cpu", "cuda"] = "auto"
    """auto takes a GPU where there is one."""
    threads: int = 0
    """Threads of torch on a processor; 0 leaves them as they are, one per core."""
    precisions: tuple[Precision, ...] = PRECISIONS
    repeats: int = 5
    """Each work is done at least so many times, after once to warm up; the median counts."""
    seconds: float = 2.0
    """And at least so long."""
    memory: bool = True
    """Measure the peak memory of image training too, in a process of its own."""
    compile: Compile = "auto"
    """on: measure with torch.compile; compiling takes minutes and is not counted."""
    quick: bool = False
    """Tiny sizes: shows in seconds that all runs, and measures nothing worth knowing."""

    def __post_init__(self) -> None:
        if self.threads < 0 or self.repeats < 1 or self.seconds < 0 or not self.precisions:
            raise PosecastError(
                "give threads and seconds of 0 or more, repeats of 1 or more and at least one "
                f"precision, got {self.threads}, {self.seconds}, {self.repeats}, {self.precisions}"
            )


@dataclass(frozen=True)
class _Plan:
    """A work before it is timed."""

    name: str
    precision: Precision
    work: Work
    per: str
    units: int
    """How many samples or clips the work does at once."""
    moved: int = 0
    opaque_flop: int = 0
    """Products that cannot be counted: the LSTM's."""
    goal_s: float | None = None
    code_2017_s: float | None = None


def run_bench(config: BenchConfig) -> Results:
    """Measure everything; takes about two minutes on two cores, seconds if quick."""
    if config.threads:
        torch.set_num_threads(config.threads)
    keep_freed_memory()
    device = RunOn(config.device).pick_device()
    sizes = replace(work.QUICK if config.quick else work.Sizes(), compile=config.compile)
    ceiling_size = (256, 0.0) if config.quick else (2048, 0.5)
    before = os.getloadavg()[0]
    ceilings = measure_ceilings(device, *ceiling_size)
    with tempfile.TemporaryDirectory() as folder:
        plans = _plans(config, sizes, device, Path(folder))
        timed = [_timed(plan, config, device) for plan in plans]
    ceilings = ceilings.at_least(measure_ceilings(device, *ceiling_size))
    peak = {}
    if config.memory:
        for precision in config.precisions:
            peak[precision] = peak_memory_of(partial(work.twice, sizes, precision), device)
    return Results(
        device=_device_name(device),
        num_threads=torch.get_num_threads(),
        ceilings=ceilings,
        rows=tuple(_with_floor(row, ceilings) for row in timed),
        peak_memory=peak,
        load=(before, os.getloadavg()[0]),
        versions=code_versions(),
    )


def _plans(
    config: BenchConfig, sizes: work.Sizes, device: torch.device, folder: Path
) -> Iterator[_Plan]:
    """One after the other, so that only one work's networks are in memory at a time."""
    store = work.write_random_store(folder / "store", sizes)
    batch, pixels = sizes.image_batch, sizes.side**2
    frames = work.loading(store, sizes)
    yield _Plan("reading a pair", "fp32", frames, "sample", batch, 2 * 6 * pixels, 0, 1e-4, 0.034)
    drawn = 2 * 48 * pixels * 4
    yield _Plan("its heat maps", "fp32", work.heatmaps(sizes, device), "sample", batch, drawn)
    for precision in config.precisions:
        learn = work.pose_training(sizes, precision, device)
        num_frames = sizes.num_past + sizes.num_future
        flop = work.lstm_flop(sizes, num_frames, sizes.pose_batch, training=True)
        yield _Plan("LSTM training", precision, learn, "step", 1, 0, flop, 0.5, 1.18)
    for precision in config.precisions:
        draw = work.image_training(sizes, precision, device)
        yield _Plan("image training", precision, draw, "iteration", 1, 0, 0, 1.8, 5.95)
    for precision in config.precisions:
        for count in (1, sizes.clips):
            draw = work.forecasting(sizes, count, precision, device)
            flop = work.lstm_flop(sizes, sizes.num_past + sizes.steps, count, training=False)
            name = f"forecasting {sizes.steps} frames of {count}"
            yield _Plan(name, precision, draw, "clip", count, 0, flop, 1.1, 5.6)


def _timed(plan: _Plan, config: BenchConfig, device: torch.device) -> Row:
    flop = plan.opaque_flop + (0 if plan.moved else count_flop(plan.work))
    seconds = 0.0 if config.quick else config.seconds
    timing = time_work(plan.work, device, 1 if config.quick else config.repeats, seconds)
    return Row(
        plan.name,
        plan.precision,
        timing.divided_by(plan.units),
        plan.per,
        flop // plan.units,
        plan.moved,
        goal_s=plan.goal_s,
        code_2017_s=plan.code_2017_s,
    )


def _with_floor(row: Row, ceilings: Ceilings) -> Row:
    floor = row.moved / ceilings.copy if row.moved else row.flop / ceilings.flops(row.precision)
    return replace(row, floor_s=floor)


def _device_name(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    cpuinfo = Path("/proc/cpuinfo")
    names = cpuinfo.read_text().splitlines() if cpuinfo.is_file() else []
    models = [line.split(":", 1)[1].strip() for line in names if line.startswith("model name")]
    return models[0] if models else platform.processor() or platform.machine()
