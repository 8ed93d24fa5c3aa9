"""The frames of each camera of a replay as arrays, and where some are missing in time."""

from __future__ import annotations

import math
from array import array
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from depth_estimation_ros.apps.replay.frames_csv import read_rows

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

NUMBERS = (
    "engine_ms",
    "total_ms",
    "depth_p5",
    "depth_median",
    "depth_p95",
    "valid_share",
    "scale",
)


@dataclass(frozen=True, eq=False)
class Frames:
    """The frames of one camera by stamp; N of them.

    Attributes:
        stamp_ns: (N,) of the image's header.
        time_ns: (N,) of its recording.
        ok: (N,) bool; False: the image gave no depth.
        engine_ms: (N,) inside the engine; NaN where there is none, as in all that follow.
        total_ms: (N,) for decoding, depth and making the messages.
        depth_p5, depth_median, depth_p95: (N,) metres, of the pixels with a depth.
        valid_share: (N,) of the pixels that have a depth.
        scale: (N,) of the depth, where something metric gave it.
    """

    stamp_ns: Integers
    time_ns: Integers
    ok: npt.NDArray[np.bool_]
    engine_ms: Floats
    total_ms: Floats
    depth_p5: Floats
    depth_median: Floats
    depth_p95: Floats
    valid_share: Floats
    scale: Floats

    def __len__(self) -> int:
        return len(self.stamp_ns)


def read_frames(output: Path) -> dict[str, Frames]:
    """Frames of OUT/frames.csv by image topic, each camera's in the order of their stamps.

    80 bytes a frame are held. Without the file there are no frames.
    """
    cameras: dict[str, dict[str, Any]] = {}
    for row in read_rows(output):
        camera = cameras.setdefault(
            row.image_topic,
            {
                "stamp_ns": array("q"),
                "time_ns": array("q"),
                "ok": array("b"),
                **{name: array("d") for name in NUMBERS},
            },
        )
        camera["stamp_ns"].append(row.stamp_ns)
        camera["time_ns"].append(row.time_ns)
        camera["ok"].append(row.status == "ok")
        for name in NUMBERS:
            camera[name].append(float(getattr(row, name) or "nan"))
    return {topic: _sorted(camera) for topic, camera in cameras.items()}


def _sorted(camera: dict[str, Any]) -> Frames:
    kinds = {"stamp_ns": np.int64, "time_ns": np.int64, "ok": np.bool_}
    order = np.argsort(np.asarray(camera["stamp_ns"], np.int64), kind="stable")
    arrays: dict[str, Any] = {
        field.name: np.asarray(camera[field.name]).astype(kinds.get(field.name, np.float64))[order]
        for field in fields(Frames)
    }
    return Frames(**arrays)


@dataclass(frozen=True)
class Gap:
    """A time in which a camera sent nothing, though it should have.

    Attributes:
        start_ns: stamp of the last frame before.
        end_ns: stamp of the first frame after.
        missing: frames that its period would have had between; 0 for a pause of the recording.
    """

    start_ns: int
    end_ns: int
    missing: int


PAUSE_S = 60.0  # a longer gap is another recording, or a pause of this one


def period_ns(stamps: Integers, rate_hz: float = 0.0) -> float:
    """The time between two frames: the median; NaN for fewer than two stamps.

    Args:
        stamps: sorted.
        rate_hz: at which frames were chosen, if they were; their median may lie below.
    """
    if len(stamps) < 2:
        return math.nan
    median = float(np.median(np.diff(stamps)))
    return max(median, 1e9 / rate_hz) if rate_hz > 0 else median


def find_gaps(stamps: Integers, period: float) -> list[Gap]:
    """Where the stamps are more than 1.5 periods apart.

    Args:
        stamps: sorted, nanoseconds.
        period: nanoseconds; with none above 0 there are no gaps.
    """
    if not period > 0:
        return []
    steps = np.diff(stamps)
    gaps = []
    for i in np.flatnonzero(steps > 1.5 * period):
        paused = steps[i] > PAUSE_S * 1e9
        missing = 0 if paused else round(float(steps[i] / period)) - 1
        gaps.append(Gap(int(stamps[i]), int(stamps[i + 1]), missing))
    return gaps


def percentiles(values: Floats) -> dict[str, float]:
    """p50, p90, p99 and max of the finite values, by linear interpolation; empty for none."""
    known = values[np.isfinite(values)]
    if not known.size:
        return {}
    p50, p90, p99 = np.percentile(known, (50, 90, 99))
    return {"p50": float(p50), "p90": float(p90), "p99": float(p99), "max": float(known.max())}
