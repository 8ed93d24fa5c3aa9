"""The same messages in every kind of recording there is, and ways to damage them."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Literal

import demo_recordings as made
import numpy as np
import yaml
import zstandard
from mcap.writer import CompressionType, Writer
from rosbags.rosbag1 import Writer as Writer1
from rosbags.rosbag2 import StoragePlugin
from rosbags.rosbag2 import Writer as Writer2
from rosbags.rosbag2.enums import CompressionFormat, CompressionMode

from depth_estimation_ros.bags import STORE, RecordedMessage

IMAGE, INFO = "sensor_msgs/msg/Image", "sensor_msgs/msg/CameraInfo"
Row = tuple[str, str, int, bytes]


@cache
def messages(frames: int = 40, width: int = 64) -> list[RecordedMessage]:
    """Images of noise (nothing to compress) and CameraInfo at 8 Hz, in order of time."""
    noise = np.random.default_rng(0)
    rows = []
    for stamp in made.stamps(frames):
        rgb = noise.integers(0, 255, (made.HEIGHT, width, 3), np.uint8)
        image = bytes(STORE.serialize_cdr(made.raw_image(rgb, stamp), IMAGE))
        info = bytes(STORE.serialize_cdr(made.camera_info(stamp), INFO))
        rows += [
            RecordedMessage("/image", IMAGE, stamp, image),
            RecordedMessage("/camera_info", INFO, stamp + 1000, info),
        ]
    return rows


def write_mcap(
    path: Path,
    rows: Sequence[RecordedMessage],
    compression: Literal["none", "zstd", "lz4"] = "none",
    chunks: bool = True,
    chunk_bytes: int = 60_000,
) -> Path:
    """One mcap file, by the mcap library."""
    kind = CompressionType[compression.upper()]
    with path.open("wb") as file:
        writer = Writer(file, chunk_size=chunk_bytes, compression=kind, use_chunking=chunks)
        writer.start("ros2")
        channels: dict[str, int] = {}
        for topic, msgtype, time_ns, cdr in rows:
            if topic not in channels:
                text = STORE.generate_msgdef(msgtype, ros_version=2)[0].encode()
                schema = writer.register_schema(msgtype, "ros2msg", text)
                channels[topic] = writer.register_channel(topic, "cdr", schema)
            writer.add_message(channels[topic], time_ns, cdr, time_ns)
        writer.finish()
    return path


def write_ros1(
    path: Path, rows: Sequence[RecordedMessage], compression: Literal["none", "bz2", "lz4"] = "none"
) -> Path:
    """A ROS 1 bag with chunks of about 60 kB."""
    writer = Writer1(path)
    writer.set_compression(Writer1.CompressionFormat[compression.upper()]) if (
        compression != "none"
    ) else None
    writer.chunk_threshold = 60_000
    with writer:
        connections = {}
        for topic, msgtype, time_ns, cdr in rows:
            if topic not in connections:
                connections[topic] = writer.add_connection(topic, msgtype, typestore=made.STORE1)
            raw = bytes(STORE.cdr_to_ros1(cdr, msgtype))
            writer.write(connections[topic], time_ns, raw)
    return path


def write_rosbag2(
    path: Path,
    rows: Sequence[RecordedMessage],
    storage: Literal["mcap", "sqlite3"] = "mcap",
    mode: Literal["none", "file", "message", "storage"] = "none",
) -> Path:
    """A rosbag2 directory, by the rosbags library."""
    writer = Writer2(path, version=8, storage_plugin=StoragePlugin[storage.upper()])
    writer.set_compression(CompressionMode[mode.upper()], CompressionFormat.ZSTD)
    with writer:
        connections = {}
        for topic, msgtype, time_ns, cdr in rows:
            if topic not in connections:
                connections[topic] = writer.add_connection(topic, msgtype, typestore=STORE)
            writer.write(connections[topic], time_ns, cdr)
    return path


def split_bag(path: Path, rows: Sequence[RecordedMessage], parts: int = 3) -> Path:
    """A rosbag2 directory (mcap) of several files."""
    path.mkdir()
    size = -(-len(rows) // parts)
    files, counts = [], dict.fromkeys(sorted({row.topic for row in rows}), 0)
    for index in range(parts):
        mine = rows[index * size : (index + 1) * size]
        part = write_rosbag2(path / f"{path.name}_{index}", mine)
        shutil.move(part / f"{part.name}.mcap", path / f"{part.name}.mcap")
        information = yaml.safe_load((part / "metadata.yaml").read_text())
        shutil.rmtree(part)
        files += information["rosbag2_bagfile_information"]["files"]
        for row in mine:
            counts[row.topic] += 1
    top = information["rosbag2_bagfile_information"]
    top["relative_file_paths"] = [file["path"] for file in files]
    top["files"] = files
    top["message_count"] = len(rows)
    top["starting_time"] = files[0]["starting_time"]
    top["duration"]["nanoseconds"] = rows[-1].time_ns - rows[0].time_ns
    for topic in top["topics_with_message_count"]:
        topic["message_count"] = counts[topic["topic_metadata"]["name"]]
    (path / "metadata.yaml").write_text(yaml.safe_dump(information))
    return path


def cut(path: Path, target: Path, share: float = 0.7) -> Path:
    """The first bytes of a file."""
    data = path.read_bytes()
    target.write_bytes(data[: int(len(data) * share)])
    return target


def corrupt(path: Path, target: Path, place: float = 0.5, length: int = 40_000) -> Path:
    """A file with noise in its middle."""
    data = bytearray(path.read_bytes())
    start = int(len(data) * place)
    noise = np.random.default_rng(1).integers(0, 255, min(length, len(data) - start), np.uint8)
    data[start : start + length] = noise.tobytes()
    target.write_bytes(data)
    return target


def packed(path: Path, target: Path) -> Path:
    """A file compressed as a whole, as rosbag2 does in file mode."""
    target.write_bytes(zstandard.compress(path.read_bytes()))
    return target
