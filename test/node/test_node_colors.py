"""~/depth/color from frame to frame: colours that follow the depths in view."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs ROS 2 (rclpy)")

import tiny_models
from builtin_interfaces.msg import Time
from ros_helpers import NodeProcess, Tester, red_image
from sensor_msgs.msg import Image

from depth_estimation_ros.messages import decode_image
from depth_estimation_ros.visualization import colorize


@pytest.fixture(scope="module")
def red_model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tiny_models.red_depth(tmp_path_factory.mktemp("model") / "red.onnx"))


def scene(first_red: int, last_red: int) -> tuple[np.ndarray, np.ndarray]:
    """Reds, and the depths in metres that the network makes of them."""
    red = np.tile(np.linspace(first_red, last_red, 64).astype(np.uint8), (48, 1))
    return red, (1.0 + 8.0 * red / 255.0).astype(np.float32)


def own_colors(depth: np.ndarray) -> np.ndarray:
    near, far = np.percentile(depth, (2, 98))
    return colorize(depth, min_depth=near, max_depth=far)


def test_colours_go_over_to_another_scene_and_start_anew_when_time_jumps_back(
    node: NodeProcess, tester: Tester, red_model: str
) -> None:
    tester.bring(node, "active", model=red_model, color_range="percentile", camera_info_timeout=0.0)
    color = tester.collect(node, Image, "~/depth/color")

    def colors_of(red: np.ndarray, stamp_ns: int) -> np.ndarray:
        image = red_image(red)
        image.header.stamp = Time(sec=stamp_ns // 10**9, nanosec=stamp_ns % 10**9)
        return decode_image(tester.result_of(node, image, color)).astype(int)

    (near_red, near_depth), (far_red, far_depth) = scene(0, 80), scene(120, 255)
    seconds, frame = 100 * 10**9, 33_000_000
    np.testing.assert_array_equal(colors_of(near_red, seconds), own_colors(near_depth))
    # The next frame has the range of the first: all of it is at the far end of the colours.
    far_end = own_colors(near_depth)[0, -1].astype(int)
    difference = np.abs(colors_of(far_red, seconds + frame) - far_end).max()
    assert difference <= 3
    # A bag that begins again.
    np.testing.assert_array_equal(colors_of(far_red, seconds - 10**9), own_colors(far_depth))
