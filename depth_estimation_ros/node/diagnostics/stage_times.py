"""How long each stage of a frame takes, from the camera's stamp to what is published."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable, Mapping

import numpy as np

WINDOW = 1000  # frames that the percentiles look back on
STAGES = {
    "receive": "from the stamp of the image to the callback, where the clocks allow to tell",
    "wait": "from the callback until the network's thread takes the frame",
    "decode": "the picture of the message, at the network's size",
    "infer": "the network",
    "post": "its answer as depth in metres",
    "publish": "making and publishing the messages",
    "end_to_end": "all, from the stamp where the clocks allow it, else from the callback",
}


class StageTimes:
    """Milliseconds of the last ``WINDOW`` frames; may be used from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ms: dict[str, deque[float]] = {name: deque(maxlen=WINDOW) for name in STAGES}

    def note(self, milliseconds: Mapping[str, float]) -> None:
        """Add one frame: milliseconds of some of the ``STAGES``."""
        with self._lock:
            for name, value in milliseconds.items():
                self._ms[name].append(value)

    def clear(self) -> None:
        """Forget all frames."""
        with self._lock:
            for samples in self._ms.values():
                samples.clear()

    def p99(self, stage: str) -> float | None:
        """Percentile 99 of a stage in milliseconds; None before the first frame."""
        with self._lock:
            samples = list(self._ms[stage])
        return float(np.percentile(samples, 99)) if samples else None

    def values(self) -> dict[str, str]:
        """Percentiles 50 and 99 of each stage in milliseconds, as text; empty before the first."""
        with self._lock:
            copies = {name: list(samples) for name, samples in self._ms.items()}
        return {
            f"{name}_ms_p{percent}": percentile(samples, percent)
            for name, samples in copies.items()
            for percent in (50, 99)
        }


def percentile(samples: Iterable[float], percent: float) -> str:
    """A percentile as text with two decimals; empty if there are no samples."""
    numbers = list(samples)
    return f"{np.percentile(numbers, percent):.2f}" if numbers else ""
