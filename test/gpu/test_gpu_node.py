"""The node on a TensorRT engine: configured again and again, and right each time."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs ROS 2 (rclpy)")

import tiny_models
from builds import build
from present import why_no_tensorrt
from ros_helpers import NodeProcess, Tester, red_image
from sensor_msgs.msg import Image
from test_gpu_cuda import MEGABYTE, free_memory

from depth_estimation_ros.messages import decode_depth

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(bool(why_no_tensorrt()), reason=f"needs TensorRT: {why_no_tensorrt()}"),
]


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("red")
    return build(tiny_models.red_depth(folder / "red.onnx"), "fp32", (1, 1, 1), (48, 64), folder)


@pytest.fixture
def gpu_node(tmp_path: Path, engine: Path) -> Iterator[NodeProcess]:
    with NodeProcess(
        tmp_path, autostart=False, model=str(engine), camera_info_timeout=0.0
    ) as process:
        yield process


def test_frames_after_each_of_several_configurations(gpu_node: NodeProcess, tester: Tester) -> None:
    depth = tester.collect(gpu_node, Image, "~/depth/image")
    free = []
    for _ in range(4):
        assert tester.change(gpu_node, "configure"), gpu_node.log
        assert tester.change(gpu_node, "activate")
        message = tester.result_of(gpu_node, red_image(255), depth)
        np.testing.assert_allclose(decode_depth(message), 9.0, rtol=1e-5)
        assert tester.change(gpu_node, "deactivate")
        assert tester.change(gpu_node, "cleanup")
        free.append(free_memory())
    assert free[0] - free[-1] < 8 * MEGABYTE
    assert "TensorRT" in gpu_node.log
    assert "Traceback" not in gpu_node.log
    assert gpu_node.stop() == 0
    assert "PyCUDA" not in gpu_node.log


def test_shutdown_in_the_midst_of_frames_ends_cleanly(
    gpu_node: NodeProcess, tester: Tester
) -> None:
    assert tester.change(gpu_node, "configure"), gpu_node.log
    assert tester.change(gpu_node, "activate")
    depth = tester.collect(gpu_node, Image, "~/depth/image")
    tester.result_of(gpu_node, red_image(), depth)
    camera = tester.ros.create_publisher(Image, gpu_node.topic("image"), 1)
    tester.ros.create_timer(0.002, lambda: camera.publish(red_image()))
    before = len(depth)
    tester.wait_until(lambda: len(depth) > before + 10, "a stream of depth", gpu_node)
    assert gpu_node.stop() == 0
    assert "PyCUDA" not in gpu_node.log
    assert "Traceback" not in gpu_node.log
