"""From an image and its camera to depth in metres: the mathematics of one frame."""

from depth_estimation_ros.estimation.edges import find_edges
from depth_estimation_ros.estimation.estimator import DepthEstimator
from depth_estimation_ros.estimation.finishing import to_depth
from depth_estimation_ros.estimation.frame import Depth, DepthResult, ModelInput, Prediction, Rgb
from depth_estimation_ros.estimation.limits import (
    LIMIT_TOLERANCE,
    check_settings,
    depth_limits,
    name_limits,
)
from depth_estimation_ros.estimation.metres import check_prediction, to_metres
from depth_estimation_ros.estimation.preprocessing import network_size, resize_image, to_input
from depth_estimation_ros.estimation.settings import EstimatorSettings

__all__ = [
    "LIMIT_TOLERANCE",
    "Depth",
    "DepthEstimator",
    "DepthResult",
    "EstimatorSettings",
    "ModelInput",
    "Prediction",
    "Rgb",
    "check_prediction",
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
