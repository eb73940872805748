"""Files that are either whole or not there: temporary name, flush to the disk, rename."""

import contextlib
import csv
import errno
import hashlib
import io
import json
import os
import re
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from posecast.errors import PosecastError

PARTIAL = ".partial"
"""Ending of a file that is being written; one that stays behind was never finished."""
_LONGEST_NAME = 255
"""Bytes that file systems allow."""
_ROOM_FOR_ENDING = 20
_NUMPYS_FULL_DISK = re.compile(r"\d+ requested and \d+ written")
"""All that numpy says of one: it keeps to itself what the system said."""
_AT_WORK_S = 3600
"""A file at work is written to more often than that."""

Write = Callable[[Path], object]
"""What fills a file of this name."""


class FileError(PosecastError):
    """A file cannot be read, or holds something else than it should."""


class WriteError(PosecastError):
    """The disk takes no more, or not there: nothing of the kind can go on, unlike after one
    damaged file."""


def write_safely(path: Path, write: Write) -> None:
    """Let `write` fill a temporary file, flush it to the disk, and put it in place of `path`.

    WriteError where the disk refuses; what was at `path` before is then untouched.
    """
    write_together({path: write})


def write_together(writers: Mapping[Path, Write]) -> None:
    """As `write_safely`, for files of which none may be there without the others."""
    partials = {path: partial_path(path) for path in writers}
    try:
        for path, write in writers.items():
            with writing(path):
                path.parent.mkdir(parents=True, exist_ok=True)
                _clear_leftovers(path)
                _remove(partials[path])  # in containers, killed processes had this one's number
                write(partials[path])
                if path.is_dir() and partials[path].is_file():
                    raise IsADirectoryError("a folder of this name is there")
                for made in (*partials[path].rglob("*"), partials[path]):  # a folder's files first
                    _flush_to_disk(made)
        for path, partial in partials.items():
            with writing(path):
                partial.replace(path)
                _flush_to_disk(path.parent)
    finally:
        for partial in partials.values():
            _remove(partial)


def partial_path(path: Path) -> Path:
    """Beside the file, of this process alone; where the file's name leaves no room for the ending,
    under a short one. WriteError for folders as the system calls them: "." and "/"."""
    if not path.name:
        raise WriteError(f"cannot write {path}: it is a folder; name a file in it")
    return path.with_name(f"{_stem_of_partials(path)}.{os.getpid()}{PARTIAL}")


def _stem_of_partials(path: Path) -> str:
    name = os.fsencode(path.name)
    if len(name) + _ROOM_FOR_ENDING > _LONGEST_NAME:
        return hashlib.sha256(name).hexdigest()[:16]
    return path.name


def _clear_leftovers(path: Path) -> None:
    """Remove what processes that were killed left of this file; what is younger may be at work."""
    for partial in _partials_in(path.parent):
        if partial.name.startswith(f"{_stem_of_partials(path)}."):
            with contextlib.suppress(OSError):
                if time.time() - partial.stat().st_mtime > _AT_WORK_S:
                    _remove(partial)


def _remove(partial: Path) -> None:
    """A file or a folder, if it is there."""
    with contextlib.suppress(OSError):
        shutil.rmtree(partial) if partial.is_dir() else partial.unlink(missing_ok=True)


@lru_cache(maxsize=64)
def _partials_in(folder: Path) -> list[Path]:
    """Looked for once: into some folders thousands of files are written, one by one."""
    return list(folder.glob(f"*{PARTIAL}"))


def _flush_to_disk(path: Path) -> None:
    if path.is_dir() and os.name == "nt":  # Windows opens no folders
        return
    descriptor = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def check_place(path: Path) -> None:
    """Before work is lost to it: PosecastError where the name is longer than file systems allow,
    WriteError where a folder has it or the folder that it goes to may not be written to."""
    if (length := len(os.fsencode(path.name))) > _LONGEST_NAME:
        raise PosecastError(
            f"{path.name} is a name of {length} bytes, systems allow {_LONGEST_NAME}",
            ": give a shorter one with --out",
        )
    with writing(path):
        if path.is_dir():
            raise IsADirectoryError("a folder of this name is there")
        above = next((each for each in path.absolute().parents if each.exists()), None)
        if above is None:
            raise FileNotFoundError(f"there is no {path.absolute().anchor}")
        if not above.is_dir():
            raise NotADirectoryError(f"{above} is a file")
        if not os.access(above, os.W_OK | os.X_OK):
            raise PermissionError(f"{above} may not be written to")


def refuse_to_replace(read: Path, written: Iterable[Path], what: str) -> None:
    """PosecastError where one of the files to write is the one that is read."""
    for path in written:
        with contextlib.suppress(OSError):  # where one is not there, they differ
            if path.samefile(read):
                raise PosecastError(f"{path} is {what}", ": give another name with --out")


def make_folder(path: Path) -> None:
    """Make a folder and those above it where they are missing; WriteError where that fails."""
    with writing(path):
        path.mkdir(parents=True, exist_ok=True)


@contextlib.contextmanager
def reading(path: Path) -> Iterator[None]:
    """What the system refuses in the block becomes a FileError that names the file."""
    try:
        yield
    except OSError as error:
        raise FileError(f"cannot read {path}: {error.strerror or error}") from error


def entries(folder: Path) -> list[Path]:
    """What is in a folder, sorted; nothing where there is no such folder. FileError where it may
    not be read."""
    with reading(folder):
        return sorted(folder.iterdir()) if folder.is_dir() else []


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """What the system refuses in the block becomes a WriteError that names the file or folder."""
    try:
        yield
    except OSError as error:
        why = error.strerror or str(error)
        if _NUMPYS_FULL_DISK.fullmatch(why):
            why = os.strerror(errno.ENOSPC)
        raise WriteError(
            f"cannot write {path}: {why}; free some space, mend the rights or name another place, "
            "and start the same command again"
        ) from error


def append_line(path: Path, line: str) -> None:
    """Add a line to a text file; WriteError where the disk refuses."""
    with writing(path), path.open("a", encoding="utf-8", newline="\n") as file:
        file.write(line + "\n")


def read_text(path: Path) -> str:
    """A text file; FileError where it is missing or no text."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise FileError(f"cannot read {path}: {error}") from error


def filled_with(content: bytes) -> Write:
    """What fills a file with this, for `write_safely` and `write_together`."""
    return lambda partial: partial.write_bytes(content)


def write_text(path: Path, text: str) -> None:
    """Replace a text file as a whole; the same bytes on every system."""
    write_safely(path, filled_with(text.encode()))


def write_json(path: Path, value: Any) -> None:
    """Replace a JSON file as a whole."""
    write_text(path, json.dumps(value, indent=2) + "\n")


def csv_text(rows: Iterable[Iterable[Any]], parted_by: str = ",") -> str:
    """Lines of a CSV file."""
    text = io.StringIO()
    csv.writer(text, delimiter=parted_by, lineterminator="\n").writerows(rows)
    return text.getvalue()


def write_lines(path: Path, values: Iterable[Any]) -> None:
    """Replace a file of one JSON value a line as a whole."""
    write_text(path, "".join(json.dumps(value) + "\n" for value in values))


def save_arrays(
    path: Path, arrays: Mapping[str, Any], save: Callable[..., None] = np.savez_compressed
) -> None:
    """Fill an .npz file, whatever its name ends with; the same arrays, the same bytes."""
    with path.open("wb") as file:
        save(file, **arrays)


def read_json(path: Path) -> Any:
    """The content of a JSON file; FileError where it is missing or damaged."""
    try:
        return json.loads(read_text(path))
    except json.JSONDecodeError as error:
        raise FileError(f"cannot read {path}: {error}") from error
