"""`posecast benchmark ...`: published protocols."""

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from posecast.cli.parsing import parse
from posecast.computing.devices import Flat
from posecast.evaluation.penn_benchmark import PennPoseBenchmark, run_penn_pose_benchmark


@dataclass(frozen=True)
class BenchmarkPennPose:
    """Forecast poses of Penn Action's test clips by the published protocol, or its clean variant.

    Prints PCK@0.05 at steps 1 to 16 of the last pose, of constant velocity and of pose runs.
    RAW holds labels/0001.mat ...; no frames are needed. Test clips are all there is, so pose runs
    need --final, and remember it.

    Examples:
      posecast benchmark penn-pose Penn_Action --variant A
      posecast benchmark penn-pose Penn_Action --variant E --seen 10 --pose-run runs/pose --final
    """

    raw: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="RAW")]
    """Folder of the data set."""
    config: Flat[PennPoseBenchmark] = PennPoseBenchmark()


def penn_pose(words: list[str], program: str) -> int:
    """`posecast benchmark penn-pose RAW`."""
    asked = parse(BenchmarkPennPose, words, program)
    table = run_penn_pose_benchmark(asked.raw, asked.config, f"{program} {shlex.join(words)}")
    print(table.text())
    return 0
