"""The way of one frame through the worker: decode, pipeline, messages, publish."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import cv2
from rclpy.impl.rcutils_logger import RcutilsLogger
from rclpy.lifecycle import LifecycleNode
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.qos_overriding_options import QoSOverridingOptions
from sensor_msgs.msg import CameraInfo, Image, PointCloud2

from depth_estimation_ros import messages
from depth_estimation_ros.diagnostics import Statistics
from depth_estimation_ros.distortion import is_distorted
from depth_estimation_ros.engines import open_engine
from depth_estimation_ros.errors import CalibrationError, ImageError, ParameterError
from depth_estimation_ros.geometry import CameraModel, deproject
from depth_estimation_ros.inputs import Frame
from depth_estimation_ros.parameters import Parameters
from depth_estimation_ros.pipeline import DepthPipeline
from depth_estimation_ros.render import colorize

OUTPUT_QOS = QoSProfile(depth=5, reliability=ReliabilityPolicy.RELIABLE)


class Outputs:
    """The publishers of the node: they exist from configure to cleanup."""

    def __init__(self, node: LifecycleNode) -> None:
        self._node = node
        self.depth = self._publisher(Image, "~/depth/image")
        self.camera_info = self._publisher(CameraInfo, "~/depth/camera_info")
        self.points = self._publisher(PointCloud2, "~/points")
        self.color = self._publisher(Image, "~/depth/color")

    def wanted(self) -> set[str]:
        """The outputs that somebody listens to, by the names of the attributes."""
        publishers = {
            "depth": self.depth,
            "camera_info": self.camera_info,
            "points": self.points,
            "color": self.color,
        }
        return {name for name, p in publishers.items() if p.get_subscription_count() > 0}

    def destroy(self) -> None:
        for publisher in (self.depth, self.camera_info, self.points, self.color):
            self._node.destroy_lifecycle_publisher(publisher)

    def _publisher(self, message: type, topic: str) -> Any:
        return self._node.create_lifecycle_publisher(
            message,
            topic,
            OUTPUT_QOS,
            qos_overriding_options=QoSOverridingOptions.with_default_policies(),
        )


@contextmanager
def open_frame_path(
    outputs: Outputs,
    parameters: Callable[[], Parameters],
    statistics: Statistics,
    logger: RcutilsLogger,
) -> Iterator[FramePath]:
    """Open the engine that the parameters name, warm it up, and close it at the end.

    Raises:
        ModelError, EngineError: the model cannot be used.
        ParameterError: the parameters do not fit the model.
    """
    at_start = parameters()
    engine = open_engine(at_start.model, at_start.engine_options(), logger.info)
    try:
        pipeline = DepthPipeline(engine, at_start.pipeline_settings())
        pipeline.warm_up()
        logger.info(f"model ready: {engine.description}")
        compressed = at_start.image_transport == "compressed"
        decode = messages.decode_compressed if compressed else messages.decode_image
        yield FramePath(pipeline, outputs, decode, parameters, statistics, logger)
    finally:
        engine.close()


class FramePath:
    """Takes frames to depth, cloud and colour messages; everything but its attributes belongs to
    the worker's thread.

    Args:
        pipeline: with an open engine.
        outputs: where the messages go.
        decode: of the image messages that will come, to (H, W, 3) uint8 RGB.
        parameters: gives the parameters of this moment; asked once a frame.
        statistics: counts what became of each frame.
        logger: of the node.
    """

    def __init__(
        self,
        pipeline: DepthPipeline,
        outputs: Outputs,
        decode: Callable[[Any], Any],
        parameters: Callable[[], Parameters],
        statistics: Statistics,
        logger: RcutilsLogger,
    ) -> None:
        self._pipeline = pipeline
        self.engine = pipeline.engine
        self._outputs = outputs
        self._decode = decode
        self._parameters = parameters
        self._statistics = statistics
        self._logger = logger
        self.camera_info_state = ""
        """calibrated, unsupported (its lens model: no cloud), uncalibrated or missing; empty before
        the first frame."""

    def process(self, frame: Frame) -> None:
        """One frame, from the message that came in to the messages that go out.

        A frame that cannot be used is dropped, counted and logged. Outputs that nobody listens to
        are not computed.

        Raises:
            EngineError: the network cannot be run.
        """
        outputs, parameters = self._outputs, self._parameters()
        wanted = outputs.wanted()
        if not wanted:
            self._statistics.skipped("skipped_no_subscriber")
            return

        try:
            camera = self._camera(frame.camera_info, parameters)
            if camera is None:
                wanted -= {"camera_info", "points"}
            elif self.camera_info_state == "unsupported":
                wanted -= {"points"}
            if not wanted:
                self._statistics.skipped("skipped_no_calibration")
                return
            rgb = self._decode(frame.image)
            self._pipeline.settings = parameters.pipeline_settings()
            height, width = self._pipeline.output_size(*rgb.shape[:2])
            if camera is not None:
                messages.check_matches(camera, *rgb.shape[:2])
            seen_by = camera.scaled(width, height) if camera is not None else None
            result = None
            if wanted != {"camera_info"}:
                result = self._pipeline.run(rgb, camera)
                self._statistics.engine_ran(result.engine_ms)
            rays = None
            if "points" in wanted and seen_by is not None:
                rays = seen_by.rays(stride=parameters.cloud_stride)
        except (ImageError, CalibrationError, ParameterError) as error:
            self._statistics.bad_frame(str(error))
            self._logger.warning(f"frame dropped: {error}", throttle_duration_sec=1.0)
            return

        # Stamp and frame_id stay those of the image. Depth goes first: nothing else delays it.
        header = frame.image.header
        if result is not None and "depth" in wanted:
            message = messages.depth_image(result.depth, header, parameters.depth_encoding)
            outputs.depth.publish(message)
        latency_ms = (time.monotonic() - frame.received_at) * 1000
        if seen_by is not None and "camera_info" in wanted:
            outputs.camera_info.publish(messages.camera_info(seen_by, header))
        if result is not None and rays is not None:
            n = parameters.cloud_stride
            if rgb.shape[:2] != (height, width):
                rgb = cv2.resize(rgb, (width, height), interpolation=cv2.INTER_AREA)
            points = deproject(result.depth[::n, ::n], rays)
            outputs.points.publish(messages.point_cloud(points, rgb[::n, ::n], header))
        if result is not None and "color" in wanted:
            colors = colorize(
                result.depth,
                max_depth=parameters.color_max_depth or result.far,
                color_map=parameters.color_map,
            )
            outputs.color.publish(messages.color_image(colors, header))
        self._statistics.published(latency_ms)

    def _camera(self, info: CameraInfo | None, parameters: Parameters) -> CameraModel | None:
        """The camera that a CameraInfo describes; None if it says nothing.

        Keeps `camera_info_state`, and logs once why a state brings no cloud.
        """
        camera = messages.camera_model(info) if info is not None else None
        if camera is None or not camera.is_calibrated:
            self._enter(
                "missing" if camera is None else "uncalibrated",
                f"depth goes on for an assumed horizontal field of view of "
                f"{parameters.assumed_hfov_deg:g} degrees (assumed_hfov_deg), without a point "
                "cloud. Publish a calibrated sensor_msgs/CameraInfo to change that",
            )
            return None
        if parameters.image_is_rectified:
            camera = camera.rectified()
        try:
            is_distorted(camera.distortion_model, camera.D)
        except CalibrationError as error:
            self._enter("unsupported", f"depth goes on without a point cloud. {error}")
        else:
            self.camera_info_state = "calibrated"
        return camera

    def _enter(self, state: str, what_follows: str) -> None:
        if self.camera_info_state != state:
            self.camera_info_state = state
            self._logger.warning(f"CameraInfo {state}: {what_follows}")
