"""Message types: those of ROS 2, and those that a recording brings along."""

from __future__ import annotations

from rosbags.typesys import Stores, get_typestore

STORE = get_typestore(Stores.ROS2_JAZZY)
"""The messages of ROS 2 in which this package writes, and reads what has no definition."""
