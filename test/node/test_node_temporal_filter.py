"""The temporal filter in the node: switched while it runs, for each camera by itself."""

from __future__ import annotations

import math

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs ROS 2 (rclpy)")

import tiny_models
from builtin_interfaces.msg import Time
from ros_helpers import NodeProcess, Tester, red_image
from sensor_msgs.msg import Image

from depth_estimation_ros.messages import decode_depth


@pytest.fixture(scope="module")
def red_model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tiny_models.red_depth(tmp_path_factory.mktemp("model") / "red.onnx"))


def meters(red: int) -> float:
    return 1.0 + 8.0 * red / 255.0


def between(one: int, other: int) -> float:
    """Halfway, in the logarithm."""
    return math.sqrt(meters(one) * meters(other))


def image_at(milliseconds: int, red: int, frame_id: str = "camera") -> Image:
    image = red_image(red)
    image.header.stamp = Time(sec=milliseconds // 1000, nanosec=milliseconds % 1000 * 1_000_000)
    image.header.frame_id = frame_id
    return image


def test_it_is_switched_on_and_off_between_two_frames(
    node: NodeProcess, tester: Tester, red_model: str
) -> None:
    tester.bring(node, "active", model=red_model, camera_info_timeout=0.0)
    depths = tester.collect(node, Image, "~/depth/image")

    def seen(milliseconds: int, red: int) -> np.ndarray:
        return decode_depth(tester.result_of(node, image_at(milliseconds, red), depths))

    def set_to(weight: float) -> None:
        result = tester.set_parameter(node, "temporal_filter", weight)
        assert result.successful, result.reason

    np.testing.assert_allclose(seen(10_000, 100), meters(100), rtol=1e-5)
    np.testing.assert_allclose(seen(10_050, 105), meters(105), rtol=1e-5)  # off as it comes
    set_to(0.5)
    np.testing.assert_allclose(seen(10_100, 100), meters(100), rtol=1e-5)  # no past yet
    np.testing.assert_allclose(seen(10_150, 105), between(100, 105), rtol=1e-5)
    np.testing.assert_allclose(seen(10_200, 200), meters(200), rtol=1e-5)  # a step
    set_to(0.0)
    np.testing.assert_allclose(seen(10_250, 205), meters(205), rtol=1e-5)
    set_to(0.5)
    np.testing.assert_allclose(seen(10_300, 200), meters(200), rtol=1e-5)
    np.testing.assert_allclose(seen(10_350, 205), between(200, 205), rtol=1e-5)


def test_time_that_jumps_back_or_far_ahead_has_no_past(
    node: NodeProcess, tester: Tester, red_model: str
) -> None:
    tester.bring(node, "active", model=red_model, camera_info_timeout=0.0, temporal_filter=0.5)
    depths = tester.collect(node, Image, "~/depth/image")
    for milliseconds, red, expected in (
        (20_000, 100, meters(100)),
        (20_400, 105, between(100, 105)),
        (5_000, 100, meters(100)),
        (5_400, 105, between(100, 105)),
        (6_000, 100, meters(100)),
    ):
        found = tester.result_of(node, image_at(milliseconds, red), depths)
        np.testing.assert_allclose(decode_depth(found), expected, rtol=1e-5)


def test_each_camera_has_its_own_past(node: NodeProcess, tester: Tester, red_model: str) -> None:
    tester.bring(
        node,
        "active",
        model=red_model,
        cameras=["front", "left"],
        camera_info_timeout=0.0,
        temporal_filter=0.5,
    )
    depths = {
        name: tester.collect(node, Image, f"~/{name}/depth/image") for name in ("front", "left")
    }
    for milliseconds, name, red, expected in (
        (30_000, "front", 100, meters(100)),
        (30_010, "left", 105, meters(105)),
        (30_050, "front", 105, between(100, 105)),
        (30_060, "left", 100, between(105, 100)),
    ):
        image = image_at(milliseconds, red, name)
        found = tester.result_of(node, image, depths[name], image_topic=f"{name}/image")
        np.testing.assert_allclose(decode_depth(found), expected, rtol=1e-5)


@pytest.mark.parametrize("weight", [-0.1, 1.0, math.nan])
def test_a_weight_that_would_forget_nothing_or_all_is_refused(
    node: NodeProcess, tester: Tester, weight: float
) -> None:
    result = tester.set_parameter(node, "temporal_filter", weight)
    assert not result.successful
    assert result.reason
