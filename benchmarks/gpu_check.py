"""All that is to be known of a GPU in one go: tests, speed beside its limits, real trainings.

    python -m benchmarks.gpu_check --out gpu.json

Needs nothing but this repository and takes eight minutes at most. Each part is a process of its own
with a time limit, so that one that hangs costs no more than that; what was measured is in the file
after every part. Feature networks have random weights, which cost what the real ones do.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch.profiler import ProfilerActivity, profile

from benchmarks import markdown
from benchmarks.speed import work
from benchmarks.speed.ceilings import Ceilings, measure_ceilings
from benchmarks.speed.map_passes import pass_speeds
from benchmarks.speed.measuring import count_flop, time_work
from benchmarks.speed.real_trainings import real_trainings
from posecast.computing.compilation import Compile
from posecast.records.files import write_json
from posecast.records.versions import code_versions

ROOT = Path(__file__).resolve().parents[1]


class Part(NamedTuple):
    """A process of its own."""

    name: str
    seconds: float
    """After which it is stopped."""


PARTS = (
    Part("image", 100),
    Part("tests", 120),
    Part("kernels", 40),
    Part("passes", 60),
    Part("trainings", 160),
    Part("pose", 40),
    Part("forecast", 40),
    Part("compiled", 180),
)
"""What is least known first, which also compiles the kernels for the others; the last ones only
where there is time left for them."""
_FOUND = "found: "
"""What was measured is told in lines that begin so."""


def main() -> None:
    """All parts, or one of them in this process."""
    flags = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    flags.add_argument("--out", type=Path, default=Path("gpu.json"))
    names = [part.name for part in PARTS]
    flags.add_argument("--parts", nargs="+", choices=names, default=names)
    flags.add_argument("--seconds", type=float, default=480, help="for all parts together")
    flags.add_argument(
        "--toy", action="store_true", help="tiny sizes on the CPU, to try the script"
    )
    flags.add_argument("--alone", action="store_true", help=argparse.SUPPRESS)
    asked = flags.parse_args()
    device = torch.device("cpu" if asked.toy else "cuda")
    if not asked.toy and not torch.cuda.is_available():
        flags.error("no CUDA device here; --toy tries the script on a processor")
    if asked.alone:
        for found in DOERS[asked.parts[0]](device, asked.toy):
            print(_FOUND + json.dumps(found), flush=True)
        return
    begin, results = time.monotonic(), _facts(device, asked.toy)
    for part in PARTS:
        left = asked.seconds - (time.monotonic() - begin)
        if part.name in asked.parts and (asked.toy or left > part.seconds / 3):
            limit = 600 if asked.toy else min(part.seconds, left)
            results["parts"][part.name] = _run(part, limit, asked.toy)
            write_json(asked.out, results)
    print(describe(results), flush=True)


def _facts(device: torch.device, toy: bool) -> dict[str, Any]:
    ceilings = measure_ceilings(device, 256 if toy else 8192, 0.0 if toy else 0.5)
    name = "a processor" if toy else torch.cuda.get_device_name()
    print(f"{name}: {ceilings}", flush=True)
    return {"device": name, "ceilings": asdict(ceilings), "versions": code_versions(), "parts": {}}


def _run(part: Part, seconds: float, toy: bool) -> dict[str, Any]:
    """What a part said before it ended or was stopped."""
    begin, found = time.monotonic(), []
    command = [sys.executable, "-m", "benchmarks.gpu_check", "--alone", "--parts", part.name]
    process = subprocess.Popen(
        [*command, *(["--toy"] if toy else [])],
        cwd=ROOT,
        env=_environment(),
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    timer = threading.Timer(seconds, os.killpg, (process.pid, signal.SIGKILL))
    timer.start()
    for line in process.stdout or ():
        print(f"{part.name}: {line}", end="", flush=True)
        if line.startswith(_FOUND):
            found.append(json.loads(line.removeprefix(_FOUND)))
    status = process.wait()
    timer.cancel()
    return {"status": status, "seconds": time.monotonic() - begin, "found": found}


def _environment() -> dict[str, str]:
    path = os.pathsep.join([str(ROOT / "src"), str(ROOT), os.environ.get("PYTHONPATH", "")])
    return {**os.environ, "PYTHONPATH": path, "PYTHONUNBUFFERED": "1"}


# --- speed of works ---------------------------------------------------------------------------

Found = Iterator[dict[str, Any]]


def _image(device: torch.device, toy: bool) -> Found:
    rows: tuple[tuple[Compile, str, int], ...] = (
        *(("auto", "bf16", 8), ("auto", "bf16", 64), ("off", "bf16", 8)),
        *(("auto", "fp32", 8), ("auto", "fp32", 64)),
    )
    for how, precision, batch in rows:
        yield _image_speed(device, toy, how, precision, batch)


def _compiled(device: torch.device, toy: bool) -> Found:
    if not toy:  # a processor would take minutes
        yield _image_speed(device, toy, "on", "bf16", 64)
        yield _image_speed(device, toy, "on", "bf16", 8)


def _image_speed(
    device: torch.device, toy: bool, how: Compile, precision: str, batch: int
) -> dict[str, Any]:
    sizes = replace(_sizes(toy), image_batch=2 if toy else batch, compile=how)
    step = work.image_training(sizes, precision, device)
    facts = {"work": "image iteration", "batch": sizes.image_batch}
    return _speed(step, device, how, precision) | facts


def _kernels(device: torch.device, toy: bool) -> Found:
    """What an image iteration spends its time in."""
    kind = ProfilerActivity.CPU if toy else ProfilerActivity.CUDA
    for batch in (8, 64):
        sizes = replace(_sizes(toy), image_batch=2 if toy else batch)
        step = work.image_training(sizes, "bf16", device)
        time_work(step, device, 1, 0.0)
        with profile(activities=[kind]) as seen:
            step()
            if not toy:
                torch.cuda.synchronize()
        rows = [(r.self_device_time_total / 1e3, r.count, r.key) for r in seen.key_averages()]
        rows.sort(reverse=True)
        total, count = sum(row[0] for row in rows), sum(row[1] for row in rows)
        yield {"batch": batch, "milliseconds": total, "count": count, "longest": rows[:40]}


def _passes(device: torch.device, toy: bool) -> Found:
    yield from pass_speeds(device, (8, 64))


def _pose(device: torch.device, toy: bool) -> Found:
    rows: tuple[tuple[Compile, str, int], ...] = (
        *(("auto", "bf16", 256), ("off", "bf16", 256)),
        *(("auto", "fp32", 256), ("auto", "bf16", 2048)),
    )
    for how, precision, batch in rows:
        sizes = replace(_sizes(toy), pose_batch=4 if toy else batch, compile=how)
        step = work.pose_training(sizes, precision, device)
        frames = sizes.num_past + sizes.num_future
        flop = work.lstm_flop(sizes, frames, sizes.pose_batch, training=True)
        facts = {"work": "LSTM step", "batch": sizes.pose_batch}
        yield _speed(step, device, how, precision, flop) | facts


def _forecast(device: torch.device, toy: bool) -> Found:
    one = count_flop(work.forecasting(_sizes(toy), 1, "bf16", device))
    rows: tuple[tuple[Compile, int], ...] = (("auto", 1), ("off", 1), ("auto", 64))
    for how, clips in rows:
        sizes = replace(_sizes(toy), compile=how)
        clips = min(clips, sizes.clips) if toy else clips
        step = work.forecasting(sizes, clips, "bf16", device)
        facts = {"work": f"forecast of {sizes.steps} frames", "batch": clips}
        yield _speed(step, device, how, "bf16", clips * one) | facts


def _sizes(toy: bool) -> work.Sizes:
    return work.QUICK if toy else work.Sizes()


def _speed(
    step: Callable[[], object], device: torch.device, how: Compile, precision: str, flop: int = 0
) -> dict[str, Any]:
    """Milliseconds, products (counted where they are not given), memory."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
    begin = time.perf_counter()
    flop = flop or count_flop(step)  # of the first call, which is a plain one
    time_work(step, device, 3, 0.0)
    first_s = time.perf_counter() - begin
    timing = time_work(step, device, 3, 0.0 if device.type == "cpu" else 1.0)
    peak = torch.cuda.max_memory_allocated() if device.type == "cuda" else 0
    return {
        "compile": how,
        "precision": precision,
        "milliseconds": 1e3 * timing.seconds,
        "fastest_ms": 1e3 * timing.fastest,
        "flop": flop,
        "peak_gib": peak / 2**30,
        "first_seconds": first_s,
    }


# --- tests ------------------------------------------------------------------------------------


def _tests(device: torch.device, toy: bool) -> Found:
    """All that are marked `gpu`; as a toy they are only collected."""
    told = ["--collect-only"] if toy else ["-n", "8"]
    files = [str(p) for p in ROOT.glob("tests/**/test_*.py") if "mark.gpu" in p.read_text()]
    command = [sys.executable, "-m", "pytest", "-m", "gpu", "-W", "ignore", "--tb=short"]
    command += ["-vv", "-rf", "--show-capture=no"]
    command += [*files[: 1 if toy else None], *told]
    begin, said = time.monotonic(), []
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    process = subprocess.Popen(command, cwd=ROOT, env=_environment(), text=True, **pipes)
    for line in process.stdout or ():  # as they come: the part may be stopped before its end
        print(line, end="", flush=True)
        said.append(line.rstrip())
    yield {
        "seconds": time.monotonic() - begin,
        "status": process.wait(),
        "end": said[-1].strip("= ") if said else "",
        "failed": [line for line in said if line.startswith("FAILED")],
    }


def _trainings(device: torch.device, toy: bool) -> Found:
    yield from real_trainings(device, toy, _environment())


DOERS: dict[str, Callable[[torch.device, bool], Found]] = {
    "image": _image,
    "pose": _pose,
    "forecast": _forecast,
    "tests": _tests,
    "trainings": _trainings,
    "compiled": _compiled,
    "kernels": _kernels,
    "passes": _passes,
}


# --- tables -----------------------------------------------------------------------------------


def describe(results: dict[str, Any]) -> str:
    """Tables as they stand in docs/performance.md."""
    ceilings = Ceilings(**results["ceilings"])
    parts = results["parts"]
    lines = [f"{results['device']}; commit {results['versions']['git_commit']}", ""]
    lines += [f"- {name}: {rates}" for name, rates in results["ceilings"].items()]
    columns = ("work", "batch", "precision", "compile", "ms", "of ceiling", "memory", "ready after")
    lines += ["", markdown.head(*columns)]
    for name in ("image", "compiled", "pose", "forecast"):
        lines += [_row(each, ceilings) for each in parts.get(name, {}).get("found", [])]
    lines += ["", markdown.head("training", "steps a second", "first logged after")]
    for each in parts.get("trainings", {}).get("found", []):
        rate, start = each.get("steps_a_second"), each["started_s"]
        numbers = "failed | -" if rate is None else f"{rate:.1f} | {start:.0f} s"
        lines.append(f"| {each['training']} | {numbers} |")
    lines += ["", *(f"tests: {each['end']}" for each in parts.get("tests", {}).get("found", []))]
    stopped = [name for name, part in parts.items() if part["status"]]
    lines += [f"ended early: {', '.join(stopped)}"] if stopped else []
    return "\n".join(lines)


def _row(found: dict[str, Any], ceilings: Ceilings) -> str:
    share = found["flop"] / ceilings.flops(found["precision"]) / (found["milliseconds"] / 1e3)
    return (
        f"| {found['work']} | {found['batch']} | {found['precision']} | {found['compile']} | "
        f"{found['milliseconds']:.1f} | {share:.1%} | {found['peak_gib']:.1f} GiB | "
        f"{found['first_seconds']:.0f} s |"
    )


if __name__ == "__main__":
    main()
