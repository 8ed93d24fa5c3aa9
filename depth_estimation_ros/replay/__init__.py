"""Recordings in, recordings with depth and clouds out: every frame, offline, without ROS."""

from depth_estimation_ros.replay.options import ReplayOptions
from depth_estimation_ros.replay.run import replay
from depth_estimation_ros.replay.summary import Progress, ReplaySummary

__all__ = ["Progress", "ReplayOptions", "ReplaySummary", "replay"]
