"""`posecast synthesize`: the built-in data set, and drawn videos for the poses of another."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from posecast.cli.parsing import parse
from posecast.computing.devices import Flat
from posecast.datasets.drawn.clips import DrawnSet, SyntheticConfig
from posecast.datasets.drawn.human36m import DrawnVideosConfig, draw_human36m
from posecast.datasets.drawn.people import write_penn_layout


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
    config: Flat[SyntheticConfig] = SyntheticConfig()
    workers: int = 1
    """Processes at work."""


def synthesize(words: list[str], program: str) -> int:
    """`posecast synthesize OUT`."""
    asked = parse(Synthesize, words, program)
    done = write_penn_layout(asked.config, asked.out, asked.workers)
    return _tell(asked.out, done, "clips")


def _tell(out: Path, done: DrawnSet, what: str) -> int:
    print(f"{out}: {len(done.drawn)} {what} drawn, {len(done.kept)} were there already")
    for clip_id, problem in done.left_out.items():
        print(f"  left out {clip_id}: {problem}")
    return 0


@dataclass(frozen=True)
class SynthesizeHuman36M:
    """Draw the videos of Human3.6M from its poses, where the real ones cannot be had.

    OUT becomes a folder like RAW with a drawn video for every pose file (1000 x 1002 pixels, 50
    frames a second; about a minute of work for a thousand frames) and a copy of the pose files.
    The same command again goes on where it stopped.

    Examples:
      posecast synthesize human36m Human3.6M drawn
      posecast synthesize human36m Human3.6M drawn --clips S1_Posing.54138969 S9_Posing.54138969
      posecast synthesize human36m Human3.6M short --num-frames 300
    """

    raw: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="RAW")]
    """Folder of the data set; only its poses are looked at."""
    out: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="OUT")]
    """Folder for videos and copied poses."""
    config: Flat[DrawnVideosConfig] = DrawnVideosConfig()
    workers: int = 1
    """Processes at work; 0 means one per CPU core."""


def synthesize_human36m(words: list[str], program: str) -> int:
    """`posecast synthesize human36m RAW OUT`."""
    asked = parse(SynthesizeHuman36M, words, program)
    done = draw_human36m(asked.raw, asked.out, asked.config, asked.workers)
    return _tell(asked.out, done, "videos")
