"""What /diagnostics says of a node with several cameras: of each, and of all together."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

from diagnostic_msgs.msg import DiagnosticStatus

from depth_estimation_ros.cameras import Camera
from depth_estimation_ros.diagnostic_tasks import (
    camera_status,
    network_status,
    output_findings,
    status,
    statuses,
    timing_status,
)
from depth_estimation_ros.diagnostics import Statistics
from depth_estimation_ros.image_findings import Finding
from depth_estimation_ros.network_facts import NetworkFacts
from depth_estimation_ros.parameters import Parameters


def statuses_of(
    node: str,
    total: Statistics,
    parameters: Parameters,
    cameras: Sequence[Camera],
    *,
    state: str,
) -> list[DiagnosticStatus]:
    """All statuses of a node with any number of cameras.

    One camera without a name (or none, before configure) has those of `diagnostic_tasks.statuses`.
    Of several, each has a "NAME depth" and a "NAME camera"; "depth" and "timing" are of all, and
    what is wrong with a camera is told there with its name before it.
    """
    network = _network(cameras)
    if len(cameras) <= 1 and not any(camera.name for camera in cameras):
        camera = cameras[0] if cameras else None
        inputs = camera.inputs if camera is not None else None
        return statuses(
            node,
            total,
            parameters,
            state=state,
            network=network,
            camera_info=_camera_info(camera) if camera is not None else "",
            watch=inputs.watch if inputs is not None else None,
        )
    engine = network.values()["engine"] if network is not None else ""
    all_findings: list[Finding] = []
    all_made: list[Finding] = []
    told: list[DiagnosticStatus] = []
    for camera in cameras:
        name, info, inputs = camera.name, _camera_info(camera), camera.inputs
        seen: list[Finding] = []
        made: list[Finding] = []
        if inputs is not None:
            min_rate = parameters.diagnostics_min_rate
            seen = inputs.watch.findings(time.monotonic(), min_rate)
            made = output_findings(
                camera.statistics, inputs.watch, min_rate, parameters.diagnostics_max_latency
            )
        of_camera = status(
            camera.statistics,
            name=f"{node}: {name} depth",
            state=state,
            engine=engine,
            camera_info=info,
            findings=[*seen, *made],
            enabled=parameters.enabled,
        )
        watch = inputs.watch if inputs is not None else None
        told += [
            of_camera,
            camera_status(watch, name=f"{node}: {name} camera", camera_info=info, findings=seen),
        ]
        all_made += [replace(finding, text=f"{name}: {finding.text}") for finding in made]
        if of_camera.level != DiagnosticStatus.OK:
            worst = of_camera.level == DiagnosticStatus.ERROR
            all_findings.append(Finding(f"{name}: {of_camera.message}", is_error=worst))
    overall = status(
        total,
        name=f"{node}: depth",
        state=state,
        engine=engine,
        camera_info="",
        findings=all_findings,
        enabled=parameters.enabled,
    )
    timing = timing_status(total, name=f"{node}: timing", engine=engine, findings=all_made)
    return [overall, *told, timing, network_status(network, name=f"{node}: network")]


def _camera_info(camera: Camera) -> str:
    path = camera.path
    return path.camera_info_state if path is not None else ""


def _network(cameras: Sequence[Camera]) -> NetworkFacts | None:
    path = cameras[0].path if cameras else None
    return path.network if path is not None else None
