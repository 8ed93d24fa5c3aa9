"""A node whose terminal is a full disk works on; /dev/full refuses every byte."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("rclpy", reason="needs ROS 2 (rclpy)")

import tiny_models
from ros_helpers import NodeProcess, Tester, red_image
from sensor_msgs.msg import Image


class Unheard(NodeProcess):
    """Its log cannot be written, so there is nothing to read."""

    log = ""  # type: ignore[assignment]


def test_log_that_cannot_be_written_stops_nothing(tester: Tester, tmp_path: Path) -> None:
    model = tiny_models.constant_depth(tmp_path / "two.onnx", 2.0)
    (tmp_path / "node.log").symlink_to("/dev/full")
    with Unheard(tmp_path, model=str(model), camera_info_timeout=0.0) as node:
        depth = tester.collect(node, Image, "~/depth/image")
        tester.result_of(node, red_image(), depth)
        tester.publish(node, "image", Image())
        tester.diagnostics(node, lambda v: v["level"] == "2")
        tester.result_of(node, red_image(), depth)
        assert node.stop() == 0
