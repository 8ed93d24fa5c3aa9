"""The path of a frame: decoding, output messages, and what the node publishes in which order."""

from __future__ import annotations

import copy
import logging
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest
import tiny_models

from depth_estimation_ros.engines import ModelInfo, open_engine
from depth_estimation_ros.errors import CalibrationError, ImageError
from depth_estimation_ros.estimation import DepthEstimator, DepthResult
from depth_estimation_ros.geometry.camera_model import CameraModel, deproject
from depth_estimation_ros.messages import (
    ROSBAGS,
    camera_info,
    camera_model,
    color_image,
    decode_depth,
    read_points,
)
from depth_estimation_ros.messages import decode_image as decode_color
from depth_estimation_ros.node.diagnostics.image_monitor import ImageMonitor
from depth_estimation_ros.node.diagnostics.statistics import Statistics
from depth_estimation_ros.node.frame_processor import (
    OUTPUTS,
    DecodedImage,
    DepthFrame,
    FrameProcessor,
    decode_image,
    read_camera,
)
from depth_estimation_ros.node.parameters import Parameters
from depth_estimation_ros.visualization import ColorSettings, DepthColors, colorize

pytest.importorskip("rosbags.typesys", reason="needs rosbags")

RNG = np.random.default_rng(3)
H, W = 6, 8
HEADER = SimpleNamespace(stamp=SimpleNamespace(sec=7, nanosec=8), frame_id="camera_optical")
RGB = RNG.integers(0, 256, (H, W, 3), np.uint8)
IMAGE = color_image(RGB, HEADER, ROSBAGS)
CAMERA = CameraModel.from_intrinsics(9.0, 9.5, 3.0, 2.0, W, H)
INFO = camera_info(CAMERA, HEADER, ROSBAGS)
DEPTH = RNG.uniform(1, 5, (H, W)).astype(np.float32)


def info_of(**changes: object) -> object:
    return camera_info(replace(CAMERA, **changes), HEADER, ROSBAGS)


def compressed() -> SimpleNamespace:
    data = cv2.imencode(".png", RGB[..., ::-1])[1].reshape(-1)
    return SimpleNamespace(header=HEADER, format="png", data=data)


def decode(image: Any, info: Any, **options: Any) -> DecodedImage:
    return decode_image(image, read_camera(info, **options))


def estimated(info: object = INFO, depth: np.ndarray = DEPTH) -> DepthFrame:
    image = decode(IMAGE, info)
    model = image.camera.model
    camera = model and model.scaled(depth.shape[1], depth.shape[0])
    return DepthFrame(image, DepthResult(depth, camera, 1.0, 0.1, 10.0))


# Decoding


@pytest.mark.parametrize("image", [IMAGE, compressed()], ids=["raw", "compressed"])
def test_any_transport_is_decoded(image: object) -> None:
    decoded = decode(image, INFO)
    assert np.array_equal(decoded.rgb, RGB)
    assert decoded.stamp_ns == 7_000_000_008
    assert np.array_equal(decoded.camera.model.K, CAMERA.K)
    assert (decoded.camera.state, decoded.camera.problem) == ("calibrated", "")


def test_raw_image_is_not_copied() -> None:
    assert np.shares_memory(decode(IMAGE, INFO).rgb, RGB)


def test_missing_or_uncalibrated_camera_is_none() -> None:
    uncalibrated = camera_info(CameraModel(W, H, np.zeros((3, 3))), HEADER, ROSBAGS)
    for info, state in ((None, "missing"), (uncalibrated, "uncalibrated")):
        camera = read_camera(info)
        assert (camera.model, camera.state) == (None, state)


def test_unknown_distortion_model_keeps_the_camera() -> None:
    camera = read_camera(info_of(D=np.ones(5), distortion_model="fish_eye_9"))
    assert (camera.state, camera.model.fx) == ("unsupported", 9.0)
    assert "fish_eye_9" in camera.problem


def test_rectified_image_has_the_camera_p() -> None:
    P = np.array([[5.0, 0, 3, 0], [0, 5, 2, 0], [0, 0, 1, 0]])
    info = info_of(P=P, D=np.ones(5), distortion_model="plumb_bob")
    camera = read_camera(info, image_is_rectified=True).model
    assert (camera.fx, camera.D.any()) == (5.0, False)


def test_bad_image_or_camera_is_refused() -> None:
    with pytest.raises(ImageError, match="found 'rgb9'"):
        decode(SimpleNamespace(header=HEADER, encoding="rgb9", width=W, height=H), INFO)
    with pytest.raises(CalibrationError, match=f"expected {W} x {H} as the image"):
        decode(IMAGE, camera_info(CAMERA.scaled(4, 3), HEADER, ROSBAGS))


# Messages


def test_all_messages_carry_stamp_and_frame_of_image() -> None:
    frame = estimated(info_of())
    made = [
        frame.depth(factory=ROSBAGS),
        frame.camera_info(ROSBAGS),
        frame.points(factory=ROSBAGS),
        frame.color(DepthColors(), ROSBAGS),
    ]
    assert [m.header.stamp.nanosec for m in made] == [8] * 4
    assert {m.header.frame_id for m in made} == {"camera_optical"}


def test_depth_and_colours() -> None:
    frame = estimated()
    assert np.array_equal(decode_depth(frame.depth(factory=ROSBAGS)), DEPTH)
    assert frame.depth("16UC1", ROSBAGS).encoding == "16UC1"
    for limit, far in [(0.0, 10.0), (4.0, 4.0)]:
        drawn = DepthColors(ColorSettings(color_map="viridis", max_depth=limit))
        colors = decode_color(frame.color(drawn, ROSBAGS))
        assert np.array_equal(colors, colorize(DEPTH, max_depth=far, color_map="viridis"))


@pytest.mark.parametrize("stride", [1, 3])
def test_cloud_has_the_colours_of_the_image(stride: int) -> None:
    xyz, rgb = read_points(estimated().points(stride, factory=ROSBAGS))
    expected = deproject(DEPTH, CAMERA.rays())[::stride, ::stride]
    np.testing.assert_allclose(xyz, expected, rtol=1e-6)
    assert np.array_equal(rgb, RGB[::stride, ::stride])


def test_smaller_depth_scales_camera_and_colours() -> None:
    frame = estimated(depth=DEPTH[:3, :4])
    camera = camera_model(frame.camera_info(ROSBAGS))
    assert np.allclose(camera.K, CAMERA.scaled(4, 3).K)
    xyz, rgb = read_points(frame.points(factory=ROSBAGS))
    assert xyz.shape == (3, 4, 3)
    assert np.array_equal(rgb, cv2.resize(RGB, (4, 3), interpolation=cv2.INTER_AREA))


def test_voxels_make_an_unorganised_cloud() -> None:
    cloud = estimated().points(voxel_size=100.0, factory=ROSBAGS)
    assert cloud.height == 1
    assert 1 <= cloud.width < H * W


def test_uncalibrated_camera_has_no_cloud() -> None:
    frame = estimated(None)
    with pytest.raises(CalibrationError, match="found CameraInfo missing"):
        frame.points(factory=ROSBAGS)
    with pytest.raises(CalibrationError, match="found CameraInfo missing"):
        frame.camera_info(ROSBAGS)


def test_outputs_by_state_of_the_camera() -> None:
    unsupported = info_of(D=np.ones(5), distortion_model="fish_eye_9")
    uncalibrated = camera_info(CameraModel(W, H, np.zeros((3, 3))), HEADER, ROSBAGS)
    for info in (INFO, unsupported, uncalibrated, None):
        frame = estimated(info)
        makers = {
            "depth": lambda f=frame: f.depth(factory=ROSBAGS),
            "camera_info": lambda f=frame: f.camera_info(ROSBAGS),
            "points": lambda f=frame: f.points(factory=ROSBAGS),
            "color": lambda f=frame: f.color(DepthColors(), ROSBAGS),
        }
        for name, make in makers.items():
            if name in OUTPUTS[frame.image.camera.state]:
                assert make().header.frame_id == "camera_optical"
            else:
                with pytest.raises(CalibrationError):
                    make()


# The node's processor


class Publisher:
    """Stands for a publisher of the node; `on_publish` is called with each message."""

    def __init__(self, name: str, on_publish: Callable[[str, Any], None]) -> None:
        self._name, self._on_publish = name, on_publish

    def publish(self, message: Any) -> None:
        self._on_publish(self._name, copy.deepcopy(message))  # DDS takes a copy, too


class FakePublishers:
    """Publishers with subscribers of some outputs; `published` are name and message in order."""

    def __init__(self, *outputs: str) -> None:
        self.outputs = frozenset(outputs)
        self.published: list[tuple[str, Any]] = []
        for name in OUTPUTS["calibrated"]:
            setattr(self, name, Publisher(name, lambda *sent: self.published.append(sent)))

    def subscribed(self) -> frozenset[str]:
        return self.outputs

    def of(self, output: str) -> list[Any]:
        return [message for name, message in self.published if name == output]


class FakeLogger(logging.Logger):
    def warning(self, message: str, **throttle: Any) -> None:
        super().warning(message)


class Node:
    """A frame processor with all that it is given by the node."""

    def __init__(self, folder: Path, *outputs: str, **parameters: Any) -> None:
        pytest.importorskip("rclpy", reason="needs ROS 2 (rclpy)")
        model = tiny_models.red_depth(folder / "red.onnx")
        self.publishers, self.statistics = FakePublishers(*outputs), Statistics()
        self.parameters = Parameters(model=str(model), **parameters)
        engine = open_engine(model)
        self.processor = FrameProcessor(
            DepthEstimator(engine),
            self.publishers,
            lambda: self.parameters,
            self.statistics,
            FakeLogger("node"),
            ModelInfo(engine),
        )

    def run(self, image: Any) -> None:
        job = self.processor.process(image)
        if job is not None:
            self.processor.publish(job)

    def count(self, name: str) -> str:
        return self.statistics.values()[name]


def received(red: int = 100, info: Any = None) -> Any:
    from ros_helpers import info_of, red_image

    camera = CameraModel.from_intrinsics(60.0, 62.0, 31.0, 24.0, 64, 48)
    return SimpleNamespace(
        image=red_image(red),
        camera_info=info or info_of(camera),
        received_at=time.monotonic(),
        stamp_age=None,
        monitor=ImageMonitor(time.monotonic()),
        camera="",
    )


def test_outputs_are_published_depth_first(tmp_path: Path) -> None:
    node = Node(tmp_path, *OUTPUTS["calibrated"])
    job = node.processor.process(received())
    assert node.publishers.published == []
    assert (node.count("engine_runs"), node.count("frames_published")) == ("1", "0")
    node.processor.publish(job)
    order = [name for name, _ in node.publishers.published]
    assert order == ["depth", "camera_info", "points", "color"]
    assert node.count("frames_published") == "1"


def test_frame_without_subscriber_is_skipped(tmp_path: Path) -> None:
    node = Node(tmp_path)
    assert node.processor.process(received()) is None
    assert (node.count("skipped_no_subscriber"), node.count("engine_runs")) == ("1", "0")


def test_camera_info_alone_needs_no_network(tmp_path: Path) -> None:
    node = Node(tmp_path, "camera_info", output_size="network")
    node.run(received())
    assert (node.count("frames_published"), node.count("engine_runs")) == ("1", "0")
    (info,) = node.publishers.of("camera_info")
    assert (info.width, info.height) == (64, 48)


def test_latency_ends_with_the_depth(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    node = Node(tmp_path, *OUTPUTS["calibrated"])
    image = received()
    image.received_at = 98.0
    job = node.processor.process(image)
    published = node.publishers.published
    clock = SimpleNamespace(monotonic=lambda: 100.0 + len(published))  # a second per message
    monkeypatch.setattr("depth_estimation_ros.node.frame_processor.time", clock)
    node.processor.publish(job)
    assert len(published) == 4
    assert node.count("latency_ms_p50") == "3000.00"


def test_later_bad_frame_stays_an_error(tmp_path: Path) -> None:
    node = Node(tmp_path, "depth")
    bad = received()
    bad.image.encoding = "rgb9"
    job = node.processor.process(received())
    assert node.processor.process(bad) is None
    node.processor.publish(job)  # of the frame before
    assert "rgb9" in str(node.statistics.error)
    node.run(received())
    assert node.statistics.error is None
    assert (node.count("dropped_bad"), node.count("frames_published")) == ("1", "2")


def test_jobs_keep_their_own_depth(tmp_path: Path) -> None:
    node = Node(tmp_path, "depth", "points")
    jobs = [node.processor.process(received(red)) for red in (0, 255)]
    node.processor.process(received(51))
    for job in jobs:
        node.processor.publish(job)
    pairs = zip((1.0, 9.0), node.publishers.of("depth"), node.publishers.of("points"), strict=True)
    for metres, image, cloud in pairs:
        np.testing.assert_allclose(decode_depth(image), metres, rtol=1e-5)
        np.testing.assert_allclose(read_points(cloud)[0][..., 2], metres, rtol=1e-5)


def test_each_unsupported_lens_is_logged_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = Node(tmp_path, "depth")
    warnings: list[str] = []
    monkeypatch.setattr(FakeLogger, "warning", lambda self, text, **_: warnings.append(text))
    for model in ("fish_eye_9", "fish_eye_9", "fish_eye_10"):
        image = received()
        image.camera_info.distortion_model, image.camera_info.d = model, [0.1] * 4
        node.run(image)
    assert ["fish_eye_9" in text for text in warnings] == [True, False]
    assert "fish_eye_10" in warnings[1]
