"""Does memory stay flat over a long training? Trains tiny networks and watches the process.

    python -m benchmarks.flat_memory --steps 10000

Exit status 1 where the last fifth of the steps holds over 2 % more memory than the second fifth.
"""

import argparse
import multiprocessing
import tempfile
import time
from pathlib import Path
from statistics import median

import torch

from benchmarks.speed.work import QUICK, write_random_store
from posecast.presets import IMAGE, POSE
from posecast.training.image import train_image
from posecast.training.pose import train_pose

MOST_GROWTH = 0.02


def main() -> None:
    """Train both, print memory over the steps."""
    flags = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    flags.add_argument("--steps", type=int, default=10_000)
    steps = flags.parse_args().steps
    grown = False
    with tempfile.TemporaryDirectory() as folder:
        store = Path(folder) / "store"
        write_random_store(store, QUICK)
        for train in (_train_pose, _train_image):
            run = Path(folder) / train.__name__
            samples = _watch(train, store, run, steps)
            fifths = [
                median(size for step, size in samples if k * steps <= 5 * step <= (k + 1) * steps)
                for k in range(5)
            ]
            growth = fifths[4] / fifths[1] - 1
            grown |= growth > MOST_GROWTH
            shown = ", ".join(f"{size / 2**20:.1f}" for size in fifths)
            name = train.__name__.removeprefix("_").replace("_", " ")
            print(f"{name}: {steps} steps, MiB in each fifth of them: {shown} ({growth:+.2%})")
    raise SystemExit(1 if grown else 0)


def _train_pose(store: Path, run: Path, steps: int) -> None:
    torch.set_num_threads(1)
    train_pose(POSE["tiny"].but(steps=steps, validate_every=0, **_RARELY), store, run)


def _train_image(store: Path, run: Path, steps: int) -> None:
    torch.set_num_threads(1)
    config = IMAGE["tiny"].but(steps=steps, validate_every=0, sample_every=500, **_RARELY)
    train_image(config, store, run)


_RARELY = {"checkpoint_every": 500, "log_every": 10}


def _watch(train, store: Path, run: Path, steps: int) -> list[tuple[int, int]]:
    """(step, bytes held) twice a second until the training ends."""
    process = multiprocessing.get_context("spawn").Process(target=train, args=(store, run, steps))
    process.start()
    samples = []
    metrics = run / "metrics.jsonl"
    while process.is_alive():
        time.sleep(0.5)
        if metrics.is_file() and (size := _held(process.pid)):
            samples.append((10 * metrics.read_bytes().count(b"\n"), size))
    if process.exitcode != 0:
        raise RuntimeError(f"{train.__name__} ended with status {process.exitcode}")
    return samples


def _held(pid: int | None) -> int:
    """Bytes of memory of a process; 0 where it has ended."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    sizes = [int(line.split()[1]) for line in lines if line.startswith("VmRSS:")]
    return sizes[0] * 1024 if sizes else 0


if __name__ == "__main__":
    main()
