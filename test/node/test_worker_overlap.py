"""The worker's two threads: the network works on one item while the one before is published."""

from __future__ import annotations

import queue
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import pytest

from depth_estimation_ros.node.worker import PublishJob, Worker

TIMEOUT = 10.0


class Session:
    """Each item is inferred, then published; both wait for permission and are noted.

    Attributes:
        events: what has happened, in order; "infer 1" when it begins, "inferred 1" when it ends.
        bad: items whose publishing raises.
        fatal: items whose inference raises.
    """

    def __init__(self, *, bad: tuple[int, ...] = (), fatal: tuple[int, ...] = ()) -> None:
        self.events: list[str] = []
        self.bad, self.fatal = bad, fatal
        self.publishers: set[int] = set()
        self._news: queue.Queue[str] = queue.Queue()
        self._may: dict[str, threading.Event] = {}

    @contextmanager
    def __call__(self) -> Iterator[Callable[[int], PublishJob]]:
        yield self.infer
        self._happened("closed")

    def infer(self, item: int) -> PublishJob:
        self._step(f"infer {item}")
        if item in self.fatal:
            raise ValueError(f"infer {item}")
        self._happened(f"inferred {item}")
        return lambda: self.publish(item)

    def publish(self, item: int) -> None:
        self.publishers.add(threading.get_ident())
        self._step(f"publish {item}")
        if item in self.bad:
            raise ValueError(f"publish {item}")
        self._happened(f"published {item}")

    def allow(self, *steps: str) -> None:
        """Let these steps end, now or when they begin."""
        for step in steps:
            self._permission(step).set()

    def wait_for(self, event: str) -> None:
        """Return when this has happened."""
        while event not in self.events:
            self._news.get(timeout=TIMEOUT)

    def order(self, *events: str) -> bool:
        """Whether these have happened in this order."""
        places = [self.events.index(event) for event in events]
        return places == sorted(places)

    def _permission(self, step: str) -> threading.Event:
        return self._may.setdefault(step, threading.Event())

    def _step(self, step: str) -> None:
        self._happened(step)
        assert self._permission(step).wait(TIMEOUT), f"{step} was never allowed to end"

    def _happened(self, event: str) -> None:
        self.events.append(event)
        self._news.put(event)


def started(
    session: Session, on_failure: Callable[[Exception], None] | None = None
) -> tuple[Worker[int], list[str]]:
    failures: list[str] = []
    worker: Worker[int] = Worker(session, on_failure or (lambda e: failures.append(str(e))))
    worker.start()
    return worker, failures


def both_busy(session: Session, worker: Worker[int]) -> None:
    """1 is being published, 2 is in the network, 3 waits."""
    session.allow("infer 1")
    worker.submit(1)
    session.wait_for("publish 1")
    worker.submit(2)
    session.wait_for("infer 2")
    worker.submit(3)


def in_background(call: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=call, daemon=True)
    thread.start()
    return thread


def ends(thread: threading.Thread) -> bool:
    thread.join(TIMEOUT)
    return not thread.is_alive()


def goes_on(thread: threading.Thread) -> bool:
    thread.join(0.05)
    return thread.is_alive()


def test_the_network_works_on_the_next_item_while_one_is_published() -> None:
    session = Session()
    worker, _ = started(session)
    both_busy(session, worker)
    session.allow("infer 2")
    session.wait_for("inferred 2")
    assert "published 1" not in session.events
    session.allow("publish 1", "publish 2", "infer 3", "publish 3")
    session.wait_for("published 3")
    worker.stop()
    assert session.order("published 1", "publish 2", "published 2", "publish 3", "published 3")
    assert len(session.publishers) == 1


def test_no_item_is_begun_while_two_are_on_their_way_out_and_the_newest_comes_next() -> None:
    session = Session()
    worker, _ = started(session)
    both_busy(session, worker)
    session.allow("infer 2")
    session.wait_for("inferred 2")
    assert [worker.submit(item) for item in (4, 5)] == [True, True]
    time.sleep(0.05)  # it would begin now
    assert "infer 3" not in session.events
    session.allow("publish 1", "publish 2", "infer 5", "publish 5")
    session.wait_for("published 5")
    worker.stop()
    assert session.order("published 1", "infer 5")
    assert not {"infer 3", "infer 4"} & set(session.events)


def test_what_is_inferred_is_published_once_and_in_order_whatever_is_slow() -> None:
    """The engine has two buffers that it writes in turn; publishing reads them where they are."""
    chance = random.Random(4)
    buffers = [np.zeros(1000, np.int64) for _ in range(2)]
    inferred: list[int] = []
    published: list[int] = []

    def publish(view: np.ndarray, item: int) -> None:
        time.sleep(chance.choice((0.0, 0.0, 0.001, 0.003)))
        assert (view == item).all()
        published.append(item)

    def infer(item: int) -> PublishJob:
        view = buffers[len(inferred) % 2]
        inferred.append(item)
        view[:] = item
        time.sleep(chance.choice((0.0, 0.0, 0.001, 0.003)))
        return lambda: publish(view, item)

    @contextmanager
    def session() -> Iterator[Callable[[int], PublishJob]]:
        yield infer

    failures: list[Exception] = []
    worker: Worker[int] = Worker(session, failures.append)
    worker.start()
    for item in range(1, 400):
        worker.submit(item)
        time.sleep(chance.choice((0.0, 0.001)))
    worker.drain()
    worker.stop()
    assert failures == []
    assert len(inferred) > 50
    assert published == inferred == sorted(inferred)


def test_drain_waits_for_both_threads_and_throws_away_only_what_is_not_begun() -> None:
    session = Session()
    worker, _ = started(session)
    both_busy(session, worker)
    waited: list[bool] = []
    drainer = in_background(lambda: waited.append(worker.drain()))
    for step in ("infer 2", "publish 1"):
        assert goes_on(drainer)
        session.allow(step)
    session.wait_for("publish 2")
    assert goes_on(drainer)
    session.allow("publish 2")
    assert ends(drainer)
    assert session.events[-1] == "published 2"
    assert waited == [True]
    assert worker.drain() is False
    worker.stop()


def test_stop_lets_both_threads_finish_before_the_session_closes() -> None:
    before = threading.active_count()
    session = Session()
    worker, _ = started(session)
    both_busy(session, worker)
    stopper = in_background(worker.stop)
    session.allow("infer 2", "publish 1")
    session.wait_for("publish 2")
    assert goes_on(stopper)
    session.allow("publish 2")
    assert ends(stopper)
    assert session.events[-2:] == ["published 2", "closed"]
    assert "infer 3" not in session.events
    assert threading.active_count() == before


def test_item_that_cannot_be_published_is_told_and_the_next_one_is() -> None:
    session = Session(bad=(1,))
    worker, failures = started(session)
    both_busy(session, worker)
    session.allow("infer 2", "publish 1", "publish 2", "infer 3", "publish 3")
    session.wait_for("published 3")
    worker.stop()
    assert failures == ["publish 1"]
    assert session.order("published 2", "published 3", "closed")


def test_item_that_is_not_inferred_leaves_the_one_before_alone() -> None:
    session = Session(fatal=(2,))
    worker, failures = started(session)
    both_busy(session, worker)
    session.allow("infer 2", "infer 3")
    session.wait_for("inferred 3")
    assert failures == ["infer 2"]
    session.allow("publish 1", "publish 3")
    session.wait_for("published 3")
    worker.stop()
    assert session.order("published 1", "publish 3", "published 3")


def test_network_that_fails_for_good_ends_the_worker_after_the_item_before_is_out() -> None:
    before = threading.active_count()
    session = Session(fatal=(2,))
    worker, _ = started(session, fail_again_once := Repeated())
    both_busy(session, worker)
    session.allow("infer 2")
    drainer = in_background(worker.drain)
    assert goes_on(drainer)
    assert "closed" not in session.events
    session.allow("publish 1")
    assert ends(drainer)
    worker.stop()
    assert fail_again_once.said == ["infer 2", "infer 2"]
    assert session.events[-1] == "published 1"
    assert "infer 3" not in session.events
    worker.submit(4)
    assert threading.active_count() == before


class Repeated:
    """A failure that the session cannot survive: raises what it is told. The second time, when it
    is told of the end that this brought about, it only listens.
    """

    def __init__(self) -> None:
        self.said: list[str] = []

    def __call__(self, error: Exception) -> None:
        self.said.append(str(error))
        if len(self.said) == 1:
            raise error


@pytest.mark.parametrize("network", ["idle", "at work", "waiting to hand over"])
def test_publishing_that_fails_for_good_ends_the_worker_and_keeps_nobody_waiting(
    network: str,
) -> None:
    before = threading.active_count()
    session = Session(bad=(1,))
    repeated = Repeated()
    worker, _ = started(session, repeated)
    session.allow("infer 1")
    worker.submit(1)
    session.wait_for("publish 1")
    if network != "idle":
        worker.submit(2)
        session.wait_for("infer 2")
    if network == "waiting to hand over":
        session.allow("infer 2")
        session.wait_for("inferred 2")
    session.allow("publish 1")
    if network == "at work":
        assert ends(worker._finisher)
        session.allow("infer 2")
    assert ends(worker._thread)
    assert repeated.said == ["publish 1", "publish 1"]
    assert "publish 2" not in session.events
    assert ends(in_background(worker.drain))
    worker.stop()
    assert threading.active_count() == before
