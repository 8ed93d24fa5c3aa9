"""The path of one frame: image message -> decoded image -> prediction -> depth -> messages.

`FrameProcessor` is the node's. Replays use its parts (`read_camera`, `decode_image`, `DepthFrame`),
with messages of rosbags and without ROS: nothing here imports rclpy.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
import numpy.typing as npt

from depth_estimation_ros import messages
from depth_estimation_ros.engines import ModelInfo
from depth_estimation_ros.errors import (
    CalibrationError,
    ImageError,
    ParameterError,
    PredictionError,
)
from depth_estimation_ros.estimation import (
    DepthEstimator,
    DepthResult,
    check_prediction,
    resize_image,
)
from depth_estimation_ros.estimation.scale import ScaleAnchor, ScaleSource
from depth_estimation_ros.estimation.scale_sources import FloorBelow
from depth_estimation_ros.estimation.temporal_filter import TemporalFilter
from depth_estimation_ros.geometry.camera_model import CameraModel, deproject
from depth_estimation_ros.geometry.distortion import is_distorted
from depth_estimation_ros.geometry.point_cloud import CloudCrop, voxel_downsample
from depth_estimation_ros.geometry.rectification import Rectification, rectification
from depth_estimation_ros.media.images import MAX_PIXELS
from depth_estimation_ros.messages import ROS, MessageFactory
from depth_estimation_ros.messages.factory import ReusingMessageFactory
from depth_estimation_ros.node.diagnostics.statistics import Statistics
from depth_estimation_ros.node.parameters import Parameters
from depth_estimation_ros.visualization import DepthColors

if TYPE_CHECKING:
    from rclpy.impl.rcutils_logger import RcutilsLogger

    from depth_estimation_ros.node.publishers import Publishers
    from depth_estimation_ros.node.subscriptions import ImageInput

CameraState = Literal["calibrated", "unsupported", "uncalibrated", "missing"]

OUTPUTS: Final[Mapping[CameraState, frozenset[str]]] = {
    "calibrated": frozenset({"depth", "camera_info", "points", "color", "scale"}),
    "unsupported": frozenset({"depth", "camera_info", "color"}),
    "uncalibrated": frozenset({"depth", "color"}),
    "missing": frozenset({"depth", "color"}),
}
"""The outputs that an image can have, by the state of its camera: methods of `DepthFrame`."""
MAX_ASPECT_CHANGE = 1.1
"""By which an image may be stretched to the network without a warning."""


@dataclass(frozen=True, eq=False)
class ImageCamera:
    """The camera of an image, as its CameraInfo describes it.

    Attributes:
        model: None if the camera is not calibrated or its CameraInfo is missing.
        state: unsupported is a distortion model whose rays are not known: no cloud.
        problem: why the camera is unsupported; else empty.
        rectification: of raw images that are to be rectified; `model` is then that of the
            rectified image.
    """

    model: CameraModel | None
    state: CameraState
    problem: str = ""
    rectification: Rectification | None = None


@dataclass(frozen=True, eq=False)
class DecodedImage:
    """An image message, decoded.

    Attributes:
        header: of the image message; all outputs carry its stamp and frame_id.
        rgb: (H, W, 3) uint8; may share the memory of the message.
        camera: of this very image.
    """

    header: Any
    rgb: npt.NDArray[np.uint8]
    camera: ImageCamera

    @property
    def stamp_ns(self) -> int:
        """The stamp of the header in nanoseconds."""
        return int(self.header.stamp.sec) * 1_000_000_000 + int(self.header.stamp.nanosec)


@dataclass(frozen=True, eq=False)
class DepthFrame:
    """An image and its depth; each method makes one output message, of rclpy or of rosbags."""

    image: DecodedImage
    result: DepthResult

    def depth(self, encoding: str = "32FC1", factory: MessageFactory = ROS) -> Any:
        """Return the depth as sensor_msgs/Image: see `messages.depth_image`."""
        return messages.depth_image(self.result.depth, self.image.header, encoding, factory)

    def camera_info(self, factory: MessageFactory = ROS) -> Any:
        """Return the sensor_msgs/CameraInfo of the depth image.

        Raises:
            CalibrationError: the camera is not calibrated.
        """
        return messages.camera_info(self._camera(), self.image.header, factory)

    def points(
        self,
        stride: int = 1,
        voxel_size: float = 0.0,
        factory: MessageFactory = ROS,
        crop: CloudCrop | None = None,
    ) -> Any:
        """Return the depth as sensor_msgs/PointCloud2 with the colours of the image.

        Args:
            stride: use every n-th row and column of the depth.
            voxel_size: metres; above 0 the cloud is unorganised, with one mean point per voxel.
            factory: of the message.
            crop: the part to keep; other points are NaN.

        Raises:
            CalibrationError: the camera is not calibrated, or its distortion model not supported.
        """
        depth, rays = self.result.depth[::stride, ::stride], self._camera().rays(stride)
        rgb = resize_image(self.image.rgb, *self.result.depth.shape)[::stride, ::stride]
        if voxel_size > 0 or crop is not None:
            points = deproject(depth, rays)
            if crop is not None:
                crop.apply(points)
            if voxel_size > 0:
                points, rgb = voxel_downsample(points, rgb, voxel_size)
            return messages.point_cloud(points, rgb, self.image.header, factory)
        return messages.depth_cloud(depth, rays, rgb, self.image.header, factory)

    def color(self, colors: DepthColors, factory: MessageFactory = ROS) -> Any:
        """Return the coloured depth as rgb8 sensor_msgs/Image.

        Args:
            colors: of this camera; frames should come in the order of their stamps.
            factory: of the message.
        """
        rgb = colors.draw(self.result.depth, self.image.stamp_ns, self.result.far)
        return messages.color_image(rgb, self.image.header, factory)

    def scale(self, factory: MessageFactory = ROS) -> Any:
        """Return the scale of the depth as geometry_msgs/Vector3Stamped.

        x is the factor on the network's depth, y the age of the last measurement in seconds, z how
        many of its pixels agree.
        """
        fit = self.result.scale
        assert fit is not None
        return factory.new(
            "geometry_msgs/msg/Vector3Stamped",
            header=factory.header(self.image.header),
            vector=factory.new(
                "geometry_msgs/msg/Vector3", x=fit.scale, y=fit.age, z=float(fit.inliers)
            ),
        )

    def _camera(self) -> CameraModel:
        if self.result.camera is None:
            raise CalibrationError(
                "The depth has no camera",
                found=f"CameraInfo {self.image.camera.state}",
                expected="a calibrated sensor_msgs/CameraInfo",
                fix="Publish one with the images, or calibrate the camera (camera_calibration).",
            )
        return self.result.camera


def read_camera(
    camera_info: Any, *, image_is_rectified: bool = False, rectify: bool = False
) -> ImageCamera:
    """Return the camera that a CameraInfo describes.

    Args:
        camera_info: sensor_msgs/CameraInfo, of rclpy or rosbags; None if there is none.
        image_is_rectified: take P of the CameraInfo, otherwise K and the distortion.
        rectify: rectify raw images by P.

    Raises:
        CalibrationError: the values are not those of a camera, or the images cannot be rectified.
    """
    model = messages.camera_model(camera_info) if camera_info is not None else None
    if model is None:
        return ImageCamera(None, "missing")
    if not model.is_calibrated:
        return ImageCamera(None, "uncalibrated")
    if image_is_rectified:
        model = model.rectified()
    elif rectify:
        made = rectification(model)
        return ImageCamera(made.camera, "calibrated", rectification=made)
    try:
        is_distorted(model.distortion_model, model.D)
    except CalibrationError as error:
        return ImageCamera(model, "unsupported", str(error))
    return ImageCamera(model, "calibrated")


def decode_image(image: Any, camera: ImageCamera, max_pixels: int = MAX_PIXELS) -> DecodedImage:
    """Decode an image message, whose size must be that of its camera, and rectify it if asked.

    Args:
        image: sensor_msgs/Image or CompressedImage, of rclpy or rosbags.
        camera: of the image.
        max_pixels: an image of more pixels is refused.

    Raises:
        ImageError: the image cannot be decoded, or has more pixels.
        CalibrationError: the CameraInfo is of another image size.
    """
    compressed = hasattr(image, "format")
    decode = messages.decode_compressed if compressed else messages.decode_image
    rgb = decode(image, max_pixels)
    if camera.model is not None:
        messages.check_matches(camera.model, *rgb.shape[:2])
    if camera.rectification is not None:
        rgb = camera.rectification.apply(rgb)
    return DecodedImage(image.header, rgb, camera)


def mask_invisible(result: DepthResult, camera: ImageCamera) -> DepthResult:
    """Return the depth with NaN where a rectified image shows nothing of the raw one."""
    if camera.rectification is None or camera.rectification.maps is None:
        return result
    visible = camera.rectification.visible_at(*result.depth.shape)
    return replace(result, depth=np.where(visible, result.depth, np.float32(np.nan)))


@dataclass(frozen=True, eq=False)
class PublishJob:
    """One processed frame, on its way to the publishers.

    Attributes:
        input: the messages that came in.
        image: decoded.
        result: the depth; None if only the CameraInfo is published.
        camera: of the depth image; None if it is not calibrated.
        outputs: to publish, names of `OUTPUTS`.
        parameters: of the moment when the frame was processed.
        begun_at: when processing began, seconds of time.monotonic().
        times_ms: of the stages so far, see `statistics.STAGES`.
    """

    input: ImageInput
    image: DecodedImage
    result: DepthResult | None
    camera: CameraModel | None
    outputs: frozenset[str]
    parameters: Parameters
    begun_at: float
    times_ms: dict[str, float]


class FrameProcessor:
    """Processes and publishes the frames of one camera of the node.

    Args:
        estimator: with an open engine; shared by all cameras.
        publishers: of this camera.
        parameters: returns the present parameters; called once per frame.
        statistics: of this camera.
        logger: of the node.
        model_info: of the open engine.
        camera: name, for the log.
        scale_source: returns what anchors the depth of an image with this frame_id, if anything.
        floor: returns the floor below the camera of this frame_id, if it is known.
    """

    def __init__(
        self,
        estimator: DepthEstimator,
        publishers: Publishers,
        parameters: Callable[[], Parameters],
        statistics: Statistics,
        logger: RcutilsLogger,
        model_info: ModelInfo,
        camera: str = "",
        scale_source: Callable[[str], ScaleSource | None] = lambda frame_id: None,
        floor: Callable[[str], FloorBelow | None] = lambda frame_id: None,
    ) -> None:
        self.model_info = model_info
        self.estimator = estimator
        self._publishers = publishers
        self._parameters = parameters
        self._statistics = statistics
        self._logger = logger
        self._log_prefix = f"{camera}: " if camera else ""
        self._camera: ImageCamera | None = None  # of the last image
        self._image_size: tuple[int, int] | None = None  # of the last image
        self._history = TemporalFilter()
        self._scale_source, self._floor = scale_source, floor
        anchored = parameters().scale_source != "none"
        self.anchor = ScaleAnchor(estimator.engine.card.output) if anchored else None
        """Of the scale; None if there is no source."""
        self._colors = DepthColors()
        # Used in the publishing thread only; one per output, as each reuses its last message.
        self._factories = {name: ReusingMessageFactory() for name in ("depth", "points", "color")}

    @property
    def camera_state(self) -> str:
        """A `CameraState`; empty before the first frame."""
        return self._camera.state if self._camera is not None else ""

    def reset_camera(self) -> None:
        """Log again why the camera has no cloud, when the next frame comes."""
        self._camera = None

    def reset_time(self) -> None:
        """Forget the previous frames, as time has jumped; from any thread."""
        self._history.reset()
        if self.anchor is not None:
            self.anchor.reset()
        self._colors.reset()

    def process(self, frame: ImageInput) -> PublishJob | None:
        """Estimate the depth of one image; called in the engine's thread.

        Outputs without a subscriber are not computed. A frame that is skipped or dropped is counted
        here, and has nothing to publish.

        Raises:
            EngineError: the engine failed.
        """
        parameters = self._parameters()
        begun_at = time.monotonic()
        self.model_info.refresh()
        outputs = self._publishers.subscribed()
        if not outputs:
            self._statistics.skipped("skipped_no_subscriber")
            return None
        try:
            camera = read_camera(
                frame.camera_info,
                image_is_rectified=parameters.image_is_rectified,
                rectify=parameters.rectify,
            )
            self._note_camera(camera, parameters)
            outputs &= OUTPUTS[camera.state]
            if not outputs:
                self._statistics.skipped("skipped_no_calibration")
                return None
            image = decode_image(frame.image, camera, parameters.max_image_pixels)
            frame.monitor.decoded(image.rgb, begun_at)
            self.estimator.settings = parameters.estimator_settings()
            times = {"wait": (begun_at - frame.received_at) * 1000}
            result, depth_camera = None, camera.model
            if depth_camera is not None and outputs == {"camera_info"}:  # needs no network
                height, width = self.estimator.output_size(*image.rgb.shape[:2])
                depth_camera = depth_camera.scaled(width, height)
            else:
                result = self._estimate(image, frame, begun_at, times)
                depth_camera = result.camera
                if result.scale is None and parameters.scale_required:
                    self._statistics.skipped("skipped_no_scale")
                    return None
        except (CalibrationError, ImageError, ParameterError, PredictionError) as error:
            if isinstance(error, CalibrationError):
                frame.monitor.calibration_failed(str(error), begun_at)
            self._statistics.bad_frame(str(error))
            message = f"{self._log_prefix}frame dropped: {error}"
            self._logger.warning(message, throttle_duration_sec=1.0)
            return None
        return PublishJob(frame, image, result, depth_camera, outputs, parameters, begun_at, times)

    def _estimate(
        self, image: DecodedImage, frame: ImageInput, begun_at: float, times: dict[str, float]
    ) -> DepthResult:
        """Return the depth: image -> model input -> prediction -> depth in metres."""
        model_input = self.estimator.prepare(image.rgb, image.camera.model)
        times["decode"] = _ms_since(begun_at)
        self._note_size(*model_input.image_size)
        (prediction,) = self.estimator.infer([model_input])
        predicted_at = time.monotonic()
        times["infer"] = prediction.engine_ms
        self._statistics.engine_ran(prediction.engine_ms)
        check_prediction(prediction.values, self.estimator.engine.card.output)
        frame.monitor.predicted(prediction.values, begun_at)
        if self.anchor is not None:
            self.anchor.local = self._parameters().scale_field
            self.anchor.source = self._scale_source(image.header.frame_id)
        result = self.estimator.finish(prediction, self._history, image.stamp_ns, self.anchor)
        result = mask_invisible(result, image.camera)
        times["post"] = _ms_since(predicted_at)
        return result

    def publish(self, job: PublishJob) -> None:
        """Make and publish the messages of one frame; called in the publishing thread."""
        begun_at, times = time.monotonic(), job.times_ms
        if job.result is not None:
            latency_ms = self._publish_depth(DepthFrame(job.image, job.result), job)
        else:
            assert job.camera is not None
            info = messages.camera_info(job.camera, job.image.header)
            self._publishers.camera_info.publish(info)
            latency_ms = _ms_since(job.input.received_at)
        times["publish"] = _ms_since(begun_at)
        times["end_to_end"] = _ms_since(job.input.received_at)
        if job.input.stamp_age is not None:
            times["receive"] = job.input.stamp_age * 1000
            times["end_to_end"] += times["receive"]
        self._statistics.published(latency_ms, times, job.begun_at)

    def _publish_depth(self, frame: DepthFrame, job: PublishJob) -> float:
        """Publish all outputs, the depth first; return its latency in milliseconds."""
        publishers, parameters, factories = self._publishers, job.parameters, self._factories
        if "depth" in job.outputs:
            depth = frame.depth(parameters.depth_encoding, factories["depth"])
            publishers.depth.publish(depth)
        latency_ms = _ms_since(job.input.received_at)
        if "camera_info" in job.outputs:
            publishers.camera_info.publish(frame.camera_info())
        if "scale" in job.outputs and frame.result.scale is not None:
            publishers.scale.publish(frame.scale())
        if "points" in job.outputs:
            self._publish_points(frame, parameters)
        if "color" in job.outputs:
            self._colors.settings = parameters.color_settings()
            publishers.color.publish(frame.color(self._colors, factories["color"]))
        return latency_ms

    def _publish_points(self, frame: DepthFrame, parameters: Parameters) -> None:
        """Publish the cloud, or none where its heights need a floor that is not known."""
        low, high = parameters.cloud_min_height, parameters.cloud_max_height
        crop = CloudCrop(parameters.cloud_max_range) if parameters.cloud_max_range > 0 else None
        if low or high:
            floor = self._floor(frame.image.header.frame_id)
            if floor is None:
                return
            x, y, z = (float(value) for value in floor.down)
            crop = CloudCrop(parameters.cloud_max_range, low, high, floor.height, (x, y, z))
        stride, voxel_size = parameters.cloud_stride, parameters.cloud_voxel_size
        points = frame.points(stride, voxel_size, self._factories["points"], crop)
        self._publishers.points.publish(points)

    def _note_size(self, height: int, width: int) -> None:
        """Log once per size that a network of one fixed size takes another aspect."""
        if self._image_size == (height, width):
            return
        self._image_size = height, width
        spec = self.estimator.engine.card.input
        stretch = spec.width * height / (spec.height * width)
        if spec.multiple_of is None and not 1 / MAX_ASPECT_CHANGE < stretch < MAX_ASPECT_CHANGE:
            self._logger.warning(
                f"{self._log_prefix}images of {width}x{height} are stretched to the network's "
                f"{spec.width}x{spec.height}, which costs accuracy. Build or export it in the "
                "camera's aspect: build_engine --size, import-model --aspect"
            )

    def _note_camera(self, camera: ImageCamera, parameters: Parameters) -> None:
        """Keep the camera, and log once why it has no cloud."""
        last, self._camera = self._camera, camera
        if last is not None and (last.state, last.problem) == (camera.state, camera.problem):
            return
        if camera.state in ("calibrated", "missing"):  # the subscriptions say what is missing
            return
        consequence = f"depth goes on without a point cloud. {camera.problem}"
        if camera.model is None:
            consequence = (
                f"depth goes on for an assumed horizontal field of view of "
                f"{parameters.assumed_hfov_deg:g} degrees (assumed_hfov_deg), without a point "
                "cloud. Publish a calibrated sensor_msgs/CameraInfo to change that"
            )
        self._logger.warning(f"{self._log_prefix}CameraInfo {camera.state}: {consequence}")


def _ms_since(begun_at: float) -> float:
    """Return the milliseconds since a time of time.monotonic()."""
    return (time.monotonic() - begun_at) * 1000
