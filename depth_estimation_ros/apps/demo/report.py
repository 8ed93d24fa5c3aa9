"""Read the recorded run back; write its numbers and images."""

from __future__ import annotations

import math
import os
import platform
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from rosbags.highlevel import AnyReader

from depth_estimation_ros import messages
from depth_estimation_ros.apps.demo import graph
from depth_estimation_ros.apps.demo.session import DemoOptions, Outcome, ros_name
from depth_estimation_ros.apps.demo.sources import Source
from depth_estimation_ros.bags import stamp_of
from depth_estimation_ros.engines import resolve_model
from depth_estimation_ros.engines.factory import card_of_file
from depth_estimation_ros.engines.model_card import ModelCard
from depth_estimation_ros.estimation import metrics
from depth_estimation_ros.estimation.metrics import (
    Pair,
    depth_metrics,
    match_stamps,
    sample_nearest,
)
from depth_estimation_ros.visualization.figures import PreviewRow, render_cloud, render_sheet

Depth = npt.NDArray[np.float32]
Image = npt.NDArray[np.uint8]


class Recording:
    """The recorded bag, open for reading. Every message lies at the stamp of its image (ns)."""

    def __init__(self, reader: AnyReader, transport: str) -> None:
        self._reader = reader
        self._transport = transport

    @classmethod
    @contextmanager
    def open(cls, bag: Path, transport: str) -> Iterator[Recording]:
        """Args: bag: rosbag2 directory; transport: raw or compressed, of the images in it."""
        with AnyReader([bag]) as reader:
            yield cls(reader, transport)

    def depth_stamps(self) -> list[int]:
        """Return stamps of the depth images, in order."""
        return [stamp_of(raw) for _, _, raw in self._raw(graph.DEPTH)]

    def depths(self) -> Iterator[tuple[int, Depth]]:
        """Yield stamps and depth images (H, W) in metres."""
        for connection, _, raw in self._raw(graph.DEPTH):
            message = self._reader.deserialize(raw, connection.msgtype)
            yield stamp_of(raw), messages.decode_depth(message)

    def depth_at(self, stamp: int) -> Depth:
        """Return the depth image (H, W) in metres with this stamp."""
        return messages.decode_depth(self._at(graph.DEPTH, stamp))

    def image_at(self, stamp: int) -> Image | None:
        """The camera image (H, W, 3) uint8 RGB with this stamp; None if it was not recorded."""
        message = self._at(graph.IMAGES[self._transport][0], stamp)
        if message is None:
            return None
        if self._transport == "compressed":
            return messages.decode_compressed(message)
        return messages.decode_image(message)

    def cloud_at(self, stamp: int) -> tuple[Depth, Image] | None:
        """Return points (H, W, 3) in metres and their colours; None if there is no such cloud."""
        message = self._at(graph.POINTS, stamp)
        return None if message is None else messages.read_points(message)

    def diagnostics(self) -> dict[str, str]:
        """Return what the node said last of itself."""
        values: dict[str, str] = {}
        for connection, _, raw in self._raw(graph.DIAGNOSTICS):
            message: Any = self._reader.deserialize(raw, connection.msgtype)
            for status in message.status:
                if status.name == f"{graph.NODE}: depth":
                    values = {pair.key: pair.value for pair in status.values}
        return values

    def _raw(self, topic: str, start: int | None = None, stop: int | None = None) -> Iterator[Any]:
        connections = [c for c in self._reader.connections if c.topic == topic]
        if connections:  # none would mean all of them
            yield from self._reader.messages(connections, start=start, stop=stop)

    def _at(self, topic: str, stamp: int) -> Any:
        for connection, _, raw in self._raw(topic, stamp, stamp + 1):
            return self._reader.deserialize(raw, connection.msgtype)
        return None


ROWS = 5  # of the preview


def model_card(model: str) -> ModelCard:
    """Return the card of a bundled model or an ONNX file."""
    return card_of_file(resolve_model(model))


def summarize(
    recording: Recording, source: Source, options: DemoOptions, outcome: Outcome, card: ModelCard
) -> dict[str, Any]:
    """Return all numbers of a run, as they go into summary.json. What is not known is None."""
    diagnostics = recording.diagnostics()
    frames_in, frames_out = len(outcome.answers), len(recording.depth_stamps())
    return {
        "input": source.name,
        "frames_in": frames_in,
        "frames_out": frames_out,
        "dropped": frames_in - frames_out,
        "interrupted": outcome.interrupted,
        "problem": outcome.problem or None,
        "latency_ms": {
            "p50": _number(diagnostics.get("latency_ms_p50")),
            "p99": _number(diagnostics.get("latency_ms_p99")),
        },
        "engine_ms_p50": _number(diagnostics.get("engine_ms_p50")),
        "duration_s": round(outcome.seconds, 2),
        **accuracy(recording, source, card.output.max_depth),
        "rss_mb": _number(diagnostics.get("rss_mb")),
        "model": f"{card.name} {card.model_version}",
        "engine": diagnostics.get("engine"),
        "last_error": diagnostics.get("last_error") or None,
        "cloud_stride": options.cloud_stride,
        "host": {
            "ros": ros_name(),
            "python": platform.python_version(),
            "machine": platform.machine(),
            "cpus": os.cpu_count(),
        },
    }


def accuracy(recording: Recording, source: Source, max_depth: float) -> dict[str, Any]:
    """Errors against the ground truth, as `metrics.Accuracy` explains them, for JSON.

    Args:
        recording: what the node answered.
        source: has the ground truth.
        max_depth: metres; truth beyond it is not scored.

    Returns:
        abs_rel and delta1 as predicted, median-scaled, and of the two constants; None where there
        is nothing to score.
    """

    def pairs() -> Iterator[Pair]:
        for _, depth, truth in match_stamps(recording.depths(), source.ground_truth()):
            yield sample_nearest(depth, truth.shape), truth

    found = metrics.measure_accuracy(pairs, max_depth)
    aligned = _scores(found.median_scaled)
    return {
        **_scores(found.as_predicted),
        **{f"{name}_median_scaled": value for name, value in aligned.items()},
        "constant_median": {**_scores(found.one_constant), "metres": _number(found.constant_m)},
        "constant_median_per_image": _scores(found.constant_per_image),
        "ground_truth_frames": found.images,
        "ground_truth_coverage": _number(found.as_predicted.get("coverage")),
        "ground_truth_cap_m": max_depth if found.images else None,
    }


def write_images(
    recording: Recording, source: Source, max_depth: float, directory: Path
) -> list[str]:
    """preview.png and, if there are clouds, cloud.png; returns the names written.

    The preview has no row for an image that the recorder missed, but the node did not.
    """
    stamps = recording.depth_stamps()
    if not stamps:
        return []
    chosen = [stamps[round(i)] for i in np.linspace(0, len(stamps) - 1, min(ROWS, len(stamps)))]
    pairs = match_stamps(((stamp, None) for stamp in stamps), source.ground_truth())
    truths = {stamp: truth for stamp, _, truth in pairs if stamp in chosen}
    rows = [
        PreviewRow(
            rgb=image,
            depth=recording.depth_at(stamp),
            truth=truths.get(stamp),
            caption=_caption(recording, stamp, stamps[0], truths.get(stamp), max_depth),
        )
        for stamp in chosen
        if (image := recording.image_at(stamp)) is not None
    ]
    written = []
    if rows:
        near, far = _shown_range(rows, max_depth)
        _write(directory / "preview.png", render_sheet(rows, min_depth=near, max_depth=far))
        written.append("preview.png")
    cloud = recording.cloud_at(chosen[len(chosen) // 2])
    if cloud is not None:
        _write(directory / "cloud.png", render_cloud(*cloud))
        written.append("cloud.png")
    return written


def _shown_range(rows: Sequence[PreviewRow], max_depth: float) -> tuple[float, float]:
    """Metres at the two ends of the colours: round numbers with nearly all depth between.

    A room in the colours of 0.3 to 80 m would be all one colour. 0 is where colours always begin.
    """
    depths = [depth for row in rows for depth in (row.depth, row.truth) if depth is not None]
    finite = np.concatenate([depth[np.isfinite(depth)] for depth in depths])
    nearest, farthest = np.percentile(finite, (2, 98)) if finite.size else (0.0, max_depth)
    near = max([m for m in (0.5, 1.0, 2.0, 5.0) if m <= nearest], default=0.0)
    far = min([m for m in (1.0, 2.0, 5.0, 10.0, 20.0, 50.0) if m >= farthest] + [max_depth])
    return (near if near < far else 0.0), far


def _caption(
    recording: Recording, stamp: int, first: int, truth: Depth | None, max_depth: float
) -> str:
    time = f"{(stamp - first) / 1e9:.2f} s"
    if truth is None:
        return time
    depth = sample_nearest(recording.depth_at(stamp), truth.shape)
    scores = depth_metrics(depth, truth, max_depth=max_depth)
    return f"{time}   AbsRel {scores['abs_rel']:.3f}   delta1 {scores['delta1']:.3f}"


def _scores(means: dict[str, float]) -> dict[str, float | None]:
    return {name: _number(means.get(name)) for name in ("abs_rel", "delta1")}


def _number(value: str | float | None) -> float | None:
    """Four decimals; None for what is missing, empty or not a number (JSON has no NaN)."""
    if value is None or value == "":
        return None
    number = round(float(value), 4)
    return number if math.isfinite(number) else None


def _write(path: Path, rgb: npt.NDArray[np.uint8]) -> None:
    cv2.imwrite(str(path), cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR))
