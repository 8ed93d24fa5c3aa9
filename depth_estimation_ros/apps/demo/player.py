"""The player's process: brings the node up and publishes a source, frame by frame.

Plays with the stamps' own timing, but sends no frame before the node is done with the one before:
a slow machine is slow, and loses nothing.
"""

from __future__ import annotations

import json
import signal
import sys
import time
from collections.abc import Callable
from typing import Any

import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.signals import SignalHandlerOptions
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from depth_estimation_ros.apps.demo import graph
from depth_estimation_ros.apps.demo.graph import emit
from depth_estimation_ros.apps.demo.sources import Frame, Source, SourceOptions, open_source
from depth_estimation_ros.bags import stamp_of
from depth_estimation_ros.errors import BagError, DepthEstimationError

RELIABLE = QoSProfile(depth=10, reliability=ReliabilityPolicy.RELIABLE)
START_TIMEOUT_S = 60.0  # for processes to start and find each other
CONFIGURE_TIMEOUT_S = 600.0  # a large network may be built or optimised at first
SETTLE_S = 0.5  # between "I see your publisher" and "your publisher sees me"
LONGEST_GAP_S = 5.0  # a recording that paused for an hour, or whose clock jumped, goes on
SILENT_FRAMES = 3  # this many frames in a row without an answer, and it is over
DROPS = ("dropped_bad", "dropped_busy", "dropped_waiting_for_camera_info")


class Player(Node):
    """Publishes frames and watches what the node does with them.

    Args:
        transport: raw or compressed.
        frame_timeout: seconds that a frame may take.
    """

    def __init__(self, transport: str, frame_timeout: float) -> None:
        super().__init__("demo_player")
        message = CompressedImage if transport == "compressed" else Image
        topic, _ = graph.IMAGES[transport]
        self._image = self.create_publisher(message, topic, RELIABLE)
        self._camera_info = self.create_publisher(CameraInfo, graph.CAMERA_INFO, RELIABLE)
        self._frame_timeout = frame_timeout
        self._answered: set[int] = set()
        self._drops = 0
        self._playing = self._stopping = False
        self._subscriptions_kept = [
            self.create_subscription(Image, graph.DEPTH, self._on_depth, RELIABLE, raw=True),
            self.create_subscription(
                DiagnosticArray, graph.DIAGNOSTICS, self._on_diagnostics, RELIABLE
            ),
        ]

    def start_node(self) -> None:
        """Configure the node and activate it, and wait until recorder and node hear each other.

        Raises:
            DepthEstimationError: it does not come up.
        """
        service: Any = self.create_client(ChangeState, f"{graph.NODE}/change_state")
        if not service.wait_for_service(START_TIMEOUT_S):
            raise DepthEstimationError(f"The node did not appear within {START_TIMEOUT_S:g} s")
        for transition, name in (
            (Transition.TRANSITION_CONFIGURE, "configure"),
            (Transition.TRANSITION_ACTIVATE, "activate"),
        ):
            request = ChangeState.Request(transition=Transition(id=transition))
            future = service.call_async(request)
            rclpy.spin_until_future_complete(self, future, timeout_sec=CONFIGURE_TIMEOUT_S)
            response = future.result()
            if response is None or not response.success:
                raise DepthEstimationError(f"The node could not {name}")
        # Images go to node and recorder; depth goes to player and recorder.
        everyone = self._until(
            lambda: (
                self._image.get_subscription_count() >= 2
                and self.count_subscribers(graph.DEPTH) >= 2
                and self.count_publishers(graph.READY) >= 1
            ),
            START_TIMEOUT_S,
        )
        if not everyone:
            raise DepthEstimationError(
                "Node, player and recorder did not find each other over DDS",
                fix="Look for a firewall on the loopback interface, or an RMW_IMPLEMENTATION "
                "that is not installed",
            )

    def play(self, source: Source) -> None:
        """Send every frame of the source, and report the answer to each."""
        self._playing = True
        began = first_stamp = silent = 0
        index = -1
        for index, frame in enumerate(source.frames()):
            if index == 0:
                if frame.camera_info is not None:
                    self._camera_info.publish(frame.camera_info)
                self._until(lambda: False, SETTLE_S)
                began, first_stamp = time.monotonic_ns(), frame.stamp_ns
                emit("playing")
            due_in_s = (began + frame.stamp_ns - first_stamp - time.monotonic_ns()) / 1e9
            if due_in_s > LONGEST_GAP_S:
                began -= round((due_in_s - LONGEST_GAP_S) * 1e9)
                due_in_s = LONGEST_GAP_S
            self._until(lambda: self._stopping, due_in_s)
            if self._stopping:
                return
            answer = self._send(frame)
            emit("frame", index=index, answer=answer)
            silent = silent + 1 if answer == "none" else 0
            if silent == SILENT_FRAMES:
                raise DepthEstimationError(
                    f"The node did not answer {silent} frames in a row, "
                    f"each for {self._frame_timeout:g} s",
                    fix="If the network is that slow on this machine, raise --frame-timeout",
                )

        if index < 0:
            raise BagError(f"No image could be read from {source.name}")

    def interrupt(self, *_: object) -> None:
        """Handler of SIGINT: a frame that is under way still gets its answer."""
        if not self._playing:
            raise KeyboardInterrupt
        self._stopping = True

    def _send(self, frame: Frame) -> str:
        """Publish one frame; returns depth, dropped (so says the node), or none (in time)."""
        stamp, drops = frame.stamp_ns, self._drops
        self._answered.discard(stamp)
        if frame.camera_info is not None:
            self._camera_info.publish(frame.camera_info)
        self._image.publish(frame.image)
        done = self._until(
            lambda: stamp in self._answered or self._drops > drops, self._frame_timeout
        )
        if not done:
            return "none"
        return "depth" if stamp in self._answered else "dropped"

    def _until(self, condition: Callable[[], bool], timeout_s: float) -> bool:
        """Spin until the condition holds; False if it did not within the time."""
        end = time.monotonic() + timeout_s
        while not condition():
            remaining = end - time.monotonic()
            if remaining <= 0:
                return False
            rclpy.spin_once(self, timeout_sec=min(remaining, 0.1))
        return True

    def _on_depth(self, cdr: bytes) -> None:
        self._answered.add(stamp_of(cdr))

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            if status.name == f"{graph.NODE}: depth":
                values = {pair.key: pair.value for pair in status.values}
                self._drops = sum(int(values.get(name, 0)) for name in DROPS)


def main() -> int:
    """Entry of the process; its one argument is JSON: source (SourceOptions) and frame_timeout."""
    arguments = json.loads(sys.argv[1])
    rclpy.init(args=[], signal_handler_options=SignalHandlerOptions.NO)
    try:
        source = open_source(SourceOptions(**arguments["source"]))
        player = Player(source.transport, arguments["frame_timeout"])
        signal.signal(signal.SIGINT, player.interrupt)
        player.start_node()
        player.play(source)
        emit("end")
    except BagError as error:
        emit("broken_source", message=str(error))
        return 1
    except DepthEstimationError as error:
        emit("failed", message=str(error))
        return 1
    except KeyboardInterrupt:
        pass
    finally:
        rclpy.try_shutdown()
    return 0


if __name__ == "__main__":
    sys.exit(main())
