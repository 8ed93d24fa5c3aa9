"""Pictures of the robot's own camera, from a folder or a recording."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np

from depth_estimation_ros.apps.build_engine.calibration_images import read_pictures
from depth_estimation_ros.errors import BagError, ImageError, ParameterError
from depth_estimation_ros.estimation import Rgb
from depth_estimation_ros.messages import decode_compressed, decode_image

BAG_SUFFIXES = (".mcap", ".db3", ".bag")
CALIBRATED, COMPARED = 100, 20  # at most


def own_pictures(source: str, image_topic: str = "") -> list[Rgb]:
    """Up to `CALIBRATED` + `COMPARED` pictures from all over a folder or a recording.

    Args:
        source: a folder with pictures, a rosbag2 directory, .mcap, .db3, or .bag of ROS 1.
        image_topic: of the recording, where it has several.

    Returns:
        (H, W, 3) uint8 RGB each, in no order.

    Raises:
        ParameterError: there is no such place, or too few pictures in it.
        BagError: the recording cannot be read, or leaves a choice of topics.
    """
    path = Path(source).expanduser()
    if not path.exists():
        raise ParameterError(
            "--calibration",
            found=f"'{source}': nothing there",
            expected="a folder with pictures or a recording",
        )
    count = CALIBRATED + COMPARED
    pictures = (
        _from_bag(path, image_topic, count) if _is_bag(path) else list(read_pictures(path, count))
    )
    if len(pictures) < 2:
        raise ParameterError(
            f"pictures in {path}",
            found=len(pictures),
            expected=f"at least 2, better {CALIBRATED}",
            fix="Give more frames of the robot's own camera",
        )
    return pictures


def split(pictures: list[Rgb]) -> tuple[list[Rgb], list[Rgb]]:
    """Those to calibrate with and, one in six but at most `COMPARED`, others to compare on."""
    compared = min(COMPARED, -(-len(pictures) // 6))
    return pictures[compared:], pictures[:compared]


def _is_bag(path: Path) -> bool:
    if path.is_dir():
        return (path / "metadata.yaml").exists() or any(path.glob("*.mcap"))
    return path.suffix in BAG_SUFFIXES


def _from_bag(path: Path, image_topic: str, count: int) -> list[Rgb]:
    """Pictures drawn over the whole recording, the same ones each time; damaged ones are left out.

    Raises:
        BagError: as `own_pictures`.
        ParameterError: rosbags or mcap is not installed.
    """
    missing = [name for name in ("rosbags", "mcap") if find_spec(name) is None]
    if missing:
        raise ParameterError(
            "--calibration",
            found=f"the recording {path}",
            fix=f"Run: pip install {' '.join(missing)}",
        )
    from depth_estimation_ros.bags import find_cameras, open_recording
    from depth_estimation_ros.bags.topics import IMAGE_TYPES, listed

    pictures: list[Rgb] = []
    with open_recording(path) as recording:
        topics = [c.image for c in find_cameras(recording, [image_topic] if image_topic else [])]
        if len(topics) > 1:
            raise BagError(
                f"The image topic of {path}",
                found=f"{len(topics)} topics with images",
                expected=f"one of: {listed(topics)}",
                fix=f"Choose with --image-topic, for instance --image-topic {topics[0].name}",
            )
        topic = topics[0]
        drawn = set(np.random.default_rng(0).permutation(topic.count or 0)[:count].tolist())
        decode = decode_image if IMAGE_TYPES[topic.msgtype] == "raw" else decode_compressed
        for index, message in enumerate(recording.messages([topic.name])):
            if index in drawn:
                try:
                    pictures.append(np.array(decode(recording.deserialize(message))))
                except ImageError:
                    continue
    return [pictures[index] for index in np.random.default_rng(1).permutation(len(pictures))]
