"""The colour picture of each frame of one camera, as settings of plain values describe it."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from depth_estimation_ros.errors import ParameterError
from depth_estimation_ros.visualization.color_maps import DEFAULT_COLOR_MAP, Picture, color_table
from depth_estimation_ros.visualization.colors import Depth, color_range, colorize
from depth_estimation_ros.visualization.legend import with_legend
from depth_estimation_ros.visualization.scale import ColorScale

COLOR_RANGES = ("fixed", "percentile")


@dataclass(frozen=True)
class ColorSettings:
    """How a depth is coloured.

    Attributes:
        color_map: one of COLOR_MAPS.
        color_range: fixed, the same depths at all times; or percentile, the depths in view,
            smoothed over time so that colours do not flicker.
        min_depth: metres at the near end, or below which a near end by percentile never goes.
            0 = 0.3 m (a tenth of a max_depth below 3 m), or no limit by percentile.
        max_depth: metres at the far end, or beyond which a far end by percentile never goes.
            0 = the farthest depth that the model and the limits allow, yet at least twice
            min_depth; or no limit by percentile.
        legend: draw the bar in metres over the lowest part of the picture.
    """

    color_map: str = DEFAULT_COLOR_MAP
    color_range: str = "fixed"
    min_depth: float = 0.0
    max_depth: float = 0.0
    legend: bool = False

    def check(self) -> None:
        """Raise ParameterError for a value that cannot be."""
        color_table(self.color_map)
        if self.color_range not in COLOR_RANGES:
            raise ParameterError(
                "color_range",
                found=f"'{self.color_range}'",
                expected=f"one of {', '.join(COLOR_RANGES)}",
            )
        if self.max_depth > 0:
            color_range(self.min_depth, self.max_depth)


class DepthColors:
    """Draws the frames of one camera one after the other; remembers the depths in view.

    Args:
        settings: for the next frames; may be set to others between two frames.
    """

    def __init__(self, settings: ColorSettings | None = None) -> None:
        self.settings = settings if settings is not None else ColorSettings()
        self._scale: ColorScale | None = None
        self._scale_settings = self.settings

    def reset(self) -> None:
        """Forget the frames so far, as when time has jumped; may be called while one is drawn."""
        self._scale = None

    def draw(self, depth: Depth, stamp_ns: int, farthest: float) -> Picture:
        """One frame.

        Args:
            depth: (H, W) float32 metres; NaN is black, +Inf has the far and -Inf the near colour.
            stamp_ns: of the frame, nanoseconds.
            farthest: metres, the far end where a fixed range names none.

        Returns:
            (H, W, 3) uint8 RGB.

        Raises:
            ParameterError: what `ColorSettings.check` refuses.
        """
        near, far = self._range(depth, stamp_ns, farthest)
        color_map = self.settings.color_map
        colors = colorize(depth, min_depth=near, max_depth=far, color_map=color_map)
        if self.settings.legend:
            colors = with_legend(colors, near, far, color_map)
        return np.asarray(colors, np.uint8)

    def _range(self, depth: Depth, stamp_ns: int, farthest: float) -> tuple[float, float]:
        settings = self.settings
        if settings.color_range == "fixed":
            farthest = max(farthest, 2 * settings.min_depth)
            return color_range(settings.min_depth, settings.max_depth or farthest)
        scale = self._scale
        if scale is None or not _same_scale(settings, self._scale_settings):
            scale = ColorScale.percentiles(
                nearest=settings.min_depth, farthest=settings.max_depth or math.inf
            )
            self._scale, self._scale_settings = scale, settings
        return scale.range_for(depth, stamp_ns)


def _same_scale(one: ColorSettings, other: ColorSettings) -> bool:
    """Whether only what does not move the range differs."""
    return replace(one, color_map=other.color_map, legend=other.legend) == other
