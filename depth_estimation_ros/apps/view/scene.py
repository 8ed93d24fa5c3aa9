"""What Rerun shows: images and depth at the left, the coloured cloud and latencies at the right."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import numpy as np
import numpy.typing as npt
import rerun as rr
import rerun.blueprint as rrb

from depth_estimation_ros.bags.topics import DEPTH_ENCODINGS, IMAGE_TYPES
from depth_estimation_ros.messages import (
    decode_compressed,
    decode_depth,
    decode_image,
    read_points,
)

CLOUD_TYPE = "sensor_msgs/msg/PointCloud2"
DIAGNOSTICS_TYPE = "diagnostic_msgs/msg/DiagnosticArray"
LATENCY = "latency"
LATENCY_VALUES = {
    "latency_ms_p50": "median",
    "latency_ms_p99": "p99",
    "engine_ms_p50": "network",
}
TIMELINE = "stamp"
JPEG_QUALITY = 85


class SceneLog:
    """Logs ROS messages to Rerun, each under the name of its topic, on the time of its stamp.

    Args:
        recording: Rerun's stream.
    """

    def __init__(self, recording: rr.RecordingStream) -> None:
        self._recording = recording
        self.images: list[str] = []
        self.depths: list[str] = []
        self.clouds: list[str] = []
        self.has_latency = False
        self.depth_images = 0
        recording.log("/", rr.ViewCoordinates.RDF, static=True)

    def log(self, topic: str, msgtype: str, stamp_ns: int, message: Any) -> None:
        """Log one message; the first one of a topic gives the topic its place in the layout.

        Raises:
            ImageError: it does not hold the image or the cloud that it claims to hold.
        """
        if msgtype == DIAGNOSTICS_TYPE:
            self._log_latency(message)
            return
        self._recording.set_time(TIMELINE, timestamp=np.datetime64(stamp_ns, "ns"))
        if msgtype == CLOUD_TYPE:
            self._place(topic, self.clouds)
            points, rgb = read_points(message)
            finite = np.isfinite(points).all(axis=-1)
            cloud = rr.Points3D(points[finite], colors=rgb[finite], radii=rr.Radius.ui_points(1.5))
            self._recording.log(topic, cloud)
            return
        compressed = IMAGE_TYPES[msgtype] == "compressed"
        encoding = str(message.format if compressed else message.encoding)
        if encoding.startswith(DEPTH_ENCODINGS):
            self._place(topic, self.depths)
            self.depth_images += 1
            self._log_depth(topic, decode_depth(message))
        else:
            self._place(topic, self.images)
            rgb = decode_compressed(message) if compressed else decode_image(message)
            self._recording.log(topic, rr.Image(rgb).compress(jpeg_quality=JPEG_QUALITY))

    def _place(self, topic: str, topics: list[str]) -> None:
        if topic not in topics:
            topics.append(topic)
            self._recording.send_blueprint(self.blueprint())

    def _log_depth(self, topic: str, depth: npt.NDArray[np.float32]) -> None:
        """Log metres, which the viewer shows under the mouse, in the colours of this frame."""
        finite = depth[np.isfinite(depth)]
        near, far = np.percentile(finite, (1, 99)) if finite.size else (0.0, 1.0)
        image = rr.DepthImage(
            depth, meter=1.0, colormap="spectral", depth_range=(float(near), float(far))
        )
        self._recording.log(topic, image)

    def _log_latency(self, message: Any) -> None:
        """Log the latencies that the nodes report, at the time of the last image."""
        for status in message.status:
            if not status.name.endswith(": depth"):
                continue
            if not self.has_latency:
                self.has_latency = True
                self._recording.send_blueprint(self.blueprint())
            values = {pair.key: pair.value for pair in status.values}
            for key, label in LATENCY_VALUES.items():
                with suppress(KeyError, ValueError):
                    node = status.name.partition(":")[0]
                    scalar = rr.Scalars(float(values[key]))
                    self._recording.log(f"{LATENCY}{node}/{label}", scalar)

    def blueprint(self) -> rrb.Blueprint:
        """Return the layout for the topics so far."""
        flat = [rrb.Spatial2DView(origin=topic, name=topic) for topic in self.images + self.depths]
        left = rrb.Grid(*flat, grid_columns=1 if len(flat) <= 3 else 2)
        right: list[Any] = []
        if self.clouds:
            cloud = rrb.Spatial3DView(
                origin="/",
                contents=[f"+ {topic}" for topic in self.clouds],
                name="point cloud",
                background=[22, 24, 30],
                # Behind, above and right of a camera that looks along z, with y down.
                eye_controls=rrb.EyeControls3D(
                    position=(1.2, -1.2, -2.0), look_target=(0.0, 0.2, 3.0), eye_up=(0.0, -1.0, 0.0)
                ),
            )
            right.append(cloud)
        if self.has_latency:
            right.append(rrb.TimeSeriesView(origin=LATENCY, name="latency, ms"))
        views: list[Any] = [left]
        if right:
            views.append(rrb.Vertical(*right, row_shares=[3, 1][: len(right)]))
        return rrb.Blueprint(
            rrb.Horizontal(*views, column_shares=[2, 3][: len(views)]),
            rrb.TimePanel(state="collapsed", timeline=TIMELINE),
            collapse_panels=True,
        )
