"""Memory of large tensors, kept for the next ones.

The C library hands every large block that is freed back to the system, and gets it again, zeroed
page by page, for the next tensor. In image training that was a tenth of the processor's time.
"""

import ctypes
import sys

_TRIM_THRESHOLD, _MMAP_MAX = -1, -4
"""Numbers of two options of glibc's mallopt."""


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
