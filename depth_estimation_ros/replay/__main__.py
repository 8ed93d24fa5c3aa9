"""`python -m depth_estimation_ros.replay` is the command replay."""

import sys

from depth_estimation_ros.cli import replay

if __name__ == "__main__":
    sys.exit(replay())
