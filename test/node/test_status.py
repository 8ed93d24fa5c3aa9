"""What /diagnostics says: counters, percentiles, and the level of each situation."""

from __future__ import annotations

import mmap
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs ROS 2 (rclpy)")

from diagnostic_msgs.msg import DiagnosticStatus

from depth_estimation_ros.engines import ModelInfo
from depth_estimation_ros.node.diagnostics.image_monitor import (
    ClockReading,
    ImageIssue,
    ImageMonitor,
)
from depth_estimation_ros.node.diagnostics.statistics import (
    BAD_FRAME_S,
    RATE_S,
    STAGES,
    WINDOW,
    Statistics,
    rss_mb,
)
from depth_estimation_ros.node.diagnostics.status import (
    CameraStatus,
    depth_status,
    make_statuses,
    output_issues,
)
from depth_estimation_ros.node.parameters import Parameters


def status_of(statistics: Statistics, **situation: Any) -> DiagnosticStatus:
    usual = {
        "name": "/robot/depth_estimation: depth",
        "state": "active",
        "engine": "tiny on ONNX Runtime",
        "camera_state": "calibrated",
    }
    return depth_status(statistics, **{**usual, **situation})


def test_percentiles_are_over_the_window() -> None:
    statistics = Statistics()
    latencies = np.random.default_rng(1).uniform(1.0, 100.0, 2 * WINDOW)
    for latency in latencies:
        statistics.engine_ran(latency / 2.0)
        statistics.published(latency, {})
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


@pytest.mark.parametrize("state", ["missing", "uncalibrated", "unsupported"])
def test_camera_without_a_cloud_is_a_warning(state: str) -> None:
    message = status_of(Statistics(), camera_state=state)
    assert message.level == DiagnosticStatus.WARN
    assert message.message == f"CameraInfo {state}: no point cloud"


def test_issues_are_merged_at_the_worst_level() -> None:
    statistics = Statistics()
    black, slow = ImageIssue("the images are black", is_error=True), ImageIssue("too slow")
    message = status_of(statistics, issues=[slow], camera_state="missing")
    assert message.level == DiagnosticStatus.WARN
    assert message.message == "too slow; CameraInfo missing: no point cloud"
    statistics.bad_frame("image encoding: found rgb9")
    message = status_of(statistics, issues=[black, slow, black])
    assert message.level == DiagnosticStatus.ERROR
    assert message.message == "image encoding: found rgb9; the images are black; too slow"


def test_inactive_and_paused_are_ok() -> None:
    message = status_of(Statistics(), state="inactive")
    assert (message.level, message.message) == (DiagnosticStatus.OK, "inactive")
    message = status_of(Statistics(), enabled=False)
    assert (message.level, message.message) == (DiagnosticStatus.OK, "active, paused")


@pytest.mark.parametrize(
    "handle",
    [
        lambda statistics: statistics.published(3.0, {}),
        lambda statistics: statistics.skipped("skipped_no_subscriber"),
    ],
)
def test_bad_frame_is_an_error_until_the_next(
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


def test_failure_is_an_error_until_recovered(monkeypatch: pytest.MonkeyPatch) -> None:
    statistics, now = Statistics(), time.monotonic
    statistics.failed("cannot configure: no such file")
    statistics.bad_frame("image encoding: found rgb9")
    statistics.published(3.0, {})
    monkeypatch.setattr(time, "monotonic", lambda: now() + 1000.0)
    message = status_of(statistics)
    assert message.level == DiagnosticStatus.ERROR
    assert message.message == "cannot configure: no such file"
    statistics.recovered()
    assert status_of(statistics).level == DiagnosticStatus.OK


def test_memory_of_this_process() -> None:
    before = rss_mb()
    block = mmap.mmap(-1, 50_000_000)  # from the kernel: malloc may have as much left over
    np.frombuffer(block, np.uint8)[:] = 1
    assert 45.0 < rss_mb() - before < 60.0


class At:
    """time.monotonic() as a test sets it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        monkeypatch.setattr(time, "monotonic", lambda: self.now)


def image() -> Any:
    header = SimpleNamespace(stamp=SimpleNamespace(sec=1, nanosec=0), frame_id="camera_optical")
    rgb = np.random.default_rng(1).integers(0, 256, (4, 4, 3), np.uint8)
    return SimpleNamespace(header=header, data=rgb.tobytes(), height=4, width=4)


def values_of(message: DiagnosticStatus) -> dict[str, str]:
    return {pair.key: pair.value for pair in message.values}


def all_of(statistics: Statistics, **situation: Any) -> dict[str, DiagnosticStatus]:
    usual: dict[str, Any] = {"state": "active", "model_info": None}
    parameters = situation.pop("parameters", Parameters())
    camera = CameraStatus("", statistics, "calibrated", situation.pop("monitor", None))
    messages = make_statuses(
        "/robot/depth", statistics, parameters, [camera], **{**usual, **situation}
    )
    return {message.name.removeprefix("/robot/depth: "): message for message in messages}


def test_parts_without_news_are_stale() -> None:
    messages = all_of(Statistics(), state="unconfigured")
    assert list(messages) == ["depth", "camera", "timing", "network"]
    assert messages.pop("depth").level == DiagnosticStatus.OK
    assert {message.level for message in messages.values()} == {DiagnosticStatus.STALE}
    assert {message.hardware_id for message in messages.values()} == {"none"}
    assert messages["timing"].message == "nothing published yet"


def test_camera_status_is_merged_into_the_node(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    at = At(monkeypatch)
    monitor = ImageMonitor(at.now)
    monitor.received(image(), at.now + 0.5, ClockReading(1.25))
    at.now += 1.0
    camera = all_of(Statistics(), monitor=monitor)["camera"]
    assert (camera.level, camera.message) == (DiagnosticStatus.OK, "OK")
    assert camera.hardware_id == "camera_optical"
    values = values_of(camera)
    assert values["stamp_age_s"] == "0.250"
    assert values["input_rate_hz"] == "1.00"
    assert values["camera_info"] == "calibrated"
    at.now += 6.0
    messages = all_of(Statistics(), monitor=monitor)
    for name in ("camera", "depth"):
        assert messages[name].level == DiagnosticStatus.ERROR
        assert messages[name].message == "no image for 6 s: the camera has stalled"


def test_stage_times_are_forgotten_when_time_jumps() -> None:
    statistics = Statistics()
    for number in range(100):
        times = dict.fromkeys(STAGES, 1.0 + number)
        if number % 2:
            del times["receive"]  # the clocks did not allow to tell
        statistics.published(1.0, times)
    values = statistics.stage_values()
    assert set(values) == {f"{name}_ms_p{p}" for name in STAGES for p in (50, 99)}
    assert (values["infer_ms_p50"], values["infer_ms_p99"]) == ("50.50", "99.01")
    assert values["receive_ms_p50"] == "50.00"
    statistics.time_jumped()
    assert set(statistics.stage_values().values()) == {""}


def test_cameras_have_statuses_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    at = At(monkeypatch)
    monitor, total = ImageMonitor(at.now), Statistics()
    monitor.received(image(), at.now + 0.5, ClockReading(1.25))
    cameras = [
        CameraStatus("front", Statistics(total), "calibrated", monitor),
        CameraStatus("left", Statistics(total), "missing"),
    ]
    at.now += 7.0
    messages = make_statuses(
        "/robot/depth", total, Parameters(), cameras, state="active", model_info=None
    )
    named = {message.name.removeprefix("/robot/depth: "): message for message in messages}
    tasks = ["depth", "front depth", "front camera", "left depth", "left camera"]
    assert list(named) == [*tasks, "timing", "network"]
    assert named["depth"].level == DiagnosticStatus.ERROR
    assert named["depth"].message == (
        "front: no image for 6 s: the camera has stalled; left: CameraInfo missing: no point cloud"
    )


def test_late_or_rare_depth_is_a_warning(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    at = At(monkeypatch)
    statistics, monitor = Statistics(), ImageMonitor(at.now)
    for _ in range(20):
        at.now += 0.5
        monitor.received(image(), at.now, ClockReading(0.0))
        statistics.published(60.0, {"end_to_end": 80.0})
    assert output_issues(statistics, monitor, 0.0, 0.0) == []
    assert output_issues(statistics, monitor, 1.9, 90.0) == []
    slow, late = output_issues(statistics, monitor, 10.0, 50.0)
    assert slow.text == "depth is published at 2.0 Hz, less than 10"
    assert late.text == "the latency of the depth is 80 ms (p99), more than 50"
    limits = Parameters(diagnostics_min_rate=10.0, diagnostics_max_latency=50.0)
    timing = all_of(statistics, monitor=monitor, parameters=limits)["timing"]
    assert timing.level == DiagnosticStatus.WARN
    assert timing.message == f"{slow.text}; {late.text}"
    assert values_of(timing)["output_rate_hz"] == "2.00"
    # Of frames that nobody wants, nothing goes out, and that is right.
    statistics.skipped("skipped_no_subscriber")
    assert output_issues(statistics, monitor, 10.0, 0.0) == []
    at.now += RATE_S
    monitor.received(image(), at.now, ClockReading(0.0))
    (none,) = output_issues(statistics, monitor, 10.0, 50.0)  # dropped, all of them
    assert none.text == "depth is published at 0.0 Hz, less than 10"


class FakeEngine:
    card = SimpleNamespace(name="compact", model_version="1.0")
    description = "compact 1.0 on a fake"
    plan_sha256 = "ab" * 32
    path = Path()
    asked = 0

    def gpu_memory(self) -> tuple[int, int]:
        self.asked += 1
        return 6_000_000_000, 8_000_000_000


def test_network_status_has_hashes_and_gpu_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    at, engine, path = At(monkeypatch), FakeEngine(), tmp_path / "compact.onnx"
    path.write_bytes(b"abc")
    engine.path = path
    facts = ModelInfo(engine)  # type: ignore[arg-type]
    assert "gpu_memory_used_mb" not in facts.values()
    for _ in range(3):
        facts.refresh()
    assert engine.asked == 1
    message = all_of(Statistics(), model_info=facts)["network"]
    assert (message.level, message.hardware_id) == (DiagnosticStatus.OK, "compact 1.0 on a fake")
    assert values_of(message) == {
        "model": "compact 1.0",
        "model_file": str(path),
        # of "abc", FIPS 180-2, appendix B.1
        "model_sha256": "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
        "engine_sha256": "ab" * 32,
        "engine": "compact 1.0 on a fake",
        "gpu_memory_used_mb": "2000",
        "gpu_memory_total_mb": "8000",
    }
    at.now += 1.0
    facts.refresh()
    assert engine.asked == 2
