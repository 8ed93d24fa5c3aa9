"""Pictures of depth for people: colour maps, comparison sheets, and clouds seen from the side."""

from depth_estimation_ros.visualization.cloud import cloud_picture
from depth_estimation_ros.visualization.color_maps import COLOR_MAPS, DEFAULT_COLOR_MAP
from depth_estimation_ros.visualization.colors import colorize, colorize_error
from depth_estimation_ros.visualization.depth_colors import COLOR_RANGES, ColorSettings, DepthColors
from depth_estimation_ros.visualization.legend import with_legend
from depth_estimation_ros.visualization.scale import ColorScale
from depth_estimation_ros.visualization.sheet import PreviewRow, preview

__all__ = [
    "COLOR_MAPS",
    "COLOR_RANGES",
    "DEFAULT_COLOR_MAP",
    "ColorScale",
    "ColorSettings",
    "DepthColors",
    "PreviewRow",
    "cloud_picture",
    "colorize",
    "colorize_error",
    "preview",
    "with_legend",
]
