"""`posecast prepare ...`: a data set -> a store. One function and one row of COMMANDS each."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro

from posecast.cli.parsing import parse
from posecast.clips import ClipSource
from posecast.datasets.penn_action import PennAction
from posecast.preparation import PreparationConfig, prepare


@dataclass(frozen=True)
class PreparePennAction:
    """Make a store of Penn Action: one crop a clip, cut out, resized, with its poses.

    RAW holds labels/0001.mat ... and, for clips with pictures, frames/0001/000001.jpg ...; labels
    without frames give clips with poses only. The same command again goes on where it stopped.
    The default crop is the paper's: it looks at the boxes of the whole clip, so it knows something
    of the future; --crop seen looks at the first frames alone.

    Examples:
      posecast prepare penn-action Penn_Action store
      posecast prepare penn-action Penn_Action small --clips 0050 0280 --size 64
    """

    raw: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="RAW")]
    """Folder of the data set."""
    store: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="STORE")]
    """Folder for the store."""
    config: Annotated[PreparationConfig, tyro.conf.arg(name="")] = field(
        default_factory=PreparationConfig
    )


def prepare_penn_action(words: list[str], program: str) -> int:
    """`posecast prepare penn-action RAW STORE`."""
    asked = parse(PreparePennAction, words, program)
    return _prepare(PennAction(asked.raw), asked.store, asked.config)


def _prepare(source: ClipSource, store: Path, config: PreparationConfig) -> int:
    report = prepare(source, store, config)
    print(report.summary())
    return 1 if report.failed else 0
