"""`posecast report`: evaluations -> a page."""

from dataclasses import dataclass
from pathlib import Path

import tyro

from posecast.cli.parsing import parse
from posecast.computing.devices import Flat
from posecast.errors import PosecastError
from posecast.report import ReportConfig, write_report


@dataclass(frozen=True)
class Report:
    """Make one HTML folder of finished evaluations: tables, curves, clips that play in step.

    It opens from disk without a network, on a phone too, and prints.

    Examples:
      posecast report numbers --out page
      posecast report numbers other-numbers --out page --title "Two evaluations"
    """

    evaluations: tyro.conf.Positional[tuple[Path, ...]]
    """Folders of 'posecast evaluate'."""
    out: Path
    """Folder for the page: index.html and files/."""
    config: Flat[ReportConfig] = ReportConfig()


def report(words: list[str], program: str) -> int:
    """`posecast report EVALUATION ... --out OUT`."""
    asked = parse(Report, words, program)
    if not asked.evaluations:
        raise PosecastError(
            f"{program} needs the folder of an evaluation: {program} NUMBERS --out PAGE"
        )
    print(write_report(asked.evaluations, asked.out, asked.config))
    return 0
