"""Messages of ROSBAGS: the same fields as those of rclpy, without ROS."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from depth_estimation_ros.geometry.camera_model import CameraModel
from depth_estimation_ros.messages import (
    ROS,
    ROSBAGS,
    camera_info,
    camera_model,
    color_image,
    decode_depth,
    decode_image,
    depth_image,
    point_cloud,
    read_points,
)

pytest.importorskip("rosbags", reason="needs rosbags")

from depth_estimation_ros.bags import STORE

RNG = np.random.default_rng(3)

HEADER = SimpleNamespace(stamp=SimpleNamespace(sec=7, nanosec=8), frame_id="camera_optical")
RGB = RNG.integers(0, 256, (4, 6, 3), np.uint8)
DEPTH = np.float32([[0.5, 1.2344, np.nan], [np.inf, -np.inf, 70.0]])
POINTS = RNG.normal(size=(4, 6, 3)).astype(np.float32)
CAMERA = replace(
    CameraModel.from_intrinsics(60.0, 62.0, 31.0, 24.0, 64, 48),
    D=np.array([0.1, -0.2, 0.0, 0.0, 0.05]),
    distortion_model="plumb_bob",
)

MAKERS = {
    "depth in metres": ("Image", lambda kind: depth_image(DEPTH, HEADER, "32FC1", kind)),
    "depth in millimetres": ("Image", lambda kind: depth_image(DEPTH, HEADER, "16UC1", kind)),
    "colors": ("Image", lambda kind: color_image(RGB, HEADER, kind)),
    "strided colors": ("Image", lambda kind: color_image(RGB[::2, ::3, ::-1], HEADER, kind)),
    "cloud": ("PointCloud2", lambda kind: point_cloud(POINTS, RGB, HEADER, kind)),
    "unorganised cloud": ("PointCloud2", lambda kind: point_cloud(POINTS[0], RGB[0], HEADER, kind)),
    "empty cloud": (
        "PointCloud2",
        lambda kind: point_cloud(POINTS[0, :0], RGB[0, :0], HEADER, kind),
    ),
    "camera": ("CameraInfo", lambda kind: camera_info(CAMERA, HEADER, kind)),
}


def through_a_bag(name, message):
    name = f"sensor_msgs/msg/{name}"
    return STORE.deserialize_cdr(STORE.serialize_cdr(message, name), name)


@pytest.mark.parametrize("what", MAKERS)
def test_both_kinds_are_the_same_in_a_bag(what):
    serialization = pytest.importorskip("rclpy.serialization", reason="needs ROS 2 (rclpy)")
    pytest.importorskip("sensor_msgs.msg", reason="needs ROS 2 (sensor_msgs)")
    name, make = MAKERS[what]
    msgtype = f"sensor_msgs/msg/{name}"
    of_ros = STORE.deserialize_cdr(serialization.serialize_message(make(ROS)), msgtype)
    # Written by the same library, for the bytes between the fields are left to chance by rclpy.
    assert STORE.serialize_cdr(of_ros, msgtype) == STORE.serialize_cdr(make(ROSBAGS), msgtype)


@pytest.mark.parametrize("what", MAKERS)
def test_stamp_and_frame_id_are_kept(what):
    name, make = MAKERS[what]
    header = through_a_bag(name, make(ROSBAGS)).header
    assert (header.stamp.sec, header.stamp.nanosec) == (7, 8)
    assert header.frame_id == "camera_optical"


def test_values_come_back():
    metres = through_a_bag("Image", depth_image(DEPTH, HEADER, "32FC1", ROSBAGS))
    assert np.array_equal(decode_depth(metres), DEPTH, equal_nan=True)
    millimetres = through_a_bag("Image", depth_image(DEPTH, HEADER, "16UC1", ROSBAGS))
    assert millimetres.data.view(np.uint16).tolist() == [500, 1234, 0, 0, 0, 0]
    image = through_a_bag("Image", color_image(RGB[:, ::-1], HEADER, ROSBAGS))
    assert np.array_equal(decode_image(image), RGB[:, ::-1])
    xyz, rgb = read_points(through_a_bag("PointCloud2", point_cloud(POINTS, RGB, HEADER, ROSBAGS)))
    assert np.array_equal(xyz, POINTS)
    assert np.array_equal(rgb, RGB)
    camera = camera_model(through_a_bag("CameraInfo", camera_info(CAMERA, HEADER, ROSBAGS)))
    assert (camera.width, camera.height) == (64, 48)
    assert camera.distortion_model == "plumb_bob"
    for name in ("K", "D", "R", "P"):
        assert np.array_equal(getattr(camera, name), getattr(CAMERA, name))


def test_unorganised_cloud_has_one_row():
    cloud = point_cloud(POINTS[0], RGB[0], HEADER, ROSBAGS)
    assert (cloud.height, cloud.width, cloud.row_step, len(cloud.data)) == (1, 6, 96, 96)
    xyz, rgb = read_points(cloud)
    assert np.array_equal(xyz[0], POINTS[0])
    assert np.array_equal(rgb[0], RGB[0])


def test_depth_and_colors_are_not_copied():
    assert np.shares_memory(depth_image(DEPTH, HEADER, "32FC1", ROSBAGS).data, DEPTH)
    assert np.shares_memory(color_image(RGB, HEADER, ROSBAGS).data, RGB)


def test_no_ros_is_needed():
    script = """
import sys
for name in ("rclpy", "sensor_msgs", "std_msgs", "builtin_interfaces"):
    sys.modules[name] = None
import numpy as np
from types import SimpleNamespace
from depth_estimation_ros.node.frame_processor import decode_image, read_camera
from depth_estimation_ros import messages
header = SimpleNamespace(stamp=SimpleNamespace(sec=1, nanosec=2), frame_id="c")
image = messages.color_image(np.zeros((4, 6, 3), np.uint8), header, messages.ROSBAGS)
print(decode_image(image, read_camera(None)).rgb.shape)
"""
    answer = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert answer.stdout.strip() == "(4, 6, 3)", answer.stderr
