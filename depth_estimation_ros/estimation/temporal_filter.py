"""Smooth the depth of one camera over time: less flicker in static scenes.

docs/cloud_quality.md compares it with other filters.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from depth_estimation_ros.geometry.camera_model import CameraModel

Depth = npt.NDArray[np.float32]

GATE = 0.1  # of log depth, about 10 %: a pixel that differs by more sees something else
MAX_GAP_S = 0.5  # between two frames; after a longer gap the filter restarts
MAX_WEIGHT = 0.99  # the weight of 1 would publish the first frame for ever


@dataclass(frozen=True, eq=False)
class FilterContext:
    """What two frames must have in common to be smoothed together.

    Attributes:
        stamp_ns: nanoseconds, of the image.
        size: height and width of the image.
        camera: of the image; None if it is not calibrated.
        near, far: metres; the network's values are depth only between them.
    """

    stamp_ns: int
    size: tuple[int, int]
    camera: CameraModel | None
    near: float
    far: float

    def continues(self, before: FilterContext) -> bool:
        """Return whether this is the same camera, at most `MAX_GAP_S` later."""
        return (
            0 <= self.stamp_ns - before.stamp_ns <= MAX_GAP_S * 1e9
            and (self.size, self.near, self.far) == (before.size, before.near, before.far)
            and _is_same(self.camera, before.camera)
        )


class TemporalFilter:
    """Smooths each pixel's log depth exponentially, for the frames of one camera in order.

    With q the value published before, p that of the network and w the weight of the history:
    ln q' = w ln q + (1 - w) ln p where |ln p - ln q| < `GATE`, else q' = p. So a step is published
    at once, a steady approach lags by w / (1 - w) frames at most, and |ln q' - ln p| is below
    w `GATE`: with w = 0.5, within 5 % of the network's value.
    """

    def __init__(self) -> None:
        self._before: tuple[FilterContext, Depth] | None = None  # and the log of what was published

    def reset(self) -> None:
        """Publish the next frame unsmoothed; may be called from any thread."""
        self._before = None

    def smooth(self, depth: Depth, weight: float, context: FilterContext) -> Depth:
        """Return the next frame, smoothed.

        Args:
            depth: (h, w) metres. NaN, infinities, and values outside the limits of `context` are
                no depth (REP 117): such pixels stay as they are, and restart.
            weight: of the history, 0 to `MAX_WEIGHT`.
            context: of this frame; if it does not continue the previous one, the filter restarts.

        Returns:
            (h, w) metres; a new array, or `depth` itself where there is no history.
        """
        logs = _logarithm(depth, context)
        before, self._before = self._before, (context, logs)
        if before is None or before[1].shape != logs.shape or not context.continues(before[0]):
            return depth
        changes = logs - before[1]
        small = np.abs(changes) < GATE  # NaN is not
        np.subtract(logs, np.float32(weight) * changes, out=logs, where=small)
        return np.where(small, np.exp(logs), depth)


def _logarithm(depth: Depth, context: FilterContext) -> Depth:
    """Return log depth, NaN where there is no depth."""
    known = (depth > context.near) & (depth < context.far)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(known, np.log(depth), np.float32(np.nan))


def _is_same(one: CameraModel | None, other: CameraModel | None) -> bool:
    if one is None or other is None:
        return one is other
    return (one.width, one.height, one.distortion_model) == (
        other.width,
        other.height,
        other.distortion_model,
    ) and all(np.array_equal(getattr(one, name), getattr(other, name)) for name in "KDRP")
