"""The console commands. What a machine lacks for one is said before an import of it fails."""

from __future__ import annotations

import sys
from importlib.util import find_spec

ROS = (
    "Source ROS 2 (source /opt/ros/<distribution>/setup.bash), or, on x86-64 without one, install "
    'it from a checkout of this package: pip install ".[ros]"'
)


def demo() -> int:
    """depth_estimation_demo; robots that never run it need not have what only it needs."""
    if _lacks("depth_estimation_demo", "rclpy", "rich", "rosbags", "mcap", "matplotlib"):
        return 1
    from depth_estimation_ros.apps.demo.command import main

    return main()


def build_engine() -> int:
    """build_engine: a TensorRT engine from an ONNX file."""
    if _lacks("build_engine", "rich"):
        return 1
    from depth_estimation_ros.apps.build_engine.command import main

    return main()


def replay() -> int:
    """replay: depth and clouds for every frame of a recording, without ROS."""
    if _lacks("replay", "rich", "rosbags", "mcap", "matplotlib", "jinja2"):
        return 1
    from depth_estimation_ros.apps.replay.command import main

    return main()


def estimate_depth() -> int:
    """estimate_depth: images, videos and cameras to depth files, without ROS."""
    if _lacks("estimate_depth", "rich"):
        return 1
    from depth_estimation_ros.apps.estimate_depth.command import main

    return main()


def view() -> int:
    """view: a running node or a recording in Rerun."""
    if _lacks("view", "rerun", "rosbags", "mcap"):
        return 1
    from depth_estimation_ros.apps.view.command import main

    return main()


def _lacks(command: str, *modules: str) -> bool:
    """Whether one of the modules is missing; then says so, and what to do."""
    missing = [name for name in modules if find_spec(name) is None]
    if not missing:
        return False
    print(f"error: {command} needs {', '.join(missing)}: not installed", file=sys.stderr)
    if "rclpy" in missing:
        print(ROS, file=sys.stderr)
    packages = {"rerun": "rerun-sdk"}
    if others := " ".join(packages.get(name, name) for name in missing if name != "rclpy"):
        print(f"Install with: pip install {others}", file=sys.stderr)
    return True
