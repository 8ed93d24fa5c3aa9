"""The command depth_estimation_node: `python -m depth_estimation_ros` is the same."""

import sys
from importlib.util import find_spec

from depth_estimation_ros.utils.memory import keep_freed_memory

USAGE = """\
usage: depth_estimation_node [--ros-args -p PARAMETER:=VALUE ... -r FROM:=TO ...]

Metric depth and point clouds from the images on `image` and the CameraInfo on `camera_info`.

  depth_estimation_node --ros-args -r image:=/front/image_raw -r camera_info:=/front/camera_info
  depth_estimation_node --ros-args --params-file depth_estimation.yaml

Parameters: python -m depth_estimation_ros.node.parameters
Parameters of the running node: ros2 param describe
"""
NO_ROS = """\
error: depth_estimation_node needs rclpy: not installed
Source ROS 2 (source /opt/ros/<distribution>/setup.bash), or, on x86-64 without one, install it from
a checkout of this package: pip install ".[ros]"
"""


def main() -> int:
    """Run the node until SIGINT or SIGTERM; return its exit code."""
    if {"-h", "--help"} & set(sys.argv[1:]):
        print(USAGE, end="")
        return 0
    if find_spec("rclpy") is None:
        print(NO_ROS, end="", file=sys.stderr)
        return 1
    keep_freed_memory()  # before rclpy is loaded, which starts threads
    from depth_estimation_ros.apps.build_engine.unattended import open_or_build
    from depth_estimation_ros.node.lifecycle_node import main as run

    return run(open_or_build)


if __name__ == "__main__":
    sys.exit(main())
