"""The node's way of a frame: what is published in which order, beside the network at work."""

from __future__ import annotations

import copy
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs ROS 2 (rclpy)")

import tiny_models
from rclpy.logging import get_logger
from ros_helpers import info_of, red_image

from depth_estimation_ros.geometry.camera_model import CameraModel
from depth_estimation_ros.messages import decode_depth, read_points
from depth_estimation_ros.node.diagnostics.statistics import Statistics
from depth_estimation_ros.node.frame_processor import FrameProcessor, open_frame_processors
from depth_estimation_ros.node.frames import OUTPUTS
from depth_estimation_ros.node.parameters import Parameters
from depth_estimation_ros.node.subscriptions import Frame
from depth_estimation_ros.node.worker import PublishJob, Worker

TIMEOUT = 10.0
CAMERA = CameraModel.from_intrinsics(60.0, 62.0, 31.0, 24.0, 64, 48)
ALL = ("depth", "camera_info", "points", "color")


class Listener:
    """Stands where a publisher of the node would; `hears` is called with each message."""

    def __init__(self, name: str, wanted: bool, hears: Callable[[str, Any], None]) -> None:
        self._name, self._wanted, self._hears = name, wanted, hears

    def get_subscription_count(self) -> int:
        return int(self._wanted)

    def publish(self, message: Any) -> None:
        self._hears(self._name, copy.deepcopy(message))  # DDS takes a copy, too


class Listeners:
    """Of all four outputs; `heard` are name and message in order."""

    def __init__(self, *wanted: str) -> None:
        self.heard: list[tuple[str, Any]] = []
        self.before: Callable[[str], None] = lambda name: None
        for name in ALL:
            setattr(self, name, Listener(name, name in wanted, self._hear))

    def wanted(self) -> set[str]:
        return {name for name in ALL if getattr(self, name).get_subscription_count()}

    def of(self, name: str) -> list[Any]:
        return [message for heard, message in self.heard if heard == name]

    def _hear(self, name: str, message: Any) -> None:
        self.before(name)
        self.heard.append((name, message))


@contextmanager
def opened(
    folder: Path, outputs: Listeners, statistics: Statistics | None = None, **parameters: Any
) -> Iterator[FrameProcessor]:
    model = str(tiny_models.red_depth(folder / "red.onnx"))
    logger = get_logger("frame_path")
    values = Parameters(model=model, **parameters)
    cameras: Any = {"": (outputs, statistics or Statistics())}
    with open_frame_processors(cameras, lambda: values, logger, lambda limit: None) as paths:
        yield paths[""]


def frame(red: int = 100, info: Any = None) -> Frame:
    return Frame(red_image(red), info or info_of(CAMERA), time.monotonic())


def meters(red: int) -> float:
    return 1.0 + 8.0 * red / 255.0


def test_depth_goes_out_first_and_the_colours_last(tmp_path: Path) -> None:
    outputs = Listeners(*ALL)
    with opened(tmp_path, outputs) as path:
        path.process(frame())()
    assert [name for name, _ in outputs.heard] == list(ALL)
    assert set(ALL) == OUTPUTS["calibrated"]


def test_nothing_goes_out_before_the_rest_is_called(tmp_path: Path) -> None:
    outputs, statistics = Listeners(*ALL), Statistics()
    with opened(tmp_path, outputs, statistics) as path:
        rest = path.process(frame())
        assert outputs.heard == []
        assert statistics.values()["engine_runs"] == "1"
        assert statistics.values()["frames_published"] == "0"
        rest()
    assert statistics.values()["frames_published"] == "1"


def test_a_frame_that_nobody_wants_is_counted(tmp_path: Path) -> None:
    outputs, statistics = Listeners(), Statistics()
    with opened(tmp_path, outputs, statistics) as path:
        path.process(frame())()
    assert statistics.values()["skipped_no_subscriber"] == "1"
    assert statistics.values()["engine_runs"] == "0"


def test_latency_ends_when_the_depth_is_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outputs, statistics = Listeners(*ALL), Statistics()
    clock = SimpleNamespace(monotonic=lambda: 100.0 + len(outputs.heard))  # a second a message
    with opened(tmp_path, outputs, statistics) as path:
        rest = path.process(replace(frame(), received_at=98.0))
        monkeypatch.setattr("depth_estimation_ros.node.frame_processor.time", clock)
        rest()
    assert len(outputs.heard) == 4
    assert statistics.values()["latency_ms_p50"] == "3000.00"


def test_a_bad_frame_is_news_though_the_one_before_is_published_later(tmp_path: Path) -> None:
    outputs, statistics = Listeners("depth"), Statistics()
    bad = frame()
    bad.image.encoding = "rgb9"
    with opened(tmp_path, outputs, statistics) as path:
        rests = [path.process(frame()), path.process(bad)]
        for rest in rests:
            rest()
        assert "rgb9" in str(statistics.error)
        path.process(frame())()
    assert statistics.error is None
    assert statistics.values()["dropped_bad"] == "1"
    assert statistics.values()["frames_published"] == "2"


def test_rests_of_two_frames_keep_their_own_depth(tmp_path: Path) -> None:
    outputs = Listeners("depth", "points")
    with opened(tmp_path, outputs) as path:
        rests = [path.process(frame(red)) for red in (0, 255)]
        path.process(frame(51))
        for rest in rests:
            rest()
    for red, image, cloud in zip((0, 255), outputs.of("depth"), outputs.of("points"), strict=True):
        np.testing.assert_allclose(decode_depth(image), meters(red), rtol=1e-5)
        np.testing.assert_allclose(read_points(cloud)[0][..., 2], meters(red), rtol=1e-5)


def test_a_cloud_is_published_while_the_network_is_at_work_on_the_next_frame(
    tmp_path: Path,
) -> None:
    outputs, statistics = Listeners("depth", "points"), Statistics()
    first_cloud, next_inference = threading.Event(), threading.Event()
    inferred: list[int] = []

    def hold_the_first_cloud(name: str) -> None:
        if name == "points" and not outputs.of("points"):
            first_cloud.set()
            assert next_inference.wait(TIMEOUT), "the network waited for the cloud"

    @contextmanager
    def session() -> Iterator[Callable[[Frame], PublishJob]]:
        with opened(tmp_path, outputs, statistics) as path:
            infer = path.engine.infer

            def noted(batch: np.ndarray) -> np.ndarray:
                inferred.append(int(batch[0, 0, 0, 0]))
                if len(inferred) == 2:
                    next_inference.set()
                return infer(batch)

            path.engine.infer = noted  # type: ignore[method-assign]
            yield path.process

    outputs.before = hold_the_first_cloud
    failures: list[Exception] = []
    worker: Worker[Frame] = Worker(session, failures.append)
    worker.start()
    worker.submit(frame(0))
    assert first_cloud.wait(TIMEOUT)
    worker.submit(frame(255))
    assert next_inference.wait(TIMEOUT)
    worker.drain()
    worker.stop()
    assert failures == []
    assert inferred == [0, 255]
    assert [name for name, _ in outputs.heard] == ["depth", "points"] * 2
    means = [float(decode_depth(image).mean()) for image in outputs.of("depth")]
    assert means == pytest.approx([1.0, 9.0], rel=1e-5)
    assert statistics.values()["frames_published"] == "2"
