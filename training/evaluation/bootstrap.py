"""How far the mean over frames may be off, for there being only so many of them."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

RESAMPLES = 2000
SEED = 0
SHARE = 0.95
Interval = tuple[float, float]


def block_length(frames: int) -> int:
    """Frames in a row that are drawn together: ``ceil(sqrt(frames))``."""
    return math.ceil(math.sqrt(frames))


def mean_interval(values: Sequence[float]) -> Interval:
    """The 95 % interval of the mean of one number a frame, in the order of recording.

    Frames in a row look alike, so whole blocks of them are drawn (the moving-block bootstrap of
    Künsch, Annals of Statistics 1989), :func:`block_length` long; the ends are percentiles of the
    means of 2,000 draws. It knows nothing of other places: those differ far more than frames do.

    Args:
        values: NaN for a frame without the number; it is left out.

    Returns:
        Lowest and highest mean; NaN, NaN where no frame has the number.
    """
    known = np.asarray([value for value in values if not math.isnan(value)])
    if not known.size:
        return math.nan, math.nan
    length = block_length(known.size)
    rng = np.random.default_rng(SEED)
    blocks = math.ceil(known.size / length)
    starts = rng.integers(0, known.size - length + 1, (RESAMPLES, blocks))
    drawn = (starts[:, :, None] + np.arange(length)).reshape(RESAMPLES, -1)[:, : known.size]
    edge = (1.0 - SHARE) / 2.0
    low, high = np.quantile(known[drawn].mean(axis=1), (edge, 1.0 - edge))
    return float(low), float(high)
