"""Real trainings of presets, each in a process of its own for a few seconds: steps a second."""

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from benchmarks.speed import work
from benchmarks.speed.features import write_random_features

BF16 = ("--precision", "bf16-mixed")
PAPER = ["image", "penn-action", *BF16, "--sample-every", "0"]
PAPER += ["--alexnet-file", "bvlc_alexnet.npy", "--hourglass-folder", "."]
TRAININGS = {
    "image penn-action, batch 8": PAPER,
    "image penn-action, batch 64": [*PAPER, "--batch-size", "64", "--learning-rate", "2.8e-4"],
    "pose penn-action-plus": ["pose", "penn-action-plus"],
    "motion penn-action-best": ["motion", "penn-action-best"],
    "pose penn-action": ["pose", "penn-action", *BF16],
    "estimator penn-action": ["estimator", "penn-action"],
    "image penn-action-plus": ["image", "penn-action-plus", "--sample-every", "0"],
}
"""Title -> words of `posecast train`. Eight times the batch goes with the root of eight times the
learning rate."""
TOY_TRAININGS = {"pose tiny": ["pose", "tiny"], "image tiny": ["image", "tiny"]}
_MEASURED_S, _LONGEST_S = 4.0, 40.0
_LOG_EVERY = 20


def real_trainings(
    device: torch.device, toy: bool, environment: dict[str, str]
) -> Iterator[dict[str, Any]]:
    """Of each its title and what it came to."""
    with tempfile.TemporaryDirectory() as name:
        folder, sizes = Path(name), work.QUICK if toy else work.Sizes()
        if not toy:
            write_random_features(folder)
        work.write_random_store(folder / "store", replace(sizes, clips=24))
        for number, (title, words) in enumerate((TOY_TRAININGS if toy else TRAININGS).items()):
            told = ["--store", "store", "--device", device.type, "--run", f"run{number}"]
            yield {"training": title} | _train(
                [*words, *told], folder, f"run{number}", toy, environment
            )


def _train(
    words: list[str], folder: Path, run: str, toy: bool, environment: dict[str, str]
) -> dict[str, Any]:
    """A real training for a few seconds; steps a second once it is going."""
    quiet = ["--validate-every", "0", "--checkpoint-every", "1000000", "--log-every"]
    told = [*quiet, str(_LOG_EVERY), "--steps", "60" if toy else "1000000"]
    begin = time.monotonic()
    command = [sys.executable, "-m", "posecast", "train", *words, *told]
    with (folder / "log.txt").open("w+") as log:
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log)
        seen = _watch(process, folder / run / "metrics.jsonl", 300.0 if toy else _LONGEST_S)
        process.terminate()
        try:
            status = process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            status = process.wait()
        log.seek(0)
        said = log.read()[-1500:]
    facts = {"status": status, "started_s": seen[0][0] - begin if seen else None}
    if len(seen) < 3:
        return facts | {"said": said}
    (first_s, first), (last_s, last) = seen[1], seen[-1]
    return facts | {"steps_a_second": (last - first) / (last_s - first_s), "steps": last}


def _watch(
    process: "subprocess.Popen[bytes]", metrics: Path, longest_s: float
) -> list[tuple[float, int]]:
    """When how many steps had been made; until it ends, has gone for long enough, or takes too
    long."""
    seen: list[tuple[float, int]] = []
    end = time.monotonic() + longest_s
    while process.poll() is None and time.monotonic() < end:
        time.sleep(0.01)
        made = _LOG_EVERY * metrics.read_bytes().count(b"\n") if metrics.is_file() else 0
        if made > (seen[-1][1] if seen else 0):
            seen.append((time.monotonic(), made))
        if len(seen) == 3:
            end = min(end, max(seen[0][0] + _MEASURED_S, time.monotonic()))
    return seen
