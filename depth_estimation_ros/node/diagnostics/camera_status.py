"""What /diagnostics says of a node with several cameras: of each, and of all together."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

from diagnostic_msgs.msg import DiagnosticStatus

from depth_estimation_ros.engines.model_info import ModelInfo
from depth_estimation_ros.node.camera import Camera
from depth_estimation_ros.node.diagnostics.image_issues import ImageIssue
from depth_estimation_ros.node.diagnostics.statistics import Statistics
from depth_estimation_ros.node.diagnostics.status import (
    camera_status,
    network_status,
    output_findings,
    status,
    statuses,
    timing_status,
)
from depth_estimation_ros.node.parameters import Parameters


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
    told: list[DiagnosticStatus] = []
    wrong: list[ImageIssue] = []  # in all cameras
    made: list[ImageIssue] = []  # of it, what concerns the output
    for camera in cameras:
        seen, of_output = _findings(camera, parameters)
        of_frames = status(
            camera.statistics,
            name=f"{node}: {camera.name} depth",
            state=state,
            engine=engine,
            camera_info=_camera_info(camera),
            findings=[*seen, *of_output],
            enabled=parameters.enabled,
        )
        of_camera = camera_status(
            camera.inputs.watch if camera.inputs is not None else None,
            name=f"{node}: {camera.name} camera",
            camera_info=_camera_info(camera),
            findings=seen,
        )
        told += [of_frames, of_camera]
        made += [replace(finding, text=f"{camera.name}: {finding.text}") for finding in of_output]
        if of_frames.level != DiagnosticStatus.OK:
            is_error = of_frames.level == DiagnosticStatus.ERROR
            wrong.append(ImageIssue(f"{camera.name}: {of_frames.message}", is_error))
    of_all = status(
        total,
        name=f"{node}: depth",
        state=state,
        engine=engine,
        camera_info="",
        findings=wrong,
        enabled=parameters.enabled,
    )
    timing = timing_status(total, name=f"{node}: timing", engine=engine, findings=made)
    return [of_all, *told, timing, network_status(network, name=f"{node}: network")]


def _findings(camera: Camera, parameters: Parameters) -> tuple[list[ImageIssue], list[ImageIssue]]:
    """What is wrong with the images of a camera, and with what is made of them."""
    if camera.inputs is None:
        return [], []
    watch, min_rate = camera.inputs.watch, parameters.diagnostics_min_rate
    limit = parameters.diagnostics_max_latency
    return (
        watch.findings(time.monotonic(), min_rate),
        output_findings(camera.statistics, watch, min_rate, limit),
    )


def _camera_info(camera: Camera) -> str:
    path = camera.path
    return path.camera_info_state if path is not None else ""


def _network(cameras: Sequence[Camera]) -> ModelInfo | None:
    path = cameras[0].path if cameras else None
    return path.network if path is not None else None
