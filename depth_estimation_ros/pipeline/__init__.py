"""From an image and its camera to depth in metres: the mathematics of one frame."""

from depth_estimation_ros.pipeline.edges import find_edges
from depth_estimation_ros.pipeline.finishing import to_depth
from depth_estimation_ros.pipeline.frame import Depth, DepthFrame, NetworkDepth, Rgb, View
from depth_estimation_ros.pipeline.limits import (
    LIMIT_TOLERANCE,
    check_settings,
    depth_limits,
    name_limits,
)
from depth_estimation_ros.pipeline.metres import check_answer, to_metres
from depth_estimation_ros.pipeline.network_input import network_size, resize_image, to_input
from depth_estimation_ros.pipeline.pipeline import DepthPipeline
from depth_estimation_ros.pipeline.settings import PipelineSettings

__all__ = [
    "LIMIT_TOLERANCE",
    "Depth",
    "DepthFrame",
    "DepthPipeline",
    "NetworkDepth",
    "PipelineSettings",
    "Rgb",
    "View",
    "check_answer",
    "check_settings",
    "depth_limits",
    "find_edges",
    "name_limits",
    "network_size",
    "resize_image",
    "to_depth",
    "to_input",
    "to_metres",
]
