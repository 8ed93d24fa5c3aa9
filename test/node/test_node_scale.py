"""Metric scale in the node: a laser scanner that stops, restarts, lies; a relative network."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs ROS 2 (rclpy)")

import tiny_models
from ros_helpers import NodeProcess, Tester, info_of, red_image
from scale_cases import ASIDE, CAMERA, play, true_depth
from sensor_msgs.msg import Image, PointCloud2, Range

from depth_estimation_ros.messages import decode_depth, depth_image, read_xyz

POSE = f"0 {ASIDE} 0 0 0 0"


@pytest.fixture(scope="module")
def red_model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tiny_models.red_depth(tmp_path_factory.mktemp("model") / "red.onnx"))


def test_a_scan_at_10_hz_anchors_images_at_15(
    node: NodeProcess, tester: Tester, red_model: str
) -> None:
    tester.bring(node, "active", model=red_model, scale_source="scan", range_sensor_pose=POSE)
    moments = list(play(node, tester))

    def between(begin: float, end: float) -> np.ndarray:
        return np.array([m.scale for m in moments if begin <= m.at < end], float)

    assert all(m.scale is None for m in moments if m.at < 1.0)
    # Anchored by the first scan; while the sensor stops, after it restarts, and while it lies.
    np.testing.assert_allclose(between(1.2, 10.0), 2.0, rtol=0.03)
    np.testing.assert_allclose(between(11.0, 12.0), 3.0, rtol=0.03)
    ages = {round(m.at, 3): m.age for m in moments}
    assert max(age for at, age in ages.items() if 1.5 < at < 3.0) < 0.5
    assert ages[5.0] == pytest.approx(2.0, abs=0.4)

    before, stale, lying = (m.status for m in moments if m.status)
    assert "not measured yet" in before
    assert "last measured" in stale
    assert "contradicts the scale in use by 3.0" in lying
    error = np.abs(moments[-1].depth[:, 4:-4] / true_depth()[:, 4:-4] - 1)
    assert np.median(error) < 0.03


def test_a_relative_network_gives_metres(node: NodeProcess, tester: Tester, tmp_path: Path) -> None:
    card = tiny_models.tiny_card(kind="inverse_depth", unit="", min_depth=0.1, max_depth=50.0)
    model = str(tiny_models.red_depth(tmp_path / "relative.onnx", card))
    tester.bring(node, "unconfigured", model=model)
    assert not tester.change(node, "configure")
    assert "set scale_source, and scale_required to true" in node.log
    tester.bring(node, "active", model=model, scale_source="depth", scale_required=True)
    depths = tester.collect(node, Image, "~/depth/image")
    # The network says 1 to 9 for 1/Z with shift and scale: Z = 6 / (value - 0.6).
    red = np.broadcast_to(np.linspace(10, 240, 64).astype(np.uint8), (48, 64))
    truth = 6.0 / (1.0 + 8.0 * red / 255.0 - 0.6)
    image = red_image(red)
    sparse = np.full((48, 64), np.nan, np.float32)
    sparse[::8, ::8] = truth[::8, ::8]
    measured = depth_image(sparse, image.header, "32FC1")

    tester.publish(node, "image", red_image(red))
    tester.wait_until(
        lambda: int(tester.diagnostics(node)["skipped_no_scale"]) > 0, "a frame to wait", node
    )
    assert not depths
    tester.publish(node, "depth", measured)
    found = decode_depth(tester.result_of(node, image, depths, info_of(CAMERA)))
    assert np.mean(np.abs(found / truth - 1)) < 0.1


def test_a_range_sensor_anchors_after_five_readings(
    node: NodeProcess, tester: Tester, red_model: str
) -> None:
    tester.bring(
        node, "active", model=red_model, scale_source="range", range_sensor_pose="0 0 0 0 0 0"
    )
    depths = tester.collect(node, Image, "~/depth/image")
    found = []
    for _ in range(9):
        image = red_image(64)  # 3.0 m
        image.header.stamp.sec = 500
        image.header.stamp.nanosec = 100_000_000 * (len(found) + 1)
        reading = Range(field_of_view=0.2, min_range=0.1, max_range=20.0, range=4.5)
        reading.header.stamp, reading.header.frame_id = image.header.stamp, "sonar"
        tester.publish(node, "range", reading)
        tester.spin(0.02)
        info = info_of(CAMERA)
        found.append(np.median(decode_depth(tester.result_of(node, image, depths, info))))
    assert found[0] == pytest.approx(3.0, rel=0.01)
    assert found[-1] == pytest.approx(4.5, rel=0.01)


def test_the_cloud_of_navigation_has_no_floor(
    node: NodeProcess, tester: Tester, red_model: str
) -> None:
    tester.bring(
        node,
        "active",
        model=red_model,
        camera_height=0.5,
        cloud_min_height=0.1,
        cloud_max_height=1.0,
        cloud_max_range=4.0,
    )
    clouds = tester.collect(node, PointCloud2, "~/points")
    image, info = red_image(64), info_of(CAMERA)  # a wall at 3 m
    points = read_xyz(tester.result_of(node, image, clouds, info))
    assert len(points) == 48 * 64  # organised
    heights = 0.5 - points[np.isfinite(points[:, 0]), 1]
    assert 0.1 <= heights.min() < 0.2
    assert 0.9 < heights.max() <= 1.0
    assert tester.set_parameter(node, "cloud_voxel_size", 0.2).successful
    image.header.stamp.sec += 1
    voxels = read_xyz(tester.result_of(node, image, clouds, info))
    assert 20 < len(voxels) < 200
    assert tester.set_parameter(node, "cloud_max_range", 2.0).successful
    image.header.stamp.sec += 1
    assert len(read_xyz(tester.result_of(node, image, clouds, info))) == 0
    refused = tester.set_parameter(node, "cloud_min_height", 2.0)
    assert "cloud_min_height < cloud_max_height" in refused.reason
