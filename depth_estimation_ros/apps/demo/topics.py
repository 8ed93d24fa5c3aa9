"""The topics of the demo's graph: the node runs in the namespace /camera, as beside a driver."""

from __future__ import annotations

NAMESPACE = "/camera"
NODE = f"{NAMESPACE}/depth_estimation"

CAMERA_INFO = f"{NAMESPACE}/camera_info"
DEPTH = f"{NODE}/depth/image"
DEPTH_CAMERA_INFO = f"{NODE}/depth/camera_info"
POINTS = f"{NODE}/points"
DIAGNOSTICS = "/diagnostics"

IMAGES = {
    "raw": (f"{NAMESPACE}/image", "sensor_msgs/msg/Image"),
    "compressed": (f"{NAMESPACE}/image/compressed", "sensor_msgs/msg/CompressedImage"),
}


def recorded(transport: str) -> dict[str, str]:
    """Topic and type of everything that goes into the recorded bag."""
    image, image_type = IMAGES[transport]
    return {
        image: image_type,
        CAMERA_INFO: "sensor_msgs/msg/CameraInfo",
        DEPTH: "sensor_msgs/msg/Image",
        DEPTH_CAMERA_INFO: "sensor_msgs/msg/CameraInfo",
        POINTS: "sensor_msgs/msg/PointCloud2",
        DIAGNOSTICS: "diagnostic_msgs/msg/DiagnosticArray",
    }
