"""The benchmark's own arithmetic, and that all of it runs."""

import dataclasses
import subprocess
import sys
import time

import pytest
import torch
from torch import nn

from benchmarks.speed.__main__ import main
from benchmarks.speed.ceilings import Ceilings
from benchmarks.speed.features import random_feature_networks
from benchmarks.speed.measuring import Timing, count_flop, peak_memory_of, time_work
from benchmarks.speed.results import Results, Row, compare, describe
from benchmarks.speed.run import BenchConfig, run_bench
from benchmarks.speed.work import Sizes, lstm_flop

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def results() -> Results:
    return run_bench(BenchConfig("cpu", quick=True, memory=False))


def test_timing_counts_the_work_and_not_the_warming_up() -> None:
    calls = []
    timing = time_work(lambda: (calls.append(0), time.sleep(0.01)), CPU, 3, 0.0)
    assert len(calls) == 4
    assert timing.repeats == 3
    assert 0.01 <= timing.fastest <= timing.seconds <= timing.slowest
    assert time_work(lambda: time.sleep(0.01), CPU, 1, 0.05).repeats > 1


def test_products_are_counted() -> None:
    images = torch.ones(2, 3, 8, 8)
    layer = nn.Conv2d(3, 5, 3, padding=1)
    assert count_flop(lambda: layer(images)) == 2 * 9 * 3 * 5 * 2 * 8 * 8
    with torch.library._scoped_library("aten", "IMPL") as library:
        library.impl("cudnn_convolution_relu", lambda x, *_: layer(x).relu(), "CPU")
        told = (images, layer.weight, layer.bias, (1, 1), (1, 1), (1, 1), 1)
        joined = count_flop(lambda: torch.cudnn_convolution_relu(*told))
    assert joined == 2 * 9 * 3 * 5 * 2 * 8 * 8
    # 2017: 42 frames, batch 256, 1024 units: 93 GFLOP forward, three times that in training
    assert lstm_flop(Sizes(), 42, 256, training=True) == 3 * 2 * 42 * 256 * 1056 * 4096


def test_peak_memory_is_that_of_the_work() -> None:
    small = peak_memory_of(_take_little, CPU)
    assert peak_memory_of(_take_much, CPU) - small == pytest.approx(300 * 2**20, rel=0.2)


def _take_little() -> None:
    torch.ones(2**10)


def _take_much() -> None:
    torch.ones(75 * 2**20)


def test_random_networks_fit_the_real_ones() -> None:
    networks = random_feature_networks()
    features = networks.alexnet(torch.rand(1, 3, 32, 32))
    assert features.isfinite().all()


def test_every_work_is_measured(results: Results) -> None:
    names = {row.name.split(" ")[0] for row in results.rows}
    assert names == {"reading", "its", "LSTM", "image", "forecasting"}
    assert {row.precision for row in results.rows} == {"fp32", "bf16"}
    for row in results.rows:
        assert row.timing.seconds > 0
        assert row.floor_s > 0


def test_results_survive_the_file_and_are_shown(results: Results, tmp_path) -> None:
    path = tmp_path / "now.json"
    results.write(path)
    assert Results.read(path) == results
    shown = describe(results)
    assert all(row.key in shown for row in results.rows)
    path.write_text('{"device": "x"}')
    with pytest.raises(ValueError, match="num_threads"):
        Results.read(path)


def test_comparison_says_how_many_times(tmp_path, capsys) -> None:
    rates = Ceilings({"fp32": 1e12}, {"fp32": 2e12}, 1e9)
    row = Row("draw", "fp32", Timing(2.0, 2.0, 2.0, 1), "clip", flop=10**12, floor_s=0.5)
    first = Results("a", 2, rates, (row,), {"fp32": 2**30}, (0.0, 0.0))
    faster = dataclasses.replace(row, timing=Timing(1.0, 1.0, 1.0, 1))
    second = dataclasses.replace(first, rows=(faster,), device="b")
    assert (row.share, faster.share) == (0.25, 0.5)
    text = compare(first, second)
    assert "0.50" in text
    assert "25% 50%" in text
    assert "Not the same machine" in text
    first.write(tmp_path / "a.json")
    second.write(tmp_path / "b.json")
    assert main(["--compare", str(tmp_path / "a.json"), str(tmp_path / "b.json")]) == 0
    assert capsys.readouterr().out.strip() == text.strip()


def test_ceilings_are_the_higher_ones() -> None:
    low = Ceilings({"fp32": 1.0}, {"fp32": 5.0}, 3.0)
    high = Ceilings({"fp32": 2.0}, {"fp32": 4.0}, 2.0)
    best = low.at_least(high)
    assert (best.flops("fp32"), best.matrix_product["fp32"], best.copy) == (5.0, 2.0, 3.0)


def test_wrong_settings_are_refused() -> None:
    with pytest.raises(ValueError, match="repeats"):
        BenchConfig(repeats=0)
    if not torch.cuda.is_available():
        with pytest.raises(ValueError, match="no cuda device found"):
            main(["--device", "cuda"])


RESIDENT = """
import sys, torch
from pathlib import Path
from posecast.computing.memory import keep_freed_memory
kept = sys.argv[1] == "keep" and keep_freed_memory()
resident = lambda: int(Path("/proc/self/statm").read_text().split()[1]) // 256
before = resident()
torch.ones(2**26)
print(int(kept), resident() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_freed_memory_stays_with_the_process() -> None:
    """Of 256 MiB that were freed, all are still there; without the call none."""

    def left(word: str) -> tuple[int, int]:
        command = [sys.executable, "-c", RESIDENT, word]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        kept, mebibytes = (int(word) for word in done.stdout.split())
        return kept, mebibytes

    kept, still_there = left("keep")
    if not kept:
        pytest.skip("this C library has no mallopt")
    assert still_there == pytest.approx(256, abs=30)
    assert left("leave")[1] < 30
