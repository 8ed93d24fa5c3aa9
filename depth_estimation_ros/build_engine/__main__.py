"""`python -m depth_estimation_ros.build_engine` is the command build_engine."""

import sys

from depth_estimation_ros.cli import build_engine

if __name__ == "__main__":
    sys.exit(build_engine())
