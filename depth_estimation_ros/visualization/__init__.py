"""Depth as colours, with a legend in metres. `figures`, which needs matplotlib, is not imported."""

from depth_estimation_ros.visualization.colorize import (
    COLOR_MAPS,
    DEFAULT_COLOR_MAP,
    colorize,
    colorize_error,
)
from depth_estimation_ros.visualization.depth_colors import (
    COLOR_RANGES,
    ColorScale,
    ColorSettings,
    DepthColors,
)
from depth_estimation_ros.visualization.legend import add_legend

__all__ = [
    "COLOR_MAPS",
    "COLOR_RANGES",
    "DEFAULT_COLOR_MAP",
    "ColorScale",
    "ColorSettings",
    "DepthColors",
    "add_legend",
    "colorize",
    "colorize_error",
]
