"""`posecast bench`: speed on this machine beside the machine's own limits."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro

from posecast.bench.results import Results, compare, describe
from posecast.bench.run import BenchConfig, run_bench
from posecast.cli.parsing import parse


@dataclass(frozen=True)
class Bench:
    """Measure how fast the main works are, and which share of the machine's ceiling that is.

    Takes a few minutes at the paper's sizes. The ceilings (matrix product, convolution, copying
    memory) are measured in the same run; the floor of a work is what its products or its bytes
    would take at the ceiling. Leave the machine alone meanwhile.

    Examples:
      posecast bench
      posecast bench --out now.json --precisions bf16
      posecast bench --compare before.json now.json
    """

    out: Path | None = None
    """File for the results, as JSON."""
    compare: tuple[Path, Path] | None = None
    """Measure nothing, show two files of results side by side."""
    config: Annotated[BenchConfig, tyro.conf.arg(name="")] = field(default_factory=BenchConfig)


def bench(words: list[str], program: str) -> int:
    """`posecast bench`."""
    asked = parse(Bench, words, program)
    if asked.compare is not None:
        first, second = (Results.read(path) for path in asked.compare)
        print(compare(first, second))
        return 0
    results = run_bench(asked.config)
    print(describe(results))
    if asked.out is not None:
        results.write(asked.out)
    return 0
