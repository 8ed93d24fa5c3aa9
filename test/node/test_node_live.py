"""A live camera that is faster than the network: only the newest frame, and no growing delay."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs ROS 2 (rclpy)")

import tiny_models
from ros_helpers import NodeProcess, Tester, red_image
from sensor_msgs.msg import Image

RATE = 30.0
OUTPUTS = 16


def test_thirty_images_a_second_into_a_slow_network(
    node: NodeProcess, tester: Tester, tmp_path: Path
) -> None:
    model = str(tiny_models.slow_depth(tmp_path / "slow.onnx", 150))
    tester.bring(node, "active", model=model, camera_info_timeout=0.0)
    depth = tester.collect(node, Image, "~/depth/image")
    tester.result_of(node, red_image(), depth)

    sent_at: dict[int, float] = {}  # by the seconds of the stamp, which are unique
    arrived_at: dict[int, float] = {}
    camera = tester.ros.create_publisher(Image, node.topic("image"), 1)

    def send() -> None:
        image = red_image()
        sent_at[image.header.stamp.sec] = time.monotonic()
        camera.publish(image)

    def receive() -> bool:
        while depth:
            stamp = depth.pop(0).header.stamp.sec
            if stamp in sent_at:
                arrived_at[stamp] = time.monotonic()
        return len(arrived_at) >= OUTPUTS

    tester.ros.create_timer(1.0 / RATE, send)
    tester.wait_until(receive, "depth of the stream", node)
    values = tester.diagnostics(node)

    assert list(arrived_at) == sorted(arrived_at)
    assert len(sent_at) > 2 * OUTPUTS
    assert int(values["dropped_busy"]) > OUTPUTS

    # While a frame is on its way, the one at work comes out, and perhaps one that was just done:
    # never more, at any speed of the machine. In a queue it would be one more each time.
    arrivals = np.array(list(arrived_at.values()))
    overtaken = [
        int(np.sum((sent_at[stamp] < arrivals) & (arrivals < arrived)))
        for stamp, arrived in arrived_at.items()
    ]
    assert max(overtaken) <= 2
    # And a frame is as new as can be when it is begun: at most one interval of the camera old.
    begun_after = arrivals[:-1] - [sent_at[stamp] for stamp in list(arrived_at)[1:]]
    interval = np.median(np.diff(list(sent_at.values())))
    assert np.median(begun_after) < 2.5 * interval
