"""`python -m depth_estimation_ros.apps.replay` is the command replay."""

import sys

from depth_estimation_ros.apps.cli import replay

if __name__ == "__main__":
    sys.exit(replay())
