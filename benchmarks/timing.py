"""Times of things that are measured side by side."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

_LARGER_THAN_CACHES = np.zeros(64 * 1024 * 1024, np.uint8)


def spread(milliseconds: Sequence[float]) -> dict[str, float]:
    """Median, 99th percentile and count; NaN of nothing."""
    if not milliseconds:
        return {"p50": float("nan"), "p99": float("nan"), "n": 0}
    p50, p99 = np.percentile(milliseconds, (50, 99))
    return {"p50": float(p50), "p99": float(p99), "n": len(milliseconds)}


def milliseconds(step: Callable[[], Any]) -> float:
    """How long one call takes."""
    start = time.perf_counter()
    step()
    return 1e3 * (time.perf_counter() - start)


def both_milliseconds(step: Callable[[], Any]) -> tuple[float, float]:
    """How long one call takes, and what of the processor, in all threads of this process."""
    before = time.process_time()
    passed = milliseconds(step)
    return passed, 1e3 * (time.process_time() - before)


def processor_milliseconds(step: Callable[[], Any], calls: int) -> float:
    """What one call takes of the processor, in all threads of this process: the mean of several."""
    before = time.process_time()
    for _ in range(calls):
        step()
    return 1e3 * (time.process_time() - before) / calls


def alternating(
    steps: Mapping[str, Callable[[], Any]], rounds: int, block: int = 1, pause_s: float = 0.0
) -> dict[str, list[float]]:
    """Milliseconds of each step, one after the other in turn, so that drifts meet them all alike.

    Args:
        steps: by name.
        rounds: how often each has its turn.
        block: calls in one turn that count; before them goes one that does not, if block > 1.
        pause_s: before each turn, in which threads of the step before come to rest.
    """
    times: dict[str, list[float]] = {name: [] for name in steps}
    with no_garbage_collection():
        for _ in range(rounds):
            for name, step in steps.items():
                time.sleep(pause_s)
                if block > 1:
                    step()
                times[name] += [milliseconds(step) for _ in range(block)]
    return times


def forget_caches() -> None:
    """Leave the processor's caches as a network leaves them: full of something else."""
    np.add(_LARGER_THAN_CACHES, 1, out=_LARGER_THAN_CACHES)


@contextmanager
def no_garbage_collection() -> Iterator[None]:
    """Python's collector does not run in the middle of what is measured."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
