"""Metric scale in a replay: from a range sensor of the recording, or the camera's height."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import demo_recordings as recordings
import numpy as np
import pytest
from replay_runs import messages, options, run
from rosbags.rosbag2 import StoragePlugin, Writer
from tiny_models import red_depth

from depth_estimation_ros.apps.replay.frames_csv import read_rows
from depth_estimation_ros.apps.replay.jobs import plan_bags
from depth_estimation_ros.apps.replay.report import write_report
from depth_estimation_ros.errors import ParameterError
from depth_estimation_ros.messages import (
    ROSBAGS,
    decode_depth,
    depth_image,
    laser_scan_points,
    point_cloud,
)

DEPTH = "/camera/depth_estimation/depth/image"
STORE = recordings.STORE
FRAMES = 6
TRUE_SCALE = 3.0
OPTICAL = (-0.5, 0.5, -0.5, 0.5)  # of a camera that looks along x of the robot


def transform(child: str, rotation: tuple[float, ...], x: float = 0.1) -> Any:
    types = STORE.types
    pose = types["geometry_msgs/msg/Transform"](
        translation=types["geometry_msgs/msg/Vector3"](x=x, y=0.0, z=0.2),
        rotation=types["geometry_msgs/msg/Quaternion"](*rotation),
    )
    header = recordings.header(0, "base_link")
    return types["geometry_msgs/msg/TransformStamped"](header, child, pose)


def scan(index: int, stamp_ns: int) -> Any:
    """A laser at the place of the camera: `TRUE_SCALE` times what the network sees."""
    angles = np.linspace(-0.45, 0.45, 91)
    columns = np.rint((recordings.WIDTH - 1) / 2 - recordings.FOCAL * np.tan(angles)).astype(int)
    ahead = TRUE_SCALE * recordings.depth(index)[24, columns]
    return STORE.types["sensor_msgs/msg/LaserScan"](
        header=recordings.header(stamp_ns, "laser"),
        angle_min=-0.45,
        angle_max=0.45,
        angle_increment=0.01,
        time_increment=0.0,
        scan_time=0.1,
        range_min=0.1,
        range_max=50.0,
        ranges=(ahead / np.cos(angles)).astype(np.float32),
        intensities=np.zeros(0, np.float32),
    )


def cloud(index: int, stamp_ns: int) -> Any:
    """The points of the same laser as a PointCloud2."""
    points = laser_scan_points(scan(index, stamp_ns))[np.newaxis]
    colors = np.zeros(points.shape, np.uint8)
    return point_cloud(points, colors, recordings.header(stamp_ns, "laser"), ROSBAGS)


def sparse_depth(index: int, stamp_ns: int) -> Any:
    """Another sensor's depth image, registered to the camera, with one known pixel in 64."""
    depth = np.full((recordings.HEIGHT, recordings.WIDTH), np.nan, np.float32)
    depth[4::8, 4::8] = TRUE_SCALE * recordings.depth(index)[4::8, 4::8]
    return depth_image(depth, recordings.header(stamp_ns, "cam_optical"), "32FC1", ROSBAGS)


def robot_bag(path: Path, images: list[Any], with_transforms: bool = True) -> Path:
    """Images, CameraInfo and a laser 30 ms before each image; fixed transforms at first."""
    times = recordings.stamps(len(images))
    frames = [transform("cam_optical", OPTICAL), transform("laser", (0.0, 0.0, 0.0, 1.0))]
    rows = [("/tf_static", STORE.types["tf2_msgs/msg/TFMessage"](frames), times[0] - 50_000_000)]
    for index, (image, stamp) in enumerate(zip(images, times, strict=True)):
        rows += [
            ("/scan", scan(index, stamp - 30_000_000), stamp - 30_000_000),
            ("/points", cloud(index, stamp - 30_000_000), stamp - 30_000_000),
            ("/tof/depth", sparse_depth(index, stamp - 30_000_000), stamp - 30_000_000),
            ("/camera/camera_info", recordings.camera_info(stamp), stamp),
            ("/camera/image", recordings.raw_image(image, stamp), stamp),
        ]
    with Writer(path, version=8, storage_plugin=StoragePlugin.MCAP) as writer:
        connections: dict[str, Any] = {}
        for topic, message, time_ns in rows[0 if with_transforms else 1 :]:
            kind = message.__msgtype__
            if topic not in connections:
                connections[topic] = writer.add_connection(topic, kind, typestore=STORE)
            writer.write(connections[topic], time_ns, STORE.serialize_cdr(message, kind))
    return path


def depths(output: Path) -> list[Any]:
    return [decode_depth(message) for _, message in messages(output, DEPTH)]


@pytest.fixture
def bag(tmp_path: Path) -> Path:
    return robot_bag(tmp_path / "bag", [recordings.picture(i) for i in range(FRAMES)])


@pytest.mark.parametrize("topic", ["/scan", "/points", "/tof/depth"])
def test_range_sensor_gives_the_scale(topic: str, bag: Path, tmp_path: Path) -> None:
    summary = run(bag, tmp_path / "out", scale_from=topic)

    assert summary.frames_out == FRAMES
    scales = [float(row.scale) for row in read_rows(tmp_path / "out")]
    np.testing.assert_allclose(scales, TRUE_SCALE, rtol=0.02)
    page = write_report(tmp_path / "out").read_text()
    assert f"by {topic}; median 3." in page or f"by {topic}; median 2.9" in page
    assert "Scale of /camera/image over time" in page
    for index, found in enumerate(depths(tmp_path / "out")):
        wanted = TRUE_SCALE * recordings.depth(index)
        known = np.isfinite(found)
        assert known.mean() > 0.9
        np.testing.assert_allclose(found[known], wanted[known], rtol=0.02)


def test_pose_of_the_sensor_may_be_given(tmp_path: Path) -> None:
    bag = robot_bag(tmp_path / "bag", [recordings.picture(0)], with_transforms=False)

    with pytest.raises(ParameterError, match=r"no transform .* 'laser' and .* --range-sensor-pose"):
        run(bag, tmp_path / "out", scale_from="/scan")
    run(bag, tmp_path / "out", scale_from="/scan", range_sensor_pose=(0.0,) * 6)

    (row,) = read_rows(tmp_path / "out")
    assert float(row.scale) == pytest.approx(TRUE_SCALE, rel=0.02)


def test_height_of_the_camera_gives_the_scale(tmp_path: Path) -> None:
    """A floor 1.2 m below a level camera, to a wall 6 m ahead, seen at half of its size."""
    below = (np.arange(recordings.HEIGHT) - (recordings.HEIGHT - 1) / 2) / recordings.FOCAL
    with np.errstate(divide="ignore"):
        ahead = np.minimum(np.where(below > 0, 1.2 / below, np.inf), 6.0) / 2.0
    image = np.full((recordings.HEIGHT, recordings.WIDTH, 3), 90, np.uint8)
    image[..., 0] = np.rint((ahead - 1.0) * 255 / 8)[:, np.newaxis]
    bag = robot_bag(tmp_path / "bag", [image] * 2)

    run(bag, tmp_path / "out", camera_height=1.2)

    scales = [float(row.scale) for row in read_rows(tmp_path / "out")]
    np.testing.assert_allclose(scales, 2.0, rtol=0.05)


def test_sources_of_scale_that_cannot_be_are_named(bag: Path, tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match=r"found /lidar, expected one of: /points .*, /scan"):
        run(bag, tmp_path / "out", scale_from="/lidar")
    with pytest.raises(ParameterError, match="one source"):
        run(bag, tmp_path / "out", scale_from="/scan", camera_height=1.2)
    assert not (tmp_path / "out").exists()


def test_anchored_recordings_are_not_cut(bag: Path, tmp_path: Path) -> None:
    red_depth(tmp_path / "red.onnx")
    anchored = options(bag, tmp_path / "out", scale_from="/scan")
    (one,) = plan_bags([bag], tmp_path / "several", anchored, workers=1, chunk_s=0.2)
    assert len(one.jobs) == 1
