"""Cameras and listeners in processes of their own, to be killed, stopped or restarted.

``python fault_peers.py camera TOPIC WIDTH HEIGHT RATE`` publishes rgb8 images; the seconds of their
stamps count up. ``python fault_peers.py deaf TOPIC`` subscribes to images and never takes one.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def peer(*arguments: object) -> Iterator[subprocess.Popen[bytes]]:
    """A process of this file; killed at the end."""
    command = [sys.executable, __file__, *map(str, arguments)]
    process = subprocess.Popen(command)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGCONT)
        process.kill()
        process.wait()


def _camera(topic: str, width: int, height: int, rate: float) -> None:
    import rclpy
    from rclpy.qos import QoSProfile, ReliabilityPolicy
    from sensor_msgs.msg import Image

    rclpy.init()
    node = rclpy.create_node(f"camera_{width}x{height}")
    qos = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
    publisher = node.create_publisher(Image, topic, qos)
    image = Image(width=width, height=height, encoding="rgb8", step=3 * width)
    image.header.frame_id = f"{width}x{height}"
    image.data = b"\x64" * (3 * width * height)
    seconds, due = int(time.time()), time.monotonic()
    while True:
        seconds += 1
        image.header.stamp.sec = seconds
        publisher.publish(image)
        due = max(due + 1.0 / rate, time.monotonic())
        time.sleep(max(0.0, due - time.monotonic()))


def _deaf(topic: str) -> None:
    import rclpy
    from rclpy.qos import QoSProfile, ReliabilityPolicy
    from sensor_msgs.msg import Image

    rclpy.init()
    node = rclpy.create_node("deaf")
    qos = QoSProfile(depth=10, reliability=ReliabilityPolicy.RELIABLE)
    node.create_subscription(Image, topic, lambda message: None, qos)
    signal.pause()


if __name__ == "__main__":
    role, topic, *numbers = sys.argv[1:]
    if role == "camera":
        _camera(topic, int(numbers[0]), int(numbers[1]), float(numbers[2]))
    else:
        _deaf(topic)
