"""From an image and its camera to depth in metres: the mathematics of one frame."""

from depth_estimation_ros.estimation.edges import find_edges
from depth_estimation_ros.estimation.estimator import DepthPipeline
from depth_estimation_ros.estimation.finishing import to_depth
from depth_estimation_ros.estimation.frame import Depth, DepthFrame, NetworkDepth, Rgb, View
from depth_estimation_ros.estimation.limits import (
    LIMIT_TOLERANCE,
    check_settings,
    depth_limits,
    name_limits,
)
from depth_estimation_ros.estimation.metres import check_answer, to_metres
from depth_estimation_ros.estimation.preprocessing import network_size, resize_image, to_input
from depth_estimation_ros.estimation.settings import PipelineSettings

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
