"""An engine watched from outside: whose runs are too long, and whose are not."""

from __future__ import annotations

import itertools
import threading
import time
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from tiny_models import tiny_card

from depth_estimation_ros.node import watchdog
from depth_estimation_ros.node.watchdog import WatchedEngine

TIMEOUT = 10.0


class FakeEngine:
    """Runs until it is let go; may be asked to break off."""

    card, max_batch, description = tiny_card(), 4, "fake"

    def __init__(self) -> None:
        self.go, self.broken_off, self.closed = threading.Event(), threading.Event(), 0

    def infer(self, batch: Any) -> Any:
        assert self.go.wait(TIMEOUT)
        return batch

    def break_off(self) -> None:
        self.broken_off.set()
        self.go.set()

    def close(self) -> None:
        self.closed += 1


def test_run_beyond_the_limit_is_told_once_and_then_broken_off() -> None:
    engine, told = FakeEngine(), []
    watched = WatchedEngine(engine, lambda: 0.2, told.append)
    batch = np.zeros(3)
    assert watched.infer(batch) is batch
    assert engine.broken_off.is_set()
    assert told == [0.2]
    watched.close()
    assert engine.closed == 1


@pytest.mark.parametrize("limit", [0.0, 5.0])
def test_run_within_the_limit_or_without_one_is_left_alone(limit: float) -> None:
    engine, told = FakeEngine(), []
    watched = WatchedEngine(engine, lambda: limit, told.append)
    threading.Timer(4 * watchdog.POLL_S, engine.go.set).start()
    watched.infer(np.zeros(3))
    watched.close()
    assert told == []


def test_time_in_which_the_process_did_not_run_is_no_hang(monkeypatch: pytest.MonkeyPatch) -> None:
    looks = itertools.count()
    clock = SimpleNamespace(monotonic=lambda: 1000.0 * next(looks))
    monkeypatch.setattr(watchdog, "time", clock)
    engine, told = FakeEngine(), []
    watched = WatchedEngine(engine, lambda: 5.0, told.append)
    threading.Timer(4 * watchdog.POLL_S, engine.go.set).start()
    watched.infer(np.zeros(3))
    watched.close()
    assert next(looks) > 2
    assert told == []


def test_many_short_runs_are_not_one_long_one() -> None:
    engine, told = FakeEngine(), []
    engine.go.set()
    watched = WatchedEngine(engine, lambda: 3 * watchdog.POLL_S, told.append)
    end = time.monotonic() + 8 * watchdog.POLL_S
    while time.monotonic() < end:
        watched.infer(np.zeros(3))
    watched.close()
    assert told == []


def test_card_and_description_are_those_of_the_engine_and_no_thread_is_left() -> None:
    before = threading.active_count()
    engine = FakeEngine()
    watched = WatchedEngine(engine, lambda: 1.0, lambda limit: None)
    assert (watched.card, watched.max_batch, watched.description) == (engine.card, 4, "fake")
    watched.close()
    watched.close()
    assert threading.active_count() == before
