"""`posecast models pull` and `push`: weights from and to the Hugging Face hub."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from posecast.cli.parsing import Command
from posecast.networks.hub import pull as pull_model
from posecast.networks.hub import push as push_model


@dataclass(frozen=True)
class Pull(Command):
    """Fetch a model that somebody pushed; from then on hf:OWNER/NAME is a name for its weights.

    Its files are checked (hashes, format, kind) and kept in the user's cache ($POSECAST_MODELS
    names another folder); no other command uses the network. Needs pip install 'posecast[hub]'.

    Examples:
      posecast models pull hf:OWNER/NAME
      posecast forecast my.mp4 --pose-run hf:OWNER/NAME
    """

    name: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="hf:OWNER/NAME")]
    """The model."""
    revision: str = ""
    """A branch, a tag or a commit; the newest if not given."""

    def __call__(self) -> None:
        pulled = pull_model(self.name, self.revision or None)
        print(f"{self.name}: weights of kind {pulled.kind!r}, kept in {pulled.folder}")


@dataclass(frozen=True)
class Push(Command):
    """Upload weights to the Hugging Face hub, for others to pull; sign in first ('hf auth login').

    What the weight file says of itself goes with it: settings, seed, step, how the store was made
    that it was trained on, and the names of its clips.

    Examples:
      posecast models push runs/pose hf:OWNER/NAME --card card.md
      posecast models push runs/pose hf:OWNER/NAME --private
    """

    source: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="RUN")]
    """A run folder, a .safetensors file or shipped weights by name."""
    name: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="hf:OWNER/NAME")]
    """Where to."""
    card: Path | None = None
    """Markdown for the model's page: what it does, what it was trained on, its licence. Without it
    the page has the facts of the weight file alone."""
    private: bool = False
    """Make the repository, where it is not there yet, one that only you see."""

    def __call__(self) -> None:
        print(f"{self.name}: {push_model(self.source, self.name, self.card, self.private)}")
