"""`posecast models`: the weights that ship, and those that were pulled."""

from dataclasses import dataclass
from typing import Annotated, Any

import tyro

from posecast.cli.parsing import Command, print_json
from posecast.pretrained import SHIPPED, shipped
from posecast.pretrained.pulled import CARD, folder_of, is_hub_name, pulled_file, pulled_names
from posecast.records.files import read_text


@dataclass(frozen=True)
class Models(Command):
    """List the trained networks that come with posecast or were pulled, or print the card of one.

    Every --run and --*-run option takes such a name, a run folder or a .safetensors file.

    Examples:
      posecast models
      posecast models --json
      posecast models movenet-lightning
      posecast models pull hf:OWNER/NAME
    """

    name: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="[NAME]")] = ""
    """Name of one."""
    json: bool = False
    """Print one JSON value in place of lines for people."""

    def __call__(self) -> int:
        if self.name:
            print(_card(self.name), end="")
            return 0
        if self.json:
            print_json(_listed())
            return 0
        width = max(len(name) for name in SHIPPED)
        for name, each in SHIPPED.items():
            size = each.path.stat().st_size / 1e6
            print(f"{name.ljust(width)}  {each.summary}; {size:.1f} MB; {each.licence}")
        for name in pulled_names():
            print(f"{name}  pulled; {folder_of(name)}")
        return 0


def _listed() -> list[dict[str, Any]]:
    rows = [
        {
            "name": name,
            "from": "shipped",
            "summary": each.summary,
            "bytes": each.path.stat().st_size,
            "licence": each.licence,
            "files": {path.name: sha256 for path, sha256 in each.files.items()},
        }
        for name, each in SHIPPED.items()
    ]
    return rows + [
        {"name": name, "from": "pulled", "folder": folder_of(name)} for name in pulled_names()
    ]


def _card(name: str) -> str:
    if not is_hub_name(name):
        return shipped(name).card
    card = pulled_file(name).with_name(CARD)
    return read_text(card) if card.is_file() else f"{name} has no card\n"
