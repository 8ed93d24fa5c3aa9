"""The depth of one camera, smoothed over time: less flicker where the world stands still.

No ROS and no network here: arrays in, arrays out. docs/cloud_quality.md has what it gains and
costs, beside other filters.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from depth_estimation_ros.geometry.camera_model import CameraModel

Depth = npt.NDArray[np.float32]

GATE = 0.1  # of log depth, about 10 %: a pixel that differs by more sees something else
MAX_GAP_S = 0.5  # between two frames: after more, the picture is another one
MOST = 0.99  # the weight of 1 would publish the first frame for ever


@dataclass(frozen=True, eq=False)
class FilterContext:
    """What a frame shows: of another camera, size or scale, the past says nothing.

    Attributes:
        stamp_ns: nanoseconds, of the image.
        size: height and width of the image.
        camera: of the image; None if it is not calibrated.
        near, far: metres; what the network says with this camera is depth only between them.
    """

    stamp_ns: int
    size: tuple[int, int]
    camera: CameraModel | None
    near: float
    far: float

    def continues(self, before: FilterContext) -> bool:
        """Whether this is the same camera, at most `MAX_GAP_S` later."""
        return (
            0 <= self.stamp_ns - before.stamp_ns <= MAX_GAP_S * 1e9
            and (self.size, self.near, self.far) == (before.size, before.near, before.far)
            and _is_same(self.camera, before.camera)
        )


class TemporalFilter:
    """Exponential smoothing of each pixel's log depth, for the frames of one camera in order.

    With q the value published before, p that of the network and w the weight of the past:
    ln q' = w ln q + (1 - w) ln p where |ln p - ln q| < `GATE`, else q' = p. So a step is there at
    once, a steady approach is behind by w / (1 - w) frames at most, and |ln q' - ln p| is below
    w `GATE`: with w = 0.5, within 5 % of what the network says.
    """

    def __init__(self) -> None:
        self._before: tuple[FilterContext, Depth] | None = None  # and the log of what was published

    def forget(self) -> None:
        """The next frame is published as it is; may be called while one is smoothed."""
        self._before = None

    def smooth(self, depth: Depth, weight: float, shown: FilterContext) -> Depth:
        """The next frame.

        Args:
            depth: (h, w) metres. NaN, infinities, and what is not between the limits of `shown` is
                no depth (REP 117): such pixels stay as they are, and begin anew.
            weight: of the past, 0 to `MOST`.
            shown: what it shows; of something else than the frame before, it begins anew.

        Returns:
            (h, w) metres; a new array, or `depth` itself where there is no past.
        """
        logs = _logarithm(depth, shown)
        before, self._before = self._before, (shown, logs)
        if before is None or before[1].shape != logs.shape or not shown.continues(before[0]):
            return depth
        changes = logs - before[1]
        small = np.abs(changes) < GATE  # NaN is not
        np.subtract(logs, np.float32(weight) * changes, out=logs, where=small)
        return np.where(small, np.exp(logs), depth)


def _logarithm(depth: Depth, shown: FilterContext) -> Depth:
    """NaN where there is no depth."""
    told = (depth > shown.near) & (depth < shown.far)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(told, np.log(depth), np.float32(np.nan))


def _is_same(one: CameraModel | None, other: CameraModel | None) -> bool:
    if one is None or other is None:
        return one is other
    return (one.width, one.height, one.distortion_model) == (
        other.width,
        other.height,
        other.distortion_model,
    ) and all(np.array_equal(getattr(one, name), getattr(other, name)) for name in "KDRP")
