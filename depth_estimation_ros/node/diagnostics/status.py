"""What /diagnostics says: of the node, its camera, the times of its stages, its network.

As diagnostic_updater has it: one status a task, named after the node and the task, and a message
that joins all that is wrong, at the worst level. STALE says that there is nothing recent to tell.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence

from diagnostic_msgs.msg import DiagnosticStatus, KeyValue

from depth_estimation_ros.engines.model_info import ModelInfo
from depth_estimation_ros.node.diagnostics.image_issues import ImageIssue
from depth_estimation_ros.node.diagnostics.image_monitor import ImageMonitor
from depth_estimation_ros.node.diagnostics.statistics import SILENCE_S, Statistics, rss_mb
from depth_estimation_ros.node.parameters import Parameters

NO_HARDWARE = "none"  # diagnostic_updater's word for what belongs to no device


def statuses(
    node: str,
    statistics: Statistics,
    parameters: Parameters,
    *,
    state: str,
    network: ModelInfo | None,
    camera_info: str,
    watch: ImageMonitor | None,
) -> list[DiagnosticStatus]:
    """All statuses of the node. The first, "depth", has the level of the worst that is wrong.

    Args:
        node: its fully qualified name.
        statistics: what was counted and measured so far.
        parameters: of this moment.
        state: of the node's lifecycle.
        network: what is known of the one that is open, if any is.
        camera_info: calibrated, unsupported (its lens model), uncalibrated, or missing; empty
            before the first frame.
        watch: of the images; None if the node is not active.
    """
    seen, made = [], []
    if watch is not None:
        min_rate = parameters.diagnostics_min_rate
        seen = watch.findings(time.monotonic(), min_rate)
        made = output_findings(statistics, watch, min_rate, parameters.diagnostics_max_latency)
    engine = network.values()["engine"] if network is not None else ""
    return [
        status(
            statistics,
            name=f"{node}: depth",
            state=state,
            engine=engine,
            camera_info=camera_info,
            findings=[*seen, *made],
            enabled=parameters.enabled,
        ),
        camera_status(watch, name=f"{node}: camera", camera_info=camera_info, findings=seen),
        timing_status(statistics, name=f"{node}: timing", engine=engine, findings=made),
        network_status(network, name=f"{node}: network"),
    ]


def status(
    statistics: Statistics,
    *,
    name: str,
    state: str,
    engine: str,
    camera_info: str,
    findings: Sequence[ImageIssue] = (),
    enabled: bool = True,
) -> DiagnosticStatus:
    """The status of the node: what was counted, and all that is wrong.

    Args:
        statistics: what was counted so far.
        name: of the status.
        state: of the node's lifecycle.
        engine: description of the open engine, or empty.
        camera_info: calibrated, unsupported (its lens model), uncalibrated, or missing; empty
            before the first frame.
        findings: of the camera and of what is published.
        enabled: false while the node is paused.
    """
    found = list(findings)
    if statistics.error is not None:
        found.insert(0, ImageIssue(statistics.error, is_error=True))
    if camera_info in ("unsupported", "uncalibrated", "missing"):
        found.append(ImageIssue(f"CameraInfo {camera_info}: no point cloud"))
    values = {
        "state": state,
        "enabled": str(enabled).lower(),
        **statistics.values(),
        "camera_info": camera_info,
        "engine": engine,
        "rss_mb": f"{rss_mb():.1f}",
    }
    return make_status(name, engine, found, values, state if enabled else f"{state}, paused")


def camera_status(
    watch: ImageMonitor | None, *, name: str, camera_info: str, findings: Sequence[ImageIssue]
) -> DiagnosticStatus:
    """The status of the camera; stale while nobody listens to it.

    Args:
        watch: of the images; None if the node is not active.
        name: of the status.
        camera_info: as for `status`.
        findings: of the watch.
    """
    if watch is None:
        return stale_status(name, "not active: no image is listened to")
    values = {**watch.values(time.monotonic()), "camera_info": camera_info}
    return make_status(name, watch.frame_id, findings, values)


def timing_status(
    statistics: Statistics, *, name: str, engine: str, findings: Sequence[ImageIssue]
) -> DiagnosticStatus:
    """The status of the output: its rate and the times of its stages; stale if there is none.

    Args:
        statistics: what was measured.
        name: of the status.
        engine: description of the open engine, or empty.
        findings: of `output_findings`.
    """
    hz, age = statistics.output
    values = {"output_rate_hz": f"{hz:.2f}", **statistics.stages.values()}
    if age > SILENCE_S and not findings:
        why = (
            "nothing is published yet" if math.isinf(age) else f"nothing published for {age:.0f} s"
        )
        return stale_status(name, why, values)
    return make_status(name, engine, findings, values)


def network_status(facts: ModelInfo | None, *, name: str) -> DiagnosticStatus:
    """The status of the network: which one it is; stale if none is open."""
    if facts is None:
        return stale_status(name, "no network is open")
    values = facts.values()
    return make_status(name, values["engine"], (), values)


def output_findings(
    statistics: Statistics, watch: ImageMonitor, min_rate: float, max_latency_ms: float
) -> list[ImageIssue]:
    """What is wrong with the depth that goes out.

    Args:
        statistics: what was measured.
        watch: of the images that come in; without any, nothing can be expected.
        min_rate: frames a second that should go out while somebody listens; 0 asks for none.
        max_latency_ms: that percentile 99 from stamp (or callback) to message should not exceed; 0
            is off.
    """
    found = []
    now = time.monotonic()
    hz, age = statistics.output
    expected = watch.is_settled(now) and not watch.stalled(now) and not statistics.skipped_lately
    if expected and hz < min_rate:
        found.append(ImageIssue(f"depth goes out at {hz:.1f} Hz, less than {min_rate:g}"))
    latency = statistics.stages.p99("end_to_end")
    if latency is not None and age < SILENCE_S and 0 < max_latency_ms < latency:
        text = f"depth comes {latency:.0f} ms late (p99), more than {max_latency_ms:g}"
        found.append(ImageIssue(text))
    return found


def make_status(
    name: str,
    hardware_id: str,
    findings: Sequence[ImageIssue],
    values: Mapping[str, str],
    otherwise: str = "OK",
) -> DiagnosticStatus:
    """A status of merged findings: the worst level, the texts joined.

    Args:
        name: node and task.
        hardware_id: what the status is about; empty is `NO_HARDWARE`.
        findings: what is wrong.
        values: shown in this order.
        otherwise: the message if nothing is wrong.
    """
    level = DiagnosticStatus.OK
    if findings:
        worst = any(finding.is_error for finding in findings)
        level = DiagnosticStatus.ERROR if worst else DiagnosticStatus.WARN
    texts = dict.fromkeys(finding.text for finding in findings)  # each once
    return DiagnosticStatus(
        level=level,
        name=name,
        message="; ".join(texts) or otherwise,
        hardware_id=hardware_id or NO_HARDWARE,
        values=[KeyValue(key=key, value=value) for key, value in values.items()],
    )


def stale_status(name: str, why: str, values: Mapping[str, str] | None = None) -> DiagnosticStatus:
    """A status with nothing recent to tell, and why; the values are those of before."""
    status = make_status(name, "", (), values or {}, why)
    status.level = DiagnosticStatus.STALE
    return status
