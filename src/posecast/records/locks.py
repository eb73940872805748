"""One process at a time in a folder, on Linux, Windows and macOS."""

import contextlib
import errno
import logging
import uuid
from collections.abc import Iterator
from pathlib import Path

import filelock

from posecast.errors import PosecastError
from posecast.records.files import WriteError, entries, make_folder

LOCK_FILE = ".lock"
"""In the folder that is locked; it may stay there, it is held only while a process says so."""

_NO_LOCKS_HERE = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)
"""What network disks without locks answer."""

_SHARE = LOCK_FILE + "-"
_PATIENCE_S = 5.0
"""How long a process waits while others take their shares, which is a matter of milliseconds."""

logger = logging.getLogger(__name__)


def refuse_strangers(file: Path, what: str, error: type[PosecastError]) -> None:
    """`error` where the file, which says what its folder holds, is not there, but other files are.

    Locks and the file half-written are none of them.
    """
    names = [entry.name for entry in entries(file.parent)]
    strange = [name for name in names if not name.startswith((LOCK_FILE, file.name))]
    if strange and not file.is_file():
        listed = f"{', '.join(strange[:5])}{', ...' * (len(strange) > 5)}"
        folder = f"{file.parent} holds files but no {what} ({listed})"
        raise error(f"{folder}; give a new or empty folder")


@contextlib.contextmanager
def held_for(file: Path, what: str, work: str, error: type[PosecastError]) -> Iterator[None]:
    """Hold the folder of a file that says what it holds, alone; the folder is made if need be.

    `error` where it holds something else than `what`, or another process is at `work` in it.
    """
    refuse_strangers(file, what, error)
    make_folder(file.parent)
    in_use = f"another process is {work} {file.parent}: wait for it or stop it, or give another"
    with locked(file.parent, error(f"{in_use} folder")):
        yield


@contextlib.contextmanager
def locked(folder: Path, refusal: PosecastError) -> Iterator[None]:
    """Hold an existing folder alone, at most until this process ends; does not wait.

    Raises `refusal` where another process holds it, or a share of it. On a disk that has no locks
    this only warns.
    """
    with _held(folder / LOCK_FILE, refusal):
        for share in folder.glob(_SHARE + "*"):
            with _held(share, refusal):  # else it is one of a process that was killed
                pass
            share.unlink(missing_ok=True)
        yield


@contextlib.contextmanager
def locked_with_others(folder: Path, refusal: PosecastError) -> Iterator[None]:
    """Hold a share of a folder: others may hold shares of it too, nobody holds it alone."""
    own = folder / f"{_SHARE}{uuid.uuid4().hex}"
    with contextlib.ExitStack() as stack:
        with _held(folder / LOCK_FILE, refusal, patience_s=_PATIENCE_S):
            stack.callback(own.unlink, missing_ok=True)
            stack.enter_context(_held(own, refusal))
        yield


@contextlib.contextmanager
def _held(file: Path, refusal: PosecastError, patience_s: float = 0) -> Iterator[None]:
    lock = filelock.FileLock(file, timeout=patience_s, thread_local=False)
    try:
        lock.acquire()
    except filelock.Timeout:
        raise refusal from None
    except (OSError, NotImplementedError) as error:
        if isinstance(error, OSError) and error.errno not in _NO_LOCKS_HERE:
            raise WriteError(f"cannot lock {file.parent}: {error}; mend its rights") from error
        logger.warning("cannot lock %s (%s): do not work in it twice at once", file.parent, error)
    try:
        yield
    finally:
        lock.release()
