"""The same recording in every format gives the same depth, field by field."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from demo_recordings import STORE, STORE1
from replay_runs import fields, messages, run, stamp_ns
from rosbags.rosbag1 import Writer as Writer1
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer

FRAMES = 3
IMAGES, INFOS = "/camera/rgb/image_color/compressed", "/camera/rgb/camera_info"
OUTPUTS = [
    f"/camera/rgb/depth_estimation/{name}"
    for name in ("depth/image", "depth/camera_info", "points")
]
ROSBAG2: dict[str, tuple[StoragePlugin, CompressionMode]] = {
    "mcap": (StoragePlugin.MCAP, CompressionMode.NONE),
    "mcap of zstd chunks": (StoragePlugin.MCAP, CompressionMode.STORAGE),
    "mcap of zstd messages": (StoragePlugin.MCAP, CompressionMode.MESSAGE),
    "mcap.zstd": (StoragePlugin.MCAP, CompressionMode.FILE),
    "sqlite3": (StoragePlugin.SQLITE3, CompressionMode.NONE),
    "sqlite3 of zstd messages": (StoragePlugin.SQLITE3, CompressionMode.MESSAGE),
    "db3.zstd": (StoragePlugin.SQLITE3, CompressionMode.FILE),
}


def frames(folder: Path, store: Any) -> list[tuple[str, int, Any]]:
    """Topic, time (ns) and message of what a camera sends: real JPEGs, and its calibration."""
    numbers = json.loads((folder / "info.json").read_text())
    px = numbers["intrinsics_px"]
    k = np.array([px["fx"], 0, px["cx"], 0, px["fy"], px["cy"], 0, 0, 1], np.float64)
    d, r = np.array(numbers["distortion_plumb_bob"], np.float64), np.eye(3).reshape(-1)
    matrices = {"d": d, "k": k, "r": r, "p": np.insert(k, (3, 6, 9), 0.0)}
    if store is STORE1:
        matrices = {name.upper(): matrix for name, matrix in matrices.items()}
    types = store.types
    roi = types["sensor_msgs/msg/RegionOfInterest"](0, 0, 0, 0, False)
    sent = []
    for number, text in enumerate((folder / "timestamps.txt").read_text().split()[:FRAMES]):
        sec, nanosec = int(text.split(".")[0]), int(text.split(".")[1]) * 1000
        seq = {"seq": number} if store is STORE1 else {}
        stamp = types["builtin_interfaces/msg/Time"](sec=sec, nanosec=nanosec)
        header = types["std_msgs/msg/Header"](stamp=stamp, frame_id="camera_rgb", **seq)
        jpeg = np.frombuffer((folder / "rgb" / f"{text}.jpg").read_bytes(), np.uint8)
        image = types["sensor_msgs/msg/CompressedImage"](header=header, format="jpeg", data=jpeg)
        info = types["sensor_msgs/msg/CameraInfo"](
            header=header,
            height=480,
            width=640,
            distortion_model="plumb_bob",
            binning_x=0,
            binning_y=0,
            roi=roi,
            **matrices,
        )
        time_ns = sec * 1_000_000_000 + nanosec + 5_000_000
        sent += [(IMAGES, time_ns, image), (INFOS, time_ns + 100_000, info)]
    return sent


def write_as(kind: str, folder: Path, path: Path) -> Path:
    """The recording in this format; returns what to give to replay."""
    if kind == "ROS 1":
        path = path.with_suffix(".bag")
        _write(Writer1(path), frames(folder, STORE1), STORE1, STORE1.serialize_ros1)
        return path
    plugin, mode = ROSBAG2[kind.partition(" without")[0]]
    writer = Writer(path, version=8, storage_plugin=plugin)
    writer.set_compression(mode, CompressionFormat.ZSTD)
    _write(writer, frames(folder, STORE), STORE, STORE.serialize_cdr)
    if kind.endswith("without metadata"):
        (path / "metadata.yaml").unlink()
    return path


def _write(writer: Any, sent: list[tuple[str, int, Any]], store: Any, serialize: Any) -> None:
    with writer:
        connections = {
            topic: writer.add_connection(topic, message.__msgtype__, typestore=store)
            for topic, _, message in sent[:2]
        }
        for topic, time_ns, message in sent:
            writer.write(connections[topic], time_ns, serialize(message, message.__msgtype__))


@pytest.fixture(scope="module")
def expected(
    shared_data: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, list[tuple[int, Any]]]:
    """Times and fields of the messages that come of the recording as mcap."""
    folder = tmp_path_factory.mktemp("expected")
    bag = write_as("mcap", shared_data("tum_fr1_rpy_sequence"), folder / "bag")
    assert run(bag, folder / "out", model="compact").frames_out == FRAMES
    return results(folder / "out")


def results(output: Path) -> dict[str, list[tuple[int, Any]]]:
    """Times and fields of all messages of the results."""
    return {
        topic: [(time, fields(message)) for time, message in messages(output, topic)]
        for topic in OUTPUTS
    }


@pytest.mark.parametrize(
    "kind", [*list(ROSBAG2)[1:], "ROS 1", "mcap without metadata", "sqlite3 without metadata"]
)
def test_every_format_gives_the_same_messages(
    kind: str,
    expected: dict[str, list[tuple[int, Any]]],
    shared_data: Callable[[str], Path],
    tmp_path: Path,
) -> None:
    bag = write_as(kind, shared_data("tum_fr1_rpy_sequence"), tmp_path / "bag")

    summary = run(bag, tmp_path / "out", model="compact")

    assert (summary.frames_out, summary.exit_code, summary.damage) == (FRAMES, 0, [])
    assert results(tmp_path / "out") == expected


def test_a_real_recording_of_ros_1_goes_through(
    shared_data: Callable[[str], Path], tmp_path: Path
) -> None:
    bag = shared_data("bags/fiducials_compressed.ros1.bag")

    summary = run(bag, tmp_path / "out", model="compact", copy="all", cloud_stride=8)

    assert summary.complete
    assert summary.exit_code == 0
    assert summary.frames_out == summary.frames_in > 0
    (camera,) = summary.cameras
    assert camera.camera_state == "calibrated"
    images = messages(tmp_path / "out", camera.image_topic)
    depths = messages(tmp_path / "out", camera.depth_topic)
    assert [(t, stamp_ns(m)) for t, m in depths] == [(t, stamp_ns(m)) for t, m in images]
    assert {(m.width, m.height) for _, m in depths} == {(1280, 960)}
