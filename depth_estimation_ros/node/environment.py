"""The environment of processes with ROS: the middleware's variables, and the folder of log files.

Node, launch files, demo and tests use it.
"""

from __future__ import annotations

import atexit
import os
import re
import shutil
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

from depth_estimation_ros.errors import ParameterError

PROFILE = "FASTDDS_DEFAULT_PROFILES_FILE"
OLD_PROFILE = "FASTRTPS_DEFAULT_PROFILES_FILE"  # up to Fast DDS 2; later ones warn of it
SHARED_MEMORY = "/dev/shm"
SHM_PROCESSES = 3  # that share it: a camera, the node, and a subscriber
OLD_PROFILE_DISTROS = ("humble", "iron", "jazzy")

DISCOVERY_RANGE = "ROS_AUTOMATIC_DISCOVERY_RANGE"
OLD_DISCOVERY_RANGE = "ROS_LOCALHOST_ONLY"  # up to Humble; later ones warn of it


def fastdds_environment(profile: str) -> dict[str, str]:
    """Return the variable that makes Fast DDS use an XML profile.

    Empty if the profile is "", or the environment has one already. Where /dev/shm has too little
    room for the profile's segments, as in a container, the variable names a copy with smaller ones.

    Raises:
        ParameterError: the profile cannot be read.
    """
    if not profile or PROFILE in os.environ or OLD_PROFILE in os.environ:
        return {}
    old = os.environ.get("ROS_DISTRO") in OLD_PROFILE_DISTROS
    return {OLD_PROFILE if old else PROFILE: _fitted_profile(profile)}


def _fitted_profile(profile: str) -> str:
    """Return the profile, or a temporary copy whose segments fit into the free shared memory."""
    if not os.path.isdir(SHARED_MEMORY):
        return profile
    room = shutil.disk_usage(SHARED_MEMORY).free // SHM_PROCESSES

    def fitted(match: re.Match[str]) -> str:
        return f"{match[1]}{min(int(match[2]), room)}{match[3]}"

    try:
        text = Path(profile).read_text(encoding="utf-8")
    except OSError as error:
        raise ParameterError(
            f"Fast DDS profile {profile}", found=error.strerror, expected="an XML file"
        ) from error
    sizes = r"(<(?:segment_size|maxMessageSize)>)(\d+)(</)"  # a message must fit into the segment
    if (smaller := re.sub(sizes, fitted, text)) == text:
        return profile
    descriptor, copy = tempfile.mkstemp(prefix="fastdds_shm_", suffix=".xml")
    atexit.register(Path(copy).unlink, missing_ok=True)
    with open(descriptor, "w", encoding="utf-8") as file:
        file.write(smaller)
    return copy


def localhost_environment() -> dict[str, str]:
    """Return the variable that keeps discovery on this machine."""
    if os.environ.get("ROS_DISTRO") == "humble":
        return {OLD_DISCOVERY_RANGE: "1"}
    return {DISCOVERY_RANGE: "LOCALHOST"}


def log_arguments() -> list[str]:
    """Return arguments for `rclpy.init` that switch log files off where they cannot be written.

    rclpy would not start at all on a disk that is full or read-only. The console and /rosout stay.
    """
    folder = _log_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        with suppress(OSError):  # the terminal may be on that disk, too
            print(f"no log files: {folder} cannot be written ({error.strerror})", file=sys.stderr)
        return ["--ros-args", "--disable-external-lib-logs"]
    return []


def _log_folder() -> Path:
    """Return the folder of log files, as rcl_logging_interface finds it."""
    if named := os.environ.get("ROS_LOG_DIR"):
        return Path(named).expanduser()
    return Path(os.environ.get("ROS_HOME") or "~/.ros").expanduser() / "log"
