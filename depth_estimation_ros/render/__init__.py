"""Pictures of depth for people: colour maps, comparison sheets, and clouds seen from the side."""

from depth_estimation_ros.render.cloud import cloud_picture
from depth_estimation_ros.render.colors import COLOR_MAPS, colorize, colorize_error
from depth_estimation_ros.render.sheet import PreviewRow, preview

__all__ = [
    "COLOR_MAPS",
    "PreviewRow",
    "cloud_picture",
    "colorize",
    "colorize_error",
    "preview",
]
