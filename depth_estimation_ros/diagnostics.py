"""What the node counts and measures, and how it tells it on /diagnostics."""

from __future__ import annotations

import math
import os
import threading
import time
from collections import Counter, deque
from pathlib import Path

import numpy as np
from diagnostic_msgs.msg import DiagnosticStatus, KeyValue

COUNTERS = (
    "frames_received",
    "frames_published",
    "dropped_busy",
    "dropped_bad",
    "dropped_waiting_for_camera_info",
    "skipped_paused",
    "skipped_no_subscriber",
    "skipped_no_calibration",
    "engine_runs",
    "engine_restarts",
    "time_jumps",
)
WINDOW = 1000  # frames that the percentiles look back on
SILENCE_S = 5.0  # without an image for so long, something is wrong with the camera
BAD_FRAME_S = 5.0  # so long a bad frame is news, unless a frame is handled after it


class Statistics:
    """Counters and times of frames; may be used from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()
        self._latency_ms: deque[float] = deque(maxlen=WINDOW)
        self._engine_ms: deque[float] = deque(maxlen=WINDOW)
        self._last_error = ""
        self._failure = ""
        self._bad_frame_at = -math.inf

    def count(self, name: str) -> None:
        """Add one to a counter of ``COUNTERS``."""
        with self._lock:
            self._counts[name] += 1

    def engine_ran(self, milliseconds: float) -> None:
        """Note one run of the network."""
        with self._lock:
            self._counts["engine_runs"] += 1
            self._engine_ms.append(milliseconds)

    def published(self, latency_ms: float) -> None:
        """Note one frame that went all the way; the bad ones before it are over then."""
        with self._lock:
            self._counts["frames_published"] += 1
            self._latency_ms.append(latency_ms)
            self._bad_frame_at = -math.inf

    def skipped(self, counter: str) -> None:
        """Note one frame that gives nothing to publish; the bad ones before it are over then.

        Args:
            counter: skipped_no_subscriber if nobody listens, skipped_no_calibration if only those
                listen who get nothing without a calibrated camera.
        """
        with self._lock:
            self._counts[counter] += 1
            self._bad_frame_at = -math.inf

    def bad_frame(self, message: str) -> None:
        """Note one frame that had to be dropped: an error of the next ``BAD_FRAME_S`` at most."""
        with self._lock:
            self._counts["dropped_bad"] += 1
            self._last_error = message
            self._bad_frame_at = time.monotonic()

    def time_jumped(self) -> None:
        """Note that time has jumped back; percentiles are those of the new time's frames."""
        with self._lock:
            self._counts["time_jumps"] += 1
            self._latency_ms.clear()
            self._engine_ms.clear()

    def failed(self, message: str) -> None:
        """Note an error that lasts until the node has ``recovered``."""
        with self._lock:
            self._last_error = self._failure = message

    def recovered(self) -> None:
        """Note that no error is left; the text of the last one is still shown."""
        with self._lock:
            self._failure = ""
            self._bad_frame_at = -math.inf

    @property
    def error(self) -> str | None:
        """The message of an error that is not over yet."""
        with self._lock:
            if self._failure:
                return self._failure
            recent = time.monotonic() - self._bad_frame_at < BAD_FRAME_S
            return self._last_error if recent else None

    def values(self) -> dict[str, str]:
        """Every counter and percentile (milliseconds over the last ``WINDOW`` frames) as text."""
        with self._lock:
            values = {name: str(self._counts[name]) for name in COUNTERS}
            values["latency_ms_p50"] = _percentile(self._latency_ms, 50)
            values["latency_ms_p99"] = _percentile(self._latency_ms, 99)
            values["engine_ms_p50"] = _percentile(self._engine_ms, 50)
            values["last_error"] = self._last_error
        return values


def _percentile(samples: deque[float], percent: float) -> str:
    return f"{np.percentile(samples, percent):.2f}" if samples else ""


def rss_mb() -> float:
    """Memory of this process in RAM, in MB (10^6 bytes); 0 where /proc is missing."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:
        return 0.0
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def status(
    statistics: Statistics,
    *,
    name: str,
    state: str,
    engine: str,
    camera_info: str,
    last_image_at: float | None,
    enabled: bool = True,
) -> DiagnosticStatus:
    """One DiagnosticStatus.

    Args:
        statistics: what was counted so far.
        name: of the status.
        state: of the node's lifecycle.
        engine: description of the open engine, or empty.
        camera_info: calibrated, unsupported (its lens model), uncalibrated, or missing; empty
            before the first frame.
        last_image_at: time.monotonic() of the last image, or of the activation if none came
            yet; None if the node is not active.
        enabled: false while the node is paused.
    """
    level, message = DiagnosticStatus.OK, state if enabled else f"{state}, paused"
    silence = 0.0 if last_image_at is None else time.monotonic() - last_image_at
    if statistics.error is not None:
        level, message = DiagnosticStatus.ERROR, statistics.error
    elif silence > SILENCE_S:
        level, message = DiagnosticStatus.WARN, f"no image for {silence:.0f} s"
    elif camera_info in ("unsupported", "uncalibrated", "missing"):
        level, message = DiagnosticStatus.WARN, f"CameraInfo {camera_info}: no point cloud"
    values = {
        "state": state,
        "enabled": str(enabled).lower(),
        **statistics.values(),
        "camera_info": camera_info,
        "engine": engine,
        "rss_mb": f"{rss_mb():.1f}",
    }
    return DiagnosticStatus(
        level=level,
        name=name,
        message=message,
        hardware_id=engine,
        values=[KeyValue(key=key, value=value) for key, value in values.items()],
    )
