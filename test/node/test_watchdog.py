"""WatchedEngine: runs of the network that take too long are cancelled or end the process."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from tiny_models import tiny_card

from depth_estimation_ros.errors import EngineError
from depth_estimation_ros.node import watchdog
from depth_estimation_ros.node.watchdog import WatchedEngine

TIMEOUT = 10.0
BATCH = np.zeros(3)


class StuckEngine:
    """Runs until it is released."""

    card, max_batch, description, path = tiny_card(), 4, "fake", None

    def __init__(self) -> None:
        self.go, self.closed = threading.Event(), 0

    def infer(self, batch: Any) -> Any:
        assert self.go.wait(TIMEOUT)
        return batch

    def close(self) -> None:
        self.closed += 1


class CancellableEngine(StuckEngine):
    def break_off(self) -> None:
        self.go.set()


@pytest.fixture(autouse=True)
def _no_thread_is_left() -> Iterator[None]:
    yield
    assert [t for t in threading.enumerate() if t.name == "depth_watchdog"] == []


def test_long_run_is_cancelled_and_fails() -> None:
    engine, stuck = CancellableEngine(), []
    watched = WatchedEngine(engine, lambda: 0.2, stuck.append)
    with pytest.raises(EngineError, match=r"the network hangs: found no result within 0\.2 s"):
        watched.infer(BATCH)
    watched.close()
    watched.close()
    assert stuck == []


def test_run_that_cannot_be_cancelled_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watchdog, "CANCEL_S", 0.2)
    engine, stuck = StuckEngine(), []

    def on_stuck(message: str) -> None:
        stuck.append(message)
        engine.go.set()

    watched = WatchedEngine(engine, lambda: 0.2, on_stuck)
    with pytest.raises(EngineError, match="the network hangs"):
        watched.infer(BATCH)
    watched.close()
    assert len(stuck) == 1
    assert stuck[0].endswith("The run cannot be cancelled, so the process ends")


@pytest.mark.parametrize("limit", [0.0, 5.0])
def test_run_within_the_limit_is_left_alone(limit: float) -> None:
    engine, stuck = CancellableEngine(), []
    watched = WatchedEngine(engine, lambda: limit, stuck.append)
    threading.Timer(4 * watchdog.POLL_S, engine.go.set).start()
    assert watched.infer(BATCH) is BATCH
    assert (watched.card, watched.max_batch, watched.description) == (engine.card, 4, "fake")
    watched.close()
    assert (stuck, engine.closed) == ([], 1)


def test_time_of_a_stopped_process_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    looks = itertools.count()
    clock = SimpleNamespace(monotonic=lambda: 1000.0 * next(looks))
    monkeypatch.setattr(watchdog, "time", clock)
    engine = CancellableEngine()
    watched = WatchedEngine(engine, lambda: 5.0, lambda message: None)
    threading.Timer(4 * watchdog.POLL_S, engine.go.set).start()
    watched.infer(BATCH)
    watched.close()
    assert next(looks) > 2


def test_many_short_runs_are_not_one_long_one() -> None:
    engine = CancellableEngine()
    engine.go.set()
    watched = WatchedEngine(engine, lambda: 3 * watchdog.POLL_S, lambda message: None)
    end = time.monotonic() + 6 * watchdog.POLL_S
    while time.monotonic() < end:
        watched.infer(BATCH)
    watched.close()
