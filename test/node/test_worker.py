"""Worker: the newest image of each camera is processed while the one before is published."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest

from depth_estimation_ros.errors import EngineError
from depth_estimation_ros.node.worker import LatestSlots, Worker

TIMEOUT = 10.0


class Session:
    """The processor of a worker; each step is noted, and waits for permission.

    Attributes:
        events: in order; "process 1" when it begins, "processed 1" when it ends.
        failures: what the worker reported.
        errors: raised by a step, by its name.
    """

    def __init__(self, **errors: Exception) -> None:
        self.events: list[str] = []
        self.failures: list[str] = []
        self.threads: dict[str, int] = {}
        self.errors = {name.replace("_", " "): error for name, error in errors.items()}
        self._news: queue.Queue[str] = queue.Queue()
        self._may: dict[str, threading.Event] = {}

    @contextmanager
    def __call__(self) -> Iterator[dict[str, Any]]:
        self._step("open")
        yield {"": self}
        self._happened("closed")

    def process(self, image: Any) -> int:
        self._step(f"process {image.number}")
        self._happened(f"processed {image.number}")
        return image.number

    def publish(self, number: int) -> None:
        self._step(f"publish {number}")
        self._happened(f"published {number}")

    def allow(self, *steps: str) -> None:
        """Let these steps end, now or when they begin."""
        for step in steps:
            self._permission(step).set()

    def wait_for(self, event: str) -> None:
        while event not in self.events:
            self._news.get(timeout=TIMEOUT)

    def in_order(self, *events: str) -> bool:
        places = [self.events.index(event) for event in events]
        return places == sorted(places)

    def _permission(self, step: str) -> threading.Event:
        return self._may.setdefault(step, threading.Event())

    def _step(self, step: str) -> None:
        self.threads[step.split()[0]] = threading.get_ident()
        self._happened(step)
        if step in self.errors:
            raise self.errors[step]
        if step != "open":
            assert self._permission(step).wait(TIMEOUT), f"{step} was never allowed to end"

    def _happened(self, event: str) -> None:
        self.events.append(event)
        self._news.put(event)


def image(number: int, camera: str = "") -> Any:
    return SimpleNamespace(number=number, camera=camera)


def started(session: Session) -> Worker:
    worker = Worker(session, lambda error: session.failures.append(str(error)))
    worker.start()
    return worker


def both_busy(session: Session) -> Worker:
    """A worker that publishes 1 and processes 2, while 3 waits."""
    worker = started(session)
    session.allow("process 1")
    worker.submit(image(1))
    session.wait_for("publish 1")
    worker.submit(image(2))
    session.wait_for("process 2")
    worker.submit(image(3))
    return worker


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


@pytest.fixture(autouse=True)
def _no_thread_is_left() -> Iterator[None]:
    before = threading.active_count()
    yield
    assert threading.active_count() == before


def test_slots_are_served_in_filling_order() -> None:
    slots: LatestSlots[str] = LatestSlots()
    assert slots.put("fast 1", "fast") is False
    assert slots.put("slow 1", "slow") is False
    assert slots.put("fast 2", "fast") is True  # in its place: slow is next but one
    assert slots.take() == "fast 2"
    assert slots.put("fast 3", "fast") is False
    assert slots.take() == "slow 1"
    assert slots.take() == "fast 3"


def test_one_slot_can_be_discarded() -> None:
    slots: LatestSlots[str] = LatestSlots()
    slots.put("front", "front")
    slots.put("left", "left")
    assert slots.discard("front") is True
    assert slots.discard("front") is False
    assert slots.take() == "left"


def test_closed_slots_drop_everything() -> None:
    slots: LatestSlots[str] = LatestSlots()
    slots.put("waits")
    slots.close()
    assert slots.take() is None
    assert slots.put("too late") is True
    assert slots.discard() is True  # the one that waited


def test_engine_is_used_in_one_thread_only() -> None:
    session = Session()
    worker = started(session)
    assert worker.processors == {"": session}
    session.allow("process 1", "publish 1")
    worker.submit(image(1))
    session.wait_for("published 1")
    worker.stop()
    threads = session.threads
    assert threads["open"] == threads["process"] != threads["publish"]
    assert threading.get_ident() not in threads.values()
    assert (worker.has_ended, session.events[-1]) == (True, "closed")


def test_only_the_newest_waiting_image_is_processed() -> None:
    session = Session()
    worker = both_busy(session)
    assert [worker.submit(image(number)) for number in (4, 5)] == [True, True]
    session.allow("process 2")
    session.wait_for("processed 2")
    time.sleep(0.05)  # 3 would begin now, while 1 and 2 are on their way out
    assert not {"publish 2", "process 5"} & set(session.events)
    session.allow("publish 1", "publish 2", "process 5", "publish 5")
    session.wait_for("published 5")
    worker.stop()
    assert session.in_order("published 1", "publish 2", "published 2", "published 5")
    assert not {"process 3", "process 4"} & set(session.events)


def test_error_of_opening_is_raised_by_start() -> None:
    worker = Worker(Session(open=ValueError("no such model")), lambda error: None)
    with pytest.raises(ValueError, match="no such model"):
        worker.start()
    assert worker.has_ended
    worker.drain()
    worker.stop()


def test_drain_waits_for_frames_at_work() -> None:
    session = Session()
    worker = both_busy(session)
    drainer = in_background(worker.drain)
    for step in ("process 2", "publish 1"):
        assert goes_on(drainer)
        session.allow(step)
    session.wait_for("publish 2")
    assert goes_on(drainer)
    session.allow("publish 2")
    assert ends(drainer)
    assert session.events[-1] == "published 2"  # 3 was dropped
    worker.stop()


def test_stop_publishes_before_the_engine_closes() -> None:
    session = Session()
    worker = both_busy(session)
    stopper = in_background(worker.stop)
    session.allow("process 2", "publish 1")
    session.wait_for("publish 2")
    assert goes_on(stopper)
    session.allow("publish 2")
    assert ends(stopper)
    assert session.events[-2:] == ["published 2", "closed"]
    assert worker.discard() is True  # 3 still waited


@pytest.mark.parametrize("step", ["process", "publish"])
def test_failed_frame_leaves_the_others_alone(step: str) -> None:
    session = Session(**{f"{step}_2": ValueError("bad")})
    worker = both_busy(session)
    session.allow("process 2", "publish 1", "process 3", "publish 3")
    session.wait_for("published 3")
    worker.stop()
    assert session.failures == ["bad"]
    assert session.in_order("published 1", "published 3", "closed")


def test_engine_error_ends_the_worker() -> None:
    session = Session(process_2=EngineError("lost"))
    worker = both_busy(session)
    drainer = in_background(worker.drain)
    assert goes_on(drainer)  # 1 is still being published
    session.allow("publish 1")
    assert ends(drainer)
    worker.stop()
    assert session.failures == ["lost"]
    assert session.events[-2:] == ["published 1", "closed"]
    assert worker.has_ended
    assert worker.submit(image(4)) is True
