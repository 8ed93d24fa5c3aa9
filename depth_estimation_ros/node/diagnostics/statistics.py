"""What the node counts and measures: counters, rates, and the times of the stages of a frame."""

from __future__ import annotations

import math
import os
import threading
import time
from collections import Counter, deque
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

COUNTERS = (
    "frames_received",
    "frames_published",
    "dropped_busy",
    "dropped_bad",
    "dropped_waiting_for_camera_info",
    "skipped_paused",
    "skipped_no_subscriber",
    "skipped_no_calibration",
    "skipped_no_scale",
    "engine_runs",
    "time_jumps",
)
STAGES = {
    "receive": "from the stamp of the image to the callback, where the clocks tell",
    "wait": "from the callback until the network's thread takes the image",
    "decode": "decoding the image and resizing it for the network",
    "infer": "the network",
    "post": "the prediction to depth in metres",
    "publish": "making and publishing the messages",
    "end_to_end": "all, from the stamp where the clocks tell, else from the callback",
}
WINDOW = 1000  # frames of the percentiles
RATE_S = 5.0  # time span of a rate
SILENCE_S = 5.0  # without an image for so long, the camera has stalled
BAD_FRAME_S = 5.0  # a bad frame is an error for so long, unless a later frame is published
CONSECUTIVE_COUNT, CONSECUTIVE_S = 10, 1.0


class Rate:
    """Events per second, over the last `RATE_S` seconds or since the start.

    Args:
        since: start, in seconds of the clock that all later times are of.
    """

    def __init__(self, since: float) -> None:
        self._since = since
        self._times: deque[float] = deque()

    def add(self, at: float) -> None:
        """Count one event."""
        self._times.append(at)
        while self._times[0] <= at - RATE_S:
            self._times.popleft()

    def hz(self, at: float) -> float:
        """Return the events per second."""
        recent = sum(time > at - RATE_S for time in self._times)
        return recent / max(min(at - self._since, RATE_S), 1e-3)

    def is_settled(self, at: float) -> bool:
        """Whether the time since the start is long enough to judge the rate."""
        return at - self._since >= RATE_S


class ConsecutiveCounter:
    """How many images in a row a condition has been true of.

    Attributes:
        count: images in a row.
        seconds: from the first of them to the last.
        last: when the last image was looked at.
    """

    def __init__(self) -> None:
        self.count, self.seconds, self._began, self.last = 0, 0.0, 0.0, -math.inf

    def add(self, holds: bool, at: float) -> None:
        """Count one image."""
        self.last = at
        if not holds:
            self.count, self.seconds = 0, 0.0
            return
        if self.count == 0:
            self._began = at
        self.count += 1
        self.seconds = at - self._began

    @property
    def is_long(self) -> bool:
        """Whether it is an issue: `CONSECUTIVE_COUNT` images over `CONSECUTIVE_S` seconds."""
        return self.count >= CONSECUTIVE_COUNT and self.seconds >= CONSECUTIVE_S


class Statistics:
    """Counters and times of frames; may be used from several threads.

    Args:
        total: statistics of all cameras, which count the same, if this is of one.
    """

    def __init__(self, total: Statistics | None = None) -> None:
        self._total = total
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()
        self._latency_ms: deque[float] = deque(maxlen=WINDOW)
        self._engine_ms: deque[float] = deque(maxlen=WINDOW)
        self._stages_ms: dict[str, deque[float]] = {name: deque(maxlen=WINDOW) for name in STAGES}
        self._last_error = self._failure = ""
        self._bad_frame_at = self._published_at = self._skipped_at = -math.inf
        self._output_rate = Rate(time.monotonic())

    def count(self, name: str) -> None:
        """Add one to a counter of `COUNTERS`."""
        if self._total is not None:
            self._total.count(name)
        with self._lock:
            self._counts[name] += 1
            if name.startswith("skipped"):
                self._skipped_at = time.monotonic()

    def engine_ran(self, milliseconds: float) -> None:
        """Count one run of the network."""
        if self._total is not None:
            self._total.engine_ran(milliseconds)
        with self._lock:
            self._counts["engine_runs"] += 1
            self._engine_ms.append(milliseconds)

    def published(
        self, latency_ms: float, stages_ms: Mapping[str, float], begun_at: float = math.inf
    ) -> None:
        """Count one published frame; it ends the error of bad frames before it.

        Args:
            latency_ms: from the callback to the published depth.
            stages_ms: milliseconds of some of the `STAGES`.
            begun_at: when its processing began, seconds of time.monotonic().
        """
        if self._total is not None:
            self._total.published(latency_ms, stages_ms, begun_at)
        with self._lock:
            self._counts["frames_published"] += 1
            self._latency_ms.append(latency_ms)
            for name, value in stages_ms.items():
                self._stages_ms[name].append(value)
            if self._bad_frame_at < begun_at:
                self._bad_frame_at = -math.inf
            self._published_at = time.monotonic()
            self._output_rate.add(self._published_at)

    def skipped(self, counter: str) -> None:
        """Count one frame with nothing to publish; it ends the error of bad frames before it.

        Args:
            counter: skipped_no_subscriber, or skipped_no_calibration if all subscribed outputs need
                a calibrated camera.
        """
        self.count(counter)
        for statistics in (self, self._total):
            if statistics is not None:
                with statistics._lock:
                    statistics._bad_frame_at = -math.inf

    def bad_frame(self, message: str) -> None:
        """Count one dropped frame; it is an error for the next `BAD_FRAME_S` at most."""
        if self._total is not None:
            self._total.count("dropped_bad")  # the message is shown with the name of its camera
        with self._lock:
            self._counts["dropped_bad"] += 1
            self._last_error = message
            self._bad_frame_at = time.monotonic()

    def time_jumped(self) -> None:
        """Count one jump of time; the percentiles are then those of frames after it."""
        if self._total is not None:
            self._total.time_jumped()
        with self._lock:
            self._counts["time_jumps"] += 1
            for samples in (self._latency_ms, self._engine_ms, *self._stages_ms.values()):
                samples.clear()

    def failed(self, message: str) -> None:
        """Set an error that lasts until `recovered`."""
        with self._lock:
            self._last_error = self._failure = message

    def recovered(self) -> None:
        """Clear all errors; the text of the last one is still shown."""
        with self._lock:
            self._failure = ""
            self._bad_frame_at = -math.inf

    @property
    def error(self) -> str | None:
        """The message of a present error."""
        with self._lock:
            if self._failure:
                return self._failure
            recent = time.monotonic() - self._bad_frame_at < BAD_FRAME_S
            return self._last_error if recent else None

    @property
    def output(self) -> tuple[float, float]:
        """Published frames per second, and seconds since the last; inf if there was none."""
        now = time.monotonic()
        with self._lock:
            return self._output_rate.hz(now), now - self._published_at

    @property
    def skipped_lately(self) -> bool:
        """Whether a frame was skipped within `RATE_S`."""
        with self._lock:
            return time.monotonic() - self._skipped_at < RATE_S

    @property
    def latency_p99(self) -> float | None:
        """Percentile 99 of end_to_end in milliseconds; None before the first frame."""
        with self._lock:
            samples = list(self._stages_ms["end_to_end"])
        return float(np.percentile(samples, 99)) if samples else None

    def values(self) -> dict[str, str]:
        """Return every counter and percentile (milliseconds of `WINDOW` frames) as text."""
        with self._lock:
            values = {name: str(self._counts[name]) for name in COUNTERS}
            values["latency_ms_p50"] = percentile(self._latency_ms, 50)
            values["latency_ms_p99"] = percentile(self._latency_ms, 99)
            values["engine_ms_p50"] = percentile(self._engine_ms, 50)
            values["output_rate_hz"] = f"{self._output_rate.hz(time.monotonic()):.2f}"
            values["last_error"] = self._last_error
        return values

    def stage_values(self) -> dict[str, str]:
        """Return percentiles 50 and 99 of each stage in milliseconds as text."""
        with self._lock:
            copies = {name: list(samples) for name, samples in self._stages_ms.items()}
        return {
            f"{name}_ms_p{percent}": percentile(samples, percent)
            for name, samples in copies.items()
            for percent in (50, 99)
        }


def percentile(samples: Iterable[float], percent: float) -> str:
    """Return a percentile as text with two decimals; empty if there are no samples."""
    values = list(samples)
    return f"{np.percentile(values, percent):.2f}" if values else ""


def rss_mb() -> float:
    """Return the resident memory of this process in MB (10^6 bytes); 0 where /proc is missing."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:
        return 0.0
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6
