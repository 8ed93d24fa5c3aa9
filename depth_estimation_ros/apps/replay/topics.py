"""The names under which the results of each camera are written."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from depth_estimation_ros.apps.replay.summary import CameraSummary
from depth_estimation_ros.bags import CameraTopics

COMPRESSED = "/compressed"
FOLDER = "depth_estimation"
NAMES = {
    "depth": "depth/image",
    "camera_info": "depth/camera_info",
    "points": "points",
    "color": "depth/color",
}
"""As those of the node below its own name."""


def name_outputs(cameras: Sequence[CameraTopics], outputs: Sequence[str]) -> list[CameraSummary]:
    """The topics in and out of each camera.

    Results of /front/image_raw lie under /front/depth_estimation/, as those of a node in the
    namespace of the camera; where two cameras share /front, under /front/image_raw/...

    Args:
        cameras: of a recording.
        outputs: some of `options.OUTPUTS`.
    """
    named = []
    for camera, prefix in zip(cameras, _prefixes([c.image.name for c in cameras]), strict=True):
        root = f"/{prefix.strip('/')}/{FOLDER}".replace("//", "/")
        topic = {name: f"{root}/{NAMES[name]}" for name in outputs}
        named.append(
            CameraSummary(
                image_topic=camera.image.name,
                camera_info_topic=camera.camera_info.name if camera.camera_info else "",
                depth_topic=topic.get("depth", ""),
                depth_camera_info_topic=topic.get("camera_info", ""),
                points_topic=topic.get("points", ""),
                color_topic=topic.get("color", ""),
            )
        )
    return named


def output_topics(camera: CameraSummary) -> dict[str, str]:
    """The topics of a camera's results that are written, by the names of `options.OUTPUTS`."""
    topics = {
        "depth": camera.depth_topic,
        "camera_info": camera.depth_camera_info_topic,
        "points": camera.points_topic,
        "color": camera.color_topic,
    }
    return {name: topic for name, topic in topics.items() if topic}


def _prefixes(images: list[str]) -> list[str]:
    """For each the shortest that it shares with no other: its parent, itself without the transport,
    or itself."""
    bare = [name[: -len(COMPRESSED)] if name.endswith(COMPRESSED) else name for name in images]
    levels = list(zip([name.rpartition("/")[0] for name in bare], bare, images, strict=True))
    chosen = [0] * len(images)
    while True:
        prefixes = [level[i] for level, i in zip(levels, chosen, strict=True)]
        counts = Counter(prefixes)
        shared = [counts[prefix] > 1 for prefix in prefixes]
        if not any(shared):
            return prefixes
        # A longer one may be another's shorter one, so all are looked at again.
        chosen = [min(i + more, 2) for i, more in zip(chosen, shared, strict=True)]
