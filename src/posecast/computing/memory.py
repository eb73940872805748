"""Memory of large tensors, kept for the next ones; and errors that say there is none left.

The C library hands every large block that is freed back to the system, and gets it again, zeroed
page by page, for the next tensor. In image training that was a tenth of the processor's time.
"""

import ctypes
import errno
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from posecast.errors import PosecastError

_TRIM_THRESHOLD, _MMAP_MAX = -1, -4
"""Numbers of two options of glibc's mallopt."""

_NONE_LEFT = (errno.ENOMEM, errno.EAGAIN)
_SAID = ("out of memory", "allocate memory", "insufficient memory", "start new thread")


def says_no_memory(error: BaseException) -> bool:
    """Whether it says that memory (for a thread, too) is used up: numpy, PyTorch, OpenCV, ffmpeg
    and onnxruntime each say so by an error of another kind."""
    said = str(error).lower()
    if "static tls" in said or hasattr(error, "characters_written"):
        return False  # a library that has to be loaded earlier; a pipe that is full
    out = isinstance(error, MemoryError) or any(each in said for each in _SAID)
    return out or (isinstance(error, OSError) and error.errno in _NONE_LEFT)


@contextmanager
def memory_told(of: str = "") -> Iterator[None]:
    """Where memory is used up within: PosecastError that says so, after `of`, and what helps."""
    try:
        yield
    except PosecastError:
        raise
    except Exception as error:
        if not says_no_memory(error):
            raise
        said = str(error).partition("\n")[0][:200] or type(error).__name__
        raise PosecastError(
            f"{of}memory is used up ({said}): close other programs, or give smaller pictures or "
            "less at once"
        ) from error


def keep_freed_memory() -> bool:
    """Let this process keep what it frees, from now on; True where that can be had (glibc).

    Memory is then as large as it was at its peak until the process ends, which suits programs that
    do one thing again and again. Libraries should leave it to the program to call this.
    """
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:  # musl
        return False
    return bool(mallopt(_MMAP_MAX, 0)) and bool(mallopt(_TRIM_THRESHOLD, -1))
