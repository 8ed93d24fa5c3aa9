"""A worker whose threads hang: nobody waits for it, and what it does later harms nobody."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from depth_estimation_ros.node.worker import Worker

TIMEOUT = 10.0
HANGS = RuntimeError("hangs")


class Hanging:
    """A session that hangs at a place until it is let go.

    Args:
        place: opening, work or rest.
    """

    def __init__(self, place: str) -> None:
        self._place = place
        self.hangs, self.go = threading.Event(), threading.Event()
        self.closed = threading.Event()
        self.rests: list[int] = []

    @contextmanager
    def __call__(self) -> Iterator[Callable[[int], Any]]:
        self._reach("opening")
        try:
            yield self._work
        finally:
            self.closed.set()

    def _work(self, item: int) -> Callable[[], None]:
        self._reach("work")
        if item < 0:
            raise ValueError(f"item {item}")

        def rest() -> None:
            self._reach("rest")
            self.rests.append(item)

        return rest

    def _reach(self, place: str) -> None:
        if place == self._place:
            self.hangs.set()
            assert self.go.wait(TIMEOUT)


def in_background(call: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=call, daemon=True)
    thread.start()
    return thread


def returns(thread: threading.Thread) -> bool:
    thread.join(TIMEOUT)
    return not thread.is_alive()


@pytest.mark.parametrize("place", ["work", "rest"])
def test_drain_and_stop_return_from_a_worker_that_is_abandoned(place: str) -> None:
    session = Hanging(place)
    failures: list[Exception] = []
    worker: Worker[int] = Worker(session, failures.append)
    worker.start()
    worker.submit(1)
    assert session.hangs.wait(TIMEOUT)
    waiting = [in_background(worker.drain), in_background(worker.stop)]
    assert worker.is_open
    worker.abandon(HANGS)
    assert all(returns(thread) for thread in waiting)
    assert worker.is_abandoned
    assert worker.is_running
    session.go.set()
    assert session.closed.wait(TIMEOUT)
    assert returns(worker._thread)
    assert not worker.is_running
    assert failures == []
    assert session.rests == ([] if place == "work" else [1])


def test_what_fails_after_the_worker_was_abandoned_is_not_told() -> None:
    session = Hanging("work")
    failures: list[Exception] = []
    worker: Worker[int] = Worker(session, failures.append)
    worker.start()
    worker.submit(-1)
    assert session.hangs.wait(TIMEOUT)
    worker.abandon(HANGS)
    session.go.set()
    assert returns(worker._thread)
    assert failures == []
    worker.submit(2)
    worker.stop()


def test_start_raises_the_error_with_which_the_worker_is_abandoned() -> None:
    session = Hanging("opening")
    worker: Worker[int] = Worker(session, lambda error: None)
    raised: list[BaseException] = []

    def start() -> None:
        try:
            worker.start()
        except RuntimeError as error:
            raised.append(error)

    starter = in_background(start)
    assert session.hangs.wait(TIMEOUT)
    assert not worker.is_open
    worker.abandon(HANGS)
    assert returns(starter)
    assert raised == [HANGS]
    session.go.set()
    assert session.closed.wait(TIMEOUT)
    assert returns(worker._thread)
