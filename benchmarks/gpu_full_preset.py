"""Time the paper's full presets on a GPU: image and pose training, several batch sizes.

    python -m benchmarks.gpu_full_preset --out gpu.json

For each batch size: samples a second, share of the card's bf16 ceiling (measured in the same run),
peak memory, and hours for the paper's whole schedule. Batches are read from a store on disk as in
training; the feature networks have random weights, which cost what the real ones do. At batch
sizes above the paper's, "hours" are those of as many samples.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from benchmarks.speed import work
from benchmarks.speed.ceilings import Ceilings, measure_ceilings
from benchmarks.speed.measuring import count_flop, peak_memory_of
from posecast.presets import IMAGE, POSE
from posecast.records.files import write_json
from posecast.records.versions import code_versions
from posecast.skeletons import PENN_ACTION
from posecast.training.image_inputs import image_tensors
from posecast.windows import ImagePairs, ImagePairSampler


@dataclass(frozen=True)
class Speed:
    """One network at one batch size."""

    network: str
    precision: str
    batch_size: int
    steps: int
    seconds_a_step: float
    samples_a_second: float
    share_of_ceiling: float
    peak_memory_gib: float
    hours_for_schedule: float

    def __str__(self) -> str:
        return (
            f"{self.network:<6} {self.precision} batch {self.batch_size:>4}: "
            f"{1e3 * self.seconds_a_step:8.1f} ms a step, {self.samples_a_second:8.1f} samples/s, "
            f"{self.share_of_ceiling:5.1%} of the ceiling, {self.peak_memory_gib:5.2f} GiB, "
            f"{self.hours_for_schedule:6.2f} h for the schedule"
        )


def main() -> None:
    """Time all, print and write."""
    flags = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    flags.add_argument("--device", default="cuda", choices=("cuda", "cpu"))
    flags.add_argument("--steps", type=int, default=200)
    flags.add_argument("--image-batches", type=int, nargs="*", default=[8, 32, 128])
    flags.add_argument("--pose-batches", type=int, nargs="*", default=[256, 2048])
    flags.add_argument("--precisions", nargs="+", default=["bf16", "fp32"])
    flags.add_argument("--quick", action="store_true", help="tiny sizes, to try the script")
    flags.add_argument("--out", type=Path, default=None)
    asked = flags.parse_args()
    if asked.device == "cuda" and not torch.cuda.is_available():
        flags.error("no CUDA device here; --device cpu --quick --steps 2 tries the script")
    device = torch.device(asked.device)
    sizes = work.QUICK if asked.quick else work.Sizes()
    ceilings = measure_ceilings(device, 256 if asked.quick else 8192, 0.0 if asked.quick else 1.0)
    name = torch.cuda.get_device_name() if device.type == "cuda" else "cpu"
    print(f"{name}: {ceilings}")
    speeds = []
    for precision in asked.precisions:
        for batch in asked.image_batches:
            speeds.append(_image(sizes, batch, precision, asked.steps, device, ceilings))
            print(speeds[-1], flush=True)
        for batch in asked.pose_batches:
            speeds.append(_pose(sizes, batch, precision, asked.steps, device, ceilings))
            print(speeds[-1], flush=True)
    if asked.out:
        facts = {"device": name, "ceilings": vars(ceilings), "versions": code_versions()}
        write_json(asked.out, facts | {"speeds": [vars(speed) for speed in speeds]})


def _image(
    sizes: work.Sizes,
    batch: int,
    precision: str,
    steps: int,
    device: torch.device,
    ceilings: Ceilings,
) -> Speed:
    sizes = replace(sizes, image_batch=batch)
    iteration, config = work.image_iteration(sizes, precision, device)
    with tempfile.TemporaryDirectory() as folder:
        store = work.write_random_store(Path(folder) / "store", sizes)
        sampler = ImagePairSampler(store, store.clips, ImagePairs(), batch)
        numbers = iter(range(10**9))

        def step() -> object:
            read = sampler.batch(0, next(numbers)).to(device)
            return iteration(image_tensors(read, PENN_ACTION, config.sigma_px))

        flop = count_flop(step)
        samples = IMAGE["penn-action"].fit.steps * IMAGE["penn-action"].fit.batch_size
        speed = _time(step, steps, device)
        return _speed("image", precision, batch, steps, speed, flop, samples, ceilings)


def _pose(
    sizes: work.Sizes,
    batch: int,
    precision: str,
    steps: int,
    device: torch.device,
    ceilings: Ceilings,
) -> Speed:
    sizes = replace(sizes, pose_batch=batch)
    flop = work.lstm_flop(sizes, sizes.num_past + sizes.num_future, batch, training=True)
    samples = POSE["penn-action"].fit.steps * POSE["penn-action"].fit.batch_size
    speed = _time(work.pose_training(sizes, precision, device), steps, device)
    return _speed("pose", precision, batch, steps, speed, flop, samples, ceilings)


def _time(step: Callable[[], object], steps: int, device: torch.device) -> tuple[float, float]:
    """Seconds a step, all steps in one stretch, and bytes at the peak; ten steps warm up."""
    for _ in range(min(10, steps)):
        step()

    def all_steps() -> None:
        for _ in range(steps):
            step()
        if device.type == "cuda":
            torch.cuda.synchronize()

    if device.type == "cpu":
        begin = time.perf_counter()
        all_steps()
        return (time.perf_counter() - begin) / steps, 0
    torch.cuda.synchronize()
    begin = time.perf_counter()
    peak = peak_memory_of(all_steps, device)
    return (time.perf_counter() - begin) / steps, peak


def _speed(
    network: str,
    precision: str,
    batch: int,
    steps: int,
    measured: tuple[float, float],
    flop: int,
    samples: int,
    ceilings: Ceilings,
) -> Speed:
    seconds, peak = measured
    return Speed(
        network,
        precision,
        batch,
        steps,
        seconds,
        batch / seconds,
        flop / ceilings.flops(precision) / seconds,
        peak / 2**30,
        samples / batch * seconds / 3600,
    )


if __name__ == "__main__":
    main()
