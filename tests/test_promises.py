"""What README and docs promise: every command in them exists, with all of its flags."""

import re
import shlex
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from made_runs import make_run
from penn_files import write_clip_files
from posecast.cli import COMMANDS, main
from posecast.cli.train import KINDS
from posecast.datasets.penn_action import PennAction
from posecast.networks.discriminator import DiscriminatorConfig
from posecast.networks.generator import Generator, GeneratorConfig
from posecast.networks.pose_lstm import PoseLSTM, PoseLSTMConfig
from posecast.store.preparation import PreparationConfig, prepare
from posecast.training.image import ImageTrainingConfig
from posecast.training.pose import PoseTrainingConfig

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
PRESETS = {
    f"train {name}": k.presets for name, k in KINDS.items() if isinstance(k.presets, Mapping)
}


def commands_of(page: Path) -> list[list[str]]:
    """Words of each posecast command in the fenced blocks of a page."""
    blocks = re.findall(r"^```\w*\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)
    lines = "\n".join(blocks).replace("\\\n", " ").splitlines()
    return [shlex.split(line, comments=True) for line in lines if re.match(r"posecast \w", line)]


PROMISED = [(page.name, words) for page in PAGES for words in commands_of(page)]


def test_the_python_of_the_reference_runs(tmp_path, monkeypatch):
    """With networks of random weights and a store and a data set of one small clip each."""
    size = 16
    image = ImageTrainingConfig(
        generator=GeneratorConfig(width=4, size=size),
        discriminator=DiscriminatorConfig(width=4, size=size),
    )
    pose = PoseTrainingConfig(model=PoseLSTMConfig(hidden=8, encoder=4))
    networks = {"pose": PoseLSTM(pose.model), "image": Generator(image.generator)}
    for kind, config in (("pose", pose), ("image", image)):
        run = make_run(tmp_path / "runs" / kind, config, kind)
        run.save_weights("best", networks[kind], step=1)
    write_clip_files(tmp_path / "Penn_Action", "0001", num_frames=12)
    write_clip_files(tmp_path / "Penn_Action", "0002", num_frames=12)
    source = PennAction(tmp_path / "Penn_Action")
    prepare(source, tmp_path / "store", PreparationConfig(size=size, workers=1))
    page = (ROOT / "docs" / "reference.md").read_text()
    text, *_ = re.findall(r"^```python\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    exec(text, names)  # the page is ours
    assert names["clip"].split == "validation"
    assert names["forecast"].frames.shape == (1, 64, size, size, 3)
    assert names["forecast"].joints_px.shape == (1, 64, 13, 2)


def test_installing_says_what_comes_before_it_takes_minutes():
    make = shutil.which("make")
    if make is None:
        pytest.skip("no make on this machine")
    dry = [make, "--dry-run", "--always-make", "--no-print-directory", "install"]
    done = subprocess.run(dry, cwd=ROOT, capture_output=True, text=True, check=True)
    lines = done.stdout.splitlines()
    install = next(n for n, line in enumerate(lines) if " pip install" in line)
    assert lines[0].startswith("echo ")
    assert "PyTorch" in "".join(lines[:install])
    assert "--quiet" not in lines[install]


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
