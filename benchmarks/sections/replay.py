"""What a replay takes beside its network, and whether its memory grows with the recording.

The network alone, in a process of its own: the median time of one image, times the number of
images. Against it the whole command on recordings of 640x480 JPEGs as a camera sends them, from the
start of the process to its end, with the time until its model is open beside it. Memory is the
largest that the process had.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from options import Options
from tables import Table

from depth_estimation_ros.engines import resolve_model

ROOT = Path(__file__).resolve().parents[2]
BARE_ENGINE = Path(__file__).resolve().parents[1] / "bare_engine.py"

WIDTH, HEIGHT, RATE = 640, 480, 30
IMAGES = 32  # drawn ones, again and again
AIM_RATIO, AIM_GROWTH = 1.25, 0.2
OUTPUTS = {"depth": ["depth"], "depth + points": ["depth", "points"]}
ALONE_ROUNDS = 100
FRAMES = 600  # of the long recording
NODE_SETTINGS = "never spins"  # as this package opens a network


@dataclass(frozen=True)
class Result:
    """One replay.

    Attributes:
        outputs: what was written.
        frames_in, frames_out: images.
        wall_s: of the process, from start to end.
        run_s: of it with the model open.
        alone_s: the network alone for this many images.
        peak_mb: memory at its largest.
        written_mb: of messages.
    """

    outputs: str
    frames_in: int
    frames_out: int
    wall_s: float
    run_s: float
    alone_s: float
    peak_mb: float
    written_mb: float

    @property
    def ratio(self) -> float:
        """How many times as long as the network alone."""
        return self.wall_s / self.alone_s


def measure(options: Options) -> dict[str, Any]:
    """A short and a long recording, with and without clouds."""
    frames = FRAMES // 4 if options.quick else FRAMES
    counts = [max(1, frames // 10), frames]
    bags = [camera_bag(options.folder / f"{count}", count) for count in counts]
    results = []
    for name, outputs in OUTPUTS.items():
        for bag, count in zip(bags, counts, strict=True):
            # Before and after, as the speed of a machine drifts.
            alone = [alone_ms(options.main_model)]
            out = options.folder / "out"
            wall_s = run_command(bag, out, outputs, options.main_model)
            alone.append(alone_ms(options.main_model))
            summary = json.loads((out / "replay.json").read_text())
            shutil.rmtree(out)
            results.append(
                Result(
                    name,
                    count,
                    summary["frames_out"],
                    wall_s,
                    summary["seconds"],
                    count * float(np.mean(alone)) / 1e3,
                    summary["peak_rss_mb"],
                    summary["bytes_written"] / 1e6,
                )
            )
    return {
        "model": options.main_model,
        "rows": [asdict(result) for result in results],
        "shortfalls": shortfalls(results),
    }


def camera_bag(path: Path, frames: int) -> Path:
    """A recording of JPEGs and CameraInfo at 30 Hz."""
    from demo_recordings import STORE, header
    from images import draw_image

    from depth_estimation_ros.bags import RecordingWriter
    from depth_estimation_ros.geometry.camera_model import CameraModel
    from depth_estimation_ros.messages import ROSBAGS, camera_info

    jpegs = []
    for seed in range(min(frames, IMAGES)):
        bgr = cv2.cvtColor(draw_image(WIDTH, HEIGHT, seed), cv2.COLOR_RGB2BGR)
        jpegs.append(cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, 90])[1].reshape(-1))
    camera = CameraModel.from_hfov(WIDTH, HEIGHT, 60.0)
    image_type = "sensor_msgs/msg/CompressedImage"
    with RecordingWriter(path) as writer:
        for i in range(frames):
            stamp = 1_700_000_000_000_000_000 + i * 1_000_000_000 // RATE
            image = STORE.types[image_type](header(stamp), "jpeg", jpegs[i % len(jpegs)])
            info = camera_info(camera, header(stamp), ROSBAGS)
            for topic, message in (("image/compressed", image), ("camera_info", info)):
                kind = message.__msgtype__
                writer.write(f"/camera/{topic}", kind, stamp, STORE.serialize_cdr(message, kind))
    return path


def run_command(bag: Path, out: Path, outputs: list[str], model: str) -> float:
    """Seconds of a replay's process, from its start to its end."""
    command = [sys.executable, "-m", "depth_estimation_ros.apps.replay", bag, "--output", out]
    command += ["--model", model, "--outputs", *outputs, "--no-report", "--quiet"]
    start = time.perf_counter()
    words = [str(word) for word in command]
    subprocess.run(words, cwd=ROOT, stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - start


def alone_ms(model: str) -> float:
    """Median milliseconds of the network for one image, with nothing else in the process."""
    command = [sys.executable, BARE_ENGINE, resolve_model(model), NODE_SETTINGS, 0, 1e6]
    words = [str(word) for word in [*command, ALONE_ROUNDS]]
    told = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    return float(np.median(json.loads(told)["ms"]))


def tables(numbers: dict[str, Any]) -> list[Table]:
    """All numbers."""
    shown = Table(
        f"replay of {WIDTH}x{HEIGHT} JPEGs with {numbers['model']}",
        (
            "written",
            "images in, out",
            "network alone, ms an image",
            "network alone, s",
            "replay, s",
            f"ratio (aim {AIM_RATIO})",
            "of that, model open, s",
            "images/s",
            "peak memory, MB",
            "written, MB",
        ),
        note="; ".join(numbers["shortfalls"]),
    )
    for row in numbers["rows"]:
        result = Result(**row)
        shown.add(
            result.outputs,
            f"{result.frames_in}, {result.frames_out}",
            1e3 * result.alone_s / result.frames_in,
            result.alone_s,
            result.wall_s,
            result.ratio,
            result.run_s,
            result.frames_in / result.run_s,
            result.peak_mb,
            result.written_mb,
        )
    return [shown]


def shortfalls(results: list[Result]) -> list[str]:
    """What is not as it should be, in words."""
    lines = [
        f"{r.outputs}: {r.frames_in - r.frames_out} images lost"
        for r in results
        if r.frames_in != r.frames_out
    ]
    for short, long in zip(results[::2], results[1::2], strict=True):
        growth = long.peak_mb / short.peak_mb - 1
        if growth > AIM_GROWTH:
            lines.append(f"{long.outputs}: memory grew by {100 * growth:.0f} % with the recording")
        if long.ratio > AIM_RATIO:
            lines.append(f"{long.outputs}: {long.ratio:.2f} times the network alone")
    return lines
