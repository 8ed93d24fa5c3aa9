"""Writes what a replay leaves, with times and depths that a test chooses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import demo_recordings as recordings
import numpy as np
from html_page import Page

from depth_estimation_ros import messages
from depth_estimation_ros.apps.replay.frames_csv import FrameRow, FrameTable, depth_columns
from depth_estimation_ros.apps.replay.options import ReplayOptions
from depth_estimation_ros.apps.replay.report import write_report
from depth_estimation_ros.apps.replay.summary import BadFrame, CameraSummary, ReplaySummary
from depth_estimation_ros.bags import RecordingWriter

STEP_NS = 100_000_000


@dataclass
class Camera:
    """A camera and what its replay gave, frame by frame; lists of one length.

    Attributes:
        name: /name/image is its image topic.
        depths: (h, w) metres that came out; None is a bad frame.
        stamps: nanoseconds.
        truths: (h, w) metres on /name/ground_truth, at the same stamps; None for no such topic.
        engine_ms, total_ms: default 10, 11, ... and 20, 21, ...
        truth_frame: frame_id of the truth; that of the images is cam_optical.
        points: clouds were written.
    """

    name: str
    depths: list[Any]
    stamps: list[int]
    truths: list[Any] | None = None
    engine_ms: list[float] = field(default_factory=list)
    total_ms: list[float] = field(default_factory=list)
    truth_frame: str = "cam_optical"
    points: bool = False

    def __post_init__(self) -> None:
        self.depths = [None if d is None else np.asarray(d, np.float32) for d in self.depths]
        self.engine_ms = self.engine_ms or [10.0 + i for i in range(len(self.depths))]
        self.total_ms = self.total_ms or [20.0 + i for i in range(len(self.depths))]

    @property
    def summary(self) -> CameraSummary:
        """Its part of replay.json."""
        bad = sum(depth is None for depth in self.depths)
        root = f"/{self.name}/depth_estimation"
        return CameraSummary(
            image_topic=f"/{self.name}/image",
            camera_info_topic=f"/{self.name}/camera_info",
            camera_state="calibrated",
            depth_topic=f"{root}/depth/image",
            depth_camera_info_topic=f"{root}/depth/camera_info",
            points_topic=f"{root}/points" if self.points else "",
            frames_in=len(self.depths),
            frames_out=len(self.depths) - bad,
            frames_bad=bad,
        )

    def rows(self) -> list[FrameRow]:
        """Its lines of frames.csv."""
        rows = []
        for i, (depth, stamp) in enumerate(zip(self.depths, self.stamps, strict=True)):
            name = f"/{self.name}/image"
            if depth is None:
                rows.append(FrameRow(name, stamp, stamp, "bad", why="a bad step"))
                continue
            times = {"engine_ms": self.engine_ms[i], "total_ms": self.total_ms[i]}
            rows.append(FrameRow(name, stamp, stamp, "ok", **times, **depth_columns(depth)))
        return rows


def stamps(*indices: int) -> list[int]:
    """Stamps at 10 Hz."""
    return [recordings.START_NS + i * STEP_NS for i in indices]


def camera(name: str = "front", frames: int = 8, **fields: Any) -> Camera:
    """A camera whose depth is that of the images."""
    depths = [recordings.depth(i % 8) for i in range(frames)]
    return Camera(**{"name": name, "depths": depths, "stamps": stamps(*range(frames))} | fields)


def report(folder: Path, *cameras: Camera, **fields: Any) -> Page:
    """The page of a replay of these cameras."""
    return Page(write_report(write_output(folder, cameras, **fields)))


def write_output(folder: Path, cameras: Sequence[Camera], **fields: Any) -> Path:
    """A recording in `folder`/in and its replay in `folder`/out, which is returned.

    Args:
        folder: to write to.
        cameras: one or more, or none for a replay without a frame.
        fields: of `ReplaySummary` that are to differ.
    """
    source, output = folder / "in", folder / "out"
    _write_input(source, cameras)
    with RecordingWriter(output) as writer:
        for topic, message, stamp in _answers(cameras):
            _write(writer, topic, message, stamp)
    with FrameTable(output) as table:
        for row in sorted((r for c in cameras for r in c.rows()), key=lambda row: row.time_ns):
            table.append(row)
    known = {"inputs": [str(source)], "output": str(output), "complete": True} | fields
    options = ReplayOptions(inputs=(str(source),), output=str(output), copy="none")
    summaries = [camera.summary for camera in cameras]
    summary = ReplaySummary(
        **{
            "model": "compact",
            "engine": "a test's engine",
            "frames_in": sum(camera.frames_in for camera in summaries),
            "frames_out": sum(camera.frames_out for camera in summaries),
            "frames_bad": sum(camera.frames_bad for camera in summaries),
            "bad_frames": [
                BadFrame(f"/{camera.name}/image", stamp, "step is 3, expected 192")
                for camera in cameras
                for depth, stamp in zip(camera.depths, camera.stamps, strict=True)
                if depth is None
            ],
            "seconds": 2.0,
            "frames_per_second": sum(camera.frames_in for camera in summaries) / 2.0,
            "cameras": summaries,
            "options": options.to_json(),
            **known,
        }
    )
    summary.write(output)
    return output


def _write_input(path: Path, cameras: Sequence[Camera]) -> None:
    with RecordingWriter(path) as writer:
        for camera in cameras:
            for i, stamp in enumerate(camera.stamps):
                image = recordings.raw_image(recordings.picture(i % 8), stamp)
                _write(writer, f"/{camera.name}/image", image, stamp)
                info = recordings.camera_info(stamp)
                _write(writer, f"/{camera.name}/camera_info", info, stamp)
                if camera.truths is not None:
                    truth = recordings.float_depth(camera.truths[i], stamp)
                    truth.header.frame_id = camera.truth_frame
                    _write(writer, f"/{camera.name}/ground_truth", truth, stamp)


def _answers(cameras: Sequence[Camera]) -> list[tuple[str, Any, int]]:
    answers = []
    for camera in cameras:
        topics = camera.summary
        for i, (depth, stamp) in enumerate(zip(camera.depths, camera.stamps, strict=True)):
            if depth is None:
                continue
            header = recordings.header(stamp)
            answers.append((topics.depth_topic, recordings.float_depth(depth, stamp), stamp))
            if topics.points_topic:
                rows, columns = np.indices(depth.shape)
                rays = [(columns - 31.5) / 60.0, (rows - 23.5) / 60.0, np.ones_like(rows)]
                points = (np.stack(rays, axis=-1) * depth[..., np.newaxis]).astype(np.float32)
                picture = recordings.picture(i % 8)[: depth.shape[0], : depth.shape[1]]
                cloud = messages.point_cloud(points, picture, header, messages.ROSBAGS)
                answers.append((topics.points_topic, cloud, stamp))
    return answers


def _write(writer: RecordingWriter, topic: str, message: Any, stamp: int) -> None:
    cdr = bytes(recordings.STORE.serialize_cdr(message, message.__msgtype__))
    writer.write(topic, message.__msgtype__, stamp, cdr)
