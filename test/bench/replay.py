"""What a replay takes beside its network, and whether its memory grows with the recording.

    python test/bench/replay.py [--help]

The network alone, in a process of its own: the median time of one picture, times the number of
images. Against it the whole command on recordings of 640x480 JPEGs as a camera sends them, from the
start of the process to its end, with the time until its model is open beside it. Memory is the
largest that the process had.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Table

TEST = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(TEST), str(TEST.parent)]  # the tests' modules, and the package as it is

WIDTH, HEIGHT, RATE = 640, 480, 30
PICTURES = 32  # drawn ones, again and again
AIM_RATIO, AIM_GROWTH = 1.25, 0.2
OUTPUTS = {"depth": ["depth"], "depth + points": ["depth", "points"]}
ALONE_ROUNDS = 150


@dataclass(frozen=True)
class Result:
    """One replay.

    Attributes:
        outputs: what was written.
        frames_in, frames_out: images.
        wall_s: of the process, from start to end.
        run_s: of it with the model open.
        alone_s: the network alone for so many images.
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


def main() -> int:
    """Runs the bench; 1 if images were lost or an aim was missed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="compact", help="(default: compact)")
    parser.add_argument("--frames", type=int, default=2000, help="of the long one (default: 2000)")
    parser.add_argument("--threads", type=int, default=0, help="of the network (default: its own)")
    parser.add_argument("--folder", type=Path, help="for the recordings (default: temporary)")
    parser.add_argument("--json", type=Path, help="write the numbers to this file too")
    args = parser.parse_args()

    with tempfile.TemporaryDirectory(dir=args.folder) as folder:
        results = measure(args, Path(folder))
    console = Console()
    if not console.is_terminal:
        console = Console(width=120)  # a file or pipe has no width; the table must not be cut
    console.print(table(results))
    missed = shortfalls(results)
    for line in missed:
        console.print(line)
    if args.json:
        rows = [{**asdict(result), "ratio": result.ratio} for result in results]
        args.json.write_text(json.dumps(rows, indent=1))
    return 1 if missed else 0


def measure(args: argparse.Namespace, folder: Path) -> list[Result]:
    """A short and a long recording, with and without clouds."""
    counts = [max(1, args.frames // 10), args.frames]
    results = []
    with Progress(TextColumn("{task.description}"), BarColumn(), transient=True) as progress:
        task = progress.add_task("drawing the recordings", total=1 + 2 * len(OUTPUTS))
        bags = [camera_bag(folder / f"{count}", count) for count in counts]
        progress.advance(task)
        for name, outputs in OUTPUTS.items():
            for bag, count in zip(bags, counts, strict=True):
                progress.update(task, description=f"{name} of {count} images")
                # Before and after, as the speed of a machine drifts.
                alone = [alone_ms(args.model, args.threads)]
                out = folder / "out"
                wall_s, peak_mb = run_command(bag, out, outputs, args)
                alone.append(alone_ms(args.model, args.threads))
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
                        peak_mb,
                        summary["bytes_written"] / 1e6,
                    )
                )
                progress.advance(task)
    return results


def camera_bag(path: Path, frames: int) -> Path:
    """A recording of JPEGs and CameraInfo at 30 Hz."""
    from demo_recordings import STORE, header
    from stages import picture

    from depth_estimation_ros.geometry import CameraModel
    from depth_estimation_ros.messages import RECORDED, camera_info
    from depth_estimation_ros.recordings import RecordingWriter

    jpegs = []
    for seed in range(min(frames, PICTURES)):
        bgr = cv2.cvtColor(picture(WIDTH, HEIGHT, seed), cv2.COLOR_RGB2BGR)
        jpegs.append(cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, 90])[1].reshape(-1))
    camera = CameraModel.from_hfov(WIDTH, HEIGHT, 60.0)
    image_type = "sensor_msgs/msg/CompressedImage"
    with RecordingWriter(path) as writer:
        for i in range(frames):
            stamp = 1_700_000_000_000_000_000 + i * 1_000_000_000 // RATE
            image = STORE.types[image_type](header(stamp), "jpeg", jpegs[i % len(jpegs)])
            info = camera_info(camera, header(stamp), RECORDED)
            for topic, message in (("image/compressed", image), ("camera_info", info)):
                kind = message.__msgtype__
                writer.write(f"/camera/{topic}", kind, stamp, STORE.serialize_cdr(message, kind))
    return path


def run_command(
    bag: Path, out: Path, outputs: list[str], args: argparse.Namespace
) -> tuple[float, float]:
    """Seconds of a replay's process, and its memory at its largest, MB."""
    command = [sys.executable, "-m", "depth_estimation_ros.replay", bag, "--output", out]
    command += ["--model", args.model, "--threads", args.threads, "--outputs", *outputs]
    command += ["--no-report", "--quiet"]
    start = time.perf_counter()
    process = subprocess.Popen(
        [str(word) for word in command], cwd=TEST.parent, stdout=subprocess.DEVNULL
    )
    _, status, usage = os.wait4(process.pid, 0)
    wall_s = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise SystemExit(f"the replay ended with {process.returncode}")
    return wall_s, usage.ru_maxrss / 1e3


def alone_ms(model: str, threads: int) -> float:
    """Median milliseconds of the network for one picture, with nothing else in the process."""
    code = f"from replay import print_alone; print_alone({model!r}, {threads})"
    folder = Path(__file__).resolve().parent
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=True
    )
    return float(run.stdout.split()[-1])


def print_alone(model: str, threads: int) -> None:
    """What `alone_ms` runs."""
    from stages import picture

    from depth_estimation_ros.engines import EngineOptions, open_engine
    from depth_estimation_ros.pipeline import network_size, resize_image, to_input

    engine = open_engine(model, EngineOptions(threads=threads))
    spec = engine.card.input
    size = network_size(HEIGHT, WIDTH, spec)
    batch = to_input(resize_image(picture(WIDTH, HEIGHT), *size), spec)
    times = []
    for _ in range(ALONE_ROUNDS):
        start = time.perf_counter()
        engine.infer(batch)
        times.append(1e3 * (time.perf_counter() - start))
    engine.close()
    print(np.median(times[ALONE_ROUNDS // 5 :]))


def table(results: list[Result]) -> Table:
    """All numbers."""
    shown = Table(title=f"replay of {WIDTH}x{HEIGHT} JPEGs, {os.cpu_count()} processors")
    shown.add_column("written")
    for column in (
        "images in, out",
        "network alone",
        "replay",
        f"ratio (aim {AIM_RATIO})",
        "of that, model open",
        "images/s",
        "peak memory",
        "written",
    ):
        shown.add_column(column, justify="right")
    for r in results:
        shown.add_row(
            r.outputs,
            f"{r.frames_in}, {r.frames_out}",
            f"{r.alone_s:.1f} s ({1e3 * r.alone_s / r.frames_in:.1f} ms)",
            f"{r.wall_s:.1f} s",
            f"{r.ratio:.2f}",
            f"{r.run_s:.1f} s ({r.run_s / r.alone_s:.2f})",
            f"{r.frames_in / r.run_s:.1f}",
            f"{r.peak_mb:.0f} MB",
            f"{r.written_mb:.0f} MB",
        )
    return shown


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


if __name__ == "__main__":
    sys.exit(main())
