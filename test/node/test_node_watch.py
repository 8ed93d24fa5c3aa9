"""A camera that fails, over real DDS: what /diagnostics says of it, and that it is over after."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs ROS 2 (rclpy)")

import tiny_models
from diagnostic_msgs.msg import DiagnosticArray
from ros_helpers import RELIABLE, NodeProcess, Tester, header, info_of
from sensor_msgs.msg import Image

from depth_estimation_ros.geometry.camera_model import CameraModel
from depth_estimation_ros.messages import color_image

CAMERA = CameraModel.from_intrinsics(60.0, 62.0, 31.0, 24.0, 64, 48)
RANDOM = np.random.default_rng(1)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tiny_models.red_depth(tmp_path_factory.mktemp("model") / "red.onnx"))


def noise(height: int = 48, width: int = 64, low: int = 0, high: int = 256) -> Image:
    return color_image(RANDOM.integers(low, high, (height, width, 3), np.uint8), header())


def stream(tester: Tester, node: NodeProcess, next_image: Callable[[], Image]) -> None:
    """Publish twenty images a second from now on, and listen to the depth."""
    tester.collect(node, Image, "~/depth/image")
    camera = tester.ros.create_publisher(Image, node.topic("image"), 1)
    tester.ros.create_timer(0.05, lambda: camera.publish(next_image()))


def said(text: str, level: str) -> Callable[[dict[str, str]], bool]:
    return lambda values: text in values["message"] and values["level"] == level


def is_well(values: dict[str, str]) -> bool:
    return values["level"] == "0" and values["frames_published"] != "0"


def parts(tester: Tester, node: NodeProcess) -> dict[str, dict[str, str]]:
    """The values of all statuses of one message, by task."""
    arrays: list[DiagnosticArray] = []
    tester.ros.create_subscription(DiagnosticArray, "/diagnostics", arrays.append, RELIABLE)
    (array,) = tester.wait_until(
        lambda: [a for a in arrays[-1:] if a.status[0].name.startswith(node.name)], "parts", node
    )
    return {
        status.name.removeprefix(f"{node.name}: "): {
            "level": str(int.from_bytes(status.level, "little")),
            "message": status.message,
            "hardware_id": status.hardware_id,
            **{pair.key: pair.value for pair in status.values},
        }
        for status in array.status
    }


@pytest.fixture
def active(node: NodeProcess, tester: Tester, model: str) -> NodeProcess:
    """The node, which knows the camera."""
    tester.bring(node, "active", model=model)
    tester.publish(node, "camera_info", info_of(CAMERA))
    return node


def test_a_good_stream_is_timed_in_all_its_stages_and_the_network_named(
    active: NodeProcess, tester: Tester, model: str
) -> None:
    stream(tester, active, noise)
    tester.diagnostics(active, lambda v: is_well(v) and int(v["frames_published"]) > 5)
    found = parts(tester, active)
    assert [found[name]["level"] for name in ("depth", "camera", "timing", "network")] == ["0"] * 4
    assert found["camera"]["hardware_id"] == "camera_optical"
    assert found["camera"]["camera_info"] == "calibrated"
    assert found["camera"]["image_size"] == "64x48"
    assert float(found["camera"]["input_rate_hz"]) > 0.0
    stages = {name: float(found["timing"][f"{name}_ms_p50"] or 0) for name in STAGES}
    assert all(milliseconds > 0.0 for milliseconds in stages.values())
    assert max(stages.values()) < float(found["timing"]["end_to_end_ms_p50"])
    assert found["timing"]["receive_ms_p50"] == ""  # the stamps are not of this node's clock
    assert found["network"]["model"] == "tiny 1"
    assert found["network"]["model_sha256"] == hashlib.sha256(Path(model).read_bytes()).hexdigest()


STAGES = ("wait", "decode", "infer", "post", "publish")


def test_where_the_clocks_agree_the_time_from_the_stamp_counts_too(
    active: NodeProcess, tester: Tester
) -> None:
    def exposed_a_second_ago() -> Image:
        image = noise()
        image.header.stamp = tester.ros.get_clock().now().to_msg()
        image.header.stamp.sec -= 1
        return image

    stream(tester, active, exposed_a_second_ago)
    tester.diagnostics(active, lambda v: int(v["frames_published"]) > 5)
    found = parts(tester, active)
    assert 1.0 <= float(found["camera"]["stamp_age_s"]) < 5.0
    assert 1000.0 <= float(found["timing"]["receive_ms_p50"]) < 5000.0
    assert float(found["timing"]["end_to_end_ms_p50"]) > float(found["timing"]["receive_ms_p50"])


def test_a_frozen_camera_is_an_error_until_it_moves(active: NodeProcess, tester: Tester) -> None:
    frozen = noise()
    frames = [frozen]
    stream(tester, active, lambda: frames[0] if frames else noise())
    values = tester.diagnostics(active, said("the camera is frozen: the same image", "2"))
    assert int(values["frames_published"]) > 5  # named, not withheld
    frames.clear()
    tester.diagnostics(active, is_well)


def test_a_covered_lens_is_an_error_until_it_is_open(active: NodeProcess, tester: Tester) -> None:
    ranges = [(0, 10)]
    stream(tester, active, lambda: noise(48, 64, *(ranges[0] if ranges else (0, 256))))
    tester.diagnostics(active, said("the images are black", "2"))
    ranges[0] = (251, 256)
    tester.diagnostics(active, said("the images are saturated", "2"))
    ranges.clear()
    tester.diagnostics(active, is_well)


def test_another_size_is_news_and_a_camera_info_of_the_old_size_an_error(
    active: NodeProcess, tester: Tester
) -> None:
    sizes = [(48, 64)]
    stream(tester, active, lambda: noise(*sizes[0]))
    tester.diagnostics(active, is_well)
    sizes[0] = (24, 32)
    values = tester.diagnostics(active, said("size of the images changed from 64x48 to 32x24", "2"))
    assert "The CameraInfo belongs to another image size" in values["message"]
    assert values["message"].count("The CameraInfo belongs") == 1
    found = parts(tester, active)["camera"]
    assert found["level"] == "2"
    assert "a CameraInfo for 64 x 48" in found["message"]
    tester.publish(active, "camera_info", info_of(CAMERA.scaled(32, 24)))
    tester.diagnostics(
        active, lambda v: v["level"] == "1" and v["message"].startswith("the size of the images")
    )


def test_a_rate_and_a_latency_that_are_asked_for_and_missed_are_warnings(
    active: NodeProcess, tester: Tester
) -> None:
    limits = {"diagnostics_min_rate": 500.0, "diagnostics_max_latency": 0.001}
    assert all(result.successful for result in tester.set_parameters(active, limits))
    stream(tester, active, noise)
    for text in ("images come at", "depth is published at", "ms (p99), more than 0.001"):
        tester.diagnostics(active, said(text, "1"))
    limits = dict.fromkeys(limits, 0.0)
    assert all(result.successful for result in tester.set_parameters(active, limits))
    tester.diagnostics(active, is_well)


def test_stamps_of_another_day_are_a_warning_where_ages_are_looked_at(
    active: NodeProcess, tester: Tester
) -> None:
    assert tester.set_parameter(active, "diagnostics_max_age", 60.0).successful
    stream(tester, active, noise)
    tester.diagnostics(active, said("years behind the clock of the node", "1"))
    assert tester.set_parameter(active, "diagnostics_max_age", 0.0).successful
    tester.diagnostics(active, is_well)


def test_a_stalled_camera_is_an_error_until_it_goes_on(active: NodeProcess, tester: Tester) -> None:
    tester.publish(active, "image", noise())
    tester.diagnostics(active, said("the camera has stalled", "2"))
    stream(tester, active, noise)
    tester.diagnostics(active, is_well)
