"""The node while one frame is published and the next is in the network: nothing lost or late.

The images are large and the network tiny, so that publishing takes longer than the network.
"""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("rclpy", reason="needs ROS 2 (rclpy)")

import tiny_models
from builtin_interfaces.msg import Time
from ros_helpers import NodeProcess, Tester, info_of, red_image
from sensor_msgs.msg import Image, PointCloud2
from test_node_lifecycle import network_that_fails_on_red

from depth_estimation_ros.geometry.camera_model import CameraModel
from depth_estimation_ros.messages import decode_depth, read_points

HEIGHT, WIDTH = 480, 640
CAMERA = CameraModel.from_hfov(WIDTH, HEIGHT, 60.0)
COUNTERS = ("frames_published", "dropped_busy", "dropped_bad", "dropped_waiting_for_camera_info")


def seconds(stamp: Time) -> float:
    return stamp.sec + 1e-9 * stamp.nanosec


def stream(node: NodeProcess, tester: Tester, period: float, reds: tuple[int, ...]) -> None:
    """Publish images of these reds in turn until the test ends."""
    images = [red_image(red, HEIGHT, WIDTH) for red in reds]
    camera = tester.ros.create_publisher(Image, node.topic("image"), 1)
    sent = 0

    def publish() -> None:
        nonlocal sent
        image = images[sent % len(images)]
        sent += 1
        image.header.stamp = Time(sec=20000 + sent)
        camera.publish(image)

    tester.ros.create_timer(period, publish)


def all_accounted_for(values: dict[str, str]) -> bool:
    return int(values["frames_received"]) == sum(int(values[name]) for name in COUNTERS)


def test_every_depth_and_cloud_comes_in_order_with_its_own_values(
    node: NodeProcess, tester: Tester, tmp_path: Path
) -> None:
    tester.bring(node, "active", model=str(tiny_models.red_depth(tmp_path / "red.onnx")))
    depths = tester.collect(node, Image, "~/depth/image")
    clouds = tester.collect(node, PointCloud2, "~/points")
    tester.result_of(node, red_image(51, HEIGHT, WIDTH), clouds, info_of(CAMERA))
    depths.clear()
    clouds.clear()
    stream(node, tester, 0.004, (0, 51, 255))
    tester.wait_until(lambda: len(clouds) > 20, "a stream of clouds", node)
    for messages in (depths, clouds):
        stamps = [seconds(message.header.stamp) for message in messages]
        assert stamps == sorted(set(stamps))
    expected = {0: 1.0, 1: 2.6, 2: 9.0}
    for depth in depths[:20]:
        metres = expected[(depth.header.stamp.sec - 20001) % 3]
        assert decode_depth(depth)[::60, ::80] == pytest.approx(metres, rel=1e-5)
    for cloud in clouds[:20]:
        metres = expected[(cloud.header.stamp.sec - 20001) % 3]
        assert read_points(cloud)[0][::60, ::80, 2] == pytest.approx(metres, rel=1e-5)


def test_deactivate_finishes_what_was_inferred_and_nothing_comes_after_it(
    node: NodeProcess, tester: Tester, tmp_path: Path
) -> None:
    tester.bring(node, "active", model=str(tiny_models.red_depth(tmp_path / "red.onnx")))
    clouds = tester.collect(node, PointCloud2, "~/points")
    tester.result_of(node, red_image(51, HEIGHT, WIDTH), clouds, info_of(CAMERA))
    stream(node, tester, 0.004, (51,))
    for _ in range(5):
        before = len(clouds)
        tester.publish(node, "camera_info", info_of(CAMERA))
        tester.wait_until(lambda n=before: len(clouds) > n + 3, "clouds", node)
        assert tester.change(node, "deactivate")
        values = tester.diagnostics(node, lambda v: v["state"] == "inactive")
        assert values["engine_runs"] == values["frames_published"]
        assert all_accounted_for(values)
        tester.spin(0.05)
        assert tester.diagnostics(node)["frames_published"] == values["frames_published"]
        assert tester.change(node, "activate")


def test_network_that_fails_behind_a_frame_that_is_published_lets_that_one_out(
    node: NodeProcess, tester: Tester, tmp_path: Path
) -> None:
    model = str(network_that_fails_on_red(tmp_path / "fragile.onnx"))
    tester.bring(node, "active", model=model)
    clouds = tester.collect(node, PointCloud2, "~/points")
    tester.result_of(node, red_image(0, HEIGHT, WIDTH), clouds, info_of(CAMERA))
    clouds.clear()
    stream(node, tester, 0.004, (0,) * 9 + (255,))
    tester.wait_for_state(node, "inactive")
    values = tester.diagnostics(node, lambda v: v["state"] == "inactive")
    assert values["level"] == "2"
    assert "ONNX Runtime failed" in values["last_error"]
    assert values["engine_runs"] == values["frames_published"]
    assert all_accounted_for(values)
    assert all(cloud.header.stamp.sec % 10 for cloud in clouds)  # the tenth is the one that fails
    tester.forget_topics()
    assert tester.change(node, "activate")
    depth = tester.collect(node, Image, "~/depth/image")
    tester.result_of(node, red_image(0, HEIGHT, WIDTH), depth, info_of(CAMERA))
    assert tester.state(node) == "active"
