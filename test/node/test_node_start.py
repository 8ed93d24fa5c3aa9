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
    "av",
    "cuda",
    "h5py",
    "lightning",
    "matplotlib",
    "mcap",
    "onnx",
    "open3d",
    "openvino",
    "pandas",
    "pycuda",
    "ray",
    "rich",
    "rosbags",
    "scipy",
    "skimage",
    "sympy",
    "tensorrt",
    "tensorrt_rtx",
    "tensorrt_rtx_bindings",
    "timm",
    "torch",
    "torchvision",
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
        "engines.tensorrt",
    )
}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The private home of the process."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def modules(home: Path, tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """The modules of a process with an active node of the bundled network."""
    environment = {
        **os.environ,
        "PYTHONPATH": str(Path(depth_estimation_ros.__file__).parents[1]),
        "HOME": str(home),
        "ROS_LOG_DIR": str(tmp_path_factory.mktemp("log")),
    }
    del environment["ORT_DISABLE_TELEMETRY"]  # set by this process's import of the package
    run = subprocess.run(
        [sys.executable, "-c", START], capture_output=True, text=True, env=environment, check=True
    )
    assert "state: active" in run.stdout, run.stdout + run.stderr
    (line,) = (line for line in run.stdout.splitlines() if line.startswith("modules:"))
    return set(line.split()[1:])


@pytest.mark.parametrize(
    "unwanted", [NOT_ON_A_ROBOT, NOT_AT_START, ROOMS_OF_COMMANDS], ids=["robot", "start", "rooms"]
)
def test_node_imports_nothing_unused(modules: set[str], unwanted: set[str]) -> None:
    assert modules & unwanted == set()


def test_engine_of_the_node_is_imported(modules: set[str]) -> None:
    assert {"onnxruntime", "cv2", "depth_estimation_ros.engines.onnxruntime"} <= modules


def test_nothing_is_written_to_the_home(home: Path, modules: set[str]) -> None:
    assert "onnxruntime" in modules
    assert list(home.rglob("*")) == []
