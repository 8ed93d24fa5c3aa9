"""The third stage: the depth of each image and its messages, into the new recording."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Iterator

from depth_estimation_ros.apps.replay.frames_csv import FrameRow, FrameTable, depth_columns
from depth_estimation_ros.apps.replay.network import FrameResult
from depth_estimation_ros.apps.replay.options import ReplayOptions
from depth_estimation_ros.apps.replay.reading import CopiedMessage
from depth_estimation_ros.apps.replay.summary import CameraSummary
from depth_estimation_ros.bags import STORE, RecordingWriter
from depth_estimation_ros.estimation import DepthEstimator
from depth_estimation_ros.estimation.scale import ScaleAnchor
from depth_estimation_ros.estimation.temporal_filter import TemporalFilter
from depth_estimation_ros.messages import ROSBAGS
from depth_estimation_ros.node.frame_processor import DepthFrame, mask_invisible
from depth_estimation_ros.visualization.depth_colors import DepthColors

logger = logging.getLogger(__name__)


class ResultWriter:
    """Writes results in the order in which they are given.

    Args:
        estimator: finishes what the network answered.
        writer: of the recording.
        table: of the images.
        cameras: of the plan.
        options: of the replay.
        written: for each topic, how many of the first messages are in the recording already.
    """

    def __init__(
        self,
        estimator: DepthEstimator,
        writer: RecordingWriter,
        table: FrameTable,
        cameras: list[CameraSummary],
        options: ReplayOptions,
        written: Counter[str],
    ) -> None:
        self._estimator = estimator
        self._writer = writer
        self._table = table
        self._cameras = cameras
        self._topics = [camera.topics for camera in cameras]
        self._pasts = [TemporalFilter() for _ in cameras]
        output, anchored = estimator.engine.card.output, options.is_anchored
        self._anchors = [ScaleAnchor(output) if anchored else None for _ in cameras]
        self._colors = [DepthColors(options.color_settings()) for _ in cameras]
        self._options = options
        self._written = written
        self._logged: set[tuple[str, str]] = set()

    def copy(self, copied: CopiedMessage) -> None:
        """A message as it came in.

        Raises:
            DiskFullError: there is no room for it.
        """
        message = copied.message
        if not self._is_written(message.topic):
            self._writer.write(
                message.topic, message.msgtype, message.time_ns, message.cdr, copied.like
            )

    def frame(self, result: FrameResult) -> FrameRow:
        """Write the messages of the depth of an image at its time; return its row.

        Raises:
            DiskFullError: there is no room for them.
        """
        start = time.perf_counter()
        estimated = None
        if result.frame is not None and result.answer is not None:
            past, anchor = self._pasts[result.camera], self._anchors[result.camera]
            if anchor is not None:
                anchor.source = result.scale_source
            depth = self._estimator.finish(result.answer, past, result.stamp_ns, anchor)
            estimated = DepthFrame(result.frame, mask_invisible(depth, result.frame.camera))
        messages = [] if estimated is None else list(self._messages(result, estimated))
        row = self._row(result, estimated, [name for name, _, _ in messages], start)
        self._table.append(row)
        self._note_state(result)
        topics = self._topics[result.camera]
        for name, msgtype, cdr in messages:
            if not self._is_written(topics[name]):
                self._writer.write(topics[name], msgtype, result.time_ns, cdr)
        return row

    def _is_written(self, topic: str) -> bool:
        if self._written[topic] == 0:
            return False
        self._written[topic] -= 1
        return True

    def _note_state(self, result: FrameResult) -> None:
        """Keep the state of the camera; the log says once why there is no cloud."""
        if result.frame is None:
            return
        camera = self._cameras[result.camera]
        camera.camera_state = result.camera_state
        this = (camera.image_topic, result.camera_state)
        if this in self._logged or not camera.camera_info_topic:
            return
        self._logged.add(this)
        if result.camera_state == "uncalibrated":
            logger.warning(
                f"{camera.image_topic}: CameraInfo says that the camera is not calibrated; depth "
                "for an assumed field of view, no cloud. Give --calibration or --hfov"
            )
        elif result.camera_state == "unsupported":
            problem = result.frame.camera.problem
            logger.warning(f"{camera.image_topic}: depth without a cloud. {problem}")

    def _messages(
        self, result: FrameResult, estimated: DepthFrame
    ) -> Iterator[tuple[str, str, bytes | memoryview]]:
        """Name of the output, type and CDR of each message of an image."""
        options, topics = self._options, self._topics[result.camera]
        calibrated = estimated.result.camera is not None
        made = []
        if "depth" in topics:
            made.append(("depth", estimated.depth(options.depth_encoding, ROSBAGS)))
        if "camera_info" in topics and calibrated:
            made.append(("camera_info", estimated.camera_info(ROSBAGS)))
        if "points" in topics and calibrated and result.camera_state != "unsupported":
            cloud = estimated.points(options.cloud_stride, options.voxel_size, ROSBAGS)
            made.append(("points", cloud))
        if "color" in topics:
            made.append(("color", estimated.color(self._colors[result.camera], ROSBAGS)))
        for name, message in made:
            yield name, message.__msgtype__, STORE.serialize_cdr(message, message.__msgtype__)

    def _row(
        self,
        result: FrameResult,
        estimated: DepthFrame | None,
        outputs: list[str],
        start: float,
    ) -> FrameRow:
        camera = self._cameras[result.camera].image_topic
        if estimated is None:
            return FrameRow(camera, result.stamp_ns, result.time_ns, "bad", why=result.why)
        own_ms = 1e3 * (time.perf_counter() - start)
        return FrameRow(
            camera,
            result.stamp_ns,
            result.time_ns,
            "ok",
            engine_ms=round(estimated.result.engine_ms, 3),
            total_ms=round(result.own_ms + own_ms, 3),
            **depth_columns(estimated.result.depth),
            scale=round(estimated.result.scale.scale, 4) if estimated.result.scale else "",
            outputs="+".join(outputs),
        )
