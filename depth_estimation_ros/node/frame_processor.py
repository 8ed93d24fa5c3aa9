"""The way of one frame through the node: to depth in one thread, to its listeners in another."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

from rclpy.impl.rcutils_logger import RcutilsLogger
from rclpy.lifecycle import LifecycleNode
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.qos_overriding_options import QoSOverridingOptions
from sensor_msgs.msg import CameraInfo, Image, PointCloud2

from depth_estimation_ros import messages
from depth_estimation_ros.apps.build_engine.unattended import open_or_build
from depth_estimation_ros.engines import resolve_model
from depth_estimation_ros.engines.model_info import ModelInfo
from depth_estimation_ros.errors import (
    CalibrationError,
    ImageError,
    ParameterError,
    PredictionError,
)
from depth_estimation_ros.estimation import DepthEstimator, check_prediction
from depth_estimation_ros.estimation.temporal_filter import TemporalFilter
from depth_estimation_ros.messages.factory import ReusingMessageFactory
from depth_estimation_ros.node.diagnostics.statistics import Statistics
from depth_estimation_ros.node.frames import (
    OUTPUTS,
    EstimatedFrame,
    FrameCamera,
    decode,
    read_camera,
)
from depth_estimation_ros.node.parameters import Parameters
from depth_estimation_ros.node.qos_events import publisher_events
from depth_estimation_ros.node.subscriptions import Frame, topic_of
from depth_estimation_ros.node.watchdog import WatchedEngine
from depth_estimation_ros.node.worker import PublishJob
from depth_estimation_ros.visualization import DepthColors

OUTPUT_QOS = QoSProfile(depth=5, reliability=ReliabilityPolicy.RELIABLE)


class Outputs:
    """The publishers of one camera of the node: they exist from configure to cleanup."""

    def __init__(self, node: LifecycleNode, camera: str = "") -> None:
        self._node = node
        self.depth = self._publisher(Image, topic_of(camera, "~/depth/image"))
        self.camera_info = self._publisher(CameraInfo, topic_of(camera, "~/depth/camera_info"))
        self.points = self._publisher(PointCloud2, topic_of(camera, "~/points"))
        self.color = self._publisher(Image, topic_of(camera, "~/depth/color"))

    def wanted(self) -> set[str]:
        """The outputs that somebody listens to, by the names of the attributes."""
        listened = OUTPUTS["calibrated"]
        return {name for name in listened if getattr(self, name).get_subscription_count() > 0}

    def destroy(self) -> None:
        for publisher in (self.depth, self.camera_info, self.points, self.color):
            self._node.destroy_lifecycle_publisher(publisher)

    def _publisher(self, message: type, topic: str) -> Any:
        return self._node.create_lifecycle_publisher(
            message,
            topic,
            OUTPUT_QOS,
            qos_overriding_options=QoSOverridingOptions.with_default_policies(),
            event_callbacks=publisher_events(self._node, self._node.resolve_topic_name(topic)),
        )


@contextmanager
def open_frame_processors(
    cameras: Mapping[str, tuple[Outputs, Statistics]],
    parameters: Callable[[], Parameters],
    logger: RcutilsLogger,
    on_hang: Callable[[float], None],
) -> Iterator[dict[str, FrameProcessor]]:
    """Open the engine that the parameters name, warm it up, and close it at the end.

    Args:
        cameras: outputs and statistics of each, by its name; they share the engine.
        parameters, logger: see `FrameProcessor`.
        on_hang: see `WatchedEngine`; the limit is the parameter engine_timeout.

    Raises:
        ModelError, EngineError: the model cannot be used.
        ParameterError: the parameters do not fit the model.
    """
    at_start = parameters()
    opened = open_or_build(at_start.model, at_start.engine_options(), logger.info)
    engine = WatchedEngine(opened, lambda: parameters().engine_timeout, on_hang)
    try:
        pipeline = DepthEstimator(engine, at_start.pipeline_settings())
        pipeline.warm_up()
        logger.info(f"model ready: {engine.description}")
        facts = ModelInfo(opened, resolve_model(at_start.model))
        yield {
            name: FrameProcessor(pipeline, outputs, parameters, statistics, logger, facts, name)
            for name, (outputs, statistics) in cameras.items()
        }
    finally:
        engine.close()


class FrameProcessor:
    """Takes frames to depth, cloud and colour messages.

    Args:
        pipeline: with an open engine.
        outputs: where the messages go.
        parameters: gives the parameters of this moment; asked once a frame.
        statistics: counts what became of each frame.
        logger: of the node.
        network: what is known of the engine.
        camera: its name, for the log.
    """

    def __init__(
        self,
        pipeline: DepthEstimator,
        outputs: Outputs,
        parameters: Callable[[], Parameters],
        statistics: Statistics,
        logger: RcutilsLogger,
        network: ModelInfo,
        camera: str = "",
    ) -> None:
        self.network = network
        self._of = f"{camera}: " if camera else ""
        self._pipeline = pipeline
        self.engine = pipeline.engine
        self._outputs = outputs
        self._parameters = parameters
        self._statistics = statistics
        self._logger = logger
        self._past = TemporalFilter()
        self._colors = DepthColors()
        # Of the publishing thread; one for each output, as a message has its size.
        self._kinds = {output: ReusingMessageFactory() for output in ("depth", "points", "color")}
        self.camera_info_state = ""
        """calibrated, unsupported (its lens model: no cloud), uncalibrated or missing; empty before
        the first frame."""

    def time_jumped(self) -> None:
        """Forget the depths that were in view; from any thread."""
        self._past.reset()
        self._colors.reset()

    def process(self, frame: Frame) -> PublishJob:
        """One frame, from the message that came in to its depth, in the engine's thread.

        Outputs that nobody listens to are not computed.

        Returns:
            What is left to do, in whatever thread but in the order of the frames: to make and
            publish the messages and count the frame, or to count it as skipped, or, if it cannot
            be used, as dropped and to log why. So the diagnostics speak of the last frame.

        Raises:
            EngineError: the network cannot be run.
        """
        parameters = self._parameters()
        taken_at = time.monotonic()
        self.network.refresh()
        wanted = self._outputs.wanted()
        if not wanted:
            return partial(self._statistics.skipped, "skipped_no_subscriber")
        try:
            camera = read_camera(
                frame.camera_info, image_is_rectified=parameters.image_is_rectified
            )
            self._enter(camera, parameters)
            wanted &= OUTPUTS[camera.state]
            if not wanted:
                return partial(self._statistics.skipped, "skipped_no_calibration")
            prepared = decode(frame.image, camera, parameters.max_image_pixels)
            frame.watch.picture(prepared.rgb, taken_at)
            self._pipeline.settings = parameters.pipeline_settings()
            if prepared.camera is not None and wanted == {"camera_info"}:  # no network needed
                height, width = self._pipeline.output_size(*prepared.rgb.shape[:2])
                info = messages.camera_info(prepared.camera.scaled(width, height), prepared.header)
                return partial(self._publish_camera_info, info, frame.received_at)
            view = self._pipeline.prepare(prepared.rgb, prepared.camera)
            decoded_ms = _since(taken_at)
            (answer,) = self._pipeline.infer([view])
            answered_at = time.monotonic()
            check_prediction(answer.values, self.engine.card.output)
            frame.watch.answer(answer.values, taken_at)
            result = self._pipeline.finish(answer, self._past, prepared.stamp_ns)
        except CalibrationError as error:
            frame.watch.camera_disagrees(str(error), taken_at)
            return partial(self._drop, str(error))
        except (ImageError, ParameterError, PredictionError) as error:
            return partial(self._drop, str(error))
        self._statistics.engine_ran(result.engine_ms)
        times = {
            "wait": (taken_at - frame.received_at) * 1000,
            "decode": decoded_ms,
            "infer": result.engine_ms,
            "post": _since(answered_at),
        }
        estimated = EstimatedFrame(prepared, result)
        return partial(self._publish, estimated, wanted, parameters, frame, times)

    def _publish(
        self,
        estimated: EstimatedFrame,
        wanted: set[str],
        parameters: Parameters,
        frame: Frame,
        times: dict[str, float],
    ) -> None:
        begun_at = time.monotonic()
        # Depth goes first: nothing else delays it.
        outputs = self._outputs
        if "depth" in wanted:
            depth = estimated.depth(parameters.depth_encoding, self._kinds["depth"])
            outputs.depth.publish(depth)
        latency_ms = _since(frame.received_at)
        if "camera_info" in wanted:
            outputs.camera_info.publish(estimated.camera_info())
        if "points" in wanted:
            points = estimated.points(parameters.cloud_stride, kind=self._kinds["points"])
            outputs.points.publish(points)
        if "color" in wanted:
            self._colors.settings = parameters.color_settings()
            outputs.color.publish(estimated.color(self._colors, self._kinds["color"]))
        times["publish"] = _since(begun_at)
        times["end_to_end"] = _since(frame.received_at)
        if frame.stamp_age is not None:
            times["receive"] = frame.stamp_age * 1000
            times["end_to_end"] += times["receive"]
        self._statistics.took(times)
        self._statistics.published(latency_ms)

    def _publish_camera_info(self, info: CameraInfo, received_at: float) -> None:
        self._outputs.camera_info.publish(info)
        self._statistics.published(_since(received_at))

    def _drop(self, why: str) -> None:
        self._statistics.bad_frame(why)
        self._logger.warning(f"{self._of}frame dropped: {why}", throttle_duration_sec=1.0)

    def _enter(self, camera: FrameCamera, parameters: Parameters) -> None:
        """Keep the state of the camera, and log once why one brings no cloud."""
        if camera.state == self.camera_info_state:
            return
        self.camera_info_state = camera.state
        if camera.state == "calibrated":
            return
        what_follows = f"depth goes on without a point cloud. {camera.problem}"
        if camera.model is None:
            what_follows = (
                f"depth goes on for an assumed horizontal field of view of "
                f"{parameters.assumed_hfov_deg:g} degrees (assumed_hfov_deg), without a point "
                "cloud. Publish a calibrated sensor_msgs/CameraInfo to change that"
            )
        self._logger.warning(f"{self._of}CameraInfo {camera.state}: {what_follows}")


def _since(received_at: float) -> float:
    """Milliseconds since a time of time.monotonic()."""
    return (time.monotonic() - received_at) * 1000
