"""`python -m depth_estimation_ros.apps.view` is the command view."""

import sys

from depth_estimation_ros.apps.cli import view

if __name__ == "__main__":
    sys.exit(view())
