"""Keeps the memory of one frame for the next one, and says how large a process was.

A frame takes and gives back some ten blocks of 1 to 5 MB. By default glibc returns such blocks to
the kernel at once, and the next frame pays for each page again when it first touches it: measured
with full clouds at 640x480, that was 8 of 12 ms in the node.

glibc gives threads heaps of their own ("arenas"), eight for each core, and what one heap keeps no
thread of another can have. A node that is configured again has new threads, and each time one more
heap kept the 11 MB of a frame, or the 60 of a network. So all threads share one.
"""

from __future__ import annotations

import ctypes
import re
import sys
from collections.abc import Iterator
from pathlib import Path

# Of glibc's malloc.h; blocks above the largest possible threshold are mapped whatever we say.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8
_LARGEST_MMAP_THRESHOLD = 32 * 1024 * 1024
_KEPT_BYTES = 256 * 1024 * 1024


def keep_freed_memory() -> bool:
    """Tells malloc to keep up to 256 MB of freed memory for all threads, for the process's life.

    For the `main` of a program that works on frames, before it allocates or loads a library that
    starts threads (rclpy), which would have heaps already; a library must not decide this for
    others. The process stays as large as its largest frame made it.

    Returns:
        Whether the C library took it. One without `mallopt` (not glibc) works as before.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return False
    wanted = (
        (_M_MMAP_THRESHOLD, _LARGEST_MMAP_THRESHOLD),
        (_M_TRIM_THRESHOLD, _KEPT_BYTES),
        (_M_ARENA_MAX, 1),
    )
    taken = [mallopt(name, value) for name, value in wanted]  # each, also after a refusal
    return all(taken)


def peak_memory_mb() -> float:
    """Memory of this process at its largest so far, in MB of 10^6 bytes; 0 where nobody says.

    On Linux from the kernel's account of this very program: what `getrusage` tells there is at
    least as large as the process was that started it.
    """
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:  # not Linux
        status = ""
    if found := re.search(r"^VmHWM:\s+(\d+) kB$", status, re.MULTILINE):
        return int(found[1]) * 1024 / 1e6
    try:
        import resource
    except ImportError:  # Windows
        return 0.0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # kB, on macOS bytes
    return peak / (1e6 if sys.platform == "darwin" else 1e3)


# 320 kB of float32. Half of that would fit better into a second-level cache of 1 MB, yet a cloud
# then takes up to 15 % longer: every chunk has Python calls of its own.
_PIXELS = 80_000


def iter_row_chunks(height: int, width: int) -> Iterator[slice]:
    """Yield slices of whole rows, in order, that cover `height` rows of `width` pixels."""
    rows = max(1, _PIXELS // max(1, width))
    for first in range(0, height, rows):
        yield slice(first, min(first + rows, height))
