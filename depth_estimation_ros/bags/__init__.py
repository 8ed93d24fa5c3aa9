"""Recordings in and out: rosbag2 (mcap, sqlite3) and ROS 1 bags, without ROS installed."""

from depth_estimation_ros.bags.cameras import CameraTopics, find_cameras
from depth_estimation_ros.bags.damage import Damage
from depth_estimation_ros.bags.disk import DiskFullError
from depth_estimation_ros.bags.merge import merge_parts
from depth_estimation_ros.bags.recording import Recording, open_recording
from depth_estimation_ros.bags.split import bag_writer
from depth_estimation_ros.bags.stamps import nearest, stamp_in, stamp_of
from depth_estimation_ros.bags.topic import RecordedMessage, Topic
from depth_estimation_ros.bags.types import STORE
from depth_estimation_ros.bags.writer import RecordingWriter

__all__ = [
    "STORE",
    "CameraTopics",
    "Damage",
    "DiskFullError",
    "RecordedMessage",
    "Recording",
    "RecordingWriter",
    "Topic",
    "bag_writer",
    "find_cameras",
    "merge_parts",
    "nearest",
    "open_recording",
    "stamp_in",
    "stamp_of",
]
