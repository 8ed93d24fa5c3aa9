"""Anchors for evaluation: what a robot would measure, taken from ground truth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from depth_estimation_ros.errors import ParameterError
from depth_estimation_ros.estimation.frame import Depth
from depth_estimation_ros.estimation.scale import Pairs, ScaleSource
from depth_estimation_ros.estimation.scale_sources import (
    MAX_POINTS,
    FloorBelow,
    KnownPixels,
    down_vector,
)

EXPECTED = "points:N (N random pixels), scan (one row) or height:METRES[:PITCH_DEGREES]"


@dataclass(frozen=True)
class Alignment:
    """What anchors each image of a data set by itself.

    Attributes:
        name: as the user wrote it.
    """

    name: str

    def __post_init__(self) -> None:
        self.source(np.ones((2, 2), np.float32), np.ones((2, 2), bool), 0)

    def source(self, depth: Depth, usable: npt.NDArray[np.bool_], index: int) -> ScaleSource | None:
        """Return the anchor of one image, or None where nothing is known.

        Args:
            depth: ground truth (H, W), metres.
            usable: (H, W), the pixels whose depth a sensor may have measured.
            index: of the image; the random pixels are the same in every run.

        Raises:
            ParameterError: the name is not one of `EXPECTED`.
        """
        kind, _, rest = self.name.partition(":")
        try:
            if kind == "height":
                height, _, pitch = rest.partition(":")
                return FloorBelow(float(height), down_vector(0.0, np.radians(float(pitch or 0))))
            if kind == "points":
                rows, columns = np.nonzero(usable)
                count = min(int(rest), len(rows))
                chosen = np.random.default_rng(index).choice(len(rows), count, replace=False)
                rows, columns = rows[chosen], columns[chosen]
            elif self.name == "scan":
                rows, columns = _middle_row(usable)
            else:
                raise ValueError("no such alignment")
        except ValueError as error:
            raise ParameterError("--align", found=self.name, expected=EXPECTED) from error
        if len(rows) == 0:
            return None
        return KnownPixels(
            Pairs(rows, columns, depth[rows, columns].astype(np.float64)), depth.shape[:2]
        )


def _middle_row(
    usable: npt.NDArray[np.bool_],
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Return the row nearest to the middle with depth in a twentieth of its columns."""
    counts = usable.sum(axis=1)
    good = np.flatnonzero(counts >= max(1, usable.shape[1] // 20))
    if len(good) == 0:
        return np.empty(0, np.intp), np.empty(0, np.intp)
    row = int(good[np.argmin(np.abs(good - usable.shape[0] / 2))])
    columns = np.flatnonzero(usable[row])
    columns = columns[:: max(1, -(-len(columns) // MAX_POINTS))]
    return np.full(len(columns), row), columns
