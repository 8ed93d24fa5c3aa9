"""One cloud from the side, as it is and with the edge filter."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from depth_estimation_ros.errors import CalibrationError
from depth_estimation_ros.estimation import DepthEstimator
from depth_estimation_ros.geometry.camera_model import deproject
from depth_estimation_ros.visualization import cloud_picture
from training.research.cloud_quality.measure import finished_depths
from training.research.cloud_quality.views import TrueView

_SIZE = {"width": 720, "height": 520}


def side_by_side(
    pipeline: DepthEstimator, view: TrueView, edge_filter: float
) -> npt.NDArray[np.uint8]:
    """(H, W, 3) uint8 RGB: the true cloud, the node's without and the node's with the filter.

    Raises:
        CalibrationError: the view has no camera, so there is no cloud.
    """
    if view.camera is None:
        raise CalibrationError(f"{view.name} has no intrinsics, so it gives no cloud")
    depths = finished_depths(pipeline, view, (0.0, edge_filter))
    shown = {"truth": view.truth} | {f"edge_filter {k}": v for k, v in depths.items()}
    panels = []
    for title, depth in shown.items():
        cloud = deproject(depth, view.camera.rays())
        panel = cloud_picture(cloud, view.rgb, yaw_deg=55.0, pitch_deg=18.0, **_SIZE)
        font, white = cv2.FONT_HERSHEY_SIMPLEX, (235, 235, 235)
        panels.append(cv2.putText(panel, title, (16, 30), font, 0.7, white, 1, cv2.LINE_AA))
    return np.asarray(np.hstack(panels), np.uint8)
