"""`posecast demo`: a forecast of a real person, then the whole chain on drawn people."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from posecast.cli.parsing import Command
from posecast.demo import run_demo


@dataclass(frozen=True)
class Demo(Command):
    """Forecast a video of a real person; then draw people, train on them, forecast and measure.

    The first page, sample.html, is there within a minute: the weights that ship at work on the
    video that ships. The rest takes about ten minutes on two processor cores; the same command
    again goes on where it stopped. All that it makes lies in the folder; index.html is the page of
    what was trained.

    Examples:
      posecast demo demo
    """

    folder: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="FOLDER")]
    """Folder for the data, the models, the forecasts and the page."""
    workers: int = 2
    """Processes that draw and prepare."""

    def __call__(self) -> None:
        run_demo(self.folder, self.workers)
