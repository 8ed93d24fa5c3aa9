"""ROS messages to arrays and back.

Decoding asks only for the fields of a message, so it takes those of rclpy and those that the
rosbags library reads from a recording; the latter also where no ROS is installed. What makes
messages makes them of either library: ``kind`` is `ROS` or `RECORDED`.
"""

from depth_estimation_ros.messages.calibration import camera_info, camera_model, check_matches
from depth_estimation_ros.messages.cloud import depth_cloud, point_cloud, read_points
from depth_estimation_ros.messages.color import color_image, decode_image
from depth_estimation_ros.messages.compressed import decode_compressed
from depth_estimation_ros.messages.depth import decode_depth, depth_image
from depth_estimation_ros.messages.kinds import RECORDED, ROS, MessageFactory

__all__ = [
    "RECORDED",
    "ROS",
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
    "point_cloud",
    "read_points",
]
