"""`posecast doctor`: what to put into a bug report."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from posecast.cli.parsing import Command
from posecast.doctor import Findings, examine


@dataclass(frozen=True)
class Doctor(Command):
    """Examine this installation: versions, devices, extras, encoders, weights, a short forecast.

    Takes about ten seconds. Put what it prints into bug reports; it names no file, folder or user.
    Exit status 1 where something does not work.

    Examples:
      posecast doctor
      posecast doctor --json
    """

    json: bool = False
    """Print one JSON object."""
    self_test: bool = True
    """Forecast a few frames of the sample that ships."""

    def __call__(self) -> int:
        found = examine(self.self_test)
        if self.json:
            print(json.dumps({**asdict(found), "problems": found.problems}, indent=2))
        else:
            print(_text(found))
        return 1 if found.problems else 0


def _text(found: Findings) -> str:
    parts = [_rows(name, rows) for name, rows in asdict(found).items() if rows]
    end = "\n".join(f"PROBLEM {each}" for each in found.problems) or "all is well"
    return "\n\n".join([*parts, end])


def _rows(title: str, rows: Mapping[str, Any]) -> str:
    lines = [f"  {name}: {_plain(value)}" for name, value in rows.items()]
    return "\n".join([title.replace("_", "-"), *lines])


def _plain(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {each}" for name, each in value.items())
    return str(value)
