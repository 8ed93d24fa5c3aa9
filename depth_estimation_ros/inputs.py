"""What the node listens to: images, and the CameraInfo that goes with them."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from rclpy.clock import Clock, ClockType
from rclpy.event_handler import SubscriptionEventCallbacks
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rclpy.qos_overriding_options import QoSOverridingOptions
from rclpy.timer import Timer
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from depth_estimation_ros.diagnostics import Statistics

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
        on_frame: gets each frame.
    """

    def __init__(
        self,
        node: Node,
        image_transport: str,
        camera_info_timeout: Callable[[], float],
        statistics: Statistics,
        on_frame: Callable[[Frame], None],
    ) -> None:
        self._node = node
        self._image_transport = image_transport
        self._timeout = camera_info_timeout
        self._statistics = statistics
        self._on_frame = on_frame
        self._camera_info: CameraInfo | None = None
        self._held_back: tuple[Image | CompressedImage, float] | None = None
        self._opened_at = time.monotonic()
        self.last_image_at = self._opened_at
        """time.monotonic() of the last image, or of the opening if none came yet."""
        self._subscriptions: list[Any] = []
        self._timer: Timer | None = None

    def open(self) -> None:
        """Start to listen, and to count the time-out."""
        node, qos_overrides = self._node, QoSOverridingOptions.with_default_policies
        image_topic, image_message = node.resolve_topic_name("image"), Image
        if self._image_transport == "compressed":
            # As image_transport does it: remapping the base topic moves all transports with it.
            image_topic, image_message = f"{image_topic}/compressed", CompressedImage
        # A camera may send its CameraInfo with every image, best effort, or once, latched. No one
        # subscription gets both: the volatile one comes too late for the second kind, and the
        # latched one does not match the first, of which it should not warn.
        self._subscriptions.append(
            node.create_subscription(
                CameraInfo,
                "camera_info",
                self._on_camera_info,
                INPUT_QOS,
                qos_overriding_options=qos_overrides(),
            )
        )
        self._subscriptions.append(
            node.create_subscription(
                CameraInfo,
                "camera_info",
                self._on_camera_info,
                LATCHED_QOS,
                event_callbacks=SubscriptionEventCallbacks(use_default_callbacks=False),
                qos_overriding_options=qos_overrides(entity_id="latched"),
            )
        )
        self._subscriptions.append(
            node.create_subscription(
                image_message,
                image_topic,
                self._on_image,
                INPUT_QOS,
                qos_overriding_options=qos_overrides(),
            )
        )
        # The timer ends the waiting also where no second image follows. Discovery takes real time,
        # whatever the node's clock says.
        clock = Clock(clock_type=ClockType.STEADY_TIME)
        self._timer = node.create_timer(0.1, self._hand_over, clock=clock)
        self._opened_at = self.last_image_at = time.monotonic()

    def close(self) -> None:
        """Stop listening; an image that is held back is dropped."""
        if self._timer is not None:
            self._node.destroy_timer(self._timer)
            self._timer = None
        while self._subscriptions:
            self._node.destroy_subscription(self._subscriptions.pop())
        if self._held_back is not None:
            self._statistics.count("dropped_waiting_for_camera_info")
            self._held_back = None

    def _on_camera_info(self, message: CameraInfo) -> None:
        self._camera_info = message
        self._hand_over()

    def _on_image(self, message: Image | CompressedImage) -> None:
        self.last_image_at = time.monotonic()
        self._statistics.count("frames_received")
        if self._held_back is not None:
            self._statistics.count("dropped_waiting_for_camera_info")
        self._held_back = (message, self.last_image_at)
        self._hand_over()

    def _hand_over(self) -> None:
        """Pass the newest image on, unless it should wait for a CameraInfo."""
        waited = time.monotonic() - self._opened_at
        waiting = self._camera_info is None and waited < self._timeout()
        if waiting:
            return
        if self._timer is not None:
            self._timer.cancel()
        if self._held_back is not None:
            image, received_at = self._held_back
            self._held_back = None
            self._on_frame(Frame(image, self._camera_info, received_at))
