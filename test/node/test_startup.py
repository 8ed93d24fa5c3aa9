"""What the node loads until its first depth: what it uses, and nothing heavy beside that."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytest.importorskip("rclpy", reason="needs ROS 2 (rclpy)")

# Each takes a tenth of a second or more to import, or is not a part of the runtime at all.
HEAVY = {
    *("torch", "timm", "torchvision", "lightning", "training", "onnx", "scipy", "pandas"),
    *("matplotlib", "skimage", "sympy", "PIL", "rosbags", "rich", "mcap", "av", "ray"),
    *("tensorrt", "tensorrt_rtx", "pycuda", "cuda", "openvino", "open3d"),
    # Of this package: what other commands are made of.
    *(
        f"depth_estimation_ros.{room}"
        for room in (*("apps", "bags", "media.video", "engines.precision", "engines.tensorrt"),)
    ),
}
USED = {"rclpy", "numpy", "cv2", "onnxruntime", "yaml", "depth_estimation_ros.estimation"}
FIRST_DEPTH = """
import sys
import depth_estimation_ros.node.lifecycle_node
from depth_estimation_ros.engines import open_engine
import numpy
engine = open_engine("compact")
engine.infer(numpy.zeros((1, 64, 64, 3), numpy.uint8))
print(*sys.modules)
"""


@pytest.fixture(scope="module")
def loaded() -> set[str]:
    """Modules of a process that has imported the node and run the bundled network once."""
    done = subprocess.run(
        [sys.executable, "-c", FIRST_DEPTH], capture_output=True, text=True, check=True
    )
    return set(done.stdout.split())


def test_nothing_heavy_is_imported_that_is_not_used(loaded: set[str]) -> None:
    assert loaded & HEAVY == set()


def test_what_is_used_is_imported(loaded: set[str]) -> None:
    assert loaded >= USED  # else the names above would prove nothing
