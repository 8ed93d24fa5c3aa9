"""`python -m depth_estimation_ros.apps.build_engine` is the command build_engine."""

import sys

from depth_estimation_ros.apps.cli import build_engine

if __name__ == "__main__":
    sys.exit(build_engine())
