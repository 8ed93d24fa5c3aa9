"""Metric scale for a replay: from a range sensor of the recording, or the height of the camera."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from contextlib import suppress

import numpy as np
import numpy.typing as npt

from depth_estimation_ros.apps.replay.options import ReplayOptions
from depth_estimation_ros.bags import CameraTopics, RecordedMessage, Recording, Topic, stamp_in
from depth_estimation_ros.bags.topics import first_message, listed
from depth_estimation_ros.errors import DepthEstimationError, ParameterError
from depth_estimation_ros.estimation.scale import SYNC_S, ScaleSource
from depth_estimation_ros.estimation.scale_sources import (
    OPTICAL_FROM_BODY,
    FloorBelow,
    KnownPixels,
    RangeCone,
    RangePoints,
    pose_matrix,
    transform_matrix,
    transform_points,
)
from depth_estimation_ros.messages import decode_depth, laser_scan_points, read_xyz

Pose = npt.NDArray[np.float64]

SCAN, CLOUD, RANGE, DEPTH = (
    f"sensor_msgs/msg/{name}" for name in ("LaserScan", "PointCloud2", "Range", "Image")
)
TRANSFORMS = "tf2_msgs/msg/TFMessage"
KEPT = 64
"""Measurements that are remembered; images come soon before or after theirs."""
_LEVEL = np.array([0.0, 1.0, 0.0])  # gravity in the optical frame of a camera that looks ahead


class StaticFrames:
    """The fixed transforms of a recording: what is on its /tf_static topics."""

    def __init__(self, recording: Recording) -> None:
        self._parents: dict[str, tuple[str, Pose]] = {}
        topics = [
            topic.name
            for topic in recording.topics
            if topic.msgtype == TRANSFORMS and topic.name.endswith("tf_static")
        ]
        for message in recording.messages(topics) if topics else ():
            with suppress(DepthEstimationError):
                for one in recording.deserialize(message).transforms:
                    child, parent = one.child_frame_id.lstrip("/"), one.header.frame_id.lstrip("/")
                    self._parents[child] = (
                        parent,
                        transform_matrix(one.transform.translation, one.transform.rotation),
                    )

    def pose(self, frame: str, target: str) -> Pose | None:
        """Return the (4, 4) pose of a frame in another, or None where nothing connects them."""
        ours, theirs = dict(self._ancestors(frame)), dict(self._ancestors(target))
        for ancestor, pose in ours.items():
            if ancestor in theirs:
                return np.asarray(np.linalg.inv(theirs[ancestor]) @ pose)
        return None

    def down(self, frame: str) -> npt.NDArray[np.float64]:
        """Return gravity in a camera's optical frame: against z of the frame that all hang on.

        A camera without transforms is taken for level.
        """
        root, pose = self._ancestors(frame)[-1]
        return _LEVEL if root == frame.lstrip("/") else -pose[2, :3]

    def _ancestors(self, frame: str) -> list[tuple[str, Pose]]:
        """Return the frame itself and all above it, with the pose of the frame in each."""
        found, pose = [(frame.lstrip("/"), np.eye(4))], np.eye(4)
        while found[-1][0] in self._parents and len(found) < 100:  # no end in a circle
            parent, up = self._parents[found[-1][0]]
            pose = up @ pose
            found.append((parent, pose))
        return found


class ScaleMeasurements:
    """What a recording, or the user, knows of metric depth, for the images of its cameras.

    Args:
        recording: open.
        cameras: whose images are replayed.
        options: scale_from, range_sensor_pose, camera_height.

    Attributes:
        topic: of the range sensor; None for a camera height.

    Raises:
        ParameterError: no such topic, or the pose of the sensor is not known.
    """

    def __init__(
        self, recording: Recording, cameras: Sequence[CameraTopics], options: ReplayOptions
    ) -> None:
        self._recording = recording
        self._recent: deque[tuple[int, RecordedMessage]] = deque(maxlen=KEPT)
        images = {camera.image.name for camera in cameras}
        self.topic = (
            _range_topic(recording, options.scale_from, images) if options.scale_from else None
        )
        frames = StaticFrames(recording)
        self._floors: list[FloorBelow | None] = []
        self._poses: list[Pose | None] = []
        for camera in cameras:
            frame = _frame_id(recording, camera.image)
            floor = FloorBelow(options.camera_height, frames.down(frame))
            self._floors.append(floor if options.camera_height else None)
            self._poses.append(self._pose(frames, frame, options) if self.topic else None)

    def add(self, message: RecordedMessage) -> None:
        """Take the next measurement of the recording."""
        stamp = stamp_in(message)
        if stamp is not None:
            self._recent.append((stamp, message))

    def nearest(self, stamp_ns: int) -> tuple[int, RecordedMessage] | None:
        """Return the measurement of about this time, with its stamp; None without one."""
        near = min(self._recent, key=lambda pair: abs(pair[0] - stamp_ns), default=None)
        return near if near is not None and abs(near[0] - stamp_ns) <= SYNC_S * 1e9 else None

    def source(
        self, camera: int, measured: tuple[int, RecordedMessage] | None
    ) -> ScaleSource | None:
        """Return the source of scale for an image of this camera; in any thread.

        Args:
            camera: index of it.
            measured: of `nearest`.
        """
        pose = self._poses[camera]
        if pose is None or measured is None:
            return self._floors[camera]
        stamp_ns, recorded = measured
        try:
            message = self._recording.deserialize(recorded)
            if recorded.msgtype == DEPTH:
                return KnownPixels.of_depth(decode_depth(message), stamp_ns)
            if recorded.msgtype == RANGE:
                if not message.min_range <= message.range <= message.max_range:
                    return None
                half_angle = 0.5 * message.field_of_view
                return RangeCone(float(message.range), half_angle, pose, stamp_ns)
            read = laser_scan_points if recorded.msgtype == SCAN else read_xyz
            points = read(message).astype(np.float64)
        except DepthEstimationError:
            return None
        return RangePoints(transform_points(points, pose), stamp_ns)

    def _pose(self, frames: StaticFrames, camera_frame: str, options: ReplayOptions) -> Pose:
        if self.topic is not None and self.topic.msgtype == DEPTH:
            return np.eye(4)  # registered to the camera
        if options.range_sensor_pose:
            return OPTICAL_FROM_BODY @ pose_matrix(*options.range_sensor_pose)
        assert self.topic is not None
        sensor_frame = _frame_id(self._recording, self.topic)
        pose = frames.pose(sensor_frame, camera_frame)
        if pose is None:
            raise ParameterError(
                f"--scale-from {self.topic.name}",
                found=f"no transform on /tf_static between {sensor_frame!r} and the camera's "
                f"{camera_frame!r}",
                expected="the pose of the range sensor",
                fix="Give --range-sensor-pose X Y Z ROLL PITCH YAW as seen from the camera",
            )
        return pose


def _range_topic(recording: Recording, name: str, images: set[str]) -> Topic:
    there = [
        topic
        for topic in recording.topics
        if topic.msgtype in (SCAN, CLOUD, RANGE, DEPTH) and topic.name not in images
    ]
    for topic in there:
        if topic.name == name:
            return topic
    raise ParameterError(
        f"--scale-from for {recording.name}",
        found=name,
        expected=f"one of: {listed(there)}"
        if there
        else "a topic of LaserScan, PointCloud2, Range or a depth Image, and there is none",
    )


def _frame_id(recording: Recording, topic: Topic) -> str:
    message = first_message(recording, topic)
    return "" if message is None else str(message.header.frame_id)
