"""One process at a time in a folder, on Linux, Windows and macOS."""

import contextlib
import errno
import logging
from collections.abc import Iterator
from pathlib import Path

import filelock

from posecast.errors import PosecastError

LOCK_FILE = ".lock"
"""In the folder that is locked; it may stay there, it is held only while a process says so."""

_NO_LOCKS_HERE = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)
"""What network disks without locks answer."""

logger = logging.getLogger(__name__)


@contextlib.contextmanager
def locked(folder: Path, refusal: PosecastError, name: str = LOCK_FILE) -> Iterator[None]:
    """Hold the lock of an existing folder, at most until this process ends; never waits.

    Raises `refusal` where another process holds it. On a disk that has no locks this only warns.
    """
    lock = filelock.FileLock(folder / name, timeout=0, thread_local=False)
    try:
        lock.acquire()
    except filelock.Timeout:
        raise refusal from None
    except (OSError, NotImplementedError) as error:
        if isinstance(error, OSError) and error.errno not in _NO_LOCKS_HERE:
            raise PosecastError(f"cannot lock {folder}: {error}; mend its rights") from error
        logger.warning("cannot lock %s (%s): do not work in it twice at once", folder, error)
    try:
        yield
    finally:
        lock.release()
