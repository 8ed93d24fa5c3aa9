"""Means and medians of a data set in memory that does not grow with it."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

Metrics = dict[str, float]


class RunningMean:
    """`depth_estimation_ros.estimation.metrics.mean_metrics`, one image at a time.

    Attributes:
        images: how many had a pixel to score.
    """

    def __init__(self) -> None:
        self.images = 0
        self._sums: dict[str, float] = {}
        self._counts: dict[str, int] = {}

    def add(self, metrics: Mapping[str, float]) -> None:
        """Counts one image; a metric that is NaN is left out of its mean."""
        self.images += metrics["valid_pixels"] > 0
        for name, value in metrics.items():
            known = not math.isnan(value)
            self._sums[name] = self._sums.get(name, 0.0) + (value if known else 0.0)
            self._counts[name] = self._counts.get(name, 0) + known

    def result(self) -> Metrics:
        """The means; ``valid_pixels`` is the sum. NaN for a metric that no image had."""
        means = {
            name: total / self._counts[name] if self._counts[name] else math.nan
            for name, total in self._sums.items()
        }
        return means | {"valid_pixels": self._sums.get("valid_pixels", 0.0)}


class DepthMedian:
    """The median of any number of depths, right to a ratio of 1.0001.

    Depths are counted in bins of equal ratio.

    Args:
        nearest, farthest: metres; every depth lies between them.
    """

    RATIO = 1.0001

    def __init__(self, nearest: float, farthest: float) -> None:
        self._nearest = nearest
        bins = math.ceil(math.log(farthest / nearest) / math.log(self.RATIO)) + 1
        self._counts = np.zeros(bins, np.int64)

    def add(self, depth: npt.NDArray[np.floating]) -> None:
        """Counts ``depth``, metres, any shape."""
        places = np.log(depth.astype(np.float64) / self._nearest) / math.log(self.RATIO)
        bins = np.clip(places.astype(np.int64).ravel(), 0, self._counts.size - 1)
        self._counts += np.bincount(bins, minlength=self._counts.size)

    def result(self) -> float:
        """Metres; NaN if nothing was counted."""
        total = int(self._counts.sum())
        if total == 0:
            return math.nan
        place = int(np.searchsorted(np.cumsum(self._counts), (total + 1) // 2))
        return self._nearest * self.RATIO ** (place + 0.5)
