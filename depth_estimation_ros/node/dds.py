"""Environment variables of the middleware that not every ROS 2 knows by the same name.

Launch file, demo and tests start processes with them.
"""

from __future__ import annotations

import os

PROFILE = "FASTDDS_DEFAULT_PROFILES_FILE"
OLD_PROFILE = "FASTRTPS_DEFAULT_PROFILES_FILE"  # up to Fast DDS 2; later ones warn of it
OLD_PROFILE_DISTROS = ("humble", "iron", "jazzy")

DISCOVERY_RANGE = "ROS_AUTOMATIC_DISCOVERY_RANGE"
OLD_DISCOVERY_RANGE = "ROS_LOCALHOST_ONLY"  # up to Humble; later ones warn of it


def fastdds_environment(profile: str) -> dict[str, str]:
    """Makes Fast DDS use this XML profile; empty if it is "", or the user has one already."""
    if not profile or PROFILE in os.environ or OLD_PROFILE in os.environ:
        return {}
    old = os.environ.get("ROS_DISTRO") in OLD_PROFILE_DISTROS
    return {OLD_PROFILE if old else PROFILE: profile}


def localhost_environment() -> dict[str, str]:
    """Keeps discovery on this machine."""
    if os.environ.get("ROS_DISTRO") == "humble":
        return {OLD_DISCOVERY_RANGE: "1"}
    return {DISCOVERY_RANGE: "LOCALHOST"}
