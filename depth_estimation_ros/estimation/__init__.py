"""From an image and its camera to depth in metres: the mathematics of one frame."""

from depth_estimation_ros.estimation.estimator import DepthEstimator
from depth_estimation_ros.estimation.frame import (
    Depth,
    DepthResult,
    EstimatorSettings,
    ModelInput,
    Prediction,
    Rgb,
)
from depth_estimation_ros.estimation.postprocessing import (
    LIMIT_TOLERANCE,
    apply_limits,
    check_prediction,
    check_settings,
    depth_limits,
    find_edges,
    to_depth,
    to_metres,
)
from depth_estimation_ros.estimation.preprocessing import network_size, resize_image, to_input

__all__ = [
    "LIMIT_TOLERANCE",
    "Depth",
    "DepthEstimator",
    "DepthResult",
    "EstimatorSettings",
    "ModelInput",
    "Prediction",
    "Rgb",
    "apply_limits",
    "check_prediction",
    "check_settings",
    "depth_limits",
    "find_edges",
    "network_size",
    "resize_image",
    "to_depth",
    "to_input",
    "to_metres",
]
