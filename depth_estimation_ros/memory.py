"""Keeps the memory of one frame for the next one.

A frame takes and gives back some ten blocks of 1 to 5 MB. By default glibc returns such blocks to
the kernel at once, and the next frame pays for each page again when it first touches it: measured
with full clouds at 640x480, that was 8 of 12 ms in the node.
"""

from __future__ import annotations

import ctypes

# Of glibc's malloc.h; blocks above the largest possible threshold are mapped whatever we say.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_LARGEST_MMAP_THRESHOLD = 32 * 1024 * 1024
_KEPT_BYTES = 256 * 1024 * 1024


def keep_freed_memory() -> bool:
    """Tells malloc to keep up to 256 MB of freed memory in this process, for its whole life.

    For the `main` of a program that works on frames, before it allocates; a library must not
    decide this for others. The process stays as large as its largest frame made it.

    Returns:
        Whether the C library took it. One without `mallopt` (not glibc) works as before.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return False
    taken = mallopt(_M_MMAP_THRESHOLD, _LARGEST_MMAP_THRESHOLD)
    return bool(taken and mallopt(_M_TRIM_THRESHOLD, _KEPT_BYTES))
