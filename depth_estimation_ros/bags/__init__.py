"""Recordings in and out: rosbag2 (mcap, sqlite3) and ROS 1 bags, without ROS installed."""

from depth_estimation_ros.bags.reader import Damage, Recording, open_recording
from depth_estimation_ros.bags.topics import (
    STORE,
    CameraTopics,
    RecordedMessage,
    Topic,
    find_cameras,
    nearest,
    stamp_in,
    stamp_of,
)
from depth_estimation_ros.bags.writer import (
    DiskFullError,
    RecordingWriter,
    bag_writer,
    merge_parts,
)

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
