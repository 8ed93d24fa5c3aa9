"""What anchors the depth of one camera: a range sensor's topic, or the camera's height.

The latest measurement becomes a `ScaleSource` in the engine's thread when an image needs it; no
image waits for one.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from rclpy.node import Node
from rclpy.qos_overriding_options import QoSOverridingOptions
from rclpy.time import Time
from sensor_msgs.msg import Image, LaserScan, PointCloud2, Range

from depth_estimation_ros import messages
from depth_estimation_ros.errors import DepthEstimationError, ParameterError
from depth_estimation_ros.estimation.scale import ScaleSource
from depth_estimation_ros.estimation.scale_sources import (
    OPTICAL_FROM_BODY,
    FloorBelow,
    KnownPixels,
    RangeCone,
    RangePoints,
    down_vector,
    pose_matrix,
    transform_matrix,
    transform_points,
)
from depth_estimation_ros.node.parameters import Parameters, parse_pose
from depth_estimation_ros.node.publishers import OVERRIDABLE_POLICIES, topic_of
from depth_estimation_ros.node.subscriptions import INPUT_QOS

Matrix = npt.NDArray[np.float64]

MESSAGES = {"scan": LaserScan, "points": PointCloud2, "range": Range, "depth": Image}
"""Of each `scale_source` with a topic, whose name is that of the source."""


class ScaleInput:
    """The source of metric scale of one camera, while the node is active.

    Args:
        node: owner of the subscription.
        parameters: returns the present parameters; scale_source is not "none".
        camera: name, the namespace of the topic; empty for none.
        transforms: where TF is; None if tf2_ros is not installed or not needed.
    """

    def __init__(
        self,
        node: Node,
        parameters: Callable[[], Parameters],
        camera: str = "",
        transforms: Transforms | None = None,
    ) -> None:
        self._node = node
        self._parameters = parameters
        self._transforms = transforms
        self._message: Any = None
        self._made: tuple[Any, ScaleSource] | None = None
        self._subscription: Any = None
        kind = parameters().scale_source
        self.topic = ""
        """Resolved; empty if the source has none."""
        if kind in MESSAGES:
            topic = topic_of(camera, kind)
            self.topic = node.resolve_topic_name(topic)
            self._subscription = node.create_subscription(
                MESSAGES[kind],
                topic,
                self._on_message,
                INPUT_QOS,
                qos_overriding_options=QoSOverridingOptions(OVERRIDABLE_POLICIES),
            )

    def destroy(self) -> None:
        """Unsubscribe."""
        if self._subscription is not None:
            self._node.destroy_subscription(self._subscription)

    def source(self, camera_frame: str) -> ScaleSource | None:
        """Return the latest measurement, or None if there is none that can be used.

        Args:
            camera_frame: frame_id of the image.
        """
        parameters, message = self._parameters(), self._message
        try:
            if parameters.scale_source == "camera_height":
                return floor_below(parameters, camera_frame, self._transforms)
            if message is None:
                return None
            if self._made is None or self._made[0] is not message:
                self._made = message, self._convert(message, parameters, camera_frame)
            return self._made[1]
        except DepthEstimationError as error:
            text = f"no scale from {self.topic or 'camera_height'}: {error}"
            self._node.get_logger().warning(text, throttle_duration_sec=5.0)
            return None

    def _on_message(self, message: Any) -> None:
        self._message = message

    def _convert(self, message: Any, parameters: Parameters, camera_frame: str) -> ScaleSource:
        stamp = message.header.stamp
        stamp_ns = stamp.sec * 1_000_000_000 + stamp.nanosec
        if isinstance(message, Image):
            return KnownPixels.of_depth(messages.decode_depth(message), stamp_ns)
        pose = self._pose(message.header, parameters, camera_frame)
        if isinstance(message, Range):
            distance = message.range
            if not message.min_range <= distance <= message.max_range:
                distance = math.nan  # nothing within range
            return RangeCone(distance, message.field_of_view / 2, pose, stamp_ns)
        read = messages.laser_scan_points if isinstance(message, LaserScan) else messages.read_xyz
        return RangePoints(transform_points(read(message).astype(np.float64), pose), stamp_ns)

    def _pose(self, header: Any, parameters: Parameters, camera_frame: str) -> Matrix:
        """Return the (4, 4) pose of the range sensor in the camera's optical frame."""
        if parameters.range_sensor_pose:
            return OPTICAL_FROM_BODY @ pose_matrix(*parse_pose(parameters.range_sensor_pose))
        if header.frame_id == camera_frame:
            return np.eye(4)
        return _lookup(self._transforms, camera_frame, header.frame_id, header.stamp)


def floor_below(
    parameters: Parameters, camera_frame: str, transforms: Transforms | None
) -> FloorBelow:
    """Return the floor below a camera: from TF if floor_frame is set, else from parameters.

    Raises:
        ParameterError: TF does not connect the frames, or the camera lies below the floor.
    """
    if parameters.floor_frame:
        pose = _lookup(transforms, parameters.floor_frame, camera_frame, None)
        height = float(pose[2, 3])
        if not height > 0:
            raise ParameterError(
                "floor_frame",
                found=f"the camera {height:.2f} m above {parameters.floor_frame}",
                expected="more than 0",
                fix="Name a frame that lies on the floor, such as base_footprint",
            )
        return FloorBelow(height, -pose[2, :3])
    angles = math.radians(parameters.camera_roll), math.radians(parameters.camera_pitch)
    return FloorBelow(parameters.camera_height, down_vector(*angles))


def _lookup(transforms: Transforms | None, target: str, source: str, stamp: Any) -> Matrix:
    if transforms is None:
        raise ParameterError(
            f"the transform from {source} to {target}",
            found="no tf2_ros on this machine",
            expected="tf2_ros, or the pose as a parameter",
            fix="Install tf2_ros (ros-$ROS_DISTRO-tf2-ros-py), or set range_sensor_pose "
            "or camera_height",
        )
    return transforms.lookup(target, source, stamp)


class Transforms:
    """TF, where tf2_ros is installed.

    Args:
        node: that listens to /tf and /tf_static.

    Raises:
        ImportError: tf2_ros is not installed.
    """

    def __init__(self, node: Node) -> None:
        import tf2_ros

        self._buffer: Any = tf2_ros.Buffer()
        self._listener: Any = tf2_ros.TransformListener(self._buffer, node)
        self._error: type[Exception] = tf2_ros.TransformException

    def lookup(self, target: str, source: str, stamp: Any) -> Matrix:
        """Return the (4, 4) pose of `source` in `target` at a stamp, or the latest one.

        Raises:
            ParameterError: TF does not connect the frames.
        """
        times = [Time()] if stamp is None else [Time.from_msg(stamp), Time()]
        error: Exception | None = None
        for time in times:
            try:
                found = self._buffer.lookup_transform(target, source, time).transform
            except self._error as failure:
                error = failure
                continue
            return transform_matrix(found.translation, found.rotation)
        raise ParameterError(
            f"the transform from {source} to {target}",
            found=str(error),
            expected="both frames in one TF tree",
            fix="Publish it (robot_state_publisher, static_transform_publisher), or set "
            "range_sensor_pose or camera_height",
        )


def create_transforms(node: Node, parameters: Parameters) -> Transforms | None:
    """Return TF if the scale source may need it and tf2_ros is installed."""
    by_topic = parameters.scale_source in ("scan", "points", "range")
    needed = by_topic and not parameters.range_sensor_pose
    if not (needed or parameters.floor_frame):
        return None
    try:
        return Transforms(node)
    except ImportError:
        node.get_logger().warning("tf2_ros is not installed: poses come from parameters only")
        return None
