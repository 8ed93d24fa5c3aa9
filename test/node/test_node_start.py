"""What a starting node imports: each module costs time before the first depth, and memory."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import depth_estimation_ros

pytest.importorskip("rclpy", reason="needs ROS 2 (rclpy)")

START = """
import sys
import rclpy
from depth_estimation_ros.node.lifecycle_node import DepthEstimationNode

rclpy.init()
off = rclpy.parameter.Parameter("autostart", value=False)
node = DepthEstimationNode(parameter_overrides=[off])
node.trigger_configure()
node.trigger_activate()
print("state:", node._state)
print("modules:", *sys.modules)
node.destroy_node()
rclpy.shutdown()
"""

# Of the training, the tools, other engines, and recordings.
NOT_ON_A_ROBOT = {
    "h5py",
    "lightning",
    "matplotlib",
    "mcap",
    "onnx",
    "pycuda",
    "ray",
    "rich",
    "rosbags",
    "scipy",
    "tensorrt",
    "tensorrt_rtx",
    "tensorrt_rtx_bindings",
    "timm",
    "torch",
    "training",
}
# Installed with the node, and not needed until something is asked of it.
NOT_AT_START = {"PIL", "argparse", "asyncio", "multiprocessing", "numpy.f2py", "unittest"}
ROOMS_OF_COMMANDS = {
    f"depth_estimation_ros.{room}"
    for room in (
        "apps.replay",
        "apps.demo",
        "apps.estimate_depth",
        "media.video",
        "bags",
        "engines.precision",
    )
}


@pytest.fixture(scope="module")
def modules() -> set[str]:
    """Of a process with an active node of the bundled network."""
    environment = {**os.environ, "PYTHONPATH": str(Path(depth_estimation_ros.__file__).parents[1])}
    run = subprocess.run(
        [sys.executable, "-c", START], capture_output=True, text=True, env=environment, check=True
    )
    assert "state: active" in run.stdout, run.stdout + run.stderr
    (line,) = (line for line in run.stdout.splitlines() if line.startswith("modules:"))
    return set(line.split()[1:])


@pytest.mark.parametrize(
    "unwanted", [NOT_ON_A_ROBOT, NOT_AT_START, ROOMS_OF_COMMANDS], ids=["robot", "start", "rooms"]
)
def test_the_node_imports_nothing_that_it_does_not_use(
    modules: set[str], unwanted: set[str]
) -> None:
    assert modules & unwanted == set()


def test_the_engine_is_imported_so_the_list_above_is_of_a_node_at_work(modules: set[str]) -> None:
    assert {"onnxruntime", "cv2", "depth_estimation_ros.engines.onnxruntime"} <= modules
