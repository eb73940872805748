"""`posecast models`: the weights that ship."""

from dataclasses import dataclass
from typing import Annotated

import tyro

from posecast.cli.parsing import parse
from posecast.pretrained import SHIPPED, shipped


@dataclass(frozen=True)
class Models:
    """List the trained networks that come with posecast, or print the card of one.

    Every --run and --*-run option takes such a name, a run folder or a .safetensors file.

    Examples:
      posecast models
      posecast models movenet-lightning
    """

    name: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="[NAME]")] = ""
    """Name of one."""


def models(words: list[str], program: str) -> int:
    """`posecast models [NAME]`."""
    asked = parse(Models, words, program)
    if asked.name:
        print(shipped(asked.name).card, end="")
        return 0
    width = max(len(name) for name in SHIPPED)
    for name, each in SHIPPED.items():
        size = each.path.stat().st_size / 1e6
        print(f"{name.ljust(width)}  {each.summary}; {size:.1f} MB; {each.licence}")
    return 0
