"""The surroundings of the demo's processes: a DDS domain of their own on this machine."""

from __future__ import annotations

import os
import random
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from depth_estimation_ros.errors import DepthEstimationError
from depth_estimation_ros.node.environment import (
    OLD_DISCOVERY_RANGE,
    fastdds_environment,
    localhost_environment,
)

PROFILE = Path("config") / "fastdds_shm.xml"
# Domains above 101 share their ports with the operating system's short-lived ones.
DOMAINS = range(1, 102)


def environment(domain_id: int | None, log_directory: Path) -> dict[str, str]:
    """Environment variables for node, player and recorder.

    Args:
        domain_id: of DDS; None draws one, so that neither a robot in the network nor a second demo
            disturbs this one.
        log_directory: where ROS writes its own log files.
    """
    domain = random.SystemRandom().choice(DOMAINS) if domain_id is None else domain_id
    inherited = dict(os.environ)
    inherited.pop(OLD_DISCOVERY_RANGE, None)  # where the newer name is known, both is an error
    return inherited | {
        "ROS_DOMAIN_ID": str(domain),
        "ROS_LOG_DIR": str(log_directory),
        "RCUTILS_COLORIZED_OUTPUT": "0",
        "PYTHONUNBUFFERED": "1",
        **localhost_environment(),
        **fastdds_environment(str(_share() / PROFILE)),
    }


def ros_name() -> str:
    """The ROS 2 that is in use, for the summary."""
    distro = os.environ.get("ROS_DISTRO")
    if distro:
        return distro
    try:
        return f"wheels (rclpy {version('ros-rclpy')})"
    except PackageNotFoundError:
        return "unknown"


def _share() -> Path:
    """The directory with config/: the checkout, or share/ of where the package is installed."""
    checkout = Path(__file__).resolve().parents[3]
    installed = Path(sys.prefix) / "share" / "depth_estimation_ros"
    for place in (checkout, installed):
        if (place / PROFILE).exists():
            return place
    from ament_index_python import PackageNotFoundError as NotFound
    from ament_index_python import get_package_share_directory

    try:
        return Path(get_package_share_directory("depth_estimation_ros"))
    except NotFound:
        raise DepthEstimationError(
            f"The Fast DDS profile {PROFILE}",
            found=f"neither in {checkout} nor in {installed}",
            fix="Install the package, or source the workspace it was built in",
        ) from None
