"""Weights that ship with posecast: their names, files, hashes and cards.

Each is NAME.safetensors, which says all of itself in its metadata, beside NAME.md, its card: what
it does and does not do, where it comes from, its licence.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from posecast.errors import PosecastError, did_you_mean

_FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class Shipped:
    """Weights of one name."""

    name: str
    summary: str
    """What it does, in a few words."""
    licence: str
    sha256: str
    beside: tuple[tuple[str, str], ...] = ()
    """Files that it needs in the same folder, with their hashes."""

    @property
    def files(self) -> dict[Path, str]:
        """All its files and their hashes, the weights first."""
        return {self.path: self.sha256, **{_FOLDER / name: sha256 for name, sha256 in self.beside}}

    @property
    def path(self) -> Path:
        return _FOLDER / f"{self.name}.safetensors"

    @property
    def card(self) -> str:
        """What to know before using it, in Markdown."""
        return (_FOLDER / f"{self.name}.md").read_text(encoding="utf-8")


DEFAULT_ESTIMATOR = "movenet-lightning"
CARRIED = "carried"
DEFAULT_DRAWER = "carried-refined"
DEFAULT_FORECASTER = "motion-forecaster"
_BASE = "motion-base.safetensors"  # as motion.neighbours.BASE_FILE

SHIPPED = {
    each.name: each
    for each in (
        Shipped(
            DEFAULT_ESTIMATOR,
            "finds the joints of a person in a picture (MoveNet SinglePose Lightning)",
            "Apache-2.0, Google",
            "0cdc23601ee249a126dfc999f9770edb7c83c4f17e746984432d39080e626e5b",
        ),
        Shipped(
            CARRIED,
            "draws a person out of seen pixels, without anything learned",
            "as posecast",
            "eb16779097b43b181bc572602923dd002544b5e0c39c8bb4ed068fc4588cd59b",
        ),
        Shipped(
            DEFAULT_DRAWER,
            "draws a person out of seen pixels, outline and composition learned",
            "for research: trained on footage of unclear terms",
            "eb022782a550ebf22189f3eb129c100a80609a9aa3501fe3fc6f46d26007c3df",
        ),
        Shipped(
            DEFAULT_FORECASTER,
            "forecasts the poses of a person from all that was seen (13 joints)",
            "for research: trained on labels and poses of unclear terms",
            "925e27e7c1e277c4520c69689ceb7089dffbe43c165373d46e1538f185d221e4",
            ((_BASE, "8cde4dc9c6b28dd14a44c0b9105a007373020b15f00d120c877176d7f5c9076a"),),
        ),
    )
}


def is_shipped(source: str | Path) -> bool:
    """Whether this is the name of shipped weights, rather than a path."""
    return str(source) in SHIPPED


def shipped(name: str) -> Shipped:
    """The weights of a name; PosecastError, with the nearest name, where there are none."""
    if name in SHIPPED:
        return SHIPPED[name]
    hint = did_you_mean(name, SHIPPED)
    raise PosecastError(f"no shipped weights are called {name!r}{hint} Known: {', '.join(SHIPPED)}")


def shipped_file(name: str) -> Path:
    """The weight file of a name, after a look at its hash.

    PosecastError: no such name, or the file is missing or not what was released.
    """
    check_hashes(shipped(name).files, "install posecast again")
    return shipped(name).path


def check_hashes(hashes: Mapping[Path, str], mend: str) -> None:
    """PosecastError where a file is missing or of another SHA-256; `mend` says what to do then."""
    for path, sha256 in hashes.items():
        if not path.is_file():
            raise PosecastError(f"{path} is missing: {mend}")
        found = hashlib.sha256(path.read_bytes()).hexdigest()
        if found != sha256:
            raise PosecastError(
                f"{path} is damaged (SHA-256 {found[:12]}..., expected {sha256[:12]}...): {mend}"
            )
