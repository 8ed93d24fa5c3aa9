"""A camera and a listener in processes of their own, to be killed and started again.

``python camera_and_listener.py camera NAMESPACE WIDTH HEIGHT RATE`` publishes images and CameraInfo
and does what the lines of its input say: one of ``MODES``. The nanoseconds of a stamp are odd where
the image is bad, and no depth may ever have such a stamp. ``python camera_and_listener.py listener
NAMESPACE`` subscribes to the cloud and the colours.
"""

from __future__ import annotations

import os
import select
import sys
import time

import cv2
import numpy as np
import rclpy
from builtin_interfaces.msg import Time
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, PointCloud2
from std_msgs.msg import Header

from depth_estimation_ros.geometry.camera_model import CameraModel
from depth_estimation_ros.messages import camera_info, color_image

MODES = ("good", "silent", "short data", "cut JPEG", "small", "no CameraInfo", "past")
BEST_EFFORT = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)


class Camera:
    """Publishes one kind of image at a time, raw and compressed for whoever subscribes."""

    def __init__(self, namespace: str, width: int, height: int) -> None:
        self.node: Node = rclpy.create_node("camera", namespace=namespace)
        self.sizes = {False: (width, height), True: (width // 2, height // 2)}
        self.mode = "good"
        self._raw = self.node.create_publisher(Image, "image", BEST_EFFORT)
        self._jpeg = self.node.create_publisher(CompressedImage, "image/compressed", BEST_EFFORT)
        self._infos = self.node.create_publisher(CameraInfo, "camera_info", BEST_EFFORT)
        chance = np.random.default_rng(0)
        self._scene = chance.integers(0, 255, (height, width, 3), np.uint8)
        self._scene = cv2.GaussianBlur(self._scene, (0, 0), 9)
        self._count = 0

    def publish(self) -> None:
        """One image, as the mode says."""
        self._count += 1
        width, height = self.sizes[self.mode == "small"]
        rgb = np.roll(self._scene, 3 * self._count, axis=1)[:height, :width]
        header = Header(stamp=self._stamp(), frame_id="camera_optical")
        if self.mode != "no CameraInfo":
            self._infos.publish(camera_info(CameraModel.from_hfov(width, height, 60.0), header))
        if self._raw.get_subscription_count():
            image = color_image(np.ascontiguousarray(rgb), header)
            if self.mode == "short data":
                image.data = image.data[:-100]
            self._raw.publish(image)
        if self._jpeg.get_subscription_count():
            data = cv2.imencode(".jpg", rgb)[1].tobytes()
            if self.mode == "cut JPEG":
                data = data[: len(data) // 2]
            self._jpeg.publish(CompressedImage(header=header, format="jpeg", data=data))

    def _stamp(self) -> Time:
        now = time.time_ns() - (200_000_000_000 if self.mode == "past" else 0)
        is_bad = self.mode in ("short data", "cut JPEG")
        return Time(sec=now // 10**9, nanosec=now % 10**9 // 2 * 2 + is_bad)


def _run_camera(namespace: str, width: int, height: int, rate: float) -> None:
    camera = Camera(namespace, width, height)
    due = time.monotonic()
    while True:
        due = max(due + 1.0 / rate, time.monotonic())
        if select.select([sys.stdin], [], [], max(0.0, due - time.monotonic()))[0]:
            # Not by readline, which would keep a second line where select does not see it.
            lines = os.read(sys.stdin.fileno(), 4096).decode().splitlines()
            if not lines:
                return
            camera.mode = lines[-1]
            continue
        if camera.mode != "silent":
            camera.publish()


def _run_listener(namespace: str) -> None:
    node = rclpy.create_node("listener", namespace=namespace)
    for kind, topic in ((PointCloud2, "points"), (Image, "depth/color")):
        node.create_subscription(
            kind, f"{namespace}/depth_estimation/{topic}", lambda message: None, BEST_EFFORT
        )
    rclpy.spin(node)


if __name__ == "__main__":
    role, namespace, *numbers = sys.argv[1:]
    rclpy.init()
    if role == "camera":
        _run_camera(namespace, int(numbers[0]), int(numbers[1]), float(numbers[2]))
    else:
        _run_listener(namespace)
