"""Format versions of what is stored, so that what is too new is refused with the reason; which code
and libraries are at work, for run folders and result tables; and libraries that may be absent."""

import functools
import importlib.metadata
import platform
import subprocess
from pathlib import Path
from typing import Any

from posecast.errors import PosecastError


class FormatVersionError(PosecastError):
    """Something was written by a posecast that this one cannot read."""


def check_format_version(found: Any, known: int, what: str) -> None:
    """FormatVersionError unless `found` is a whole number from 1 to `known`.

    `what` is named in the message, as "run runs/pose".
    """
    if type(found) is int and 1 <= found <= known:
        return
    if type(found) is int and found > known:
        raise FormatVersionError(
            f"{what} has format version {found}, this posecast reads up to {known}: it was written "
            "by a newer posecast; update this one"
        )
    raise FormatVersionError(f"{what} has format version {found!r}, expected 1 to {known}")


LIBRARIES = ("torch", "lightning-fabric", "torchmetrics", "numpy", "opencv-python-headless", "av")


@functools.cache
def code_versions() -> dict[str, str]:
    """Name -> version of posecast, its git commit (where it is a checkout), python, libraries."""
    return {
        "posecast": version_of("posecast"),
        "git_commit": _git_commit(),
        "python": platform.python_version(),
        "platform": platform.platform(),
        **{name: version_of(name) for name in LIBRARIES},
    }


def with_current(entries: list[dict[str, str]]) -> list[dict[str, str]]:
    """One entry for each change of code: these, and today's where it is another."""
    return entries if entries[-1:] == [code_versions()] else [*entries, code_versions()]


def version_of(package: str) -> str:
    """Of an installed package; "absent" where it is not installed."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "absent"


def load_extra(module: str, extra: str) -> Any:
    """A module of an extra of posecast; PosecastError where it is not installed."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise PosecastError(
            f"{module} is not installed ({error}): pip install 'posecast[{extra}]'"
        ) from error


def _git_commit() -> str:
    """The commit of the checkout that this code lies in, "+changes" added; "none" outside one."""
    folder, name = Path(__file__).resolve().parent, Path(__file__).name
    try:
        _git(folder, "ls-files", "--error-unmatch", name)  # installed inside a foreign checkout?
        commit = _git(folder, "rev-parse", "HEAD")
        changed = _git(folder, "status", "--porcelain", "--untracked-files=no", ".")
    except (OSError, subprocess.SubprocessError):
        return "none"
    return commit + ("+changes" if changed else "")


def _git(folder: Path, *arguments: str) -> str:
    command = ["git", "-C", str(folder), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=10)
    return done.stdout.strip()
