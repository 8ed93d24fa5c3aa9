"""What comes out of the node for what goes in: values, stamps, encodings, transports, counts."""

from __future__ import annotations

from array import array
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs ROS 2 (rclpy)")

import tiny_models
from builtin_interfaces.msg import Time
from ros_helpers import BEST_EFFORT, NodeProcess, Tester, header, info_of, red_image
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, PointCloud2

from depth_estimation_ros.geometry.camera_model import CameraModel
from depth_estimation_ros.messages import decode_depth, decode_image
from depth_estimation_ros.visualization import colorize

CAMERA = CameraModel.from_intrinsics(60.0, 62.0, 31.0, 24.0, 64, 48)
COUNTERS = (
    "frames_published",
    "dropped_busy",
    "dropped_bad",
    "dropped_waiting_for_camera_info",
    "skipped_no_subscriber",
    "skipped_no_calibration",
    "skipped_no_scale",
)


@pytest.fixture(scope="module")
def red_model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tiny_models.red_depth(tmp_path_factory.mktemp("model") / "red.onnx"))


def red_depth(red: np.ndarray | int) -> np.ndarray:
    return np.asarray(1.0 + 8.0 * np.asarray(red) / 255.0, np.float32)


def test_all_outputs_carry_the_stamp_and_frame_of_the_image(
    node: NodeProcess, tester: Tester, red_model: str
) -> None:
    tester.bring(node, "active", model=red_model)
    topics = {
        "~/depth/image": Image,
        "~/depth/camera_info": CameraInfo,
        "~/points": PointCloud2,
        "~/depth/color": Image,
    }
    collected = [tester.collect(node, kind, topic) for topic, kind in topics.items()]
    image = red_image()
    image.header.frame_id = "front_camera_optical_frame"
    info = info_of(CAMERA)
    info.header.frame_id = "not_this_one"
    for messages in collected:
        message = tester.result_of(node, image, messages, info)
        assert message.header == image.header


@pytest.mark.parametrize("backend", ["onnxruntime", "openvino"])
def test_depth_and_colours_are_those_of_the_network(
    node: NodeProcess, tester: Tester, red_model: str, backend: str
) -> None:
    pytest.importorskip(backend, reason=f"needs {backend}")
    settings = {"model": red_model, "backend": backend, "precision": "fp32"}
    tester.bring(node, "active", camera_info_timeout=0.0, **settings)
    depth = tester.collect(node, Image, "~/depth/image", BEST_EFFORT)
    color = tester.collect(node, Image, "~/depth/color")
    red = np.random.default_rng(7).integers(0, 256, (48, 64), np.uint8)
    image = red_image(red)
    picture = decode_image(tester.result_of(node, image, color))
    seen = decode_depth(tester.result_of(node, image, depth))
    assert seen.dtype == np.float32
    np.testing.assert_allclose(seen, red_depth(red), atol=1e-5)
    np.testing.assert_array_equal(picture, colorize(seen, max_depth=10.0, color_map="spectral"))


def test_a_scale_correction_counts_from_the_next_image_on(
    node: NodeProcess, tester: Tester, red_model: str
) -> None:
    tester.bring(node, "active", model=red_model, camera_info_timeout=0.0)
    depth = tester.collect(node, Image, "~/depth/image")
    for factor in (1.0, 0.7, 2.5):
        assert tester.set_parameter(node, "scale_correction", factor).successful
        seen = decode_depth(tester.result_of(node, red_image(51), depth))
        np.testing.assert_allclose(seen, factor * red_depth(51), rtol=1e-5)


def test_a_network_of_another_aspect_is_warned_of_once(
    node: NodeProcess, tester: Tester, tmp_path: Path
) -> None:
    model = tiny_models.red_depth(tmp_path / "fixed.onnx", tiny_models.tiny_card(multiple_of=None))
    tester.bring(node, "active", model=str(model), camera_info_timeout=0.0)
    depth = tester.collect(node, Image, "~/depth/image")
    warning = "images of 128x72 are stretched to the network's 64x48"
    for _ in range(3):
        tester.result_of(node, red_image(51, 72, 128), depth)
    tester.wait_until(lambda: warning in node.log, "the warning", node)
    tester.result_of(node, red_image(51, 48, 64), depth)
    assert node.log.count("are stretched to") == 1


def test_image_larger_than_the_network_gives_depth_of_the_images_size(
    node: NodeProcess, tester: Tester, red_model: str
) -> None:
    tester.bring(node, "active", model=red_model, camera_info_timeout=0.0)
    depth = tester.collect(node, Image, "~/depth/image")
    message = tester.result_of(node, red_image(51, 480, 640), depth)
    assert (message.width, message.height, message.step) == (640, 480, 2560)
    np.testing.assert_allclose(decode_depth(message), red_depth(51), atol=1e-5)


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 2000), (1500, 2), (37, 61)])
def test_images_of_odd_sizes(
    node: NodeProcess, tester: Tester, red_model: str, height: int, width: int
) -> None:
    tester.bring(node, "active", model=red_model)
    depth = tester.collect(node, Image, "~/depth/image")
    clouds = tester.collect(node, PointCloud2, "~/points")
    info = info_of(CameraModel.from_hfov(width, height, 60.0))
    image = red_image(100, height, width)
    cloud = tester.result_of(node, image, clouds, info)
    seen = decode_depth(tester.result_of(node, image, depth, info))
    assert (cloud.height, cloud.width) == (height, width)
    assert seen.shape == (height, width)
    np.testing.assert_allclose(seen, red_depth(100), atol=1e-5)


@pytest.mark.parametrize("format_", ["jpeg", "png"])
def test_compressed_transport(
    node: NodeProcess, tester: Tester, red_model: str, format_: str
) -> None:
    tester.bring(
        node, "active", model=red_model, image_transport="compressed", camera_info_timeout=0.0
    )
    depth = tester.collect(node, Image, "~/depth/image")
    bgr = np.full((48, 64, 3), (60, 30, 102), np.uint8)
    encoded = cv2.imencode(f".{format_}", bgr)[1].tobytes()
    image = CompressedImage(header=header(), format=format_, data=array("B", encoded))
    message = tester.result_of(node, image, depth, image_topic="image/compressed")
    assert message.header == image.header
    tolerance = 0.1 if format_ == "jpeg" else 1e-5
    np.testing.assert_allclose(decode_depth(message), red_depth(102), atol=tolerance)


def test_remapping_the_image_moves_its_compressed_transport_along(
    tester: Tester, tmp_path: Path, red_model: str
) -> None:
    remap = ["-r", "image:=/front/image_raw", "-r", "camera_info:=/front/camera_info"]
    with NodeProcess(
        tmp_path, arguments=remap, model=red_model, image_transport="compressed"
    ) as process:
        tester.wait_for_state(process, "active")
        for topic in ["/front/image_raw/compressed", "/front/camera_info"]:
            tester.wait_until(lambda t=topic: tester.ros.count_subscribers(t), topic, process)


def break_length(image: Image) -> None:
    image.data = image.data[:-1]


def break_encoding(image: Image) -> None:
    image.encoding = "rgb9"


def break_size(image: Image) -> None:
    image.height = image.width = image.step = 0
    image.data = array("B")


@pytest.mark.parametrize("break_", [break_length, break_encoding, break_size])
def test_bad_image_is_dropped_and_told_and_the_next_good_one_is_processed(
    node: NodeProcess, tester: Tester, red_model: str, break_: Callable[[Image], None]
) -> None:
    tester.bring(node, "active", model=red_model, camera_info_timeout=0.0)
    depth = tester.collect(node, Image, "~/depth/image")
    tester.result_of(node, red_image(), depth)
    tester.spin(1.1)  # the log speaks of bad frames once a second, also between two tests
    log_before = len(node.log)
    bad = red_image()
    break_(bad)
    tester.publish(node, "image", bad)
    values = tester.diagnostics(node, lambda v: v["dropped_bad"] == "1")
    assert values["level"] == "2"
    assert values["last_error"] in node.log[log_before:]

    good = red_image(200)
    seen = decode_depth(tester.result_of(node, good, depth))
    np.testing.assert_allclose(seen, red_depth(200), atol=1e-5)
    assert bad.header.stamp not in [message.header.stamp for message in depth]
    assert tester.diagnostics(node, lambda v: v["level"] != "2")["dropped_bad"] == "1"


def as_jpeg(image: Image) -> CompressedImage:
    bgr = np.ascontiguousarray(decode_image(image)[..., ::-1])
    encoded = cv2.imencode(".jpg", bgr)[1].tobytes()
    return CompressedImage(header=image.header, format="jpeg", data=array("B", encoded))


@pytest.mark.parametrize("transport", ["raw", "compressed"])
def test_image_of_more_pixels_than_the_parameter_says_is_dropped_and_told(
    node: NodeProcess, tester: Tester, red_model: str, transport: str
) -> None:
    tester.bring(
        node,
        "active",
        model=red_model,
        image_transport=transport,
        camera_info_timeout=0.0,
        max_image_pixels=64 * 48,
    )
    depth = tester.collect(node, Image, "~/depth/image")
    topic = "image" if transport == "raw" else "image/compressed"
    small, large = red_image(100, 48, 64), red_image(100, 48, 65)
    if transport == "compressed":
        small, large = as_jpeg(small), as_jpeg(large)
    tester.result_of(node, small, depth, image_topic=topic)
    tester.publish(node, topic, large)
    told = tester.diagnostics(node, lambda values: values["dropped_bad"] == "1")
    assert told["level"] == "2"
    assert "65 x 48" in told["last_error"]
    assert "3072 pixels" in told["last_error"]
    assert "max_image_pixels" in told["last_error"]
    assert large.header.stamp not in [message.header.stamp for message in depth]

    assert tester.set_parameter(node, "max_image_pixels", 65 * 48).successful
    seen = tester.result_of(node, large, depth, image_topic=topic)
    assert (seen.height, seen.width) == (48, 65)


def test_error_of_a_bad_image_is_over_though_nobody_listens_any_more(
    node: NodeProcess, tester: Tester, red_model: str
) -> None:
    tester.bring(node, "active", model=red_model, camera_info_timeout=0.0)
    depth = tester.collect(node, Image, "~/depth/image")
    tester.result_of(node, red_image(), depth)
    bad = red_image()
    break_encoding(bad)
    tester.publish(node, "image", bad)
    tester.diagnostics(node, lambda v: v["level"] == "2")
    tester.forget_topics()
    camera = tester.ros.create_publisher(Image, node.topic("image"), 1)
    tester.ros.create_timer(0.05, lambda: camera.publish(red_image()))
    values = tester.diagnostics(node, lambda v: v["skipped_no_subscriber"] != "0")
    assert values["level"] != "2"
    assert "rgb9" in values["last_error"]


def test_stream_of_bad_images_is_counted_each_and_logged_rarely(
    node: NodeProcess, tester: Tester, red_model: str
) -> None:
    tester.bring(node, "active", model=red_model, camera_info_timeout=0.0)
    depth = tester.collect(node, Image, "~/depth/image")
    tester.result_of(node, red_image(), depth)
    tester.spin(1.1)
    log_before = len(node.log)
    for number in range(1, 11):
        bad = red_image()
        break_encoding(bad)
        tester.publish(node, "image", bad)
        tester.diagnostics(node, lambda v, n=number: v["dropped_bad"] == str(n))
    assert 1 <= node.log[log_before:].count("frame dropped") < 10


def test_image_that_nobody_wants_depth_of_is_not_even_decoded(
    node: NodeProcess, tester: Tester, red_model: str
) -> None:
    tester.bring(node, "active", model=red_model, camera_info_timeout=0.0)
    broken = red_image()
    break_encoding(broken)
    camera = tester.ros.create_publisher(Image, node.topic("image"), 1)
    tester.ros.create_timer(0.05, lambda: camera.publish(broken))
    values = tester.diagnostics(node, lambda v: int(v["skipped_no_subscriber"]) >= 3)
    assert values["dropped_bad"] == "0"
    assert values["frames_published"] == "0"
    assert values["engine_runs"] == "0"
    assert values["engine_ms_p50"] == ""


@pytest.mark.parametrize("topic", ["~/points", "~/depth/camera_info"])
def test_nothing_is_run_for_what_cannot_be_published_without_a_calibration(
    node: NodeProcess, tester: Tester, red_model: str, topic: str
) -> None:
    tester.bring(node, "active", model=red_model, camera_info_timeout=0.0)
    tester.collect(node, {"~/points": PointCloud2}.get(topic, CameraInfo), topic)
    for info in (None, CameraInfo(width=64, height=48)):
        if info is not None:
            tester.publish(node, "camera_info", info)
        before = int(tester.diagnostics(node)["skipped_no_calibration"])
        tester.publish(node, "image", red_image())
        values = tester.diagnostics(
            node, lambda v, n=before: int(v["skipped_no_calibration"]) == n + 1
        )
        assert values["engine_runs"] == "0"
        assert values["frames_published"] == "0"


def test_camera_info_alone_needs_no_network(
    node: NodeProcess, tester: Tester, tmp_path: Path
) -> None:
    card = tiny_models.tiny_card(height=24, width=32, multiple_of=None)
    model = str(tiny_models.constant_depth(tmp_path / "small.onnx", 2.0, card))
    tester.bring(node, "active", model=model)
    infos = tester.collect(node, CameraInfo, "~/depth/camera_info")
    for output_size, camera in [("image", CAMERA), ("network", CAMERA.scaled(32, 24))]:
        assert tester.set_parameter(node, "output_size", output_size).successful
        info = tester.result_of(node, red_image(), infos, info_of(CAMERA))
        assert (info.width, info.height) == (camera.width, camera.height)
        np.testing.assert_allclose(info.k, camera.K.ravel())
    values = tester.diagnostics(node, lambda v: int(v["frames_published"]) >= 2)
    assert values["engine_runs"] == "0"


def test_diagnostics_account_for_every_frame_and_time_them(
    node: NodeProcess, tester: Tester, red_model: str
) -> None:
    tester.bring(node, "active", model=red_model, camera_info_timeout=0.0)
    depth = tester.collect(node, Image, "~/depth/image")
    for _ in range(5):
        tester.result_of(node, red_image(), depth)

    def all_accounted_for(values: dict[str, str]) -> bool:
        return int(values["frames_received"]) == sum(int(values[name]) for name in COUNTERS)

    values = tester.diagnostics(node, all_accounted_for)
    assert int(values["frames_published"]) >= 5
    assert values["engine_runs"] == values["frames_published"]
    assert 0.0 < float(values["engine_ms_p50"]) < float(values["latency_ms_p50"])
    assert float(values["latency_ms_p50"]) <= float(values["latency_ms_p99"])
    assert 20.0 < float(values["rss_mb"]) < 2000.0
    assert values["engine"].startswith("tiny 1 on ONNX Runtime")
    assert values["state"] == "active"
    assert values["last_error"] == ""


def test_simulated_time_stamps_the_diagnostics_and_stops_nothing_while_it_stands_still(
    tester: Tester, tmp_path: Path, red_model: str
) -> None:
    with NodeProcess(tmp_path, model=red_model, use_sim_time=True) as process:
        tester.wait_for_state(process, "active")
        depth = tester.collect(process, Image, "~/depth/image")
        image = red_image(100)
        assert tester.result_of(process, image, depth).header == image.header

        clock = tester.ros.create_publisher(Clock, "/clock", 1)
        now = iter(range(5000, 10000))
        tester.ros.create_timer(0.02, lambda: clock.publish(Clock(clock=Time(sec=next(now)))))
        tester.diagnostics(process, lambda v: 5000 <= int(v["stamp"]) < 10000)
