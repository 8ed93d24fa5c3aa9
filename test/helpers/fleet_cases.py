"""What tests of fleets share: a recording whose chunks are easily got wrong, and its messages."""

from __future__ import annotations

import csv
import os
import signal
from pathlib import Path
from typing import Any

from demo_recordings import START_NS, STEP_NS, camera_info, picture, raw_image, stamps, write_bag

from depth_estimation_ros.bags import open_recording

TIMES = ("engine_ms", "total_ms")


def zooming_bag(path: Path, frames: int) -> Path:
    """Every image has a CameraInfo of its own focal length, a little before or after it.

    So a border between chunks parts some images from the CameraInfo that is nearest to them.
    """
    times = stamps(frames)
    infos = []
    for index, time in enumerate(times):
        info = camera_info(time + (STEP_NS // 3 if index % 2 else -STEP_NS // 3))
        info.k[0] = info.k[4] = info.p[0] = info.p[5] = 50.0 + index
        infos.append(info)
    infos.sort(key=lambda info: (info.header.stamp.sec, info.header.stamp.nanosec))
    images = [raw_image(picture(index % 8), time) for index, time in enumerate(times)]
    return write_bag(path, {"/cam/image_raw": images, "/cam/camera_info": infos})


def seldom_told_bag(path: Path, frames: int, told: tuple[int, ...]) -> Path:
    """An image a second; CameraInfo only with some of them, each of its own focal length."""
    times = [START_NS + index * 1_000_000_000 for index in range(frames)]
    infos = [camera_info(times[index]) for index in told]
    for index, info in zip(told, infos, strict=True):
        info.k[0] = info.k[4] = info.p[0] = info.p[5] = 50.0 + index
    images = [raw_image(picture(index), time) for index, time in enumerate(times)]
    return write_bag(path, {"/cam/image_raw": images, "/cam/camera_info": infos})


def messages(path: Path) -> list[tuple[Any, ...]]:
    """All that a recording holds, in its order: topic, type, time and bytes of each message."""
    with open_recording(path) as recording:
        return [(m.topic, m.msgtype, m.time_ns, bytes(m.cdr)) for m in recording.messages()]


def frames(output: Path) -> list[dict[str, str]]:
    """The rows of frames.csv, without what differs from run to run."""
    with (output / "frames.csv").open(newline="") as file:
        return [
            {name: value for name, value in row.items() if name not in TIMES}
            for row in csv.DictReader(file)
        ]


class KillsWorker:
    """An `on_progress` that kills the first process of a job once it has done this many images."""

    def __init__(self, job: str, after: int = 1, always: bool = False) -> None:
        self._job, self._after, self._always = job, after, always
        self.killed: list[int] = []

    def __call__(self, job: str, done: int, pid: int) -> None:
        if job == self._job and done >= self._after and (self._always or not self.killed):
            self.killed.append(pid)
            os.kill(pid, signal.SIGKILL)
