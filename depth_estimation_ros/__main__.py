"""`python -m depth_estimation_ros` is the command depth_estimation_node."""

import sys

from depth_estimation_ros.apps.cli import node

if __name__ == "__main__":
    sys.exit(node())
