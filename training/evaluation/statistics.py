"""Means, medians, bands by distance and confidence intervals over the frames of a data set."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from depth_estimation_ros.errors import ParameterError
from depth_estimation_ros.estimation.metrics import Array, depth_metrics

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
        """Count one image; a metric that is NaN is left out of its mean."""
        self.images += metrics["valid_pixels"] > 0
        for name, value in metrics.items():
            known = not math.isnan(value)
            self._sums[name] = self._sums.get(name, 0.0) + (value if known else 0.0)
            self._counts[name] = self._counts.get(name, 0) + known

    def result(self) -> Metrics:
        """Return the means; ``valid_pixels`` is the sum. NaN for a metric that no image had."""
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
        """Count ``depth``, metres, any shape."""
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


INDOOR_EDGES = (0.0, 1.0, 2.0, 4.0, 7.0)  # metres; used up to a cap of 20 m
OUTDOOR_EDGES = (0.0, 10.0, 20.0, 40.0, 80.0, 160.0)


@dataclass(frozen=True)
class Band:
    """The metrics of the pixels whose true depth d is ``near <= d < far``, metres.

    Means over the images that have such pixels, each counting once: ``images`` is their number.
    ``unaligned`` is as predicted, ``median`` with each image's scale aligned over all its depths.
    """

    near: float
    far: float
    images: int
    unaligned: Metrics
    median: Metrics


def band_edges(cap: float, inner: Sequence[float] | None = None) -> list[float]:
    """From 0 to the cap, metres.

    Args:
        inner: where to cut; None: the usual places of indoor or of outdoor scenes.

    Raises:
        ParameterError: places that do not rise.
    """
    if inner is None:
        inner = INDOOR_EDGES if cap <= 20.0 else OUTDOOR_EDGES
    edges = [0.0, *(edge for edge in inner if 0.0 < edge < cap), cap]
    if any(a >= b for a, b in pairwise(edges)):
        raise ParameterError("distances", found=list(inner), expected="rising numbers, metres")
    return edges


class ByDistance:
    """Adds up the bands of a data set image by image."""

    def __init__(self, edges: Sequence[float]) -> None:
        self._edges = edges
        self._bands = [(RunningMean(), RunningMean()) for _ in edges[1:]]

    def add(self, pred: Array, aligned: Array, gt: Array, max_depth: float) -> None:
        """Return one image: predictions and truth of its scored pixels, ``(N,)`` metres."""
        which = np.searchsorted(np.asarray(self._edges), gt, side="right") - 1
        for place, (unaligned, median) in enumerate(self._bands):
            here = which == place
            unaligned.add(depth_metrics(pred[here], gt[here], max_depth=max_depth))
            median.add(depth_metrics(aligned[here], gt[here], max_depth=max_depth))

    def result(self) -> list[Band]:
        """Return the bands, nearest first."""
        limits = pairwise(self._edges)
        return [
            Band(near, far, unaligned.images, unaligned.result(), median.result())
            for (near, far), (unaligned, median) in zip(limits, self._bands, strict=True)
        ]


RESAMPLES = 2000
SEED = 0
SHARE = 0.95
Interval = tuple[float, float]


def block_length(frames: int) -> int:
    """Return frames in a row that are drawn together: ``ceil(sqrt(frames))``."""
    return math.ceil(math.sqrt(frames))


def mean_interval(values: Sequence[float]) -> Interval:
    """Return the 95 % interval of the mean of one number a frame, in the order of recording.

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
