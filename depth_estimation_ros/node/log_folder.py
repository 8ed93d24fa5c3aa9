"""Whether ROS can write its log files: where it cannot, rclpy would not even start."""

from __future__ import annotations

import os
import sys
import tempfile
from contextlib import suppress
from pathlib import Path


def log_arguments() -> list[str]:
    """What to add to the arguments of `rclpy.init`: nothing, or what does without log files.

    A disk that is full or cannot be written must not keep a robot from seeing. The console and
    /rosout go on.
    """
    folder = _folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        with suppress(OSError):  # the terminal may be on that disk, too
            print(f"no log files: {folder} cannot be written ({error.strerror})", file=sys.stderr)
        return ["--ros-args", "--disable-external-lib-logs"]
    return []


def _folder() -> Path:
    """As rcl_logging_interface looks for it."""
    if named := os.environ.get("ROS_LOG_DIR"):
        return Path(named).expanduser()
    return Path(os.environ.get("ROS_HOME") or "~/.ros").expanduser() / "log"
