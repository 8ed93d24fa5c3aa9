"""A thousand bytes of an image, spread over it: enough to tell whether it is new, black or white.

Looking at every pixel of a 1920 x 1080 image would take milliseconds.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

SAMPLES = 1024
BLACK, WHITE = 16, 250  # of 255; a covered lens is not exactly 0, nor a dazzled sensor 255
FEW = 0.01  # share of the bytes that may be otherwise: a lamp at night, dead pixels

Bytes = npt.NDArray[np.uint8]


def sample(data: Any) -> Bytes:
    """At most about ``SAMPLES`` bytes of an image, as uint8, at even distances.

    Args:
        data: a buffer of bytes: of the message, or of a contiguous picture.
    """
    flat = np.frombuffer(data, np.uint8) if len(data) else np.zeros(0, np.uint8)
    step = max(1, flat.size // SAMPLES) | 1
    if step % 3 == 0 and step > 1:
        step += 2  # so that red, green and blue all have their turn
    return flat[::step].copy()  # far apart in memory, they are fetched once


def is_black(values: Bytes) -> bool:
    """Whether next to nothing is brighter than ``BLACK``."""
    return bool(np.count_nonzero(values > BLACK) < FEW * values.size)


def is_saturated(values: Bytes) -> bool:
    """Whether next to nothing is darker than ``WHITE``."""
    return bool(np.count_nonzero(values < WHITE) < FEW * values.size)


def spread(numbers: npt.NDArray[np.generic]) -> tuple[float, float]:
    """The least and the largest of some of the numbers, (h, w) or flat; of no numbers, zeros."""
    flat = numbers.reshape(-1)[:: max(1, numbers.size // SAMPLES) | 1]
    return (float(flat.min()), float(flat.max())) if flat.size else (0.0, 0.0)
