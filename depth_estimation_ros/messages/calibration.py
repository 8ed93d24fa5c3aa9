"""CameraInfo messages and CameraModel."""

from __future__ import annotations

from typing import Any

from depth_estimation_ros.errors import CalibrationError
from depth_estimation_ros.geometry import CameraModel
from depth_estimation_ros.messages.kinds import ROS, Kind


def camera_model(info: Any) -> CameraModel:
    """The camera of the image that comes with this CameraInfo: binning and ROI are applied.

    A CameraInfo that says "not calibrated" (K = 0) gives a model with ``is_calibrated`` False.

    Raises:
        CalibrationError: numbers that no camera can have.
    """
    full = CameraModel(
        width=int(info.width),
        height=int(info.height),
        K=info.k,
        D=info.d,
        distortion_model=info.distortion_model,
        R=info.r,
        P=info.p,
    )
    roi = info.roi
    return full.reduced(
        int(roi.x_offset),
        int(roi.y_offset),
        int(roi.width),
        int(roi.height),
        int(info.binning_x),
        int(info.binning_y),
    )


def check_matches(camera: CameraModel, height: int, width: int) -> None:
    """Whether an image of this size can be from this camera.

    An uncalibrated camera without a size (a CameraInfo left empty) says nothing and passes.

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


def camera_info(camera: CameraModel, header: Any, kind: Kind = ROS) -> Any:
    """A sensor_msgs/CameraInfo of exactly this camera: full size, no ROI, no binning."""
    full = {"x_offset": 0, "y_offset": 0, "height": 0, "width": 0, "do_rectify": False}
    return kind.new(
        "sensor_msgs/msg/CameraInfo",
        header=kind.header(header),
        width=camera.width,
        height=camera.height,
        distortion_model=camera.distortion_model,
        d=kind.doubles(camera.D),
        k=camera.K.ravel(),
        r=camera.R.ravel(),
        p=camera.P.ravel(),
        binning_x=0,
        binning_y=0,
        roi=kind.new("sensor_msgs/msg/RegionOfInterest", **full),
    )
