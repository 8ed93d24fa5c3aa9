"""Metric depth and point clouds from one camera, for ROS 2."""

import os

# ONNX Runtime 1.29 and later sends telemetry from a bare import, unless this is set before it.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

__version__ = "0.2.0"
