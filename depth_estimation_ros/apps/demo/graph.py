"""The demo's graph: its topics, and the events that its processes report."""

from __future__ import annotations

import json
from typing import Any

NAMESPACE = "/camera"  # as next to a camera driver
NODE = f"{NAMESPACE}/depth_estimation"

CAMERA_INFO = f"{NAMESPACE}/camera_info"
DEPTH = f"{NODE}/depth/image"
DEPTH_CAMERA_INFO = f"{NODE}/depth/camera_info"
POINTS = f"{NODE}/points"
DIAGNOSTICS = "/diagnostics"
READY = "/demo_recorder/ready"
"""Has a publisher, the recorder, once that hears all that it records."""

IMAGES = {
    "raw": (f"{NAMESPACE}/image", "sensor_msgs/msg/Image"),
    "compressed": (f"{NAMESPACE}/image/compressed", "sensor_msgs/msg/CompressedImage"),
}


def recorded(transport: str) -> dict[str, str]:
    """Return topic and type of everything that goes into the recorded bag."""
    image, image_type = IMAGES[transport]
    return {
        image: image_type,
        CAMERA_INFO: "sensor_msgs/msg/CameraInfo",
        DEPTH: "sensor_msgs/msg/Image",
        DEPTH_CAMERA_INFO: "sensor_msgs/msg/CameraInfo",
        POINTS: "sensor_msgs/msg/PointCloud2",
        DIAGNOSTICS: "diagnostic_msgs/msg/DiagnosticArray",
    }


def emit(event: str, **values: Any) -> None:
    """Print an event as one JSON line; the session reads them in order."""
    print(json.dumps({"event": event, **values}), flush=True)


def parse_event(line: str) -> dict[str, Any] | None:
    """Return the event in a line; None for other text on standard output."""
    try:
        event = json.loads(line)
    except ValueError:
        return None
    return event if isinstance(event, dict) and "event" in event else None
