"""The node and its CameraInfo: late, latched, missing, empty, wrong; and the cloud."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs ROS 2 (rclpy)")

import tiny_models
from ros_helpers import LATCHED, NodeProcess, Tester, info_of, red_image
from sensor_msgs.msg import CameraInfo, Image, PointCloud2

from depth_estimation_ros.geometry.camera_model import CameraModel
from depth_estimation_ros.messages import decode_depth, decode_image, read_points
from depth_estimation_ros.visualization import colorize

CAMERA = CameraModel.from_intrinsics(60.0, 62.0, 31.0, 24.0, 64, 48)
RED = np.random.default_rng(3).integers(0, 256, (48, 64), np.uint8)
DEPTH = 1.0 + 8.0 * RED / 255.0


@pytest.fixture(scope="module")
def red_model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tiny_models.red_depth(tmp_path_factory.mktemp("model") / "red.onnx"))


@pytest.fixture(scope="module")
def focal_model(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Says 4 everywhere; metres = 4 * fx / 60 at the network's size, which is the image's."""
    card = tiny_models.tiny_card(max_depth=80.0, canonical_focal_px=60.0)
    path = tmp_path_factory.mktemp("model") / "focal.onnx"
    return str(tiny_models.constant_depth(path, 4.0, card))


def closed_form(camera: CameraModel, depth: np.ndarray, stride: int = 1) -> np.ndarray:
    """Pinhole: X = (u - cx) / fx * Z, Y = (v - cy) / fy * Z."""
    v, u = np.mgrid[: camera.height : stride, : camera.width : stride]
    z = depth[::stride, ::stride]
    return np.stack([(u - camera.cx) / camera.fx * z, (v - camera.cy) / camera.fy * z, z], axis=-1)


@pytest.mark.parametrize("stride", [1, 5])
def test_cloud_is_the_closed_form_of_depth_with_the_colours_of_the_image(
    node: NodeProcess, tester: Tester, red_model: str, stride: int
) -> None:
    tester.bring(node, "active", model=red_model, cloud_stride=stride)
    clouds = tester.collect(node, PointCloud2, "~/points")
    image = red_image(RED)
    cloud = tester.result_of(node, image, clouds, info_of(CAMERA))
    xyz, rgb = read_points(cloud)
    assert cloud.header == image.header
    assert xyz.shape == (-(-48 // stride), -(-64 // stride), 3)
    np.testing.assert_allclose(xyz, closed_form(CAMERA, DEPTH, stride), rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(rgb, decode_image(image)[::stride, ::stride])


def test_cloud_of_a_distorted_image_follows_the_distortion(
    node: NodeProcess, tester: Tester, red_model: str
) -> None:
    tester.bring(node, "active", model=red_model)
    distortion = np.array([-0.25, 0.08, 0.001, -0.002, 0.0])
    camera = replace(CAMERA, D=distortion, distortion_model="plumb_bob")
    clouds = tester.collect(node, PointCloud2, "~/points")
    xyz, _ = read_points(tester.result_of(node, red_image(RED), clouds, info_of(camera)))
    pixels, _ = cv2.projectPoints(
        xyz.reshape(-1, 1, 3).astype(np.float64), np.zeros(3), np.zeros(3), camera.K, distortion
    )
    v, u = np.mgrid[:48, :64]
    np.testing.assert_allclose(pixels.reshape(48, 64, 2), np.dstack([u, v]), atol=2e-3)
    np.testing.assert_allclose(xyz[..., 2], DEPTH, rtol=1e-5)


def test_rectified_image_takes_its_camera_from_p(
    node: NodeProcess, tester: Tester, focal_model: str
) -> None:
    rectified = CameraModel.from_intrinsics(45.0, 46.0, 30.0, 23.0, 64, 48)
    camera = replace(
        CAMERA, D=np.array([-0.25, 0.08, 0, 0, 0]), distortion_model="plumb_bob", P=rectified.P
    )
    tester.bring(node, "active", model=focal_model, image_is_rectified=True)
    clouds = tester.collect(node, PointCloud2, "~/points")
    infos = tester.collect(node, CameraInfo, "~/depth/camera_info")
    image = red_image(RED)
    info = tester.result_of(node, image, infos, info_of(camera))
    xyz, _ = read_points(tester.result_of(node, image, clouds, info_of(camera)))
    expected = closed_form(rectified, np.full((48, 64), 4.0 * 45.0 / 60.0))
    np.testing.assert_allclose(xyz, expected, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(info.k, rectified.K.ravel())
    np.testing.assert_allclose(info.p, rectified.P.ravel())
    np.testing.assert_array_equal(info.d, np.zeros(5))


WIDE = CameraModel(
    64, 48, [30.0, 0, 31.5, 0, 30.0, 23.5, 0, 0, 1], [-0.25, 0.05, 0, 0, 0], "plumb_bob",
    P=[16.0, 0, 31.5, 0, 0, 16.0, 23.5, 0, 0, 0, 1, 0],
)  # fmt: skip
WALL, DISTANCE = np.array([0.3, -0.1, 0.95]), 2.0  # points X with WALL . X = DISTANCE


def seen_by(camera: CameraModel) -> np.ndarray:
    """Depth of the wall in each pixel; NaN where it is not between 1 and 9 m."""
    rays = camera.rays().astype(float)
    depth = DISTANCE / (np.dstack([rays, np.ones((48, 64))]) @ WALL)
    return np.where((depth > 1.0) & (depth < 9.0), depth, np.nan)


@pytest.mark.parametrize("rectify", [False, True])
def test_wide_lens_rectified_is_right_by_p_alone(
    node: NodeProcess, tester: Tester, red_model: str, rectify: bool
) -> None:
    tester.bring(node, "active", model=red_model, rectify=rectify)
    depths = tester.collect(node, Image, "~/depth/image")
    infos = tester.collect(node, CameraInfo, "~/depth/camera_info")
    truth = seen_by(WIDE)
    image = red_image(np.nan_to_num((truth - 1) * 255 / 8).round().astype(np.uint8))
    info = tester.result_of(node, image, infos, info_of(WIDE))
    depth = decode_depth(tester.result_of(node, image, depths, info_of(WIDE)))
    # As depth_image_proc: K of P, D ignored. Where it puts each pixel, and where that really is.
    by_p = replace(WIDE, K=np.reshape(info.p, (3, 4))[:, :3], D=np.zeros(0), distortion_model="")
    rays = np.dstack([by_p.rays(), np.ones((48, 64))])
    true_depth, true_rays = truth, np.dstack([WIDE.rays(), np.ones((48, 64))])
    if rectify:
        true_depth, true_rays = seen_by(by_p), rays
        np.testing.assert_allclose(info.k, WIDE.P[:, :3].ravel())
        assert not np.any(info.d)
        assert np.isnan(depth[0, 0])  # the raw image does not reach that far
        assert np.isfinite(depth).mean() > 0.5
    errors = np.linalg.norm(rays * depth[..., None] - true_rays * true_depth[..., None], axis=2)
    inner = np.isfinite(errors)
    inner[[0, -1]] = inner[:, [0, -1]] = False
    assert inner.sum() > 1000
    median = np.median(errors[inner])
    if rectify:
        assert median < 0.02  # half of 1 / 255 of 8 m, and its slant
        assert np.percentile(errors[inner], 99) < 0.1
    else:
        assert median > 0.2


def test_rectified_image_without_p_is_a_bad_frame(
    node: NodeProcess, tester: Tester, red_model: str
) -> None:
    tester.bring(node, "active", model=red_model, image_is_rectified=True)
    depth = tester.collect(node, Image, "~/depth/image")
    tester.result_of(node, red_image(), depth, info_of(CAMERA))
    distorted = replace(CAMERA, D=np.full(5, 0.01), distortion_model="plumb_bob")
    tester.publish(node, "camera_info", info_of(replace(distorted, P=np.zeros((3, 4)))))
    tester.publish(node, "image", red_image())
    values = tester.diagnostics(node, lambda v: v["dropped_bad"] == "1")
    assert "image_is_rectified" in values["last_error"]


def test_late_camera_info_holds_the_newest_image_back_until_it_comes(
    node: NodeProcess, tester: Tester, red_model: str
) -> None:
    tester.bring(node, "active", model=red_model, camera_info_timeout=60.0)
    clouds = tester.collect(node, PointCloud2, "~/points")
    images = [red_image(RED) for _ in range(4)]
    for number, image in enumerate(images):
        tester.publish(node, "image", image)
        tester.diagnostics(node, lambda v, n=number: v["frames_received"] == str(n + 1))
    assert clouds == []
    assert tester.diagnostics(node)["dropped_waiting_for_camera_info"] == "3"
    tester.publish(node, "camera_info", info_of(CAMERA))
    values = tester.diagnostics(node, lambda v: v["frames_published"] == "1")
    assert values["camera_info"] == "calibrated"
    assert values["dropped_waiting_for_camera_info"] == "3"
    tester.wait_until(lambda: clouds, "a cloud", node)
    assert [cloud.header for cloud in clouds] == [images[-1].header]


def test_camera_info_latched_before_the_node_listens_is_found(
    node: NodeProcess, tester: Tester, red_model: str
) -> None:
    tester.bring(node, "unconfigured")
    latched = tester.ros.create_publisher(CameraInfo, node.topic("camera_info"), LATCHED)
    latched.publish(info_of(CAMERA))
    tester.bring(node, "active", model=red_model, camera_info_timeout=60.0)
    clouds = tester.collect(node, PointCloud2, "~/points")
    for _ in range(2):  # it is found again after each activation
        xyz, _ = read_points(tester.result_of(node, red_image(RED), clouds))
        np.testing.assert_allclose(xyz, closed_form(CAMERA, DEPTH), rtol=1e-5, atol=1e-5)
        assert tester.change(node, "deactivate")
        assert tester.change(node, "activate")


def test_camera_with_every_image_is_not_bothered_with_a_subscription_it_cannot_serve(
    node: NodeProcess, tester: Tester, red_model: str
) -> None:
    tester.bring(node, "active", model=red_model)
    depth = tester.collect(node, Image, "~/depth/image")
    tester.result_of(node, red_image(), depth, info_of(CAMERA))
    assert tester.ros.count_subscribers(node.topic("camera_info")) == 1


def test_without_camera_info_depth_goes_on_after_the_timeout_at_the_assumed_view(
    node: NodeProcess, tester: Tester, focal_model: str
) -> None:
    log_before = len(node.log)
    tester.bring(node, "active", model=focal_model, camera_info_timeout=0.5, assumed_hfov_deg=90.0)
    depth = tester.collect(node, Image, "~/depth/image")
    clouds = tester.collect(node, PointCloud2, "~/points")
    infos = tester.collect(node, CameraInfo, "~/depth/camera_info")
    for _ in range(3):
        message = tester.result_of(node, red_image(), depth)
        # 64 pixels over 90 degrees: fx = 32 / tan(45 degrees) = 32.
        np.testing.assert_allclose(decode_depth(message), 4.0 * 32.0 / 60.0, rtol=1e-6)
    assert clouds == []
    assert infos == []
    said = node.log[log_before:]
    assert said.count("CameraInfo missing") == 1
    assert "field of view of 90 degrees (assumed_hfov_deg)" in said
    values = tester.diagnostics(node, lambda v: v["camera_info"] == "missing")
    assert values["level"] == "1"

    message = tester.result_of(node, red_image(), clouds, info_of(CAMERA))
    tester.result_of(node, red_image(), depth)
    np.testing.assert_allclose(decode_depth(depth[-1]), 4.0, rtol=1e-6)


def test_single_image_without_camera_info_is_not_forgotten(
    node: NodeProcess, tester: Tester, red_model: str
) -> None:
    tester.bring(node, "active", model=red_model, camera_info_timeout=1.0)
    depth = tester.collect(node, Image, "~/depth/image")
    image = red_image()
    tester.publish(node, "image", image)
    tester.wait_until(lambda: depth, "depth of the only image", node)
    assert [message.header for message in depth] == [image.header]


def test_camera_info_of_zeros_means_uncalibrated(
    node: NodeProcess, tester: Tester, focal_model: str
) -> None:
    log_before = len(node.log)
    tester.bring(node, "active", model=focal_model, assumed_hfov_deg=90.0)
    depth = tester.collect(node, Image, "~/depth/image")
    clouds = tester.collect(node, PointCloud2, "~/points")
    for _ in range(3):
        message = tester.result_of(node, red_image(), depth, CameraInfo(width=64, height=48))
        np.testing.assert_allclose(decode_depth(message), 4.0 * 32.0 / 60.0, rtol=1e-6)
    assert clouds == []
    assert node.log[log_before:].count("CameraInfo uncalibrated") == 1
    values = tester.diagnostics(node, lambda v: v["camera_info"] == "uncalibrated")
    assert values["dropped_bad"] == "0"


def test_lens_model_that_is_not_supported_costs_the_cloud_only(
    node: NodeProcess, tester: Tester, focal_model: str
) -> None:
    log_before = len(node.log)
    tester.bring(node, "active", model=focal_model)
    depth = tester.collect(node, Image, "~/depth/image")
    infos = tester.collect(node, CameraInfo, "~/depth/camera_info")
    clouds = tester.collect(node, PointCloud2, "~/points")
    info = info_of(replace(CAMERA, D=np.array([0.1, 0.2]), distortion_model="double_sphere"))
    for _ in range(3):
        image = red_image()
        message = tester.result_of(node, image, depth, info)
        np.testing.assert_allclose(decode_depth(message), 4.0, rtol=1e-6)  # its K still counts
        assert tester.result_of(node, image, infos, info).distortion_model == "double_sphere"
    assert clouds == []
    said = node.log[log_before:]
    assert said.count("CameraInfo unsupported") == 1
    assert "found 'double_sphere' with d = [0.1, 0.2]" in said
    values = tester.diagnostics(node, lambda v: v["camera_info"] == "unsupported")
    assert values["level"] == "1"
    assert values["dropped_bad"] == "0"
    tester.result_of(node, red_image(), clouds, info_of(CAMERA))


def test_camera_info_of_another_size_is_a_bad_frame_until_it_fits(
    node: NodeProcess, tester: Tester, red_model: str
) -> None:
    tester.bring(node, "active", model=red_model)
    depth = tester.collect(node, Image, "~/depth/image")
    tester.result_of(node, red_image(), depth, info_of(CAMERA))
    bad = red_image()
    tester.publish(node, "camera_info", info_of(CAMERA.scaled(640, 480)))
    tester.publish(node, "image", bad)
    values = tester.diagnostics(node, lambda v: v["dropped_bad"] == "1")
    assert "640 x 480" in values["last_error"]
    assert "64 x 48" in values["last_error"]
    tester.result_of(node, red_image(), depth, info_of(CAMERA))
    assert bad.header.stamp not in [message.header.stamp for message in depth]


def test_camera_info_with_binning_is_that_of_the_delivered_image(
    node: NodeProcess, tester: Tester, red_model: str
) -> None:
    tester.bring(node, "active", model=red_model)
    infos = tester.collect(node, CameraInfo, "~/depth/camera_info")
    sensor = CameraModel.from_intrinsics(120.0, 124.0, 62.0, 48.0, 128, 96)
    info = info_of(sensor)
    info.binning_x = info.binning_y = 2
    published = tester.result_of(node, red_image(), infos, info)
    assert (published.width, published.height) == (64, 48)
    assert (published.binning_x, published.binning_y) == (0, 0)
    np.testing.assert_allclose(published.k, CAMERA.K.ravel())


def test_limits_that_leave_nothing_at_this_focal_length_are_told_frame_by_frame(
    node: NodeProcess, tester: Tester, focal_model: str
) -> None:
    tester.bring(node, "active", model=focal_model, min_depth=20.0)
    depth = tester.collect(node, Image, "~/depth/image")
    tester.result_of(node, red_image(), depth, info_of(CAMERA))
    log_before = len(node.log)
    wide = CameraModel.from_intrinsics(6.0, 6.0, 31.0, 24.0, 64, 48)  # the model then ends at 8 m
    tester.publish(node, "camera_info", info_of(wide))
    tester.publish(node, "image", red_image())
    values = tester.diagnostics(node, lambda v: v["dropped_bad"] == "1")
    assert "min_depth" in values["last_error"]
    assert "Traceback" not in node.log[log_before:]
    tester.result_of(node, red_image(), depth, info_of(CAMERA))


def test_limits_for_a_tele_lens_can_be_set_though_the_canonical_camera_ends_before_them(
    node: NodeProcess, tester: Tester, focal_model: str
) -> None:
    tester.bring(node, "active", model=focal_model)
    depth = tester.collect(node, Image, "~/depth/image")
    tele = CameraModel.from_intrinsics(1800.0, 1800.0, 31.0, 24.0, 64, 48)  # 30 times canonical
    result = tester.set_parameter(node, "min_depth", 100.0)  # the card says 80 m
    assert result.successful, result.reason
    seen = decode_depth(tester.result_of(node, red_image(), depth, info_of(tele)))
    np.testing.assert_allclose(seen, 4.0 * 30.0, rtol=1e-6)


def test_colours_reach_to_the_farthest_depth_of_this_camera(
    node: NodeProcess, tester: Tester, tmp_path: Path
) -> None:
    card = tiny_models.tiny_card(max_depth=10.0, canonical_focal_px=60.0)
    model = str(tiny_models.red_depth(tmp_path / "focal.onnx", card))
    tester.bring(node, "active", model=model)
    color = tester.collect(node, Image, "~/depth/color")
    tele = CameraModel.from_intrinsics(300.0, 300.0, 31.0, 24.0, 64, 48)  # the model ends at 50 m
    depth = tester.collect(node, Image, "~/depth/image")
    for max_depth, farthest in [(0.0, 50.0), (100.0, 50.0), (20.0, 20.0)]:
        assert tester.set_parameter(node, "max_depth", max_depth).successful
        image = red_image(RED)
        picture = decode_image(tester.result_of(node, image, color, info_of(tele)))
        seen = decode_depth(tester.result_of(node, image, depth, info_of(tele)))
        np.testing.assert_array_equal(picture, colorize(seen, max_depth=farthest))
