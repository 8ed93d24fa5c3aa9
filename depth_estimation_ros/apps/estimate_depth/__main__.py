"""`python -m depth_estimation_ros.apps.estimate_depth` is the command estimate_depth."""

import sys

from depth_estimation_ros.apps.cli import estimate_depth

if __name__ == "__main__":
    sys.exit(estimate_depth())
