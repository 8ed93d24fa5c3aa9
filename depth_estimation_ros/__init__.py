"""Metric depth and point clouds from one camera, for ROS 2."""

__version__ = "0.2.0"
