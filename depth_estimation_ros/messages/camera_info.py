"""CameraInfo messages to and from CameraModel."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from depth_estimation_ros.errors import CalibrationError
from depth_estimation_ros.geometry.camera_model import CameraModel
from depth_estimation_ros.messages.factory import ROS, MessageFactory


def camera_model(info: Any) -> CameraModel:
    """Return the camera of the image that comes with this CameraInfo, after binning and ROI.

    An uncalibrated CameraInfo (K = 0) gives a model with ``is_calibrated`` False. Equal numbers
    give the same instance.

    Raises:
        CalibrationError: numbers that no camera can have.
    """
    roi = info.roi
    return _model(
        int(info.width),
        int(info.height),
        str(info.distortion_model),
        tuple(np.asarray(part, np.float64).tobytes() for part in (info.k, info.d, info.r, info.p)),
        (int(roi.x_offset), int(roi.y_offset), int(roi.width), int(roi.height)),
        (int(info.binning_x), int(info.binning_y)),
    )


@lru_cache(maxsize=16)  # a camera repeats itself with each image
def _model(
    width: int,
    height: int,
    distortion_model: str,
    matrices: tuple[bytes, ...],
    roi: tuple[int, int, int, int],
    binning: tuple[int, int],
) -> CameraModel:
    K, D, R, P = (np.frombuffer(matrix) for matrix in matrices)
    full = CameraModel(width, height, K, D, distortion_model, R, P)
    return full.reduced(*roi, *binning)


def check_matches(camera: CameraModel, height: int, width: int) -> None:
    """Check that an image of this size can be from this camera.

    An uncalibrated camera without a size (an empty CameraInfo) passes.

    Raises:
        CalibrationError: the sizes differ.
    """
    if (camera.height, camera.width) == (height, width):
        return
    if not camera.is_calibrated and camera.height == camera.width == 0:
        return
    raise CalibrationError(
        "The CameraInfo belongs to another image size",
        found=f"a CameraInfo for {camera.width} x {camera.height} (after ROI and binning)",
        expected=f"{width} x {height} as the image",
        fix="Check that image and camera_info come from the same camera, that it was calibrated at "
        "this resolution, and that a node which resizes the image also scales its CameraInfo.",
    )


def camera_info(camera: CameraModel, header: Any, factory: MessageFactory = ROS) -> Any:
    """Create a sensor_msgs/CameraInfo of this camera: full size, no ROI, no binning."""
    no_roi = {"x_offset": 0, "y_offset": 0, "height": 0, "width": 0, "do_rectify": False}
    return factory.new(
        "sensor_msgs/msg/CameraInfo",
        header=factory.header(header),
        width=camera.width,
        height=camera.height,
        distortion_model=camera.distortion_model,
        d=factory.float64_array(camera.D),
        k=camera.K.ravel(),
        r=camera.R.ravel(),
        p=camera.P.ravel(),
        binning_x=0,
        binning_y=0,
        roi=factory.new("sensor_msgs/msg/RegionOfInterest", **no_roi),
    )
