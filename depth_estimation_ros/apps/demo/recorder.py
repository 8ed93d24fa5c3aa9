"""The recorder's process: writes what it hears to a rosbag2 (mcap), bytes as they came."""

from __future__ import annotations

import json
import sys
from contextlib import suppress
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import rclpy
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rosbags.interfaces import Connection
from rosbags.rosbag2 import Writer
from std_msgs.msg import Empty

from depth_estimation_ros.apps.demo import graph
from depth_estimation_ros.apps.demo.graph import emit
from depth_estimation_ros.bags import STORE, bag_writer, stamp_of

# As long as the disk is slower than the camera for a moment, messages wait here.
QOS = QoSProfile(depth=200, reliability=ReliabilityPolicy.RELIABLE)
STAMPED_NOW = ("diagnostic_msgs/msg/DiagnosticArray",)


class Recorder(Node):
    """Subscribes to topics and writes them under the stamps of their headers.

    What is stamped with the time of day (diagnostics) goes under the newest stamp of an image:
    the bag then has one time axis, that of the camera.

    Args:
        writer: an open rosbag2 writer.
        topics: name and type.
    """

    def __init__(self, writer: Writer, topics: dict[str, str]) -> None:
        super().__init__("demo_recorder")
        self._writer = writer
        self._newest_ns = 0
        self._subscriptions_kept = []
        for topic, msgtype in topics.items():
            connection = writer.add_connection(topic, msgtype, typestore=STORE)
            record = partial(self._record, connection, msgtype in STAMPED_NOW)
            self._subscriptions_kept.append(
                self.create_subscription(message_class(msgtype), topic, record, QOS, raw=True)
            )
        self._topics = list(topics)
        self._waiting = self.create_timer(0.1, self._tell_when_all_is_heard)

    def _tell_when_all_is_heard(self) -> None:
        """Publish a topic for the player to see, once every topic has a publisher here."""
        if all(self.count_publishers(topic) for topic in self._topics):
            self._waiting.cancel()
            self._ready_kept = self.create_publisher(Empty, graph.READY, 1)

    def _record(self, connection: Connection, stamped_now: bool, cdr: bytes) -> None:
        own_ns = stamp_of(cdr)
        # A CameraInfo that never changes may have no stamp at all.
        stamp = (0 if stamped_now else own_ns) or self._newest_ns
        if stamp:
            self._newest_ns = max(self._newest_ns, stamp)
            self._writer.write(connection, stamp, cdr)
            emit("recorded", topic=connection.topic, stamp_ns=own_ns)


def message_class(name: str) -> Any:
    """Return the class of a message type such as sensor_msgs/msg/Image."""
    package, _, message = name.split("/")
    return getattr(import_module(f"{package}.msg"), message)


def main() -> int:
    """Entry of the process; its one argument is JSON: bag (path) and topics (name: type)."""
    arguments = json.loads(sys.argv[1])
    rclpy.init(args=[])
    writer = bag_writer(Path(arguments["bag"]))
    # An interruption is the session's way to say that all is recorded; the bag is finished then.
    with writer, suppress(KeyboardInterrupt, ExternalShutdownException):
        rclpy.spin(Recorder(writer, arguments["topics"]))
    rclpy.try_shutdown()
    return 0


if __name__ == "__main__":
    sys.exit(main())
