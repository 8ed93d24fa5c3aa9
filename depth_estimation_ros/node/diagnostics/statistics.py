"""What the node counts and measures; `diagnostic_tasks` tells it on /diagnostics."""

from __future__ import annotations

import math
import os
import threading
import time
from collections import Counter, deque
from collections.abc import Mapping
from pathlib import Path

from depth_estimation_ros.node.diagnostics.image_monitor import STALLED_S
from depth_estimation_ros.node.diagnostics.rates import RATE_S, Rate
from depth_estimation_ros.node.diagnostics.stage_times import WINDOW, StageTimes, percentile

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
SILENCE_S = STALLED_S
BAD_FRAME_S = 5.0  # so long a bad frame is news, unless a frame is handled after it


class Statistics:
    """Counters and times of frames; may be used from several threads.

    Args:
        total: is told all that is told to this one: that of all cameras, if this is of one.
    """

    def __init__(self, total: Statistics | None = None) -> None:
        self._total = total
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()
        self._latency_ms: deque[float] = deque(maxlen=WINDOW)
        self._engine_ms: deque[float] = deque(maxlen=WINDOW)
        self._last_error = ""
        self._failure = ""
        self._bad_frame_at = self._published_at = -math.inf
        self._skipped_at = -math.inf
        self._output_rate = Rate(time.monotonic())
        self.stages = StageTimes()

    def count(self, name: str) -> None:
        """Add one to a counter of ``COUNTERS``."""
        if self._total is not None:
            self._total.count(name)
        with self._lock:
            self._counts[name] += 1
            if name.startswith("skipped"):
                self._skipped_at = time.monotonic()

    def engine_ran(self, milliseconds: float) -> None:
        """Note one run of the network."""
        if self._total is not None:
            self._total.engine_ran(milliseconds)
        with self._lock:
            self._counts["engine_runs"] += 1
            self._engine_ms.append(milliseconds)

    def took(self, milliseconds: Mapping[str, float]) -> None:
        """Note the times of one frame: see `StageTimes.note`."""
        if self._total is not None:
            self._total.took(milliseconds)
        self.stages.note(milliseconds)

    def published(self, latency_ms: float) -> None:
        """Note one frame that went all the way; the bad ones before it are over then."""
        if self._total is not None:
            self._total.published(latency_ms)
        with self._lock:
            self._counts["frames_published"] += 1
            self._latency_ms.append(latency_ms)
            self._bad_frame_at = -math.inf
            self._published_at = time.monotonic()
            self._output_rate.note(self._published_at)

    def skipped(self, counter: str) -> None:
        """Note one frame that gives nothing to publish; the bad ones before it are over then.

        Args:
            counter: skipped_no_subscriber if nobody listens, skipped_no_calibration if only those
                listen who get nothing without a calibrated camera.
        """
        if self._total is not None:
            self._total.skipped(counter)
        with self._lock:
            self._counts[counter] += 1
            self._bad_frame_at = -math.inf
            self._skipped_at = time.monotonic()

    def bad_frame(self, message: str) -> None:
        """Note one frame that had to be dropped: an error of the next ``BAD_FRAME_S`` at most."""
        if self._total is not None:
            self._total.count("dropped_bad")  # the message is told with the name of its camera
        with self._lock:
            self._counts["dropped_bad"] += 1
            self._last_error = message
            self._bad_frame_at = time.monotonic()

    def time_jumped(self) -> None:
        """Note that time has jumped back; percentiles are those of the new time's frames."""
        if self._total is not None:
            self._total.time_jumped()
        with self._lock:
            self._counts["time_jumps"] += 1
            self._latency_ms.clear()
            self._engine_ms.clear()
        self.stages.clear()

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

    @property
    def output(self) -> tuple[float, float]:
        """Frames published a second, and the seconds since the last; inf if there was none."""
        now = time.monotonic()
        with self._lock:
            return self._output_rate.hz(now), now - self._published_at

    @property
    def skipped_lately(self) -> bool:
        """Whether there was a frame, within the time of a rate, that nobody wanted."""
        with self._lock:
            return time.monotonic() - self._skipped_at < RATE_S

    def values(self) -> dict[str, str]:
        """Every counter and percentile (milliseconds over the last ``WINDOW`` frames) as text."""
        with self._lock:
            values = {name: str(self._counts[name]) for name in COUNTERS}
            values["latency_ms_p50"] = percentile(self._latency_ms, 50)
            values["latency_ms_p99"] = percentile(self._latency_ms, 99)
            values["engine_ms_p50"] = percentile(self._engine_ms, 50)
            values["output_rate_hz"] = f"{self._output_rate.hz(time.monotonic()):.2f}"
            values["last_error"] = self._last_error
        return values


def rss_mb() -> float:
    """Memory of this process in RAM, in MB (10^6 bytes); 0 where /proc is missing."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:
        return 0.0
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6
