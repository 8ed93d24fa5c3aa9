"""A node that waits says for what: nobody should have to guess why there is no depth."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("rclpy", reason="needs ROS 2 (rclpy)")

import tiny_models
from ros_helpers import NodeProcess, Tester
from sensor_msgs.msg import Image


def test_without_images_it_says_whether_anybody_publishes_them(
    tmp_path: Path, tester: Tester
) -> None:
    model = str(tiny_models.red_depth(tmp_path / "red.onnx"))
    with NodeProcess(tmp_path, model=model) as node:
        tester.wait_for_state(node, "active")
        tester.wait_until(lambda: "no image on" in node.log, "the warning", node)
        assert f"no image on {node.topic('image')}" in node.log
        assert "nobody publishes it" in node.log
        # A camera that is there but whose images do not arrive is another matter.
        camera = tester.ros.create_publisher(Image, node.topic("image"), 1)
        tester.wait_until(lambda: "fastdds_shm.xml" in node.log, "the other warning", node)
        tester.ros.destroy_publisher(camera)


def test_without_autostart_it_says_that_it_waits(tmp_path: Path, tester: Tester) -> None:
    with NodeProcess(tmp_path, autostart=False) as node:
        tester.wait_until(lambda: "waiting to be configured" in node.log, "the log", node)
