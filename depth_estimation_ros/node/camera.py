"""A camera of the node: its subscriptions, publishers, statistics and sense of time.

A node with one camera has one of these, without a name. The network is common to all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from rclpy.lifecycle import LifecycleNode

from depth_estimation_ros.errors import ParameterError
from depth_estimation_ros.estimation.scale import ScaleSource
from depth_estimation_ros.estimation.scale_sources import FloorBelow
from depth_estimation_ros.node.diagnostics.statistics import Statistics
from depth_estimation_ros.node.diagnostics.status import CameraStatus
from depth_estimation_ros.node.frame_processor import FrameProcessor
from depth_estimation_ros.node.parameters import ONE_CAMERA, Parameters
from depth_estimation_ros.node.publishers import Publishers
from depth_estimation_ros.node.scale_input import ScaleInput, Transforms, floor_below
from depth_estimation_ros.node.subscriptions import CameraSubscriptions, ImageInput
from depth_estimation_ros.node.time_jumps import TimeJumps


class Camera:
    """One camera, from configure to cleanup.

    Args:
        node: owner of the topics.
        name: empty for the only one.
        statistics: of its frames.
        on_time_jump: called with this camera and a text.
        with_scale: whether there is a source of metric scale.
    """

    def __init__(
        self,
        node: LifecycleNode,
        name: str,
        statistics: Statistics,
        on_time_jump: Callable[[Camera, str], None],
        with_scale: bool = False,
    ) -> None:
        self.name = name
        self._node = node
        self._parameters: Callable[[], Parameters] = Parameters
        self._transforms: Transforms | None = None
        self.statistics = statistics
        self.publishers = Publishers(node, name, with_scale)
        self.time_jumps = TimeJumps(node, lambda text: on_time_jump(self, text))
        self.subscriptions: CameraSubscriptions | None = None
        """While the node is active."""
        self.scale_input: ScaleInput | None = None
        """While the node is active, if there is a source of metric scale."""

    def subscribe(
        self,
        node: LifecycleNode,
        parameters: Callable[[], Parameters],
        on_image: Callable[[Camera, ImageInput], None],
        transforms: Transforms | None = None,
    ) -> None:
        """Subscribe; `on_image` is called with this camera and each image."""
        self._parameters, self._transforms = parameters, transforms
        if parameters().scale_source != "none":
            self.scale_input = ScaleInput(node, parameters, self.name, transforms)
        self.subscriptions = CameraSubscriptions(
            node,
            parameters,
            self.statistics,
            self.time_jumps,
            lambda image: on_image(self, image),
            self.name,
        )

    def unsubscribe(self) -> None:
        """Unsubscribe; an image that is held back is dropped."""
        if self.subscriptions is not None:
            self.subscriptions.destroy()
            self.subscriptions = None
        if self.scale_input is not None:
            self.scale_input.destroy()
            self.scale_input = None

    def floor(self, camera_frame: str) -> FloorBelow | None:
        """Return the floor below the camera, or None, with a warning, where TF does not say."""
        try:
            return floor_below(self._parameters(), camera_frame, self._transforms)
        except ParameterError as error:
            text = f"no point cloud: {error}"
            self._node.get_logger().warning(text, throttle_duration_sec=5.0)
            return None

    def scale_source(self, camera_frame: str) -> ScaleSource | None:
        """Return what anchors the depth of an image with this frame_id, if anything."""
        scale_input = self.scale_input
        return scale_input.source(camera_frame) if scale_input is not None else None

    def time_jumped(self) -> None:
        """Drop and forget what belongs to the old time."""
        self.statistics.time_jumped()
        if self.subscriptions is not None:
            self.subscriptions.time_jumped()

    def status(self, processor: FrameProcessor | None) -> CameraStatus:
        """Return what the diagnostics need; the processor is None if no engine is open."""
        return CameraStatus(
            self.name,
            self.statistics,
            processor.camera_state if processor is not None else "",
            self.subscriptions.monitor if self.subscriptions is not None else None,
            processor.anchor if processor is not None else None,
        )

    def destroy(self) -> None:
        """Destroy subscriptions and publishers."""
        self.unsubscribe()
        self.time_jumps.close()
        self.publishers.destroy()


def create_cameras(
    node: LifecycleNode,
    names: Iterable[str],
    total: Statistics,
    on_time_jump: Callable[[Camera, str], None],
    with_scale: bool = False,
) -> list[Camera]:
    """Return a camera for each name. Of several, each counts for itself and for the total."""
    cameras: list[Camera] = []
    try:
        for name in names:
            statistics = total if (name,) == ONE_CAMERA else Statistics(total)
            cameras.append(Camera(node, name, statistics, on_time_jump, with_scale))
    except BaseException:
        for camera in cameras:
            camera.destroy()
        raise
    return cameras
