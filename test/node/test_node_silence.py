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
    alone, unheard = tmp_path / "alone", tmp_path / "unheard"
    for folder in (alone, unheard):
        folder.mkdir()
    # Both at once, as a node speaks only after some seconds.
    with NodeProcess(alone, model=model) as first, NodeProcess(unheard, model=model) as second:
        # A camera that is there but whose images do not arrive is another matter.
        tester.ros.create_publisher(Image, second.topic("image"), 1)
        for node in (first, second):
            tester.wait_until(lambda n=node: "no image on" in n.log, "the warning", node)
            assert f"no image on {node.topic('image')}" in node.log
            values = tester.diagnostics(node, lambda v: v["level"] == "1")
            assert values["message"].startswith("no image for")
        # It says so every ten seconds. On a slow machine the first time may be before it has found
        # the publisher.
        tester.wait_until(lambda: "although somebody publishes it" in second.log, "that", second)
    assert "fastdds_shm.xml" in second.log
    assert "nobody publishes it" in first.log
    assert "fastdds_shm.xml" not in first.log


def test_without_autostart_it_says_that_it_waits(tmp_path: Path, tester: Tester) -> None:
    with NodeProcess(tmp_path, autostart=False) as node:
        tester.wait_until(lambda: "waiting to be configured" in node.log, "the log", node)
