"""A CameraInfo for pictures that came without one."""

from __future__ import annotations

from builtin_interfaces.msg import Time
from rclpy.serialization import serialize_message
from std_msgs.msg import Header

from depth_estimation_ros.geometry.camera_model import CameraModel
from depth_estimation_ros.messages import camera_info


def header(stamp_ns: int, frame_id: str) -> Header:
    """A header with a stamp in nanoseconds."""
    stamp = Time(sec=stamp_ns // 1_000_000_000, nanosec=stamp_ns % 1_000_000_000)
    return Header(stamp=stamp, frame_id=frame_id)


def assumed_camera_info(
    width: int, height: int, hfov_deg: float, stamp_ns: int, frame_id: str
) -> bytes:
    """Serialised CameraInfo of a pinhole camera with this horizontal field of view, in degrees."""
    camera = CameraModel.from_hfov(width, height, hfov_deg)
    return serialize_message(camera_info(camera, header(stamp_ns, frame_id)))
