"""What is measured of each network, and the table it goes into."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from rich.table import Table


@dataclass(frozen=True)
class Row:
    """Times of one network on one runtime, in milliseconds, from bytes in host memory to depth in
    host memory.

    Attributes:
        network: its name.
        size: of the input, "480x640".
        runtime: what ran it.
        precision: fp32, fp16 or int8.
        batch: images at once.
        p50, p99: of one call.
        gpu: mean of the network alone on the GPU, without copies; None: not measured.
    """

    network: str
    size: str
    runtime: str
    precision: str
    batch: int
    p50: float
    p99: float
    gpu: float | None = None

    @property
    def images_per_second(self) -> float:
        """At the median."""
        return 1e3 * self.batch / self.p50


def times_of(run: Callable[[], object], rounds: int, warm_up: int = 20) -> np.ndarray:
    """Milliseconds of each of `rounds` calls, after some that do not count."""
    for _ in range(warm_up):
        run()
    times = np.empty(rounds)
    for index in range(rounds):
        start = time.perf_counter()
        run()
        times[index] = 1e3 * (time.perf_counter() - start)
    return times


def table(rows: Sequence[Row], title: str) -> Table:
    """The rows as people read them; the host's part is what a call takes beyond the network."""
    result = Table(title=title)
    for name in ("Network", "Input", "Runtime", "Precision", "Batch"):
        result.add_column(name)
    for name in ("p50 ms", "p99 ms", "GPU alone ms", "Host and copies ms", "Images/s"):
        result.add_column(name, justify="right")
    for row in rows:
        result.add_row(
            row.network,
            row.size,
            row.runtime,
            row.precision,
            str(row.batch),
            f"{row.p50:.2f}",
            f"{row.p99:.2f}",
            "" if row.gpu is None else f"{row.gpu:.2f}",
            "" if row.gpu is None else f"{row.p50 - row.gpu:.2f}",
            f"{row.images_per_second:.0f}",
        )
    return result
