"""How recordings are written, so that every supported ROS 2 reads them."""

from __future__ import annotations

from pathlib import Path

from rosbags.rosbag2 import StoragePlugin, Writer


def bag_writer(path: Path) -> Writer:
    """A writer of a rosbag2 directory (mcap) that must not exist yet.

    Its metadata have version 8, the newest that Humble's rosbag2 reads too.
    """
    return Writer(path, version=8, storage_plugin=StoragePlugin.MCAP)
