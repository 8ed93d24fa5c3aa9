"""Writes short recordings whose depth is known: red in the image says how far (see red_depth)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
import numpy.typing as npt
import yaml
from rosbags.rosbag1 import Writer as Writer1
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore
from tiny_models import RED_OFFSET, RED_SCALE

WIDTH, HEIGHT = 64, 48
FOCAL = 60.0
START_NS = 1_300_000_000_123_456_789
STEP_NS = 125_000_000

STORE = get_typestore(Stores.ROS2_JAZZY)
STORE1 = get_typestore(Stores.ROS1_NOETIC)


def stamps(count: int) -> list[int]:
    """Stamps of a recording of this many frames at 8 Hz, nanoseconds."""
    return [START_NS + i * STEP_NS for i in range(count)]


def picture(index: int) -> npt.NDArray[np.uint8]:
    """(HEIGHT, WIDTH, 3) RGB; red runs from left to right and shifts by 5 a frame."""
    red = np.linspace(10, 200, WIDTH, dtype=np.uint8) + np.uint8(5 * index)
    rgb = np.full((HEIGHT, WIDTH, 3), 90, np.uint8)
    rgb[..., 0] = red
    return rgb


def depth(index: int) -> npt.NDArray[np.float32]:
    """(HEIGHT, WIDTH) metres that the network `red_depth` answers to `image`."""
    return (RED_OFFSET + RED_SCALE * picture(index)[..., 0]).astype(np.float32)


def header(stamp_ns: int, frame_id: str = "cam_optical", store: Any = STORE) -> Any:
    """A std_msgs/Header; ROS 1 counts them."""
    time = store.types["builtin_interfaces/msg/Time"](
        sec=stamp_ns // 1_000_000_000, nanosec=stamp_ns % 1_000_000_000
    )
    more = {"seq": 7} if store is STORE1 else {}
    return store.types["std_msgs/msg/Header"](stamp=time, frame_id=frame_id, **more)


def raw_image(rgb: npt.NDArray[np.uint8], stamp_ns: int, store: Any = STORE) -> Any:
    """A sensor_msgs/Image, rgb8."""
    return store.types["sensor_msgs/msg/Image"](
        header=header(stamp_ns, store=store),
        height=rgb.shape[0],
        width=rgb.shape[1],
        encoding="rgb8",
        is_bigendian=0,
        step=3 * rgb.shape[1],
        data=rgb.reshape(-1),
    )


def png_image(rgb: npt.NDArray[np.uint8], stamp_ns: int) -> Any:
    """A sensor_msgs/CompressedImage without loss."""
    _, data = cv2.imencode(".png", cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR))
    return STORE.types["sensor_msgs/msg/CompressedImage"](
        header=header(stamp_ns), format="rgb8; png compressed bgr8", data=data.reshape(-1)
    )


def png_depth(metres: npt.NDArray[np.float32], stamp_ns: int) -> Any:
    """A sensor_msgs/CompressedImage of millimetres."""
    _, data = cv2.imencode(".png", np.rint(1000 * metres).astype(np.uint16))
    return STORE.types["sensor_msgs/msg/CompressedImage"](
        header=header(stamp_ns), format="16UC1; png compressed", data=data.reshape(-1)
    )


def float_depth(metres: npt.NDArray[np.float32], stamp_ns: int) -> Any:
    """A sensor_msgs/Image, 32FC1."""
    return STORE.types["sensor_msgs/msg/Image"](
        header=header(stamp_ns),
        height=metres.shape[0],
        width=metres.shape[1],
        encoding="32FC1",
        is_bigendian=0,
        step=4 * metres.shape[1],
        data=metres.reshape(-1).view(np.uint8),
    )


def camera_info(stamp_ns: int, store: Any = STORE) -> Any:
    """A calibrated pinhole camera without distortion."""
    k = np.array([FOCAL, 0, (WIDTH - 1) / 2, 0, FOCAL, (HEIGHT - 1) / 2, 0, 0, 1], np.float64)
    p = np.insert(k, (3, 6, 9), 0.0)
    matrices = {"d": np.zeros(5), "k": k, "r": np.eye(3).reshape(-1), "p": p}
    if store is STORE1:
        matrices = {name.upper(): matrix for name, matrix in matrices.items()}
    roi = store.types["sensor_msgs/msg/RegionOfInterest"](0, 0, 0, 0, False)
    return store.types["sensor_msgs/msg/CameraInfo"](
        header=header(stamp_ns, store=store),
        height=HEIGHT,
        width=WIDTH,
        distortion_model="plumb_bob",
        binning_x=0,
        binning_y=0,
        roi=roi,
        **matrices,
    )


def write_bag(
    path: Path,
    topics: dict[str, Sequence[Any]],
    storage: Literal["mcap", "sqlite3", "ros1"] = "mcap",
) -> Path:
    """Writes messages of rosbags' types under the stamps of their headers; returns the path."""
    ros1 = storage == "ros1"
    store = STORE1 if ros1 else STORE
    plugin = StoragePlugin.MCAP if storage == "mcap" else StoragePlugin.SQLITE3
    writer = Writer1(path) if ros1 else Writer(path, version=9, storage_plugin=plugin)
    with writer:
        rows = []
        for topic, sent in topics.items():
            msgtype = sent[0].__msgtype__
            connection = writer.add_connection(topic, msgtype, typestore=store)
            for message in sent:
                stamp = message.header.stamp
                stamp_ns = stamp.sec * 1_000_000_000 + stamp.nanosec
                serialize = store.serialize_ros1 if ros1 else store.serialize_cdr
                rows.append((stamp_ns, connection, bytes(serialize(message, msgtype))))
        for stamp_ns, connection, data in sorted(rows, key=lambda row: row[0]):
            writer.write(connection, stamp_ns, data)
    return path


def standard_bag(path: Path, frames: int = 4) -> Path:
    """Images, CameraInfo and ground truth on the topics of the bundled recording."""
    times = stamps(frames)
    return write_bag(
        path,
        {
            "/camera/image/compressed": [png_image(picture(i), t) for i, t in enumerate(times)],
            "/camera/camera_info": [camera_info(t) for t in times],
            "/ground_truth/depth/compressed": [png_depth(depth(i), t) for i, t in enumerate(times)],
        },
    )


def broken_off_bag(path: Path, frames: int) -> Path:
    """A rosbag2 of two files, `frames` frames each, the second of which is damaged."""
    times = stamps(2 * frames)
    halves = []
    for name, part in (("first", times[:frames]), ("second", times[frames:])):
        topics = {
            "/image": [raw_image(picture(i), t) for i, t in enumerate(part)],
            "/camera_info": [camera_info(t) for t in part],
        }
        halves.append(write_bag(path / name, topics) / f"{name}.mcap")
    metadata = yaml.safe_load((path / "first" / "metadata.yaml").read_text())
    information = metadata["rosbag2_bagfile_information"]
    information["relative_file_paths"] = [half.name for half in halves]
    for topic in information["topics_with_message_count"]:
        topic["message_count"] *= 2
    (path / "metadata.yaml").write_text(yaml.safe_dump(metadata))
    data = bytearray(halves[1].read_bytes())
    middle = len(data) // 2
    data[43:middle] = bytes(middle - 43)  # the chunk of messages; header and index stay
    (path / "second.mcap").write_bytes(data)
    halves[0].rename(path / "first.mcap")
    return path
