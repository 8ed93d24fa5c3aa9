"""Recordings in and out: rosbag2 (mcap, sqlite3) and ROS 1 bags, without ROS installed."""

from depth_estimation_ros.calibration_file import read_calibration
from depth_estimation_ros.recordings.cameras import CameraTopics, find_cameras
from depth_estimation_ros.recordings.damage import Damage
from depth_estimation_ros.recordings.disk import DiskFullError
from depth_estimation_ros.recordings.merge import merge_parts
from depth_estimation_ros.recordings.recording import Recording, open_recording
from depth_estimation_ros.recordings.split import bag_writer
from depth_estimation_ros.recordings.stamps import nearest, stamp_in, stamp_of
from depth_estimation_ros.recordings.topic import RecordedMessage, Topic
from depth_estimation_ros.recordings.types import STORE
from depth_estimation_ros.recordings.writer import RecordingWriter

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
    "read_calibration",
    "stamp_in",
    "stamp_of",
]
