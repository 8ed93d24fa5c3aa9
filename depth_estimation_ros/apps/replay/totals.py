"""The numbers of a summary, added up from frames.csv: so they hold over several runs."""

from __future__ import annotations

from array import array
from pathlib import Path

from depth_estimation_ros.apps.replay.frames_csv import read_rows
from depth_estimation_ros.apps.replay.output import fingerprint, sizes
from depth_estimation_ros.apps.replay.plan import Plan
from depth_estimation_ros.apps.replay.summary import (
    BadFrame,
    ReplaySummary,
    add_bad_frame,
    percentile,
)
from depth_estimation_ros.utils.memory import peak_memory_mb


def new_summary(plan: Plan) -> ReplaySummary:
    """A summary of what is known before the first image.

    Raises:
        ModelError: there is no such model.
    """
    options = plan.options
    return ReplaySummary(
        inputs=list(options.inputs),
        output=options.output,
        notes=list(plan.notes),
        model=options.model,
        cameras=plan.cameras,
        model_sha256=fingerprint(options.model),
        input_bytes=sizes(options.inputs),
        options=options.to_json(),
    )


def add_up(summary: ReplaySummary, output: Path) -> None:
    """Fills in the images of the summary and of its cameras, the bad ones, times and memory.

    Args:
        summary: whose cameras are known.
        output: directory of the result.
    """
    cameras = {camera.image_topic: camera for camera in summary.cameras}
    for camera in summary.cameras:
        camera.frames_in = camera.frames_out = camera.frames_bad = 0
    summary.bad_frames = []
    engine_ms = array("d")
    for row in read_rows(output):
        camera = cameras[row.image_topic]
        camera.frames_in += 1
        if row.status == "ok":
            camera.frames_out += 1
            engine_ms.append(float(row.engine_ms))
        else:
            camera.frames_bad += 1
            add_bad_frame(summary.bad_frames, BadFrame(row.image_topic, row.stamp_ns, row.why))
    summary.frames_in = sum(camera.frames_in for camera in summary.cameras)
    summary.frames_out = sum(camera.frames_out for camera in summary.cameras)
    summary.frames_bad = sum(camera.frames_bad for camera in summary.cameras)
    summary.engine_ms_p50 = percentile(engine_ms, 50)
    summary.engine_ms_p99 = percentile(engine_ms, 99)
    summary.peak_rss_mb = round(peak_memory_mb(), 1)
