"""Folders of results: whose they are, and with what settings they were begun."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from posecast.errors import PosecastError
from posecast.records.configs import config_differences
from posecast.records.files import FileError, entries, read_json, write_json


def claim_folder(
    file: Path,
    settings: Mapping[str, Any],
    what: str,
    may_change: tuple[str, ...] = (),
    error: type[FileError] = FileError,
) -> None:
    """Note in `file` the settings (plain JSON values) of what its folder will hold.

    Where they are noted already, nothing is touched; `may_change` has the dotted names of those
    that may differ. `error` where the folder holds `what` of other settings, or other files.
    """
    if file.is_file():
        refuse_differences(file.parent, read_json(file), settings, what, may_change, error)
    elif entries(file.parent):
        raise error(f"{file.parent} holds files but no {what}; give a new or empty folder")
    else:
        write_json(file, dict(settings))


def refuse_differences(
    folder: Path,
    stored: Mapping[str, Any],
    asked: Mapping[str, Any],
    what: str,
    ignore: tuple[str, ...] = (),
    error: type[PosecastError] = FileError,
    mend: str = "give another folder, or delete this one",
) -> None:
    """`error` lists the settings in which what is asked for differs from what a folder holds."""
    changed = config_differences(dict(stored), dict(asked), ignore)
    if changed:
        listed = "\n".join(f"  {line[:200]}" for line in changed)
        head = f"{folder} holds {what} of other settings (stored -> asked)"
        raise error(f"{head}:\n{listed}\n{mend}")
