"""`posecast completion`: commands, presets and flags completed by the shell; made by tyro."""

import contextlib
import dataclasses
import io
from dataclasses import dataclass
from functools import reduce
from operator import or_
from typing import Annotated, Any, Literal

import tyro

from posecast.cli import COMMANDS, load_command
from posecast.cli.parsing import Command


@dataclass(frozen=True)
class Completion(Command):
    """Print a script that lets your shell complete commands, presets and flags of posecast.

    Examples:
      posecast completion bash > ~/.local/share/bash-completion/completions/posecast
      posecast completion zsh > ~/.zfunc/_posecast
    """

    shell: Annotated[tyro.conf.Positional[Literal["bash", "zsh"]], tyro.conf.arg(metavar="SHELL")]
    """bash or zsh. For zsh the folder must be in fpath before compinit runs (in ~/.zshrc:
    fpath+=~/.zfunc; autoload -Uz compinit; compinit)."""

    def __call__(self) -> None:
        commands = dict.fromkeys(name.split()[0] for name in COMMANDS)
        kinds = _one_of({name: _command(name) for name in commands})
        written = io.StringIO()
        with contextlib.redirect_stdout(written), contextlib.suppress(SystemExit):
            tyro.cli(
                kinds,
                args=["--tyro-print-completion", self.shell],
                prog="posecast",
                config=(tyro.conf.DisallowNone,),
            )
        print("\n".join(_on_one_line(line) for line in written.getvalue().splitlines()))


def _on_one_line(line: str) -> str:
    """Help texts without breaks: each of their lines would be offered as a word."""
    return line.replace(r"\n", " ") if line.startswith("COMPLETION_SPEC = ") else line


def _one_of(kinds: dict[str, Any]) -> Any:
    """What tyro takes for subcommands of these names."""
    if len(kinds) == 1:  # tyro would leave out the name of a single one
        kinds = {**kinds, "--help": None}
    return reduce(
        or_, (Annotated[kind, tyro.conf.subcommand(name)] for name, kind in kinds.items())
    )


def _command(name: str) -> Any:
    """The flags of a command, and the commands that follow it."""
    below = {each.split()[1]: _flags(each) for each in COMMANDS if each.startswith(f"{name} ")}
    alone = _flags(name) if name in COMMANDS else None
    return _group(name, below, alone) if below else alone


def _flags(name: str) -> Any:
    """The dataclass of a command, or one for each of its presets."""
    flags = load_command(name).flags(name)
    return flags if isinstance(flags, type) else _group(name, dict(flags))


def _group(name: str, below: dict[str, Any], alone: type | None = None) -> type:
    """Something that one of these follows; `alone` are the flags that it has by itself."""
    follows = ("follows", Annotated[_one_of(below), tyro.conf.arg(name="")])
    return dataclasses.make_dataclass(
        name, [follows], bases=(alone,) if alone else (), kw_only=True, frozen=True
    )
