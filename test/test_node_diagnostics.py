"""What /diagnostics says: counters, percentiles, and the level of each situation."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs ROS 2 (rclpy)")

from diagnostic_msgs.msg import DiagnosticStatus

from depth_estimation_ros.diagnostics import (
    BAD_FRAME_S,
    SILENCE_S,
    WINDOW,
    Statistics,
    rss_mb,
    status,
)


def status_of(statistics: Statistics, **situation: Any) -> DiagnosticStatus:
    usual = {
        "name": "/robot/depth_estimation: depth",
        "state": "active",
        "engine": "tiny on ONNX Runtime",
        "camera_info": "calibrated",
        "last_image_at": time.monotonic(),
    }
    return status(statistics, **{**usual, **situation})


def test_percentiles_are_over_all_frames_of_the_window() -> None:
    statistics = Statistics()
    latencies = np.random.default_rng(1).uniform(1.0, 100.0, 2 * WINDOW)
    for latency in latencies:
        statistics.engine_ran(latency / 2.0)
        statistics.published(latency)
    values = statistics.values()
    last = latencies[-WINDOW:]
    assert float(values["latency_ms_p50"]) == pytest.approx(np.percentile(last, 50), abs=0.01)
    assert float(values["latency_ms_p99"]) == pytest.approx(np.percentile(last, 99), abs=0.01)
    assert float(values["engine_ms_p50"]) == pytest.approx(np.percentile(last, 50) / 2, abs=0.01)
    assert values["frames_published"] == values["engine_runs"] == str(2 * WINDOW)


def test_ok_while_frames_flow() -> None:
    message = status_of(Statistics())
    assert message.level == DiagnosticStatus.OK
    assert message.message == "active"
    assert message.name == "/robot/depth_estimation: depth"
    assert message.hardware_id == "tiny on ONNX Runtime"


@pytest.mark.parametrize("camera_info", ["missing", "uncalibrated", "unsupported"])
def test_warns_of_a_camera_without_a_cloud(camera_info: str) -> None:
    message = status_of(Statistics(), camera_info=camera_info)
    assert message.level == DiagnosticStatus.WARN
    assert message.message == f"CameraInfo {camera_info}: no point cloud"


def test_warns_of_silence_but_not_while_inactive() -> None:
    long_ago = time.monotonic() - SILENCE_S - 3.0
    message = status_of(Statistics(), last_image_at=long_ago)
    assert message.level == DiagnosticStatus.WARN
    assert message.message == f"no image for {SILENCE_S + 3.0:.0f} s"
    message = status_of(Statistics(), state="inactive", last_image_at=None)
    assert (message.level, message.message) == (DiagnosticStatus.OK, "inactive")


@pytest.mark.parametrize(
    "handle",
    [
        lambda statistics: statistics.published(3.0),
        lambda statistics: statistics.skipped("skipped_no_subscriber"),
    ],
)
def test_bad_frame_is_an_error_until_the_next_frame_is_handled_and_its_text_stays(
    handle: Callable[[Statistics], None],
) -> None:
    statistics = Statistics()
    statistics.bad_frame("image encoding: found rgb9")
    message = status_of(statistics)
    assert message.level == DiagnosticStatus.ERROR
    assert message.message == "image encoding: found rgb9"
    handle(statistics)
    message = status_of(statistics)
    assert message.level == DiagnosticStatus.OK
    assert {v.key: v.value for v in message.values}["last_error"] == "image encoding: found rgb9"


def test_bad_frame_is_an_error_for_a_while_only(monkeypatch: pytest.MonkeyPatch) -> None:
    statistics = Statistics()
    statistics.bad_frame("image encoding: found rgb9")
    now = time.monotonic
    monkeypatch.setattr(time, "monotonic", lambda: now() + BAD_FRAME_S - 1.0)
    assert status_of(statistics).level == DiagnosticStatus.ERROR
    monkeypatch.setattr(time, "monotonic", lambda: now() + BAD_FRAME_S)
    assert status_of(statistics).level == DiagnosticStatus.OK


def test_failure_is_an_error_until_the_node_has_recovered(monkeypatch: pytest.MonkeyPatch) -> None:
    statistics, now = Statistics(), time.monotonic
    statistics.failed("cannot configure: no such file")
    statistics.bad_frame("image encoding: found rgb9")
    statistics.published(3.0)
    monkeypatch.setattr(time, "monotonic", lambda: now() + 1000.0)
    message = status_of(statistics)
    assert message.level == DiagnosticStatus.ERROR
    assert message.message == "cannot configure: no such file"
    statistics.recovered()
    assert status_of(statistics).level == DiagnosticStatus.OK


def test_memory_of_this_process() -> None:
    before = rss_mb()
    block = np.ones(50_000_000, np.uint8)
    assert 45.0 < rss_mb() - before < 60.0
    del block
