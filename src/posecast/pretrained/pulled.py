"""Weights that were pulled from a model hub: `hf:OWNER/NAME`, kept in the user's cache.

Each is a folder with posecast.json, which lists its files and their hashes, the weights first. What
is kept is used without a network, and looked at again each time, as shipped weights are.
"""

import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from posecast.errors import PosecastError
from posecast.pretrained import check_hashes

PREFIX = "hf:"
MANIFEST = "posecast.json"
CARD = "README.md"
MANIFEST_VERSION = 1
_NAME = re.compile(r"hf:([\w.-]+)/([\w.-]+)")
_FILE = re.compile(r"[\w][\w.-]*\.(safetensors|md)")


@dataclass(frozen=True)
class Pulled:
    """A model's files in a folder, and what its manifest says of them."""

    folder: Path
    kind: str
    hashes: dict[str, str]
    """Names of the files, the weights first, and their SHA-256."""

    @property
    def weights(self) -> Path:
        return self.folder / next(iter(self.hashes))

    def check(self) -> None:
        """PosecastError where a file is missing or not what the manifest says."""
        files = {self.folder / name: sha256 for name, sha256 in self.hashes.items()}
        check_hashes(files, "pull the model again")


def is_hub_name(source: str | Path) -> bool:
    """Whether this is the name of a model on a hub, rather than a path."""
    return str(source).startswith(PREFIX)


def repository_of(name: str | Path) -> str:
    """OWNER/NAME; PosecastError for names of another form."""
    text = Path(name).as_posix()
    match = _NAME.fullmatch(text)
    if match is None or {".", ".."} & set(match.groups()):
        raise PosecastError(f"{text!r} is no model on a hub: write hf:OWNER/NAME")
    return "/".join(match.groups())


def models_folder() -> Path:
    """Where pulled models are kept: $POSECAST_MODELS, else posecast/models in the user's cache."""
    asked = os.environ.get("POSECAST_MODELS")
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(asked) if asked else Path(cache) / "posecast" / "models"


def folder_of(name: str | Path) -> Path:
    """Where a model is kept, pulled or not."""
    return models_folder() / repository_of(name)


def pulled_file(name: str | Path) -> Path:
    """The weight file of a pulled model; PosecastError where it was not pulled or is damaged."""
    folder = folder_of(name)
    if not (folder / MANIFEST).is_file():
        raise PosecastError(
            f"{name} is not on this machine: fetch it once with 'posecast models pull {name}'"
        )
    pulled = read_manifest(folder)
    pulled.check()
    return pulled.weights


def pulled_names() -> list[str]:
    """Names of all models that were pulled."""
    root = models_folder()
    found = sorted(path.parent.relative_to(root) for path in root.glob(f"*/*/{MANIFEST}"))
    return [f"{PREFIX}{path.as_posix()}" for path in found]


def read_manifest(folder: Path) -> Pulled:
    """What posecast.json in a folder says; PosecastError where it is none, or of a newer one."""
    path = folder / MANIFEST
    try:
        said: Any = json.loads(path.read_text(encoding="utf-8"))
        version, kind, files = said["format_version"], said["kind"], said["files"]
        is_sound = all(
            isinstance(name, str) and _FILE.fullmatch(name) and isinstance(sha256, str)
            for name, sha256 in files.items()
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise PosecastError(f"{path}: not a model that posecast pushed ({error!r})") from error
    if version != MANIFEST_VERSION:
        raise PosecastError(
            f"{path} has format version {version}, this posecast reads {MANIFEST_VERSION}: use the "
            "posecast that pushed it, or a newer one"
        )
    if not is_sound or not files or not next(iter(files)).endswith(".safetensors"):
        raise PosecastError(
            f"{path}: expected names of .safetensors and .md files with their SHA-256, the weights "
            f"first, got {list(files)[:4]}"
        )
    return Pulled(folder, str(kind), dict(files))
