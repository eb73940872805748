"""Forecasts from worse and worse seen poses: `python -m benchmarks.robustness --help`."""

import shlex
import sys
from dataclasses import dataclass
from pathlib import Path

from benchmarks.robustness.study import RobustnessConfig, study_robustness
from posecast.cli.parsing import parse
from posecast.computing.devices import Device, Flat, ForecasterOptions
from posecast.errors import PosecastError
from posecast.evaluation.guard import without_record_text
from posecast.evaluation.setup import MethodChoice, load_methods
from posecast.store.reading import Store


@dataclass(frozen=True)
class Robustness:
    """Study how forecasts of poses suffer from noise, missing joints, swapped sides, lost frames.

    Writes OUT/robustness.csv and OUT/robustness.md, and prints the latter. The last pose and
    constant velocity stand beside the pose runs. Test clips need --final.

    Examples:
      python -m benchmarks.robustness --store store --pose-run runs/pose --out robustness
      python -m benchmarks.robustness --store store --pose-run runs/clean runs/noisy \\
        --estimated --out compared
    """

    store: Path
    """Prepared store; its labels are what is made worse."""
    out: Path
    """Folder for the tables."""
    pose_run: tuple[Path, ...] = ()
    """Runs of 'posecast train pose' or 'train motion', or shipped weights by name; each under its
    folder's name."""
    device: Device = "auto"
    """Where to compute; auto takes a GPU where there is one."""
    config: Flat[RobustnessConfig] = RobustnessConfig()


def main(words: list[str]) -> int:
    """Run the study; returns the exit status."""
    program = "python -m benchmarks.robustness"
    asked = parse(Robustness, words, program)
    store = Store.open(asked.store)
    choice = MethodChoice(
        pose_run=asked.pose_run,
        baselines=("last-pose", "constant-velocity"),
        run_on=ForecasterOptions(asked.device),
    )
    command = f"{program} {shlex.join(words)}"
    report = study_robustness(load_methods(choice, store), store, asked.out, asked.config, command)
    print(report.tables)
    if report.trained_on:
        print(f"{len(report.trained_on)} of the clips were trained on: not a fair test.")
    for run in report.without_record:
        print(without_record_text(run))
    for problem in list(report.left_out.values())[:20]:
        print(f"  left out: {problem}")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except PosecastError as error:
        sys.exit(f"{error}")
