"""The way of one frame outside the network: a camera message in, the messages of its depth out.

The node and the replay of recordings share it. No ROS here: messages come in, and go out, as those
of rclpy or of the rosbags library.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt

from depth_estimation_ros import messages
from depth_estimation_ros.errors import CalibrationError
from depth_estimation_ros.estimation import DepthResult, resize_image
from depth_estimation_ros.geometry.camera_model import CameraModel, deproject
from depth_estimation_ros.geometry.distortion import is_distorted
from depth_estimation_ros.geometry.point_cloud import voxel_downsample
from depth_estimation_ros.media.images import MAX_PIXELS
from depth_estimation_ros.messages import ROS, MessageFactory
from depth_estimation_ros.visualization import DepthColors

CameraState = Literal["calibrated", "unsupported", "uncalibrated", "missing"]

OUTPUTS: Final[Mapping[CameraState, frozenset[str]]] = {
    "calibrated": frozenset({"depth", "camera_info", "points", "color"}),
    "unsupported": frozenset({"depth", "camera_info", "color"}),
    "uncalibrated": frozenset({"depth", "color"}),
    "missing": frozenset({"depth", "color"}),
}
"""What can be made of a frame, by the state of its camera; the methods of `EstimatedFrame`."""


@dataclass(frozen=True, eq=False)
class FrameCamera:
    """What a CameraInfo says of the camera of its image.

    Attributes:
        model: None if the camera is not calibrated, or its CameraInfo missing.
        state: unsupported is a lens model without known rays: no cloud.
        problem: why it is unsupported, in words; else empty.
    """

    model: CameraModel | None
    state: CameraState
    problem: str = ""


@dataclass(frozen=True, eq=False)
class PreparedFrame:
    """A decoded image, ready for the pipeline.

    Attributes:
        header: of the image message; what comes of it carries this stamp and frame_id.
        rgb: (H, W, 3) uint8; may share the memory of the message.
        camera: of this very image; None if it is not calibrated.
        camera_state: see `FrameCamera`.
        camera_problem: see `FrameCamera`.
    """

    header: Any
    rgb: npt.NDArray[np.uint8]
    camera: CameraModel | None
    camera_state: CameraState
    camera_problem: str = ""

    @property
    def stamp_ns(self) -> int:
        """Of the header, nanoseconds."""
        return int(self.header.stamp.sec) * 1_000_000_000 + int(self.header.stamp.nanosec)


@dataclass(frozen=True, eq=False)
class EstimatedFrame:
    """A frame and its depth; makes each message when it is asked for, of either kind."""

    prepared: PreparedFrame
    result: DepthResult

    def depth(self, encoding: str = "32FC1", kind: MessageFactory = ROS) -> Any:
        """The depth as a sensor_msgs/Image: see `messages.depth_image`."""
        return messages.depth_image(self.result.depth, self.prepared.header, encoding, kind)

    def camera_info(self, kind: MessageFactory = ROS) -> Any:
        """The sensor_msgs/CameraInfo of the depth image.

        Raises:
            CalibrationError: the camera is not calibrated.
        """
        return messages.camera_info(self._camera(), self.prepared.header, kind)

    def points(self, stride: int = 1, voxel_size: float = 0.0, kind: MessageFactory = ROS) -> Any:
        """The sensor_msgs/PointCloud2 of the depth, in the colours of the image.

        Args:
            stride: every so many rows and columns of the depth, one point.
            voxel_size: metres; above 0 the cloud is unorganised, with one mean point a voxel.
            kind: of the message.

        Raises:
            CalibrationError: the camera is not calibrated, or its lens model not known.
        """
        depth, rays = self.result.depth[::stride, ::stride], self._camera().rays(stride)
        rgb = resize_image(self.prepared.rgb, *self.result.depth.shape)[::stride, ::stride]
        if voxel_size > 0:
            points, rgb = voxel_downsample(deproject(depth, rays), rgb, voxel_size)
            return messages.point_cloud(points, rgb, self.prepared.header, kind)
        return messages.depth_cloud(depth, rays, rgb, self.prepared.header, kind)

    def color(self, colors: DepthColors, kind: MessageFactory = ROS) -> Any:
        """The depth in colours as an rgb8 sensor_msgs/Image.

        Args:
            colors: of this camera; frames should come in the order of their stamps.
            kind: of the message.
        """
        picture = colors.draw(self.result.depth, self.prepared.stamp_ns, self.result.far)
        return messages.color_image(picture, self.prepared.header, kind)

    def _camera(self) -> CameraModel:
        if self.result.camera is None:
            raise CalibrationError(
                "The depth has no camera",
                found=f"CameraInfo {self.prepared.camera_state}",
                expected="a calibrated sensor_msgs/CameraInfo",
                fix="Publish one with the images, or calibrate the camera (camera_calibration).",
            )
        return self.result.camera


def prepare(
    image: Any,
    camera_info: Any,
    *,
    image_is_rectified: bool = False,
    largest: int = MAX_PIXELS,
) -> PreparedFrame:
    """Decode an image and read its camera.

    Args:
        image: sensor_msgs/Image or CompressedImage, of rclpy or rosbags.
        camera_info: sensor_msgs/CameraInfo of the image; None if there is none.
        image_is_rectified: the camera is then P of the CameraInfo, otherwise K and the distortion.
        largest: pixels that an image may have.

    Raises:
        ImageError: the image cannot be decoded, or has more pixels.
        CalibrationError: numbers that no camera can have, or a CameraInfo of another image size.
    """
    camera = read_camera(camera_info, image_is_rectified=image_is_rectified)
    return decode(image, camera, largest)


def read_camera(camera_info: Any, *, image_is_rectified: bool = False) -> FrameCamera:
    """The first half of `prepare`: what the CameraInfo (or None) says."""
    model = messages.camera_model(camera_info) if camera_info is not None else None
    if model is None:
        return FrameCamera(None, "missing")
    if not model.is_calibrated:
        return FrameCamera(None, "uncalibrated")
    if image_is_rectified:
        model = model.rectified()
    try:
        is_distorted(model.distortion_model, model.D)
    except CalibrationError as error:
        return FrameCamera(model, "unsupported", str(error))
    return FrameCamera(model, "calibrated")


def decode(image: Any, camera: FrameCamera, largest: int = MAX_PIXELS) -> PreparedFrame:
    """The second half of `prepare`: the picture of the image, whose size must be the camera's."""
    compressed = hasattr(image, "format")
    rgb = (messages.decode_compressed if compressed else messages.decode_image)(image, largest)
    if camera.model is not None:
        messages.check_matches(camera.model, *rgb.shape[:2])
    return PreparedFrame(image.header, rgb, camera.model, camera.state, camera.problem)
