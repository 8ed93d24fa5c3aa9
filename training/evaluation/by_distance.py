"""Metrics by the distance of what is seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from depth_estimation_ros.errors import ParameterError
from depth_estimation_ros.estimation.metrics import Array, depth_metrics
from training.evaluation.running import Metrics, RunningMean

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
        """One image: predictions and truth of its scored pixels, ``(N,)`` metres."""
        which = np.searchsorted(np.asarray(self._edges), gt, side="right") - 1
        for place, (unaligned, median) in enumerate(self._bands):
            here = which == place
            unaligned.add(depth_metrics(pred[here], gt[here], max_depth=max_depth))
            median.add(depth_metrics(aligned[here], gt[here], max_depth=max_depth))

    def result(self) -> list[Band]:
        """The bands, nearest first."""
        limits = pairwise(self._edges)
        return [
            Band(near, far, unaligned.images, unaligned.result(), median.result())
            for (near, far), (unaligned, median) in zip(limits, self._bands, strict=True)
        ]
