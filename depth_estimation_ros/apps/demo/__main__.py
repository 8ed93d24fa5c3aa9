"""`python -m depth_estimation_ros.apps.demo` is the command depth_estimation_demo."""

import sys

from depth_estimation_ros.apps.cli import demo

if __name__ == "__main__":
    sys.exit(demo())
