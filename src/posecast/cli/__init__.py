"""The command line: `posecast COMMAND ...`.

Every command is one row of COMMANDS and one class (`parsing.Command`), which is imported when it is
asked for, so that help comes at once. Exit status: 0 done, 1 done but some clips or videos were
left out where that counts, 2 wrong input, 130 stopped by Ctrl-C.
"""

import errno
import importlib
import io
import logging
import os
import shlex
import sys
import time
from collections.abc import Sequence
from contextvars import ContextVar
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from posecast import __version__
from posecast.computing.memory import memory_told
from posecast.errors import PosecastError, did_you_mean
from posecast.records.arguments import refuse_address

if TYPE_CHECKING:
    from posecast.cli.parsing import Command

STARTED = time.monotonic()
"""When the program began."""
# Threads of torch wait for work in a loop that takes the core from others: on busy cores a forecast
# took ten times as long. So few rounds the library waits itself where threads outnumber cores.
os.environ.setdefault("GOMP_SPINCOUNT", "1000")

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT)

typed = ContextVar("typed", default="")
"""What the user typed, for records of it."""

COMMANDS = {
    "demo": ("demo:Demo", "a real person forecast, then the whole chain on drawn people"),
    "synthesize": ("prepare:Synthesize", "draw the built-in data set: people in motion, labelled"),
    "synthesize human36m": (
        "prepare:SynthesizeHuman36M",
        "draw the videos of Human3.6M from its poses",
    ),
    "prepare penn-action": (
        "prepare:PreparePennAction",
        "Penn Action -> a store that training reads",
    ),
    "prepare human36m": ("prepare:PrepareHuman36M", "Human3.6M, as it is distributed -> a store"),
    "prepare videos": ("prepare:PrepareVideos", "a folder of your own videos -> a store"),
    "train pose": ("train:Train", "learn how poses go on (seen poses -> future poses)"),
    "train motion": ("train:Train", "the same from all that was seen, own past and neighbours"),
    "train image": ("train:Train", "learn to draw a pose (seen frame + pose -> frame)"),
    "train outline": ("train:Train", "learn to find a person's outline (own videos, by groups)"),
    "train carrying": ("train:Train", "learn to carry a person along (own videos, by groups)"),
    "train estimator": ("train:Train", "learn to find joints (frame -> pose)"),
    "train pose-action": ("train:Train", "learn to name the action of poses (a judge)"),
    "train flow-action": ("train:Train", "learn to name the action of frames (a judge)"),
    "train conv-lstm": ("train:Train", "learn to forecast frames without poses (a baseline)"),
    "models": ("models:Models", "the trained networks that come with posecast"),
    "models pull": ("hub:Pull", "fetch a model from the Hugging Face hub"),
    "models push": ("hub:Push", "give weights to the Hugging Face hub"),
    "estimate": ("predict:Estimate", "find poses in a store's frames, beside its labels"),
    "forecast": ("forecast:ForecastVideo", "forecast videos of your own, in one command"),
    "app": ("app:App", "the same in a browser: drop a video, look, download"),
    "forecast-poses": (
        "forecast_poses:ForecastPoses",
        "forecast keypoints of another program, without pixels",
    ),
    "predict": ("predict:Predict", "forecast clips of a store: poses, frames, MP4 and GIF"),
    "evaluate": ("evaluate:Evaluate", "forecasts and baselines against the truth, a table"),
    "report": ("evaluate:Report", "tables of evaluations -> a page with curves and clips"),
    "study make": ("study:Make", "evaluations -> a page on which people choose between forecasts"),
    "study read": ("study:Read", "what people chose, and how far they agree"),
    "export onnx": ("export:ExportOnnx", "the networks as ONNX files, for other programs"),
    "benchmark penn-pose": (
        "evaluate:BenchmarkPennPose",
        "the published pose forecasting protocol",
    ),
    "doctor": ("doctor:Doctor", "what works here, for bug reports"),
    "completion": ("completion:Completion", "a script that completes commands in your shell"),
    "import-2017": ("weights:Import2017", "make a run of a network of the 2017 code"),
    "import-poses-2017": (
        "weights:ImportPoses2017",
        "add the 2017 authors' pose estimates to a store",
    ),
}
"""Command -> its class, as module:name, and what it does in a few words."""

_ABOUT = """\
Forecast video of people: from a few seen frames to the next seconds, by way of
the pose.

Commands, in the order of the data:"""

EXAMPLES = """\
A video of your own, with weights that ship: posecast forecast my.mp4

From drawn people to a forecast (about ten minutes on two cores):
  posecast synthesize data
  posecast prepare penn-action data store --size 64
  posecast train pose demo --store store --run pose
  posecast train image demo --store store --run image
  posecast predict --store store --pose-run pose --image-run image --out forecasts

'posecast COMMAND --help' explains a command and all of its settings."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status. Wrong input ends in one message, no traceback."""
    logging.basicConfig(format="posecast: %(message)s", level=logging.WARNING)
    words = list(sys.argv[1:] if arguments is None else arguments)
    _print_any_name()
    status = 0
    try:
        try:
            status = _answer(words)
        except SystemExit:  # of the parser, which has printed help or what is wrong
            _flush()
            raise
        _flush()
    except BrokenPipeError:
        if not _has_lost_its_reader():
            raise
        return status or 141  # as a shell says of what ended so
    except OSError as error:
        if error.errno not in _NO_ROOM:
            raise
        print(
            f"posecast: error: {error.strerror}: free some space, and start again", file=sys.stderr
        )
        _print_no_more()
        return 2
    return status


def _answer(words: list[str]) -> int:
    try:
        with memory_told():
            return _run(words)
    except KeyboardInterrupt as stop:
        what = str(stop) or "the same command goes on where it was, or begins anew"
        print(f"posecast: stopped; {what}", file=sys.stderr)
        return 130
    except PosecastError as error:
        print(f"posecast: error: {error}", file=sys.stderr)
        return 2
    except PermissionError as error:
        print(f"posecast: error: {error}: give yourself the right to it", file=sys.stderr)
        return 2
    except OSError as error:
        if error.errno != errno.ENAMETOOLONG:
            raise
        print(f"posecast: error: {error.strerror}: {error.filename}", file=sys.stderr)
        return 2


def _print_any_name() -> None:
    """Names of files that the output cannot spell (Windows' log files have few letters) are printed
    as escapes: they must not end what is done well."""
    if isinstance(sys.stdout, io.TextIOWrapper) and sys.stdout.errors == "strict":
        sys.stdout.reconfigure(errors="backslashreplace")


def _flush() -> None:
    if sys.stdout is not None:  # as it is where the shell has closed it
        sys.stdout.flush()


def _has_lost_its_reader() -> bool:
    """Whether whoever read what is printed (`| head`) had enough; Python then prints no more."""
    try:
        print(flush=True)
    except BrokenPipeError:
        _print_no_more()
        return True
    return False


def _print_no_more() -> None:
    """Python would otherwise fail once more at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _run(words: list[str]) -> int:
    if words[:1] == ["help"] and words[1:]:
        words = [*words[1:], "--help"]
    _expect_a_folder()
    if not words or words[0] in ("-h", "--help", "help"):
        print(_overview(COMMANDS, "posecast"))
        return 0
    if words[0] == "--version":
        print(f"posecast {__version__}")
        return 0
    for before, word in pairwise(["posecast", *words]):
        flag, equals, given = word.partition("=") if word.startswith("--") else ("", "", word)
        if not given and (equals or not flag):  # as a path it would be the folder one is in
            after = f": {word}" if equals else f" after {before}"
            raise PosecastError(f"a word is empty{after}: is a variable of the shell not set?")
        if given.startswith("~/"):
            raise PosecastError(
                f"{given} would be in a folder called ~: shells take that for yours where it "
                "follows a space and is not quoted; or write the whole path"
            )
        refuse_address(given)
    for length in (2, 1):
        name = " ".join(words[:length])
        if name in COMMANDS:
            typed.set(shlex.join(["posecast", *words]))
            return load_command(name).read(name, words[length:])() or 0
    return _group(words)


def _expect_a_folder() -> None:
    """PosecastError where the folder that one is in was removed: MKL ends the program, and speaks
    of torch."""
    try:
        Path.cwd()
    except FileNotFoundError as error:
        raise PosecastError("the folder that you are in was removed: go to another one") from error


def _group(words: list[str]) -> int:
    """The first word is not a command by itself: list what can follow it, or what is near it."""
    members = {name: row for name, row in COMMANDS.items() if name.startswith(words[0] + " ")}
    if members and (len(words) == 1 or words[1] in ("-h", "--help")):
        print(_overview(members, f"posecast {words[0]}"))
        return 0 if len(words) > 1 else 2
    asked = words[: 2 if members else 1]
    known = dict.fromkeys(name.split()[len(asked) - 1] for name in members or COMMANDS)
    hint = did_you_mean(asked[-1], known)
    raise PosecastError(f"unknown command {' '.join(asked)!r}{hint} Known: {', '.join(known)}")


def load_command(name: str) -> "type[Command]":
    """Import what a command is."""
    module, kind = COMMANDS[name][0].split(":")
    return getattr(importlib.import_module(f"{__name__}.{module}"), kind)


def _overview(commands: dict[str, tuple[str, str]], program: str) -> str:
    width = max(len(name) for name in commands)
    rows = [f"  {name.ljust(width)}  {summary}" for name, (_, summary) in commands.items()]
    usage = f"usage: {program} COMMAND ...   (posecast {__version__})\n"
    return "\n".join([usage, _ABOUT, *rows, "", EXAMPLES])
