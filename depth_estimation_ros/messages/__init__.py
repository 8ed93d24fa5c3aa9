"""Convert ROS messages to arrays and arrays to ROS messages.

Decoding needs only the fields of a message, so messages of rclpy and of the rosbags library both
work, the latter also where no ROS is installed. What creates messages takes a `MessageFactory`:
`ROS` for the classes of rclpy, `ROSBAGS` for those of rosbags.
"""

from depth_estimation_ros.messages.camera_info import camera_info, camera_model, check_matches
from depth_estimation_ros.messages.depth_image import decode_depth, depth_image
from depth_estimation_ros.messages.factory import ROS, ROSBAGS, MessageFactory
from depth_estimation_ros.messages.image import color_image, decode_compressed, decode_image
from depth_estimation_ros.messages.point_cloud import (
    depth_cloud,
    laser_scan_points,
    point_cloud,
    read_points,
    read_xyz,
)

__all__ = [
    "ROS",
    "ROSBAGS",
    "MessageFactory",
    "camera_info",
    "camera_model",
    "check_matches",
    "color_image",
    "decode_compressed",
    "decode_depth",
    "decode_image",
    "depth_cloud",
    "depth_image",
    "laser_scan_points",
    "point_cloud",
    "read_points",
    "read_xyz",
]
