"""The depth range of the colours, fixed or following the image, and the colours of each frame."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from depth_estimation_ros.errors import ParameterError
from depth_estimation_ros.visualization.colorize import (
    DEFAULT_COLOR_MAP,
    DEFAULT_MIN_DEPTH,
    Depth,
    Rgb,
    color_limits,
    color_table,
    colorize,
)
from depth_estimation_ros.visualization.legend import add_legend

COLOR_RANGES = ("fixed", "percentile")

MAX_SAMPLES = 20_000  # pixels for the percentiles: within 1 % of those of all pixels
MIN_RATIO = 1.25  # of far to near: the noise of a flat wall must not fill all colours
MIN_JUMP_S = 0.1  # backwards; less is an image that another one overtook
MAX_GAP = 2.5  # time constants without a frame, after which another scene may be in view
WIDENING = 0.25  # the time constant of widening as a share of that of narrowing
OUTWARD = np.array([-1.0, 1.0])  # near moves nearer, far moves farther

Logs = npt.NDArray[np.float64]  # of near and far


class ColorScale:
    """The depths at the two ends of the colours; one for each camera, as it keeps a history.

    >>> ColorScale.fixed(0.3, 10.0).range_for(depth, stamp_ns)
    (0.3, 10.0)
    """

    def __init__(
        self,
        near: float,
        far: float,
        percentiles: tuple[float, float] | None = None,
        time_constant_s: float = 0.0,
    ) -> None:
        self._limits = (near, far)
        self._shares = percentiles
        self._time_constant_s = time_constant_s
        self.reset()

    @classmethod
    def fixed(cls, near: float, far: float) -> ColorScale:
        """Return a scale with the same depths at all times, as `color_limits` gives them.

        Raises:
            ParameterError: near is not below far.
        """
        return cls(*color_limits(near, far))

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
        """Return a scale that follows the depths in view without flicker.

        log(near) and log(far) follow the percentiles of each frame through two exponential filters
        in series, each of half the time constant: a change begins gently, one outlier frame hardly
        shows, and after one time constant 59 % of a change are in the range. It widens four times
        as fast as it narrows.

        Args:
            low: percentile of the finite depths at the near end.
            high: percentile at the far end.
            time_constant_s: of narrowing, in seconds of the frames' stamps; 0 = no filter.
            nearest: lower limit of the near end, metres.
            farthest: upper limit of the far end, metres.

        Raises:
            ParameterError: low is not below high within 0..100, nearest not below farthest, or the
                time constant is negative.
        """
        if not (0 <= low < high <= 100 and time_constant_s >= 0 and 0 <= nearest < farthest):
            raise ParameterError(
                "colour scale by percentiles",
                found=f"percentiles {low:g} and {high:g} of {nearest:g} m to {farthest:g} m, "
                f"time constant {time_constant_s:g} s",
                expected="0 <= low < high <= 100, nearest < farthest, time constant >= 0",
            )
        return cls(nearest, farthest, (low, high), time_constant_s)

    def reset(self) -> None:
        """Forget all frames: the next one sets the range by itself."""
        self._logs: Logs | None = None
        self._first_stage: Logs = np.zeros(2)
        self._stamp_ns = 0

    def range_for(self, depth: Depth, stamp_ns: int) -> tuple[float, float]:
        """Return the depths in metres of the near and the far end for this frame; near < far.

        A stamp 0.1 s or more before the last one, or more than two and a half time constants
        after it, resets. A frame without any finite depth leaves the range as it was.

        Args:
            depth: (H, W) float32 metres; what is not finite or not above 0 does not count.
            stamp_ns: of the frame, nanoseconds.
        """
        if self._shares is None:
            return self._limits
        seconds = (stamp_ns - self._stamp_ns) * 1e-9
        if seconds <= -MIN_JUMP_S or seconds > MAX_GAP * self._time_constant_s:
            self._logs, self._stamp_ns, seconds = None, stamp_ns, 0.0
        seconds = max(seconds, 0.0)
        present = _log_percentiles(depth, self._shares)
        if present is not None:
            if self._logs is None or self._time_constant_s == 0:
                self._logs = self._first_stage = present
            else:
                self._first_stage = self._filter(self._first_stage, present, seconds)
                self._logs = self._filter(self._logs, self._first_stage, seconds)
            self._stamp_ns = max(self._stamp_ns, stamp_ns)
        return self._within_limits()

    def _filter(self, logs: Logs, target: Logs, seconds: float) -> Logs:
        """Return one stage of the filter, for log(near) and log(far)."""
        step = target - logs
        widens = step * OUTWARD > 0
        half = 0.5 * self._time_constant_s * np.where(widens, WIDENING, 1.0)
        return logs - np.expm1(-seconds / half) * step

    def _within_limits(self) -> tuple[float, float]:
        nearest, farthest = self._limits
        if self._logs is None:
            near, far = DEFAULT_MIN_DEPTH, 10.0
        else:
            near, far = (float(end) for end in np.exp(self._logs))
        near, far = (min(max(end, nearest), farthest) for end in (near, far))
        if far / near >= MIN_RATIO:
            return near, far
        middle, half = math.sqrt(near * far), math.sqrt(MIN_RATIO)
        return middle / half, middle * half


def _log_percentiles(depth: Depth, shares: tuple[float, float]) -> Logs | None:
    """Return the logarithms of two percentiles of the known depths; None without any."""
    step = max(1, math.isqrt(depth.size // MAX_SAMPLES))
    sample = depth[::step, ::step]
    sample = sample[np.isfinite(sample) & (sample > 0)]
    if not len(sample):
        return None
    return np.log(np.percentile(sample, shares).astype(np.float64))


@dataclass(frozen=True)
class ColorSettings:
    """How a depth image is coloured.

    Attributes:
        color_map: one of COLOR_MAPS.
        color_range: fixed, the same depths at all times; or percentile, the depths in view,
            filtered over time so that colours do not flicker.
        min_depth: metres at the near end, or the lower limit of a near end by percentile.
            0 = 0.3 m (a tenth of a max_depth below 3 m), or no limit by percentile.
        max_depth: metres at the far end, or the upper limit of a far end by percentile.
            0 = the farthest depth that the model and the limits allow, yet at least twice
            min_depth; or no limit by percentile.
        legend: draw a bar in metres over the lowest part of the image.
    """

    color_map: str = DEFAULT_COLOR_MAP
    color_range: str = "fixed"
    min_depth: float = 0.0
    max_depth: float = 0.0
    legend: bool = False

    def check(self) -> None:
        """Raise ParameterError for an invalid value."""
        color_table(self.color_map)
        if self.color_range not in COLOR_RANGES:
            raise ParameterError(
                "color_range",
                found=f"'{self.color_range}'",
                expected=f"one of {', '.join(COLOR_RANGES)}",
            )
        if self.max_depth > 0:
            color_limits(self.min_depth, self.max_depth)


class DepthColors:
    """Draws the frames of one camera in order, and remembers the depths in view.

    Args:
        settings: for the next frames; may be replaced between two frames.
    """

    def __init__(self, settings: ColorSettings | None = None) -> None:
        self.settings = settings if settings is not None else ColorSettings()
        self._scale: ColorScale | None = None
        self._scale_settings = self.settings

    def reset(self) -> None:
        """Forget all frames, as after a jump of time; may be called while one is drawn."""
        self._scale = None

    def draw(self, depth: Depth, stamp_ns: int, farthest: float) -> Rgb:
        """Return the colours of one frame, (H, W, 3) uint8 RGB.

        Args:
            depth: (H, W) float32 metres; NaN is black, +Inf has the far and -Inf the near colour.
            stamp_ns: of the frame, nanoseconds.
            farthest: metres, the far end where a fixed range names none.

        Raises:
            ParameterError: as from `ColorSettings.check`.
        """
        near, far = self._range(depth, stamp_ns, farthest)
        color_map = self.settings.color_map
        colors = colorize(depth, min_depth=near, max_depth=far, color_map=color_map)
        return add_legend(colors, near, far, color_map) if self.settings.legend else colors

    def _range(self, depth: Depth, stamp_ns: int, farthest: float) -> tuple[float, float]:
        settings = self.settings
        if settings.color_range == "fixed":
            farthest = max(farthest, 2 * settings.min_depth)
            return color_limits(settings.min_depth, settings.max_depth or farthest)
        scale, last = self._scale, self._scale_settings
        # Colour map and legend do not move the range.
        if scale is None or replace(settings, color_map=last.color_map, legend=last.legend) != last:
            scale = ColorScale.percentiles(
                nearest=settings.min_depth, farthest=settings.max_depth or math.inf
            )
            self._scale, self._scale_settings = scale, settings
        return scale.range_for(depth, stamp_ns)
