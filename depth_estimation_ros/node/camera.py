"""What the node has for each camera: topics in and out, counts, and a sense of its time.

A node with one camera has one of these, without a name. The network is common to all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from rclpy.lifecycle import LifecycleNode

from depth_estimation_ros.node.diagnostics.statistics import Statistics
from depth_estimation_ros.node.frame_processor import FrameProcessor, Outputs
from depth_estimation_ros.node.parameters import ONE_CAMERA, Parameters
from depth_estimation_ros.node.subscriptions import CameraInputs, Frame
from depth_estimation_ros.node.time_jumps import TimeJumps
from depth_estimation_ros.node.worker import Worker


class Camera:
    """One camera, from configure to cleanup.

    Args:
        node: owner of the topics.
        name: empty for the only one.
        statistics: of its frames.
        on_time_jump: called with this and with what has happened.
    """

    def __init__(
        self,
        node: LifecycleNode,
        name: str,
        statistics: Statistics,
        on_time_jump: Callable[[Camera, str], None],
    ) -> None:
        self.name = name
        self.statistics = statistics
        self.outputs = Outputs(node, name)
        self.time_jumps = TimeJumps(node, lambda what: on_time_jump(self, what))
        self.inputs: CameraInputs | None = None
        """While the node is active."""
        self.path: FrameProcessor | None = None
        """While the worker's session is open."""

    def listen(
        self,
        node: LifecycleNode,
        parameters: Callable[[], Parameters],
        on_frame: Callable[[Camera, Frame], None],
    ) -> None:
        """Subscribe; each frame is passed on with this."""
        if (path := self.path) is not None:
            path.camera_info_state = ""
        self.inputs = CameraInputs(
            node,
            parameters().image_transport,
            lambda: parameters().camera_info_timeout,
            self.statistics,
            self.time_jumps,
            lambda frame: on_frame(self, frame),
            lambda: parameters().diagnostics_max_age,
            self.name,
        )
        self.inputs.open()

    def stop_listening(self) -> None:
        """Unsubscribe; an image that is held back is dropped."""
        if self.inputs is not None:
            self.inputs.close()
            self.inputs = None

    def discard(self, worker: Worker[Frame], counter: str = "dropped_busy") -> None:
        """Throw away a frame that waits for the worker, and count it."""
        if worker.discard(self.name):
            self.statistics.count(counter)

    def time_jumped(self) -> None:
        """Drop and forget what belongs to the old time."""
        self.statistics.time_jumped()
        if self.inputs is not None:
            self.inputs.time_jumped()
        if (path := self.path) is not None:
            path.time_jumped()

    def close(self) -> None:
        """Unsubscribe, and take the publishers away."""
        self.stop_listening()
        self.time_jumps.close()
        self.outputs.destroy()


def make_cameras(
    node: LifecycleNode,
    names: Iterable[str],
    total: Statistics,
    on_time_jump: Callable[[Camera, str], None],
) -> list[Camera]:
    """A camera for each name. Of several, each counts for itself and for the total."""
    cameras: list[Camera] = []
    try:
        for name in names:
            statistics = total if (name,) == ONE_CAMERA else Statistics(total)
            cameras.append(Camera(node, name, statistics, on_time_jump))
    except BaseException:
        for camera in cameras:
            camera.close()
        raise
    return cameras
