"""Each step of one frame, alone in this process, beside a memcpy that moves as many bytes.

A step is measured as the node meets it: its input is where the step before has left it, and after
the network the caches are full of something else. The copies go in the same order, from the same
states of the caches. "Bytes" are those that a step must read and write at least: a copy of half as
many reads and writes as much.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import rclpy
from images import draw_image
from options import Options
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CompressedImage, Image, PointCloud2
from std_msgs.msg import Header
from tables import Table, both, number
from timing import both_milliseconds, forget_caches, no_garbage_collection, spread

from depth_estimation_ros import estimation as pipeline
from depth_estimation_ros import messages
from depth_estimation_ros.engines import open_engine
from depth_estimation_ros.engines.model_card import ModelCard
from depth_estimation_ros.estimation.scale import ScaleAnchor, ScaleSource
from depth_estimation_ros.estimation.scale_sources import (
    FloorBelow,
    KnownPixels,
    RangeCone,
    RangePoints,
    down_vector,
)
from depth_estimation_ros.estimation.temporal_filter import FilterContext, TemporalFilter
from depth_estimation_ros.geometry.camera_model import CameraModel
from depth_estimation_ros.messages.factory import ReusingMessageFactory
from depth_estimation_ros.node.frame_processor import DecodedImage, DepthFrame, ImageCamera
from depth_estimation_ros.visualization import ColorSettings, DepthColors

AIM = 2.5
ROUNDS = 60
EDGE_FILTER = 0.1
SINK = Path(__file__).resolve().parents[1] / "sink.py"


@dataclass(frozen=True)
class Step:
    """One step.

    Attributes:
        name: shown.
        run: the step.
        moved: bytes that it must read and write; 0 if something else than memory limits it.
        counts: whether the aim is for it: resize, upsample, cloud and messages of every frame.
        cold: the caches hold something else when it begins.
    """

    name: str
    run: Callable[[], Any]
    moved: int = 0
    counts: bool = False
    cold: bool = False


def measure(options: Options) -> dict[str, Any]:
    """Milliseconds of the steps and of the copies, by size of the image."""
    engine = open_engine(options.main_model)
    card = engine.card
    engine.close()
    sizes = {}
    with listened_publishers(options.folder) as publish:
        for width, height in options.sizes:
            steps = steps_of_a_frame(width, height, card, publish)
            sizes[f"{width}x{height}"] = timed(steps, options.rounds(ROUNDS))
    return {"model": options.main_model, "sizes": sizes}


def timed(steps: list[Step], rounds: int) -> list[dict[str, Any]]:
    """Rounds of all steps, and of all copies, in turn."""
    largest = max(step.moved for step in steps) // 2
    source, target = np.ones(largest, np.uint8), np.ones(largest, np.uint8)
    taken: dict[str, list[tuple[float, float]]] = {step.name: [] for step in steps}
    copied: dict[str, list[tuple[float, float]]] = {step.name: [] for step in steps}
    with no_garbage_collection():
        for round_number in range(-2, rounds):  # the first two warm up
            for step in steps:
                if step.cold:
                    forget_caches()
                ms = both_milliseconds(step.run)
                if round_number >= 0:
                    taken[step.name].append(ms)
            for step in steps:
                if step.cold:
                    forget_caches()
                size = step.moved // 2
                ms = both_milliseconds(lambda size=size: np.copyto(target[:size], source[:size]))
                if round_number >= 0:
                    copied[step.name].append(ms)
    return [_row(step, taken[step.name], copied[step.name]) for step in steps]


def _row(
    step: Step, taken: list[tuple[float, float]], copied: list[tuple[float, float]]
) -> dict[str, Any]:
    passed, processor = zip(*taken, strict=True)
    copy_passed, copy_processor = zip(*copied, strict=True)
    return {
        "step": step.name,
        **spread(passed),
        "processor_least": min(processor),
        "bytes": step.moved,
        "memcpy_p50": spread(copy_passed)["p50"] if step.moved else None,
        "memcpy_processor_least": min(copy_processor) if step.moved else None,
        "counts": step.counts,
    }


def steps_of_a_frame(
    width: int, height: int, card: ModelCard, publish: dict[str, Callable[[Any], None]]
) -> list[Step]:
    """The steps in the order in which a frame takes them, and those that are off by default."""
    header = Header(frame_id="camera")
    shown = draw_image(width, height)
    image = messages.color_image(shown, header)
    bgr = messages.color_image(shown, header)
    bgr.encoding = "bgr8"
    jpeg = CompressedImage(header=header, format="jpeg")
    encoded = cv2.imencode(".jpg", shown[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 90])[1]
    jpeg.data.frombytes(encoded.tobytes())

    camera = CameraModel.from_hfov(width, height, 60.0)
    network_h, network_w = pipeline.network_size(height, width, card.input)
    near, far = pipeline.depth_limits(card.output, pipeline.EstimatorSettings())
    soft = np.random.default_rng(0).uniform(max(near, 1.0), min(far, 9.0), (9, 12))
    raw = cv2.resize(soft.astype(np.float32), (network_w, network_h))
    colors = DepthColors(ColorSettings())
    past, shown = TemporalFilter(), FilterContext(0, (height, width), camera, near, far)
    pixels, network_pixels = width * height, network_w * network_h
    have: dict[str, Any] = {}
    # As the node has it: one for each output.
    of_depth, of_millimetres, of_cloud, of_colors = (ReusingMessageFactory() for _ in range(4))

    def keep(name: str, make: Callable[[], Any]) -> Callable[[], None]:
        def run() -> None:
            have[name] = make()

        return run

    def estimated() -> DepthFrame:
        result = pipeline.DepthResult(have["depth"], camera, 0.0, near, far)
        image_camera = ImageCamera(camera, "calibrated")
        return DepthFrame(DecodedImage(header, have["rgb"], image_camera), result)

    def to_depth(edge_filter: float) -> np.ndarray:
        size = (height, width)
        metres = pipeline.to_metres(raw, card.output, 1.0)
        return pipeline.to_depth(metres, near, far, size, edge_filter)

    return [
        Step("decode bgr8", lambda: messages.decode_image(bgr), 6 * pixels, cold=True),
        Step("decode JPEG", lambda: messages.decode_compressed(jpeg)),
        Step("decode rgb8 (no copy)", keep("rgb", lambda: messages.decode_image(image)), cold=True),
        Step("camera", lambda: messages.camera_model(messages.camera_info(camera, header)).rays()),
        Step(
            "resize",
            lambda: pipeline.to_input(
                pipeline.resize_image(have["rgb"], network_h, network_w), card.input
            ),
            3 * (pixels + network_pixels),
            counts=True,
        ),
        Step(
            "upsample, limits",
            keep("depth", lambda: to_depth(0.0)),
            4 * (pixels + network_pixels),
            counts=True,
            cold=True,
        ),
        Step(
            "depth message",
            keep("message", lambda: estimated().depth(factory=of_depth)),
            8 * pixels,
            counts=True,
        ),
        Step("publish depth", lambda: publish["depth"](have["message"])),
        Step(
            "cloud and its message",
            keep("cloud", lambda: estimated().points(factory=of_cloud)),
            (4 + 8 + 3 + 16) * pixels,  # depth, rays, colours; x, y, z, rgb
            counts=True,
        ),
        Step("publish cloud", lambda: publish["points"](have["cloud"])),
        Step("colours and their message", lambda: estimated().color(colors, of_colors), 7 * pixels),
        Step("depth message 16UC1", lambda: estimated().depth("16UC1", of_millimetres), 6 * pixels),
        Step(
            "upsample, limits, edge filter",
            lambda: to_depth(EDGE_FILTER),
            4 * (pixels + network_pixels),
            cold=True,
        ),
        Step("temporal filter", lambda: past.smooth(raw, 0.5, shown), 16 * network_pixels),
        *(
            Step(f"scale from {name}", partial(_anchor(card, source).apply, raw, camera, 0))
            for name, source in scale_sources(height, width).items()
        ),
    ]


def scale_sources(height: int, width: int) -> dict[str, ScaleSource]:
    """One measurement of each source of metric scale, 5 m ahead of the camera."""
    rng = np.random.default_rng(0)
    slopes = np.linspace(-2.0, 2.0, 1081)
    scan = np.stack([5.0 * slopes, np.full(1081, 0.1), np.full(1081, 5.0)], axis=1)
    lidar = rng.uniform(-1.0, 1.0, (60_000, 3)) * (20.0, 2.0, 20.0)
    sparse = np.where(rng.random((height, width)) < 0.05, 5.0, np.nan).astype(np.float32)
    ahead = np.array([[0, -1, 0, 0], [0, 0, -1, 0], [1, 0, 0, 0], [0, 0, 0, 1]], np.float64)
    return {
        "a scan of 1081 points": RangePoints(scan, 0),
        "60000 points": RangePoints(lidar, 0),
        "a range sensor": RangeCone(5.0, 0.2, ahead, 0),
        "a depth image": KnownPixels.of_depth(sparse, 0),
        "the camera's height": FloorBelow(1.0, down_vector(0.0, 0.3)),
    }


def _anchor(card: ModelCard, source: ScaleSource) -> ScaleAnchor:
    anchor = ScaleAnchor(card.output)
    anchor.source = source
    return anchor


@contextmanager
def listened_publishers(folder: Path) -> Iterator[dict[str, Callable[[Any], None]]]:
    """Publishers of depth and cloud, with a process that receives and throws away."""
    node = rclpy.create_node("bench_stages")
    qos = QoSProfile(depth=5, reliability=ReliabilityPolicy.RELIABLE)
    publishers = {
        "depth": node.create_publisher(Image, "/bench/depth", qos),
        "points": node.create_publisher(PointCloud2, "/bench/points", qos),
    }
    with (folder / "sink.log").open("w") as log:
        sink = subprocess.Popen([sys.executable, str(SINK)], stdout=log, stderr=log)
    try:
        end = time.monotonic() + 30.0
        while not all(p.get_subscription_count() for p in publishers.values()):
            if sink.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"no listener: {(folder / 'sink.log').read_text()}")
            time.sleep(0.05)
        yield {name: publisher.publish for name, publisher in publishers.items()}
    finally:
        sink.kill()  # it has nothing to save, and rclpy misses a SIGTERM now and then
        sink.wait()
        node.destroy_node()


def sums(rows: list[dict[str, Any]]) -> tuple[float, float]:
    """Milliseconds of the steps that count, and of their copies."""
    counted = [row for row in rows if row["counts"]]
    return sum(row["p50"] for row in counted), sum(row["memcpy_p50"] for row in counted)


def tables(numbers: dict[str, Any]) -> list[Table]:
    """One table for each size."""
    made = []
    for size, rows in numbers["sizes"].items():
        table = Table(
            f"Steps of one frame, {size}",
            ("step", "ms, p50 / p99", "MB read and written", "memcpy, ms", "ratio"),
            note=f"Network input as of {numbers['model']}. * counts for the aim.",
        )
        for row in rows:
            name = row["step"] + (" *" if row["counts"] else "")
            floor = row["memcpy_p50"]
            bound = (row["bytes"] / 1e6, floor, row["p50"] / floor) if floor else ("", "", "")
            table.add(name, both(row), *bound)
        taken, copied = sums(rows)
        table.add(f"sum of * (aim {AIM}x)", number(taken), "", copied, taken / copied)
        made.append(table)
        if "processor_least" in rows[0]:
            made.append(_processor_table(size, rows))
    return made


def _processor_table(size: str, rows: list[dict[str, Any]]) -> Table:
    table = Table(
        f"Processor time of the steps that count, {size}",
        ("step", "processor, ms", "memcpy, ms", "ratio"),
        note="The least of all rounds: it says the same on a busy machine too.",
    )
    totals = [0.0, 0.0]
    for row in rows:
        if not row["counts"]:
            continue
        pair = row["processor_least"], row["memcpy_processor_least"]
        totals = [total + part for total, part in zip(totals, pair, strict=True)]
        table.add(row["step"], *pair, pair[0] / pair[1])
    table.add("sum", *totals, totals[0] / totals[1])
    return table
