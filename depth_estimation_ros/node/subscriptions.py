"""The subscriptions of one camera: images, and the CameraInfo that goes with them."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from rclpy.clock import Clock, ClockType, ROSClock
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy, qos_policy_name_from_kind
from rclpy.qos_overriding_options import QoSOverridingOptions
from rclpy.timer import Timer
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from depth_estimation_ros.node.diagnostics.image_monitor import ClockReading, ImageMonitor
from depth_estimation_ros.node.diagnostics.statistics import SILENCE_S, Statistics
from depth_estimation_ros.node.parameters import Parameters
from depth_estimation_ros.node.publishers import (
    OVERRIDABLE_POLICIES,
    qos_override_advice,
    topic_of,
)
from depth_estimation_ros.node.time_jumps import TimeJumps

try:
    from rclpy.event_handler import SubscriptionEventCallbacks
except ImportError:  # Humble
    from rclpy.qos_event import SubscriptionEventCallbacks

INPUT_QOS = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
LATCHED_QOS = QoSProfile(
    depth=1,
    reliability=ReliabilityPolicy.RELIABLE,
    durability=DurabilityPolicy.TRANSIENT_LOCAL,
)
IMAGE_TYPES = ("sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage")
CAMERA_INFO_TYPE = "sensor_msgs/msg/CameraInfo"
MAX_NAMED_TOPICS = 3  # in a log message
_RECTIFIED = re.compile(r"(^|[/_])rect(ified)?([/_]|$)")


@dataclass(frozen=True, eq=False)
class ImageInput:
    """One image as it was received; it is decoded in the worker's thread.

    Attributes:
        image: the message.
        camera_info: the last one; None if there is none.
        received_at: start of the callback, seconds of time.monotonic().
        stamp_age: seconds from the stamp to the callback; None if the clocks do not tell.
        monitor: of the images of this camera.
        camera: name; empty if the node has one camera without a name.
    """

    image: Image | CompressedImage
    camera_info: CameraInfo | None
    received_at: float
    stamp_age: float | None
    monitor: ImageMonitor
    camera: str = ""


class CameraSubscriptions:
    """Subscriptions of one camera, while the node is active.

    The first images are held back until a CameraInfo is there, because without it their depth would
    have a wrong scale and no cloud. Only the newest is held. All callbacks run in the executor's
    thread.

    Args:
        node: owner of the subscriptions.
        parameters: returns the present parameters.
        statistics: counts the images received and those dropped here.
        time_jumps: is given each image before it is handled.
        on_image: called with each image.
        camera: name, the namespace of the topics; empty for none.
    """

    def __init__(
        self,
        node: Node,
        parameters: Callable[[], Parameters],
        statistics: Statistics,
        time_jumps: TimeJumps,
        on_image: Callable[[ImageInput], None],
        camera: str = "",
    ) -> None:
        self._node = node
        self._parameters = parameters
        self._statistics = statistics
        self._time_jumps = time_jumps
        self._on_image_input = on_image
        self._camera = camera
        self._camera_info: CameraInfo | None = None
        self._last_image: Image | CompressedImage | None = None
        self._after_jump = False  # of time, until the first image after it
        self._held_back: tuple[Image | CompressedImage, float, float | None] | None = None
        self._subscriptions: list[Any] = []
        self._latched = False
        self._logged: set[str] = set()

        image, self._info_name = topic_of(camera, "image"), topic_of(camera, "camera_info")
        self._base_topic = self.image_topic = node.resolve_topic_name(image)
        self.camera_info_topic = node.resolve_topic_name(self._info_name)
        self._image_type = Image
        if parameters().image_transport == "compressed":
            # As in image_transport: remapping the base topic moves all transports with it.
            image = self.image_topic = f"{self._base_topic}/compressed"
            self._image_type = CompressedImage
        self._subscribe(CameraInfo, self._info_name, self._on_camera_info)
        self._subscribe(self._image_type, image, self._on_image)
        # Discovery takes real time, whatever the node's clock says.
        clock = Clock(clock_type=ClockType.STEADY_TIME)
        self._timer: Timer | None = node.create_timer(
            0.1, self._while_without_camera_info, clock=clock
        )
        self._waiting_since = time.monotonic()
        self.monitor = ImageMonitor(
            self._waiting_since, lambda: self._parameters().diagnostics_max_age
        )

    def destroy(self) -> None:
        """Unsubscribe; an image that is held back is dropped."""
        if self._timer is not None:
            self._node.destroy_timer(self._timer)
            self._timer = None
        while self._subscriptions:
            self._node.destroy_subscription(self._subscriptions.pop())
        self._drop_held_back()

    def time_jumped(self) -> None:
        """Drop an image of the old time that is held back.

        The CameraInfo stays, unless the next image is of another camera: one that was latched
        before a bag began, or that a loop began after, is not sent again.
        """
        self._drop_held_back()
        self._after_jump = True

    def silence(self) -> str:
        """Return why no image may have come for a while, by the ROS graph; empty if one has."""
        seconds = time.monotonic() - self.monitor.last_at
        if seconds < SILENCE_S:
            return ""
        return f"no image on {self.image_topic} for {seconds:.0f} s: {self._why_silent()}"

    def _why_silent(self) -> str:
        expected = f"sensor_msgs/msg/{self._image_type.__name__}"
        types = {p.topic_type for p in self._node.get_publishers_info_by_topic(self.image_topic)}
        if expected in types and self.monitor.has_images:
            return (
                "its publisher is still there but sends nothing: has the camera stalled, or was "
                "the bag paused?"
            )
        if expected in types:
            return (
                "although somebody publishes it. Raw images of more than half a megabyte need "
                "config/fastdds_shm.xml in the camera's process too (README, Large messages)"
            )
        if types:
            other = "compressed" if self._image_type is Image else "raw"
            remap = self.image_topic.removesuffix("/compressed") if other == "compressed" else ""
            remap = f" and remap image to {remap}" if remap != self._base_topic else ""
            return (
                f"its publisher sends {', '.join(sorted(types))}, this node expects {expected}. "
                f"Set image_transport to {other}{remap}"
            )
        for transport, topic in (
            ("compressed", f"{self._base_topic}/compressed"),
            ("raw", self._base_topic),
        ):
            if topic != self.image_topic and self._node.count_publishers(topic):
                return f"only {topic} is published. Set image_transport to {transport}"
        return (
            "nobody publishes it: is the camera running, and the topic remapped?"
            f"{self._published(IMAGE_TYPES, 'Images are')}"
        )

    def _published(self, types: tuple[str, ...], what: str) -> str:
        """Return a sentence that names published topics of some types; empty if there are none."""
        own = f"{self._node.get_fully_qualified_name()}/"
        topics = sorted(
            topic
            for topic, topic_types in self._node.get_topic_names_and_types()
            if set(types) & set(topic_types)
            and not topic.startswith(own)
            and self._node.count_publishers(topic)
        )
        namespace = self._base_topic.rpartition("/")[0]
        topics.sort(key=lambda topic: topic.rpartition("/")[0] != namespace)  # siblings first
        names = ", ".join(topics[:MAX_NAMED_TOPICS])
        return f" {what} published on {names}" if names else ""

    def _subscribe(
        self,
        message: type,
        topic: str,
        callback: Callable[[Any], None],
        qos: QoSProfile = INPUT_QOS,
        entity_id: str | None = None,
    ) -> None:
        # Of two subscriptions of one topic, a publisher need fit only one: no event of the other.
        events = (
            _log_incompatible_qos(self._node, self._node.resolve_topic_name(topic))
            if entity_id is None
            else SubscriptionEventCallbacks(use_default_callbacks=False)
        )
        self._subscriptions.append(
            self._node.create_subscription(
                message,
                topic,
                callback,
                qos,
                qos_overriding_options=QoSOverridingOptions(
                    OVERRIDABLE_POLICIES, entity_id=entity_id
                ),
                event_callbacks=events,
            )
        )

    def _on_camera_info(self, message: CameraInfo) -> None:
        self._camera_info = message
        if self._timer is not None:
            self._timer.cancel()
        self._hand_over()

    def _on_image(self, message: Image | CompressedImage) -> None:
        received_at = time.monotonic()
        clock = self._node.get_clock()
        simulated = isinstance(clock, ROSClock) and clock.ros_time_is_active
        reading = ClockReading(clock.now().nanoseconds / 1e9, simulated)
        stamp_age = self.monitor.received(message, received_at, reading)
        self._statistics.count("frames_received")
        self._time_jumps.image(message.header.stamp)
        self._drop_held_back()
        if self._after_jump and not any(
            other is not None and _of_one_camera(message, other)
            for other in (self._last_image, self._camera_info)
        ):
            self._wait_for_camera_info()
        self._after_jump, self._last_image = False, message
        self._held_back = (message, received_at, stamp_age)
        self._hand_over()

    def _drop_held_back(self) -> None:
        if self._held_back is not None:
            self._statistics.count("dropped_waiting_for_camera_info")
            self._held_back = None

    def _wait_for_camera_info(self) -> None:
        self._camera_info = None
        self._logged.clear()
        self._waiting_since = time.monotonic()
        if self._timer is not None:
            self._timer.reset()

    def _while_without_camera_info(self) -> None:
        """Subscribe to a latched CameraInfo where one is published; end the wait for one.

        A latched CameraInfo reaches only a subscription with durability transient local. That one
        in turn receives nothing from a camera that sends its CameraInfo with every image, and makes
        the camera's driver warn of it; so it is made only where it is of use.
        """
        if not self._latched and any(
            publisher.qos_profile.durability == DurabilityPolicy.TRANSIENT_LOCAL
            for publisher in self._node.get_publishers_info_by_topic(self.camera_info_topic)
        ):
            self._latched = True
            self._subscribe(
                CameraInfo, self._info_name, self._on_camera_info, LATCHED_QOS, "latched"
            )
        self._hand_over()

    def _hand_over(self) -> None:
        """Pass the newest image on, unless it should wait for a CameraInfo."""
        waited = time.monotonic() - self._waiting_since
        waiting = self._camera_info is None and waited < self._parameters().camera_info_timeout
        if self._held_back is None or waiting:
            return
        image, received_at, stamp_age = self._held_back
        self._held_back = None
        rectified_twice = self._is_rectified_twice()
        self.monitor.camera_info(image, self._camera_info, rectified_twice, received_at)
        if self._camera_info is None:
            self._log_once(
                f"CameraInfo missing: nothing received on {self.camera_info_topic}. Depth goes on "
                f"for an assumed horizontal field of view of "
                f"{self._parameters().assumed_hfov_deg:g} degrees (assumed_hfov_deg), without a "
                "point cloud. Publish a calibrated sensor_msgs/CameraInfo there, or remap "
                f"camera_info.{self._published((CAMERA_INFO_TYPE,), 'CameraInfo is')}"
            )
        if rectified_twice:
            self._log_once(
                f"{self.image_topic} looks rectified, but image_is_rectified is false and the "
                "CameraInfo has distortion, which is then removed twice. Set image_is_rectified "
                "to true, or use the topic of the raw image"
            )
        self._on_image_input(
            ImageInput(image, self._camera_info, received_at, stamp_age, self.monitor, self._camera)
        )

    def _is_rectified_twice(self) -> bool:
        """Whether the topic's name says rectified, and the node removes distortion nevertheless."""
        return (
            self._camera_info is not None
            and any(self._camera_info.d)
            and not self._parameters().image_is_rectified
            and _RECTIFIED.search(self._base_topic) is not None
        )

    def _log_once(self, message: str) -> None:
        if message not in self._logged:
            self._logged.add(message)
            self._node.get_logger().warning(message)


def _log_incompatible_qos(node: Node, topic: str) -> SubscriptionEventCallbacks:
    def on_incompatible(event: Any) -> None:
        policy = qos_policy_name_from_kind(event.last_policy_kind)
        node.get_logger().warning(
            f"nothing is received from a publisher of {topic}: its QoS offers less {policy} than "
            "this node requests. Change the publisher"
            f"{qos_override_advice(topic, 'subscription', event.last_policy_kind)}"
        )

    return SubscriptionEventCallbacks(incompatible_qos=on_incompatible)


def _of_one_camera(
    image: Image | CompressedImage, other: Image | CompressedImage | CameraInfo
) -> bool:
    """Whether two messages have one frame_id and, as far as they tell it, one size."""
    if image.header.frame_id != other.header.frame_id:
        return False
    if isinstance(image, CompressedImage) or isinstance(other, CompressedImage):
        return True
    return (image.height, image.width) == (other.height, other.width)
