"""Measure speed beside the machine's own limits: `python -m benchmarks.speed --help`."""

import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro

from benchmarks.speed.results import Results, compare, describe
from benchmarks.speed.run import BenchConfig, run_bench
from posecast.cli.parsing import parse
from posecast.errors import PosecastError


@dataclass(frozen=True)
class Speed:
    """Measure how fast the main works are, and which share of the machine's ceiling that is.

    Takes a few minutes at the paper's sizes. The ceilings (matrix product, convolution, copying
    memory) are measured in the same run; the floor of a work is what its products or its bytes
    would take at the ceiling. Leave the machine alone meanwhile.

    Examples:
      python -m benchmarks.speed
      python -m benchmarks.speed --out now.json --precisions bf16
      python -m benchmarks.speed --compare before.json now.json
    """

    out: Path | None = None
    """File for the results, as JSON."""
    compare: tuple[Path, Path] | None = None
    """Measure nothing, show two files of results side by side."""
    config: Annotated[BenchConfig, tyro.conf.arg(name="")] = field(default_factory=BenchConfig)


def main(words: list[str]) -> int:
    """Measure, or compare two files; the exit status."""
    asked = parse(Speed, words, "python -m benchmarks.speed")
    if asked.compare is not None:
        first, second = (Results.read(path) for path in asked.compare)
        print(compare(first, second))
        return 0
    results = run_bench(asked.config)
    print(describe(results))
    if asked.out is not None:
        results.write(asked.out)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except PosecastError as error:
        sys.exit(f"error: {error}")
