"""The command view: what it logs of a recording and of a running node, and a screenshot of it."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
from replay_outputs import camera, write_output

pytest.importorskip("rerun", reason="needs rerun-sdk")

REPOSITORY = Path(__file__).resolve().parents[3]
VULKAN = list(Path("/usr/share/vulkan/icd.d").glob("*.json"))


def start_view(*arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "depth_estimation_ros.apps.view", *map(str, arguments)]
    return subprocess.Popen(command, cwd=REPOSITORY, stderr=subprocess.PIPE, text=True)


def contents(file: Path) -> str:
    """The chunks of a file of Rerun, in words."""
    command = [sys.executable, "-m", "rerun", "rrd", "print", "-vv", str(file)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_recording_is_logged_with_its_topics(tmp_path: Path) -> None:
    bag = write_output(tmp_path, [camera(frames=3, points=True)])
    process = start_view(bag, "--save", tmp_path / "view.rrd", "--frames", 2)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    text = contents(tmp_path / "view.rrd")
    for entity in ("/front/depth_estimation/depth/image", "/front/depth_estimation/points"):
        assert entity in text
    assert "DepthImage" in text
    assert "Points3D:colors" in text


def test_damaged_recording_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "bag.mcap").write_bytes(b"no recording")
    process = start_view(tmp_path / "bag.mcap", "--save", tmp_path / "view.rrd")
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 1
    assert errors.splitlines()[-1].startswith("error: ")


def test_running_node_is_found_and_logged(tmp_path: Path) -> None:
    rclpy = pytest.importorskip("rclpy", reason="needs ROS 2 (rclpy)")
    from rclpy.executors import SingleThreadedExecutor
    from sensor_msgs.msg import Image, PointCloud2

    from depth_estimation_ros import messages

    context = rclpy.Context()
    rclpy.init(context=context)
    node = rclpy.create_node("depth_estimation", namespace="/front", context=context)
    depths = node.create_publisher(Image, "~/depth/image", 1)
    clouds = node.create_publisher(PointCloud2, "~/points", 1)
    node.create_subscription(Image, "/front/image", lambda _: None, 1)
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(node)
    process = start_view("--save", tmp_path / "view.rrd", "--frames", 2)
    depth = np.full((6, 8), 2.0, np.float32)
    points = np.ones((6, 8, 3), np.float32)
    end = time.monotonic() + 120
    while process.poll() is None and time.monotonic() < end:
        header = messages.ROS.new("std_msgs/msg/Header", frame_id="cam")
        header.stamp = node.get_clock().now().to_msg()
        depths.publish(messages.depth_image(depth, header, "32FC1"))
        clouds.publish(messages.point_cloud(points, np.zeros((6, 8, 3), np.uint8), header))
        executor.spin_once(timeout_sec=0.1)
    node.destroy_node()
    rclpy.try_shutdown(context=context)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    text = contents(tmp_path / "view.rrd")
    assert "/front/depth_estimation/depth/image" in text
    assert "/front/depth_estimation/points" in text
    assert "subscribed to /front/image" in errors


@pytest.mark.skipif(
    not VULKAN or not shutil.which("xvfb-run"), reason="needs xvfb and mesa-vulkan-drivers"
)
def test_screenshot_shows_depth_and_cloud(tmp_path: Path) -> None:
    bag = write_output(tmp_path, [camera(frames=2, points=True)])
    png = tmp_path / "view.png"
    process = start_view(bag, "--screenshot-to", png)
    _, errors = process.communicate(timeout=400)
    assert process.returncode == 0, errors
    shown = cv2.imread(str(png))
    assert shown.shape == (1000, 1600, 3)
    colorful = np.ptp(shown.astype(int), axis=2) > 60
    assert colorful[:, :640].mean() > 0.3  # the depth image
    assert colorful[:, 640:].mean() > 0.003  # the points, in the camera's colours
