"""`posecast demo`: the whole chain on drawn people."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from posecast.cli.parsing import parse
from posecast.demo import run_demo


@dataclass(frozen=True)
class Demo:
    """Draw people, train on them, forecast, and write a page with moving pictures.

    Takes about ten minutes on two processor cores; the same command again goes on where it
    stopped. All that it makes lies in the folder, the page is index.html there.

    Examples:
      posecast demo demo
    """

    folder: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="FOLDER")]
    """Folder for the data, the models, the forecasts and the page."""
    workers: int = 2
    """Processes that draw and prepare."""


def demo(words: list[str], program: str) -> int:
    """`posecast demo FOLDER`."""
    asked = parse(Demo, words, program)
    run_demo(asked.folder, asked.workers)
    return 0
