"""The largest image that a node takes: what its depth, cloud and colours take of the memory."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MEGABYTES = 512  # as in fuzz/budget.py, which allows each case of noise so much

# A JPEG, as most of its bytes are not those of the message; then everything that can be made of it.
ALL_OUTPUTS = """
import sys
sys.path[:0] = sys.argv[2:]
import cv2
import numpy as np
from budget import forget_peak, megabytes
from made_messages import of_rclpy
from tiny_models import red_depth
from depth_estimation_ros.engines import open_engine
from depth_estimation_ros.node.frame_processor import DepthFrame, decode_image, read_camera
from depth_estimation_ros.geometry.camera_model import CameraModel
from depth_estimation_ros.messages import camera_info
from depth_estimation_ros.estimation import DepthEstimator, EstimatorSettings
from depth_estimation_ros.media.images import DEFAULT_MAX_PIXELS
from depth_estimation_ros.visualization import ColorSettings, DepthColors

width, height = 4096, 3072
assert width * height == DEFAULT_MAX_PIXELS
content = cv2.imencode(".jpg", np.full((height, width, 3), 90, np.uint8))[1]
header = {"sec": 1, "nanosec": 0, "frame_id": "camera"}
image = of_rclpy("CompressedImage", {"header": header, "format": "jpeg", "data": content})
info = camera_info(CameraModel.from_hfov(width, height, 60.0), image.header)
pipeline = DepthEstimator(open_engine(red_depth(sys.argv[1])), EstimatorSettings())
forget_peak()
before = megabytes("VmRSS")
camera = read_camera(info)
decoded = decode_image(image, camera, DEFAULT_MAX_PIXELS)
frame = DepthFrame(decoded, pipeline.run(decoded.rgb, camera.model))
frame.depth()
cloud = frame.points()  # the node keeps its memory for the next one
frame.color(DepthColors(ColorSettings(color_range="percentile", legend=True)))
print(megabytes("VmHWM") - before)
"""


def test_all_that_is_made_of_it_stays_within_half_a_gigabyte(tmp_path: Path) -> None:
    pytest.importorskip("rclpy", reason="needs ROS 2 (rclpy)")
    folders = [str(ROOT / path) for path in ("tools/fuzz", "test/helpers", "")]
    done = subprocess.run(
        [sys.executable, "-c", ALL_OUTPUTS, str(tmp_path / "red.onnx"), *folders],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    taken = float(done.stdout.split()[-1])
    assert 100 < taken < MEGABYTES
