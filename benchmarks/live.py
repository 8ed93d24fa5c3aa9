"""Runs of the real node between two ends of DDS in this process."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from builtin_interfaces.msg import Time
from images import draw_image
from processes import processor_seconds
from ros_helpers import BEST_EFFORT, NodeProcess, Tester, info_of
from sensor_msgs.msg import CameraInfo, Image, PointCloud2
from std_msgs.msg import Header
from timing import spread

from depth_estimation_ros.geometry.camera_model import CameraModel
from depth_estimation_ros.messages import color_image

WARM_UP = 10
TOPICS = {
    "depth": (Image, "depth/image"),
    "cloud": (PointCloud2, "points"),
    "colour": (Image, "depth/color"),
}


class Feed:
    """One camera that publishes to a node, and the ears for what comes back.

    Args:
        tester: of this process.
        node: active.
        size: width and height of the images.
        outputs: keys of `TOPICS` to listen to.
        camera: its name, if the node has several.
        listeners: subscriptions of each output.
    """

    def __init__(
        self,
        tester: Tester,
        node: NodeProcess,
        size: tuple[int, int],
        outputs: Sequence[str],
        camera: str = "",
        listeners: int = 1,
    ) -> None:
        self.node = node
        self.sent: dict[int, float] = {}
        self.arrived: dict[str, dict[int, float]] = {output: {} for output in outputs}
        header = Header(frame_id="camera")
        self._images = [color_image(draw_image(*size, seed), header) for seed in range(4)]
        self._info = info_of(CameraModel.from_hfov(*size, 60.0))
        self._info.header.frame_id = "camera"
        prefix = f"{camera}/" if camera else ""
        for output, arrivals in self.arrived.items():
            kind, topic = TOPICS[output]
            name = node.topic(f"~/{prefix}{topic}")
            for place in range(listeners):
                # Only the last one has to make a Python message of it.
                tester.ros.create_subscription(
                    kind,
                    name,
                    _noting(arrivals) if place == listeners - 1 else lambda raw: None,
                    BEST_EFFORT,
                    raw=place < listeners - 1,
                )
        topics = [node.topic(f"{prefix}{topic}") for topic in ("image", "camera_info")]
        self._image_publisher = tester.ros.create_publisher(Image, topics[0], BEST_EFFORT)
        self._info_publisher = tester.ros.create_publisher(CameraInfo, topics[1], BEST_EFFORT)

    def is_heard(self) -> bool:
        """Whether the node has subscribed."""
        publishers = (self._image_publisher, self._info_publisher)
        return all(publisher.get_subscription_count() for publisher in publishers)

    def publish(self, number: int) -> None:
        """Send one image; its number is its stamp in seconds."""
        image = self._images[number % len(self._images)]
        image.header.stamp = self._info.header.stamp = Time(sec=number)
        self._info_publisher.publish(self._info)
        self.sent[number] = time.perf_counter()
        self._image_publisher.publish(image)

    def result(self) -> dict[str, Any]:
        """Images sent and answered, and the whole ways of each output in milliseconds."""
        counted = [number for number in self.sent if number >= WARM_UP]
        ways = {
            output: [1e3 * (arrivals[n] - self.sent[n]) for n in counted if n in arrivals]
            for output, arrivals in self.arrived.items()
        }
        last = [
            1e3 * (max(arrivals[n] for arrivals in self.arrived.values()) - self.sent[n])
            for n in counted
            if all(n in arrivals for arrivals in self.arrived.values())
        ]
        return {
            "images": len(counted),
            "answered": len(last),
            "whole_way": {output: spread(values) for output, values in ways.items()},
            "last_output": spread(last),
        }


def drive(tester: Tester, feeds: Sequence[Feed], rate: float, frames: int) -> dict[str, Any]:
    """Publish frames on all feeds at a rate, evenly spread, and clock what comes back.

    Returns:
        A result of each feed, and the nodes' processor milliseconds for one image.
    """
    nodes = {feed.node.process.pid: feed.node for feed in feeds}
    for feed in feeds:
        tester.wait_until(feed.is_heard, "the node's subscriptions", feed.node)
    for node in nodes.values():
        tester.settle(node)
    tester.spin(0.3)  # the node must find this process's subscriptions too
    before: dict[int, float] = {}
    start = time.perf_counter()
    turns = [(number, feed) for number in range(WARM_UP + frames) for feed in feeds]
    for place, (number, feed) in enumerate(turns):
        if number == WARM_UP and not before:
            before = {pid: processor_seconds(pid) for pid in nodes}
        feed.publish(number)
        due = start + (place + 1) / (rate * len(feeds))
        tester.spin(max(0.0, due - time.perf_counter()))
    taken = sum(processor_seconds(pid) - before[pid] for pid in nodes)
    tester.spin(0.5)
    told = [tester.diagnostics(node) for node in nodes.values()]
    result = {
        "feeds": [feed.result() for feed in feeds],
        "processor_ms_per_image": 1e3 * taken / (frames * len(feeds)),
        "engine_p50": _mean(values["engine_ms_p50"] for values in told),
        "node_p50": _mean(values["latency_ms_p50"] for values in told),
        "node_p99": _mean(values["latency_ms_p99"] for values in told),
    }
    tester.forget_topics()
    return result


def _noting(arrivals: dict[int, float]) -> Any:
    def arrive(message: Any) -> None:
        arrivals[message.header.stamp.sec] = time.perf_counter()

    return arrive


def _mean(texts: Any) -> float:
    values = [float(text or "nan") for text in texts]
    return sum(values) / len(values)
