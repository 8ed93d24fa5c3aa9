"""The ROS node behind `view`: it finds the depth nodes, and subscribes to their topics."""

from __future__ import annotations

import os
from contextlib import suppress
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import rclpy
from ament_index_python import PackageNotFoundError, get_package_share_directory
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data

from depth_estimation_ros.apps.view.scene import CLOUD_TYPE, DIAGNOSTICS_TYPE, SceneLog
from depth_estimation_ros.bags.topics import IMAGE_TYPES
from depth_estimation_ros.errors import DepthEstimationError
from depth_estimation_ros.node.environment import fastdds_environment

DISCOVERY_PERIOD_S = 0.5
IMAGE_TYPE = "sensor_msgs/msg/Image"


def log_live(scene: SceneLog, frames: int) -> None:
    """Log topics until Ctrl-C, or until there were this many depth images (0: no limit)."""
    with suppress(PackageNotFoundError, OSError):  # OSError: no workspace is sourced
        share = Path(get_package_share_directory("depth_estimation_ros"))
        os.environ.update(fastdds_environment(str(share / "config" / "fastdds_shm.xml")))
    rclpy.init()
    try:
        node = ViewNode(scene)
        with suppress(ExternalShutdownException):
            while not frames or scene.depth_images < frames:
                rclpy.spin_once(node, timeout_sec=0.5)
    finally:
        rclpy.try_shutdown()


class ViewNode(Node):
    """Subscribes to images, depth, clouds and diagnostics of every depth node that it finds.

    A depth node publishes ~/depth/image. It subscribes to its images only while someone
    subscribes to its outputs, so its image topics are found after these.

    Args:
        scene: where messages are logged.
    """

    def __init__(self, scene: SceneLog) -> None:
        super().__init__("depth_estimation_view")
        self._scene = scene
        self._topics: set[str] = set()
        self._subscribe("/diagnostics", DIAGNOSTICS_TYPE)
        self.create_timer(DISCOVERY_PERIOD_S, self._discover)
        self.get_logger().info("looking for depth nodes")

    def _discover(self) -> None:
        for name, namespace in self.get_node_names_and_namespaces():
            root = f"{namespace.rstrip('/')}/{name}"
            depth = f"{root}/depth/image"
            # A node that has just gone is still in the list.
            with suppress(rclpy.node.NodeNameNonExistentError):
                published = dict(self.get_publisher_names_and_types_by_node(name, namespace))
                if depth not in published:
                    continue
                images = self.get_subscriber_names_and_types_by_node(name, namespace)
                for topic, (msgtype, *_) in images:
                    if msgtype in IMAGE_TYPES:
                        self._subscribe(topic, msgtype)
                self._subscribe(depth, IMAGE_TYPE)
                if f"{root}/points" in published:
                    self._subscribe(f"{root}/points", CLOUD_TYPE)

    def _subscribe(self, topic: str, msgtype: str) -> None:
        if topic in self._topics:
            return
        self._topics.add(topic)
        self.get_logger().info(f"subscribed to {topic}")
        package, _, name = msgtype.split("/")
        message_class = getattr(import_module(f"{package}.msg"), name)
        callback = partial(self._log, topic, msgtype)
        self.create_subscription(message_class, topic, callback, qos_profile_sensor_data)

    def _log(self, topic: str, msgtype: str, message: Any) -> None:
        stamp = message.header.stamp
        try:
            self._scene.log(topic, msgtype, stamp.sec * 10**9 + stamp.nanosec, message)
        except DepthEstimationError as error:
            self.get_logger().warning(f"{topic}: {error}", throttle_duration_sec=1.0)
