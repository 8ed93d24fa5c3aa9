"""Which depths the two ends of the colours stand for: fixed in metres, or following the picture."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from depth_estimation_ros.errors import ParameterError
from depth_estimation_ros.visualization.colors import NEAREST, color_range

Depth = npt.NDArray[np.float32]
Logs = npt.NDArray[np.float64]  # of near and far

LARGEST_SAMPLE = 20_000  # pixels that percentiles are taken of: within 1 % of those of all
SMALLEST_RATIO = 1.25  # of far to near: the noise of a flat wall must not fill all colours
SMALLEST_JUMP_S = 0.1  # backwards; less is an image that another one overtook
WIDENING = 0.25  # its time constant as a share of that of narrowing
OUTWARD = np.array([-1.0, 1.0])  # near comes nearer, far goes farther
GAP = 2.5  # time constants without a frame, after which another scene may be in view


class ColorScale:
    """Made by `fixed` or by `percentiles`; one for each camera, as it remembers what was in view.

    >>> ColorScale.fixed(0.3, 10.0).range_for(depth, stamp_ns)
    (0.3, 10.0)
    """

    def __init__(
        self,
        near: float,
        far: float,
        shares: tuple[float, float] | None = None,
        time_constant_s: float = 0.0,
    ) -> None:
        self._limits = (near, far)
        self._shares = shares
        self._time_constant_s = time_constant_s
        self.reset()

    @classmethod
    def fixed(cls, near: float, far: float) -> ColorScale:
        """The same depths at all times: colours can be compared between frames and cameras.

        Args:
            near: metres at the near end; 0 = 0.3 m, or a tenth of a far below 3 m.
            far: metres at the far end.

        Raises:
            ParameterError: near is not below far.
        """
        return cls(*color_range(near, far))

    @classmethod
    def percentiles(
        cls,
        low: float = 2.0,
        high: float = 98.0,
        time_constant_s: float = 2.0,
        *,
        nearest: float = 0.0,
        farthest: float = math.inf,
    ) -> ColorScale:
        """The depths in view fill the colours, and go over to another scene without flicker.

        log(near) and log(far) follow the percentiles of each frame by two exponential filters
        in a row, of half the time constant each: a change begins gently, one odd frame hardly
        shows, and after a time constant 59 % of a change are in the range. It widens four times
        as fast as it narrows: what comes into view soon has colours of its own, and a camera that
        looks to and fro keeps the range of all that it sees.

        Args:
            low: percentile of the finite depths at the near end.
            high: percentile at the far end.
            time_constant_s: of narrowing, seconds of the frames' stamps; 0 = each frame by itself.
            nearest: metres that the near end never goes below.
            farthest: metres that the far end never goes beyond.

        Raises:
            ParameterError: low is not below high within 0..100, nearest not below farthest, or the
                time constant is negative.
        """
        if not (0 <= low < high <= 100 and time_constant_s >= 0 and 0 <= nearest < farthest):
            raise ParameterError(
                "no colour scale by percentiles",
                found=f"percentiles {low:g} and {high:g} of {nearest:g} m to {farthest:g} m, "
                f"time constant {time_constant_s:g} s",
                expected="0 <= low < high <= 100, nearest < farthest, time constant >= 0",
            )
        return cls(nearest, farthest, (low, high), time_constant_s)

    def reset(self) -> None:
        """Forget the frames so far: the next one sets the range by itself."""
        self._logs: Logs | None = None
        self._first_stage: Logs = np.zeros(2)
        self._stamp_ns = 0

    def range_for(self, depth: Depth, stamp_ns: int) -> tuple[float, float]:
        """Depths in metres of the near and the far end for this frame; near < far.

        A stamp 0.1 s or more before the last one, or more than two and a half time constants
        after it, resets. A frame without any finite depth leaves the range as it was.

        Args:
            depth: (H, W) float32 metres; what is not finite or not above 0 does not count.
            stamp_ns: of the frame, nanoseconds; only differences matter.
        """
        if self._shares is None:
            return self._limits
        seconds = (stamp_ns - self._stamp_ns) * 1e-9
        if seconds <= -SMALLEST_JUMP_S or seconds > GAP * self._time_constant_s:
            self._logs, self._stamp_ns, seconds = None, stamp_ns, 0.0
        seconds = max(seconds, 0.0)
        present = self._percentiles(depth, self._shares)
        if present is not None:
            if self._logs is None or self._time_constant_s == 0:
                self._logs = self._first_stage = present
            else:
                self._first_stage = self._moved(self._first_stage, present, seconds)
                self._logs = self._moved(self._logs, self._first_stage, seconds)
            self._stamp_ns = max(self._stamp_ns, stamp_ns)
        return self._within_limits()

    def _moved(self, logs: Logs, towards: Logs, seconds: float) -> Logs:
        """One stage of the filter, for log(near) and log(far)."""
        step = towards - logs
        widens = step * OUTWARD > 0
        half = 0.5 * self._time_constant_s * np.where(widens, WIDENING, 1.0)
        return logs - np.expm1(-seconds / half) * step

    @staticmethod
    def _percentiles(depth: Depth, shares: tuple[float, float]) -> Logs | None:
        step = max(1, math.isqrt(depth.size // LARGEST_SAMPLE))
        sample = depth[::step, ::step]
        sample = sample[np.isfinite(sample) & (sample > 0)]
        if not len(sample):
            return None
        return np.log(np.percentile(sample, shares).astype(np.float64))

    def _within_limits(self) -> tuple[float, float]:
        nearest, farthest = self._limits
        if self._logs is None:
            near, far = NEAREST, 10.0
        else:
            near, far = (float(end) for end in np.exp(self._logs))
        near, far = (min(max(end, nearest), farthest) for end in (near, far))
        if far / near >= SMALLEST_RATIO:
            return near, far
        middle, half = math.sqrt(near * far), math.sqrt(SMALLEST_RATIO)
        return middle / half, middle * half
