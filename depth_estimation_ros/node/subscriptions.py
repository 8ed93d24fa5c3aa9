"""What the node listens to: images, and the CameraInfo that goes with them."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from rclpy.clock import Clock, ClockType, ROSClock
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rclpy.qos_overriding_options import QoSOverridingOptions
from rclpy.timer import Timer
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from depth_estimation_ros.node.diagnostics.image_monitor import Clock as ClockReading
from depth_estimation_ros.node.diagnostics.image_monitor import ImageMonitor
from depth_estimation_ros.node.diagnostics.statistics import SILENCE_S, Statistics
from depth_estimation_ros.node.qos_events import no_events, subscription_events
from depth_estimation_ros.node.time_jumps import TimeJumps

INPUT_QOS = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
LATCHED_QOS = QoSProfile(
    depth=1,
    reliability=ReliabilityPolicy.RELIABLE,
    durability=DurabilityPolicy.TRANSIENT_LOCAL,
)


@dataclass(frozen=True)
class Frame:
    """One image as it came in; decoding it is the worker's business."""

    image: Image | CompressedImage
    camera_info: CameraInfo | None
    received_at: float
    """time.monotonic() of the callback, in seconds."""
    stamp_age: float | None = None
    """Seconds from the stamp to the callback; None if the clocks do not allow to tell."""
    watch: ImageMonitor = field(default_factory=lambda: ImageMonitor(0.0))
    """That saw it come, and is shown what becomes of it."""
    camera: str = ""
    """The name of its camera; empty if the node has one without a name."""


class CameraInputs:
    """Subscriptions that live while the node is active.

    The first images are held back until a CameraInfo is there, because without it they would come
    out in a wrong scale and without a cloud. Only the newest one is held. All callbacks run in the
    executor's thread.

    Args:
        node: owner of the subscriptions.
        image_transport: raw or compressed.
        camera_info_timeout: seconds that images are held back at most; a function, because the
            parameter can change.
        statistics: counts what comes in and what is dropped here.
        time_jumps: is shown each image before it is handled.
        on_frame: gets each frame.
        max_stamp_age: see `ImageMonitor`.
        camera: its name, the namespace of its topics; empty for none.
    """

    def __init__(
        self,
        node: Node,
        image_transport: str,
        camera_info_timeout: Callable[[], float],
        statistics: Statistics,
        time_jumps: TimeJumps,
        on_frame: Callable[[Frame], None],
        max_stamp_age: Callable[[], float] = lambda: 0.0,
        camera: str = "",
    ) -> None:
        self._node = node
        self._camera = camera
        self._info_topic = topic_of(camera, "camera_info")
        self._image_transport = image_transport
        self._timeout = camera_info_timeout
        self._statistics = statistics
        self._time_jumps = time_jumps
        self._on_frame = on_frame
        self._camera_info: CameraInfo | None = None
        self._last_image: Image | CompressedImage | None = None
        self._after_jump = False  # of time, until the first image after it
        self._held_back: tuple[Image | CompressedImage, float, float | None] | None = None
        self._opened_at = time.monotonic()
        self._max_stamp_age = max_stamp_age
        self.watch = ImageMonitor(self._opened_at, max_stamp_age)
        self._image_topic = ""
        self._subscriptions: list[Any] = []
        self._timer: Timer | None = None
        self._latched = False

    def open(self) -> None:
        """Start to listen, and to count the time-out."""
        image_topic = self._node.resolve_topic_name(topic_of(self._camera, "image"))
        image_message = Image
        if self._image_transport == "compressed":
            # As image_transport does it: remapping the base topic moves all transports with it.
            image_topic, image_message = f"{image_topic}/compressed", CompressedImage
        self._image_topic = image_topic
        self._subscribe(CameraInfo, self._info_topic, self._on_camera_info, INPUT_QOS)
        self._subscribe(image_message, image_topic, self._on_image, INPUT_QOS)
        # Discovery takes real time, whatever the node's clock says.
        clock = Clock(clock_type=ClockType.STEADY_TIME)
        self._timer = self._node.create_timer(0.1, self._while_without_camera_info, clock=clock)
        self._opened_at = time.monotonic()
        self.watch = ImageMonitor(self._opened_at, self._max_stamp_age)

    @property
    def topics(self) -> str:
        """The names of all topics listened to, resolved, for the log."""
        return " and ".join(sorted({s.topic_name for s in self._subscriptions}))

    def silence(self) -> str:
        """Why it may be that no image has come for a while; empty if one has."""
        seconds = time.monotonic() - self.watch.last_at
        if seconds < SILENCE_S:
            return ""
        if self._node.count_publishers(self._image_topic) == 0:
            why = "nobody publishes it: is the camera running, and the topic remapped?"
        else:
            why = (
                "although somebody publishes it. Raw images of more than half a megabyte need "
                "config/fastdds_shm.xml in the camera's process too (README, Large messages)"
            )
        return f"no image on {self._image_topic} for {seconds:.0f} s: {why}"

    def close(self) -> None:
        """Stop listening; an image that is held back is dropped."""
        if self._timer is not None:
            self._node.destroy_timer(self._timer)
            self._timer = None
        while self._subscriptions:
            self._node.destroy_subscription(self._subscriptions.pop())
        self._drop_held_back()

    def time_jumped(self) -> None:
        """Drop an image of the old time that is held back.

        The CameraInfo stays, unless the next image is of another camera: one that was latched
        before a bag began, or that a loop began after, does not come again.
        """
        self._drop_held_back()
        self._after_jump = True

    def _subscribe(
        self,
        message: type,
        topic: str,
        callback: Callable[[Any], None],
        qos: QoSProfile,
        entity_id: str | None = None,
    ) -> None:
        overrides = QoSOverridingOptions.with_default_policies(entity_id=entity_id)
        resolved = self._node.resolve_topic_name(topic)
        self._subscriptions.append(
            self._node.create_subscription(
                message,
                topic,
                callback,
                qos,
                qos_overriding_options=overrides,
                event_callbacks=no_events()
                if entity_id is not None
                else subscription_events(self._node, resolved),
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
        stamp_age = self.watch.image(message, received_at, reading)
        self._statistics.count("frames_received")
        self._time_jumps.image(message.header.stamp)
        self._drop_held_back()
        if self._after_jump and not any(
            other is not None and _of_one_camera(message, other)
            for other in (self._last_image, self._camera_info)
        ):
            self._wait_anew_for_camera_info()
        self._after_jump, self._last_image = False, message
        self._held_back = (message, received_at, stamp_age)
        self._hand_over()

    def _drop_held_back(self) -> None:
        if self._held_back is not None:
            self._statistics.count("dropped_waiting_for_camera_info")
            self._held_back = None

    def _wait_anew_for_camera_info(self) -> None:
        self._camera_info = None
        self._opened_at = time.monotonic()
        if self._timer is not None:
            self._timer.reset()

    def _while_without_camera_info(self) -> None:
        """Look for a CameraInfo that was sent before this node came; end the wait for one.

        A latched CameraInfo comes only to a subscription that asks for what was sent before. That
        one in turn gets nothing from a camera which sends its CameraInfo with every image, and
        makes the camera's driver warn of it; so it is made only where it is of use.
        """
        if not self._latched and any(
            publisher.qos_profile.durability == DurabilityPolicy.TRANSIENT_LOCAL
            for publisher in self._node.get_publishers_info_by_topic(self._info_topic)
        ):
            self._latched = True
            self._subscribe(
                CameraInfo, self._info_topic, self._on_camera_info, LATCHED_QOS, "latched"
            )
        self._hand_over()

    def _hand_over(self) -> None:
        """Pass the newest image on, unless it should wait for a CameraInfo."""
        waited = time.monotonic() - self._opened_at
        waiting = self._camera_info is None and waited < self._timeout()
        if self._held_back is not None and not waiting:
            image, received_at, stamp_age = self._held_back
            self._held_back = None
            self.watch.camera_info(image, self._camera_info, received_at)
            self._on_frame(
                Frame(image, self._camera_info, received_at, stamp_age, self.watch, self._camera)
            )


def topic_of(camera: str, topic: str) -> str:
    """`x` as `camera/x` and `~/x` as `~/camera/x`; as it is if the camera has no name."""
    private, name = ("~/", topic[2:]) if topic.startswith("~/") else ("", topic)
    return f"{private}{camera}/{name}" if camera else topic


def _of_one_camera(
    image: Image | CompressedImage, other: Image | CompressedImage | CameraInfo
) -> bool:
    """Whether two messages have one frame_id and, as far as they tell it, one size."""
    if image.header.frame_id != other.header.frame_id:
        return False
    if isinstance(image, CompressedImage) or isinstance(other, CompressedImage):
        return True
    return (image.height, image.width) == (other.height, other.width)
