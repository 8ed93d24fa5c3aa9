"""The statuses on /diagnostics: of the node, its cameras, the timing, and the network.

Names, levels and messages are those of diagnostic_updater: one status per task, named after the
node and the task; the message joins all issues, at the worst level. STALE: nothing recent.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from diagnostic_msgs.msg import DiagnosticStatus, KeyValue

from depth_estimation_ros.engines import ModelInfo
from depth_estimation_ros.estimation.scale import MAX_AGE_S, ScaleAnchor
from depth_estimation_ros.node.diagnostics.image_monitor import ImageIssue, ImageMonitor
from depth_estimation_ros.node.diagnostics.statistics import SILENCE_S, Statistics, rss_mb
from depth_estimation_ros.node.parameters import Parameters

NO_HARDWARE = "none"  # diagnostic_updater's word for a status of no device


@dataclass(frozen=True)
class CameraStatus:
    """One camera, as its statuses need it.

    Attributes:
        name: empty if the node has one camera without a name.
        statistics: of its frames.
        state: calibrated, unsupported, uncalibrated or missing; empty before the first frame.
        monitor: of its images; None if the node is not active.
        anchor: of its scale; None if there is no source, or no engine is open.
    """

    name: str
    statistics: Statistics
    state: str = ""
    monitor: ImageMonitor | None = None
    anchor: ScaleAnchor | None = None


def make_statuses(
    node: str,
    total: Statistics,
    parameters: Parameters,
    cameras: Sequence[CameraStatus],
    *,
    state: str,
    model_info: ModelInfo | None,
) -> list[DiagnosticStatus]:
    """Return all statuses of a node; the first, "depth", has the worst level.

    A single camera has "depth" and "camera". Of several, each has "NAME depth" and "NAME camera",
    and "depth" is of all: an issue of a camera has its name in front.

    Args:
        node: fully qualified name.
        total: statistics of all cameras.
        parameters: the present ones.
        cameras: empty before configure.
        state: of the lifecycle.
        model_info: of the open engine; None if none is open.
    """
    engine = model_info.values()["engine"] if model_info is not None else ""
    named = any(camera.name for camera in cameras)
    of_cameras: list[DiagnosticStatus] = []
    of_all: list[ImageIssue] = []
    of_output: list[ImageIssue] = []
    for camera in cameras or [CameraStatus("", total)]:
        task = f"{node}: {camera.name} " if camera.name else f"{node}: "
        prefix = f"{camera.name}: " if camera.name else ""
        image_issues, output_issues = _issues(camera, parameters)
        scale_issues = anchor_issues(camera.anchor) if camera.monitor is not None else []
        depth = depth_status(
            camera.statistics,
            name=f"{task}depth",
            state=state,
            engine=engine,
            camera_state=camera.state,
            issues=[*image_issues, *output_issues, *scale_issues],
            enabled=parameters.enabled,
        )
        of_cameras += [depth, _camera_status(camera, f"{task}camera", image_issues)]
        if camera.anchor is not None:
            source = parameters.scale_source
            of_cameras.append(_scale_status(camera.anchor, f"{task}scale", source, scale_issues))
        of_output += [replace(issue, text=f"{prefix}{issue.text}") for issue in output_issues]
        if depth.level != DiagnosticStatus.OK:
            is_error = depth.level == DiagnosticStatus.ERROR
            of_all.append(ImageIssue(f"{prefix}{depth.message}", is_error))
    statuses = of_cameras
    if named:
        depth = depth_status(
            total,
            name=f"{node}: depth",
            state=state,
            engine=engine,
            issues=of_all,
            enabled=parameters.enabled,
        )
        statuses = [depth, *of_cameras]
    timing = _timing_status(total, f"{node}: timing", engine, of_output)
    return [*statuses, timing, _network_status(model_info, f"{node}: network")]


def depth_status(
    statistics: Statistics,
    *,
    name: str,
    state: str,
    engine: str,
    camera_state: str = "",
    issues: Sequence[ImageIssue] = (),
    enabled: bool = True,
) -> DiagnosticStatus:
    """Return the status of the node or of one of its cameras: counters and all issues.

    Args:
        statistics: of the node or camera.
        name: of the status.
        state: of the lifecycle.
        engine: description of the open engine; empty if none is open.
        camera_state: see `CameraStatus`.
        issues: of the images and the output.
        enabled: false while the node is paused.
    """
    found = list(issues)
    if statistics.error is not None:
        found.insert(0, ImageIssue(statistics.error, is_error=True))
    if camera_state in ("unsupported", "uncalibrated", "missing"):
        found.append(ImageIssue(f"CameraInfo {camera_state}: no point cloud"))
    values = {
        "state": state,
        "enabled": str(enabled).lower(),
        **statistics.values(),
        "camera_info": camera_state,
        "engine": engine,
        "rss_mb": f"{rss_mb():.1f}",
    }
    return _make_status(name, engine, found, values, state if enabled else f"{state}, paused")


def _issues(
    camera: CameraStatus, parameters: Parameters
) -> tuple[list[ImageIssue], list[ImageIssue]]:
    """Return the issues of the images, and those of the output."""
    if camera.monitor is None:
        return [], []
    min_rate, max_latency = parameters.diagnostics_min_rate, parameters.diagnostics_max_latency
    return (
        camera.monitor.issues(time.monotonic(), min_rate),
        output_issues(camera.statistics, camera.monitor, min_rate, max_latency),
    )


def output_issues(
    statistics: Statistics, monitor: ImageMonitor, min_rate: float, max_latency_ms: float
) -> list[ImageIssue]:
    """Return the issues of the published depth.

    Args:
        statistics: of the frames.
        monitor: of the images; without images no output is expected.
        min_rate: frames per second below which the rate is an issue; 0 is off.
        max_latency_ms: of percentile 99 from stamp (or callback) to last message; 0 is off.
    """
    found = []
    now = time.monotonic()
    hz, age = statistics.output
    expected = (
        monitor.is_settled(now) and not monitor.stalled(now) and not statistics.skipped_lately
    )
    if expected and hz < min_rate:
        found.append(ImageIssue(f"depth is published at {hz:.1f} Hz, less than {min_rate:g}"))
    latency = statistics.latency_p99
    if latency is not None and age < SILENCE_S and 0 < max_latency_ms < latency:
        text = f"the latency of the depth is {latency:.0f} ms (p99), more than {max_latency_ms:g}"
        found.append(ImageIssue(text))
    return found


def anchor_issues(anchor: ScaleAnchor | None) -> list[ImageIssue]:
    """Return the issues of a source of metric scale; none if there is no source."""
    if anchor is None:
        return []
    factor = anchor.filter.contradiction
    if anchor.filter.current is None:
        return [ImageIssue("the scale was not measured yet")]
    if factor != 1.0:
        return [
            ImageIssue(f"the measured scale contradicts the scale in use by {factor:.2f} times")
        ]
    if anchor.age > MAX_AGE_S:
        return [ImageIssue(f"the scale was last measured {anchor.age:.0f} s ago")]
    return []


def _scale_status(
    anchor: ScaleAnchor, name: str, source: str, issues: Sequence[ImageIssue]
) -> DiagnosticStatus:
    fit = anchor.filter.current
    values = {"source": source}
    if fit is not None:
        values |= {
            "scale": f"{fit.scale:.4f}",
            "shift": f"{fit.shift:.4f}",
            "age_s": f"{anchor.age:.2f}",
            "pairs": str(fit.pairs),
            "inliers": str(fit.inliers),
            "spread": f"{fit.spread:.3f}",
            "contradiction": f"{anchor.filter.contradiction:.2f}",
        }
    return _make_status(name, source, issues, values)


def _camera_status(
    camera: CameraStatus, name: str, issues: Sequence[ImageIssue]
) -> DiagnosticStatus:
    if camera.monitor is None:
        return _stale_status(name, "not active: not subscribed")
    values = {**camera.monitor.values(time.monotonic()), "camera_info": camera.state}
    return _make_status(name, camera.monitor.frame_id, issues, values)


def _timing_status(
    statistics: Statistics, name: str, engine: str, issues: Sequence[ImageIssue]
) -> DiagnosticStatus:
    hz, age = statistics.output
    values = {"output_rate_hz": f"{hz:.2f}", **statistics.stage_values()}
    if age > SILENCE_S and not issues:
        why = "nothing published yet" if math.isinf(age) else f"nothing published for {age:.0f} s"
        return _stale_status(name, why, values)
    return _make_status(name, engine, issues, values)


def _network_status(model_info: ModelInfo | None, name: str) -> DiagnosticStatus:
    if model_info is None:
        return _stale_status(name, "no network is open")
    values = model_info.values()
    return _make_status(name, values["engine"], (), values)


def _make_status(
    name: str,
    hardware_id: str,
    issues: Sequence[ImageIssue],
    values: Mapping[str, str],
    message: str = "OK",
) -> DiagnosticStatus:
    """Return a status with the worst level of the issues and their texts joined, else `message`."""
    level = DiagnosticStatus.OK
    if issues:
        is_error = any(issue.is_error for issue in issues)
        level = DiagnosticStatus.ERROR if is_error else DiagnosticStatus.WARN
    texts = dict.fromkeys(issue.text for issue in issues)  # each once
    return DiagnosticStatus(
        level=level,
        name=name,
        message="; ".join(texts) or message,
        hardware_id=hardware_id or NO_HARDWARE,
        values=[KeyValue(key=key, value=value) for key, value in values.items()],
    )


def _stale_status(name: str, why: str, values: Mapping[str, str] | None = None) -> DiagnosticStatus:
    status = _make_status(name, "", (), values or {}, why)
    status.level = DiagnosticStatus.STALE
    return status
