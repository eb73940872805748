"""What README and docs promise: every command in them exists, with all of its flags."""

import re
import shlex
from pathlib import Path

import pytest

from posecast.cli import COMMANDS, main
from posecast.presets import ESTIMATOR, IMAGE, POSE

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
PRESETS = {"train pose": POSE, "train image": IMAGE, "train estimator": ESTIMATOR}


def commands_of(page: Path) -> list[list[str]]:
    """Words of each posecast command in the fenced blocks of a page."""
    blocks = re.findall(r"^```\w*\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)
    lines = "\n".join(blocks).replace("\\\n", " ").splitlines()
    return [shlex.split(line, comments=True) for line in lines if re.match(r"posecast \w", line)]


PROMISED = [(page.name, words) for page in PAGES for words in commands_of(page)]


def test_there_are_promises():
    assert len(PROMISED) > 10


@pytest.mark.parametrize(
    ("page", "words"), PROMISED, ids=[f"{page}: {' '.join(w[1:4])}" for page, w in PROMISED]
)
def test_command_and_flags_exist(page: str, words: list[str], capsys) -> None:
    name = next((n for n in (" ".join(words[1:3]), words[1]) if n in COMMANDS), None)
    assert name is not None, f"{page}: no command {' '.join(words[1:3])}"
    help_words = name.split()
    if name in PRESETS:
        preset = words[3]
        assert preset in PRESETS[name], f"{page}: no preset {preset}"
        help_words = [*help_words, preset]
    with pytest.raises(SystemExit):
        main([*help_words, "--help"])
    shown = capsys.readouterr().out
    for flag in (word for word in words if word.startswith("--")):
        assert re.search(rf"{re.escape(flag)}\b", shown), f"{page}: {name} has no {flag}"
