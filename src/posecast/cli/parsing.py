"""Commands: flags from dataclasses, presets by name, and what is printed for programs (--json)."""

import dataclasses
import inspect
import json
import math
import shutil
import textwrap
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, TypeVar, get_type_hints

import numpy as np
import tyro
from docstring_parser import parse_from_object

from posecast.computing.devices import Device, Share
from posecast.errors import PosecastError, check_names

T = TypeVar("T")
_WIDEST = 100


@dataclass(frozen=True)
class OverClips:
    """What commands are told that work on many clips."""

    num_devices: int = 1
    """Processes on each machine, one a device; each takes its share of the clips."""
    num_nodes: int = 1
    """Machines."""
    strict: bool = False
    """Exit status 1 when a clip was left out."""
    json: bool = False
    """Print one JSON value in place of lines for people."""

    def share(self, device: Device) -> Share:
        """Start or join the processes."""
        return Share.join(device, self.num_devices, self.num_nodes)


class Command(ABC):
    """What can be asked of posecast: a dataclass whose fields are the flags, whose docstring is the
    help text, and which does it when it is called."""

    @classmethod
    def flags(cls, name: str) -> type["Command"] | Mapping[str, type["Command"]]:
        """The dataclass of the command of this name, or one for each of the presets that it wants
        before its flags."""
        return cls

    @classmethod
    def read(cls, name: str, words: Sequence[str]) -> "Command":
        """What is asked by the words that follow the command's name; see `parse`."""
        return parse(cls, words, f"posecast {name}")

    @abstractmethod
    def __call__(self) -> int | None:
        """Returns the exit status; None is 0."""


def parse(kind: Callable[..., T], words: Sequence[str], program: str) -> T:
    """Read flags into a dataclass, whose docstring is the help text.

    Wrong flags and --help end the program (SystemExit 2 and 0). PosecastError where the dataclass
    refuses a value.
    """
    if {"-h", "--help"} & {*words}:
        _join_lines_of_help(kind)
    return tyro.cli(
        kind,
        args=list(words),
        prog=program,
        description=_described(kind),
        # Flags come in pairs (--mp4, --no-mp4): a lone --no-mp4 beside what --mp4 does confuses.
        config=(tyro.conf.DisallowNone,),
    )


def _described(kind: Any) -> str:
    """The docstring in lines of the terminal's width; tyro leaves lines that are indented alone."""
    width = min(shutil.get_terminal_size().columns, _WIDEST) - 2
    parts = (inspect.getdoc(kind) or "").split("\n\n")
    filled = [each if "\n  " in each else textwrap.fill(each, width) for each in parts]
    return textwrap.indent("\n\n".join(filled), "  ")


def _join_lines_of_help(kind: Any) -> None:
    """Give tyro each field's docstring in one line: it keeps breaks of the source, which then stand
    in the middle of what it wraps."""
    for cls in filter(is_dataclass, inspect.getmro(kind)):
        texts = {each.arg_name: each.description for each in parse_from_object(cls).params}
        for each in fields(cls):
            if text := texts.get(each.name):
                each.metadata = MappingProxyType({**each.metadata, "help": " ".join(text.split())})
    for hint in get_type_hints(kind).values():
        if is_dataclass(hint):
            _join_lines_of_help(hint)


def with_config(kind: type[T], config: object, help_text: str) -> type[T]:
    """The dataclass with `config` as the default of its field of that name, flags unprefixed."""
    annotation = Annotated[type(config), tyro.conf.arg(name="")]
    default = ("config", annotation, dataclasses.field(default=config))
    named = dataclasses.make_dataclass(kind.__name__, [default], bases=(kind,), frozen=True)
    named.__doc__ = help_text
    return named


def split_preset(
    words: Sequence[str], presets: Iterable[str], notes: Mapping[str, str], program: str
) -> tuple[str, Sequence[str]]:
    """Take the preset's name off the arguments: the name, and the rest.

    Without a name, --help lists the presets and ends the program. PosecastError for a missing or
    unknown name, with the nearest right one.
    """
    names = ", ".join(presets)
    if words and words[0] in ("-h", "--help"):
        width = max(map(len, presets))
        rows = [f"  {name.ljust(width)}  {notes[name]}" for name in presets]
        print(f"usage: {program} PRESET --store STORE --run RUN [--SETTING VALUE ...]\n")
        print("Presets:", *rows, sep="\n")
        print(f"\n'{program} PRESET --help' lists all settings and their values in that preset.")
        raise SystemExit(0)
    if not words or words[0].startswith("-"):
        raise PosecastError(f"{program} needs the name of a preset first: {names}")
    check_names(words[:1], list(presets), "preset")
    return words[0], words[1:]


def print_json(value: Any) -> None:
    """One JSON value; see `plain`."""
    print(json.dumps(plain(value), indent=2))


def plain(value: Any) -> Any:
    """Dataclasses as objects, arrays as lists, paths as text, numbers that are none as null."""
    if is_dataclass(value) and not isinstance(value, type):
        return {each.name: plain(getattr(value, each.name)) for each in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(each) for key, each in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        return plain(value.tolist())
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return str(value) if isinstance(value, Path) else value
