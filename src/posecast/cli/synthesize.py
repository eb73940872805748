"""`posecast synthesize`: the built-in data set."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro

from posecast.cli.parsing import parse
from posecast.datasets.synthetic import SyntheticConfig, write_penn_layout


@dataclass(frozen=True)
class Synthesize:
    """Draw the built-in data set, in the layout of Penn Action, to be prepared like it.

    The same command again goes on where it stopped.

    Examples:
      posecast synthesize data
      posecast synthesize data --num-clips 8 --seed 1
      posecast synthesize data --poses Penn_Action/labels
    """

    out: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="OUT")]
    """Folder for frames and labels."""
    config: Annotated[SyntheticConfig, tyro.conf.arg(name="")] = field(
        default_factory=SyntheticConfig
    )
    workers: int = 1
    """Processes at work."""


def synthesize(words: list[str], program: str) -> int:
    """`posecast synthesize OUT`."""
    asked = parse(Synthesize, words, program)
    done = write_penn_layout(asked.config, asked.out, asked.workers)
    print(f"{asked.out}: {len(done.written)} clips drawn, {len(done.kept)} were there already")
    for clip_id, problem in done.left_out.items():
        print(f"  left out {clip_id}: {problem}")
    return 0
