"""Worker and mailbox: one thread owns the session, and only the newest item is worked on."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from depth_estimation_ros.node.worker import Mailbox, Worker

TIMEOUT = 10.0


class Session:
    """Notes in which thread it is opened, used and closed; work waits for permission."""

    def __init__(self, open_error: Exception | None = None) -> None:
        self.open_error = open_error
        self.threads: dict[str, int] = {}
        self.done: list[int] = []
        self.begun = threading.Semaphore(0)
        self.may_work = threading.Semaphore(0)

    @contextmanager
    def __call__(self) -> Iterator[Callable[[int], None]]:
        self.threads["open"] = threading.get_ident()
        if self.open_error is not None:
            raise self.open_error
        yield self.work
        self.threads["close"] = threading.get_ident()

    def work(self, item: int) -> None:
        self.threads["work"] = threading.get_ident()
        self.begun.release()
        assert self.may_work.acquire(timeout=TIMEOUT)
        if item < 0:
            raise ValueError(f"item {item}")
        self.done.append(item)

    def wait_until_begun(self) -> None:
        assert self.begun.acquire(timeout=TIMEOUT)


def started(session: Session) -> tuple[Worker[int], list[Exception]]:
    failures: list[Exception] = []
    worker: Worker[int] = Worker(session, failures.append)
    worker.start()
    return worker, failures


def test_slots_are_served_in_the_order_in_which_they_were_filled() -> None:
    mailbox: Mailbox[str] = Mailbox()
    assert mailbox.put("fast 1", "fast") is False
    assert mailbox.put("slow 1", "slow") is False
    assert mailbox.put("fast 2", "fast") is True  # in its place: the slow one is next but one
    assert mailbox.take() == "fast 2"
    assert mailbox.put("fast 3", "fast") is False
    assert mailbox.take() == "slow 1"
    assert mailbox.take() == "fast 3"


def test_what_waits_in_one_slot_can_be_thrown_away() -> None:
    mailbox: Mailbox[str] = Mailbox()
    mailbox.put("front", "front")
    mailbox.put("left", "left")
    assert mailbox.discard("front") is True
    assert mailbox.discard("front") is False
    assert mailbox.take() == "left"


def test_draining_throws_away_what_waits_in_every_slot() -> None:
    mailbox: Mailbox[str] = Mailbox()
    mailbox.put("front", "front")
    mailbox.put("left", "left")
    assert mailbox.drain() is True
    assert mailbox.drain() is False


def test_mailbox_keeps_the_newest_and_tells_what_it_replaced() -> None:
    mailbox: Mailbox[str] = Mailbox()
    assert mailbox.put("old") is False
    assert mailbox.put("newer") is True
    assert mailbox.put("newest") is True
    assert mailbox.take() == "newest"
    assert mailbox.put("next") is False


def test_closed_mailbox_gives_none_even_with_an_item_waiting() -> None:
    mailbox: Mailbox[str] = Mailbox()
    mailbox.put("late")
    mailbox.close()
    assert mailbox.take() is None
    assert mailbox.discard() is True
    assert mailbox.discard() is False


def test_closed_mailbox_throws_away_what_is_put_into_it() -> None:
    mailbox: Mailbox[str] = Mailbox()
    mailbox.close()
    assert mailbox.put("too late") is True
    assert mailbox.discard() is False


def test_session_is_opened_used_and_closed_in_one_thread_that_is_not_the_callers() -> None:
    session = Session()
    worker, _ = started(session)
    session.may_work.release()
    worker.submit(1)
    session.wait_until_begun()
    worker.stop()
    assert session.done == [1]
    assert len(set(session.threads.values())) == 1
    assert set(session.threads) == {"open", "work", "close"}
    assert threading.get_ident() not in session.threads.values()


def test_what_comes_in_during_work_is_thrown_away_except_the_newest() -> None:
    session = Session()
    worker, _ = started(session)
    worker.submit(1)
    session.wait_until_begun()
    assert [worker.submit(item) for item in (2, 3, 4)] == [False, True, True]
    session.may_work.release(2)
    session.wait_until_begun()
    worker.stop()
    assert session.done == [1, 4]


def test_discard_throws_away_what_waits_at_once_and_what_comes_next_is_worked_on() -> None:
    session = Session()
    worker, _ = started(session)
    worker.submit(1)
    session.wait_until_begun()
    assert worker.discard() is False
    worker.submit(2)
    assert worker.discard() is True  # without waiting for 1
    worker.submit(3)
    session.may_work.release(2)
    session.wait_until_begun()
    worker.stop()
    assert session.done == [1, 3]


def test_opening_error_is_raised_by_start_and_the_thread_is_gone() -> None:
    before = threading.active_count()
    worker: Worker[int] = Worker(Session(ValueError("no such model")), lambda error: None)
    with pytest.raises(ValueError, match="no such model"):
        worker.start()
    assert (worker.is_open, worker.has_ended) == (False, True)
    worker.stop()
    assert threading.active_count() == before


def test_failure_at_work_is_handed_over_and_the_next_item_is_worked_on() -> None:
    session = Session()
    worker, failures = started(session)
    session.may_work.release(2)
    worker.submit(-1)
    session.wait_until_begun()
    worker.drain()
    worker.submit(2)
    session.wait_until_begun()
    worker.stop()
    assert [str(failure) for failure in failures] == ["item -1"]
    assert session.done == [2]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize("error", [ValueError("as bad as its work"), SystemExit(3)])
def test_worker_that_ends_by_an_error_keeps_nobody_waiting(error: BaseException) -> None:
    before = threading.active_count()
    begun = threading.Event()

    def fail(_: object) -> None:
        begun.set()
        raise error

    @contextmanager
    def session() -> Iterator[Callable[[int], None]]:
        yield fail

    worker: Worker[int] = Worker(session, fail)
    worker.start()
    worker.submit(1)
    assert begun.wait(TIMEOUT)
    drainer = threading.Thread(target=worker.drain, daemon=True)
    drainer.start()
    drainer.join(TIMEOUT)
    assert not drainer.is_alive()
    worker.stop()
    assert threading.active_count() == before


def test_opening_that_ends_the_thread_is_told_by_start() -> None:
    @contextmanager
    def session() -> Iterator[Callable[[int], None]]:
        raise SystemExit(3)
        yield

    worker: Worker[int] = Worker(session, lambda error: None)
    with pytest.raises(SystemExit):
        worker.start()
    worker.stop()


def test_drain_waits_for_the_work_and_throws_away_what_waits() -> None:
    session = Session()
    worker, _ = started(session)
    worker.submit(1)
    session.wait_until_begun()
    worker.submit(2)
    threading.Timer(0.05, session.may_work.release).start()
    assert worker.drain() is True
    assert session.done == [1]
    assert worker.drain() is False
    worker.stop()
    assert session.done == [1]


def test_stop_finishes_the_work_and_leaves_no_thread() -> None:
    before = threading.active_count()
    session = Session()
    worker, _ = started(session)
    worker.submit(1)
    session.wait_until_begun()
    session.may_work.release()
    worker.stop()
    assert session.done == [1]
    assert threading.active_count() == before
