"""`posecast study make` and `posecast study read`: people say which forecast they prefer."""

from dataclasses import dataclass
from pathlib import Path

import tyro

from posecast.cli.parsing import Command
from posecast.computing.devices import Flat
from posecast.errors import PosecastError
from posecast.report.study import StudyConfig, make_study
from posecast.report.study_answers import read_study


@dataclass(frozen=True)
class Make(Command):
    """Make a page on which people say which of two continuations of a clip they prefer.

    Forecasts against the baselines of their evaluation and against other forecasts, sides shuffled,
    with attention checks. Give raters STUDY/page (a folder, it needs no server); keep
    STUDY/key.json, which says which side is what.

    Examples:
      posecast evaluate ... --random-examples 30 --out numbers
      posecast study make numbers --out study
      posecast study make numbers other-numbers --out study --against "last frame" --truth
    """

    evaluations: tyro.conf.Positional[tuple[Path, ...]]
    """Folders of 'posecast evaluate'."""
    out: Path
    """Folder for the study."""
    config: Flat[StudyConfig] = StudyConfig()

    def __call__(self) -> None:
        if not self.evaluations:
            raise PosecastError(
                "posecast study make needs the folder of an evaluation: posecast study make "
                "NUMBERS --out STUDY"
            )
        print(make_study(self.evaluations, self.out, self.config))


@dataclass(frozen=True)
class Read(Command):
    """Say what raters preferred: rates with intervals by action, and how far raters agree.

    Examples:
      posecast study read study answers-*.json
    """

    study: tyro.conf.Positional[Path]
    """Folder of 'posecast study make'."""
    answers: tyro.conf.Positional[tuple[Path, ...]]
    """Files that the page saved, one a rater."""
    least_checks: float = 0.8
    """Share of the attention checks that a rater must have got right to count."""

    def __call__(self) -> None:
        if not self.answers:
            raise PosecastError(
                "posecast study read needs the files of raters: posecast study read STUDY "
                "ANSWERS.json"
            )
        print(read_study(self.study, self.answers, self.least_checks).summary())
