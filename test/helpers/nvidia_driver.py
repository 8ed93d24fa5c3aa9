"""Whether NVIDIA's driver is on this machine."""

from __future__ import annotations

import ctypes


def has_driver() -> bool:
    """As pycuda and every other program would find it."""
    try:
        ctypes.CDLL("libcuda.so.1")
    except OSError:
        return False
    return True
