"""CameraSubscriptions: what the log advises when images or CameraInfo do not come."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("rclpy", reason="needs ROS 2 (rclpy)")

import rclpy
from ros_helpers import TIMEOUT, Tester, info_of, red_image
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from depth_estimation_ros.geometry.camera_model import CameraModel
from depth_estimation_ros.node import subscriptions
from depth_estimation_ros.node.diagnostics.statistics import Statistics
from depth_estimation_ros.node.parameters import Parameters
from depth_estimation_ros.node.subscriptions import CameraSubscriptions, ImageInput

NAMESPACE = f"/advice{os.getpid()}"
CAMERA = CameraModel.from_intrinsics(60.0, 62.0, 31.0, 24.0, 64, 48)


class Camera:
    """Subscriptions of a node in the test's process, and publishers of its camera."""

    def __init__(self, image_topic: str, **parameters: Any) -> None:
        remap = [f"image:={image_topic}", "camera_info:=camera_info"]
        arguments = [word for rule in remap for word in ("-r", rule)]
        self.node = rclpy.create_node(
            "depth_estimation", namespace=NAMESPACE, cli_args=["--ros-args", *arguments]
        )
        # In a context of its own: one participant has one type for a topic.
        self._context = rclpy.Context()
        rclpy.init(context=self._context)
        self._driver = rclpy.create_node("driver", context=self._context)
        self.images: list[ImageInput] = []
        self.subscriptions = CameraSubscriptions(
            self.node,
            lambda: Parameters(camera_info_timeout=0.0, **parameters),
            Statistics(),
            SimpleNamespace(image=lambda stamp: None),  # type: ignore[arg-type]
            self.images.append,
        )

    def publisher(self, message: type, topic: str) -> None:
        """Publish on a topic, of which the graph knows when this returns."""
        self._driver.create_publisher(message, f"{NAMESPACE}/{topic}", 1)
        end = time.monotonic() + TIMEOUT
        while self.node.count_publishers(f"{NAMESPACE}/{topic}") == 0:
            assert time.monotonic() < end
            time.sleep(0.01)

    def destroy(self) -> None:
        self.subscriptions.destroy()
        self.node.destroy_node()
        self._driver.destroy_node()
        rclpy.shutdown(context=self._context)


@pytest.fixture
def make(tester: Tester, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Camera]]:
    monkeypatch.setattr(subscriptions, "SILENCE_S", 0.0)
    cameras: list[Camera] = []

    def camera(image_topic: str = "image", **parameters: Any) -> Camera:
        cameras.append(Camera(image_topic, **parameters))
        return cameras[-1]

    yield camera
    for each in cameras:
        each.destroy()


def test_unpublished_topic_is_named_with_others(make: Callable[..., Camera]) -> None:
    camera = make()
    assert "nobody publishes it" in camera.subscriptions.silence()
    camera.publisher(Image, "image_raw")
    silence = camera.subscriptions.silence()
    assert silence.startswith(f"no image on {NAMESPACE}/image for ")
    assert f"Images are published on {NAMESPACE}/image_raw" in silence
    assert "fastdds" not in silence


def test_compressed_images_on_the_raw_topic_are_named(make: Callable[..., Camera]) -> None:
    camera = make("image_raw/compressed")
    camera.publisher(CompressedImage, "image_raw/compressed")
    silence = camera.subscriptions.silence()
    assert "sends sensor_msgs/msg/CompressedImage, this node expects" in silence
    assert f"Set image_transport to compressed and remap image to {NAMESPACE}/image_raw" in silence


@pytest.mark.parametrize(
    ("wanted", "message", "topic", "transport"),
    [
        ("raw", CompressedImage, "image/compressed", "compressed"),
        ("compressed", Image, "image", "raw"),
    ],
)
def test_only_the_other_transport_is_published(
    make: Callable[..., Camera], wanted: str, message: type, topic: str, transport: str
) -> None:
    camera = make(image_transport=wanted)
    camera.publisher(message, topic)
    assert camera.subscriptions.silence().endswith(
        f"only {NAMESPACE}/{topic} is published. Set image_transport to {transport}"
    )


def test_lost_images_and_a_stalled_camera_differ(make: Callable[..., Camera]) -> None:
    camera = make()
    camera.publisher(Image, "image")
    assert "fastdds_shm.xml" in camera.subscriptions.silence()
    camera.subscriptions._on_image(red_image())
    silence = camera.subscriptions.silence()
    assert "sends nothing: has the camera stalled" in silence
    assert "fastdds" not in silence


def test_missing_camera_info_names_topic_and_sibling(
    make: Callable[..., Camera], capfd: pytest.CaptureFixture[str]
) -> None:
    camera = make()
    camera.publisher(CameraInfo, "front/camera_info")
    for _ in range(2):
        camera.subscriptions._on_image(red_image())
    (line,) = (line for line in capfd.readouterr().err.splitlines() if "CameraInfo missing" in line)
    assert f"nothing received on {NAMESPACE}/camera_info" in line
    assert f"CameraInfo is published on {NAMESPACE}/front/camera_info" in line
    assert len(camera.images) == 2


@pytest.mark.parametrize(
    ("topic", "distortion", "rectified", "warned"),
    [
        ("front/image_rect", 0.1, False, True),
        ("front/image_rect_color", 0.1, False, True),
        ("front/image_rect", 0.1, True, False),
        ("front/image_rect", 0.0, False, False),
        ("direct/image_raw", 0.1, False, False),
    ],
)
def test_image_that_is_rectified_twice_is_warned_of(
    make: Callable[..., Camera],
    capfd: pytest.CaptureFixture[str],
    topic: str,
    distortion: float,
    rectified: bool,
    warned: bool,
) -> None:
    camera = make(topic, image_is_rectified=rectified)
    info = info_of(CAMERA)
    info.d = [distortion, 0.0, 0.0, 0.0, 0.0]
    camera.subscriptions._on_camera_info(info)
    for number in range(12):
        image = red_image(number)
        camera.subscriptions._on_image(image)
        time.sleep(0.1 if warned else 0.0)
    lines = capfd.readouterr().err.count("Set image_is_rectified to true")
    assert lines == (1 if warned else 0)
    issues = camera.subscriptions.monitor.issues(time.monotonic())
    assert any("looks rectified" in issue.text for issue in issues) is warned
