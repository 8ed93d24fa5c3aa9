"""Two threads behind a mailbox that keeps only the newest frames: one infers, one publishes.

A camera is often faster than the network. Frames must not queue up: then each would wait longer
than the one before. So there is one slot, and a newer frame takes the place of one not yet begun.
Of several cameras each has a slot, and they are served in the order in which their slots were
filled: a fast camera renews its frame without overtaking, so a slow one waits for at most one frame
of each other.

While a frame is published, the next one is already in the network. The first thread hands a frame
over and waits until the second takes it; only then it looks for the next. So at most two frames are
past the network, the one being published and the one being handed over, and the network works on a
third only when the first of them is out: of an engine that writes its results into two buffers in
turn, neither is overwritten too early. However slow publishing is, what waits is the newest frame,
not yet begun.

A thread that hangs inside a library cannot be ended. A worker can be abandoned instead: nobody
waits for its threads any more, and what they still bring about is not told.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError
from contextlib import AbstractContextManager, suppress
from typing import Generic, TypeVar

Item = TypeVar("Item")
PublishJob = Callable[[], None]
"""What is left to do for an item when the first thread is done with it."""


class Mailbox(Generic[Item]):
    """Slots for one item each, between threads that put and one that takes."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._items: dict[str, Item] = {}  # by slot, in the order in which they were filled
        self._busy = False
        self._closed = False

    def put(self, item: Item, slot: str = "") -> bool:
        """Leave ``item`` for the taker; True if one is thrown away: that which was not yet taken,
        or, if the mailbox is closed, ``item`` itself.
        """
        with self._changed:
            if self._closed:
                return True
            replaced = slot in self._items
            self._items[slot] = item
            self._changed.notify_all()
        return replaced

    def hand_over(self, item: Item) -> bool:
        """Leave ``item`` and wait until it is taken; False if the mailbox is closed instead."""
        with self._changed:
            if not self._closed:
                self._items[""] = item
                self._changed.notify_all()
                self._changed.wait_for(lambda: self._closed or not self._items)
            return not self._closed

    def take(self) -> Item | None:
        """Wait for an item; None once the mailbox is closed.

        Asking for the next item says that the work on the last one is done.
        """
        with self._changed:
            self._busy = False
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._closed or bool(self._items))
            if self._closed:
                return None
            item = self._items.pop(next(iter(self._items)))
            self._busy = True
            self._changed.notify_all()
        return item

    def discard(self, slot: str = "") -> bool:
        """Throw away a waiting item; True if one waited."""
        with self._changed:
            return self._items.pop(slot, None) is not None

    def drain(self) -> bool:
        """Throw away what waits and wait until the item at work is done; True if one waited."""
        with self._changed:
            waited = bool(self._items)
            self._items.clear()
            self._changed.wait_for(lambda: not self._busy)
        return waited

    def wait_until_idle(self) -> None:
        """Return when no item is waiting or at work."""
        with self._changed:
            self._changed.wait_for(lambda: (self._closed or not self._items) and not self._busy)

    def close(self) -> None:
        """Let the taker end; a waiting item stays for whoever discards it, and is not taken."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()


class Worker(Generic[Item]):
    """Runs a session in a thread of its own: it opens, works on items, and closes, all there.

    GPU contexts belong to the thread that made them, which is why no other thread may open or
    close the engine. What is left to do for an item, a second thread does, while the first is
    already at work on the next one; in the order of the items, one at a time.

    Args:
        session: makes a context manager that yields the function to call with each item. It
            returns what is left to do for the second thread, or None. The session closes after the
            last rest is done.
        on_failure: called with whatever Exception that function or a rest raises, in the thread
            where it happened, unless the worker is abandoned. The session stays open, unless
            on_failure raises too: then the worker ends, and what is submitted is never worked on.
    """

    def __init__(
        self,
        session: Callable[[], AbstractContextManager[Callable[[Item], PublishJob | None]]],
        on_failure: Callable[[Exception], None],
    ) -> None:
        self._session = session
        self._on_failure = on_failure
        self._mailbox: Mailbox[Item] = Mailbox()
        self._rests: Mailbox[PublishJob] = Mailbox()
        self._opened: Future[None] = Future()
        self._ended = threading.Event()  # or abandoned
        self._abandoned = False
        self._thread = threading.Thread(target=self._run, name="depth_worker", daemon=True)
        self._finisher = threading.Thread(target=self._finish, name="depth_publisher", daemon=True)
        self._finisher_error: BaseException | None = None

    def start(self) -> None:
        """Wait until the session is open; raises what opening it raised."""
        self._thread.start()
        try:
            self._opened.result()
        except Exception:
            self._ended.wait()
            raise

    def submit(self, item: Item, slot: str = "") -> bool:
        """Hand over the newest item; True if one was thrown away: an older one, not yet begun, or
        this one, of a worker that has ended. Each slot has a newest item.
        """
        return self._mailbox.put(item, slot)

    def discard(self, slot: str = "") -> bool:
        """Throw away the waiting item of a slot, at once; True if there was one."""
        return self._mailbox.discard(slot)

    def drain(self) -> bool:
        """Return when no item is waiting or at work, of any slot; True if one was thrown away.

        An item that has been begun is finished, its rest too.
        """
        waited = self._mailbox.drain()
        self._rests.wait_until_idle()
        return waited

    def stop(self) -> None:
        """End both threads after the items at work; the session is closed when this returns.

        Returns at once if the worker is abandoned, whatever its threads do.
        """
        self._mailbox.close()
        self._ended.wait()
        if not self._abandoned:
            self._thread.join()

    def abandon(self, error: Exception) -> None:
        """Leave the threads to themselves, whatever they hang in; from any thread.

        Whoever waits for the worker goes on: `start` raises the error, unless the session is open
        already; `drain` and `stop` return. A thread that comes back later closes the session and
        ends, and no failure of it is told.
        """
        self._abandoned = True
        with suppress(InvalidStateError):
            self._opened.set_exception(error)
        _leave(self._mailbox)
        _leave(self._rests)
        self._ended.set()

    @property
    def is_open(self) -> bool:
        """Whether `start` has, or will have, returned: an error has to be told otherwise."""
        return self._opened.done() and self._opened.exception() is None

    @property
    def is_abandoned(self) -> bool:
        """Whether nobody waits for the worker any more."""
        return self._abandoned

    @property
    def has_ended(self) -> bool:
        """Whether nothing will be worked on any more: the session has failed, or is abandoned."""
        return self._abandoned or self._ended.is_set()

    @property
    def is_running(self) -> bool:
        """Whether a thread of the worker's has not come to its end."""
        return self._thread.is_alive() or self._finisher.is_alive()

    def _fail(self, error: Exception) -> None:
        if not self._abandoned:
            self._on_failure(error)

    def _run(self) -> None:
        try:
            with self._session() as work:
                self._opened.set_result(None)
                self._work_on_items(work)
        except BaseException as error:
            if not self._opened.done():
                self._opened.set_exception(error)
            elif isinstance(error, Exception):
                self._fail(error)
            else:
                raise
        finally:
            self._ended.set()  # before those who wait go on, and ask
            _leave(self._mailbox)

    def _work_on_items(self, work: Callable[[Item], PublishJob | None]) -> None:
        self._finisher.start()
        try:
            while (item := self._mailbox.take()) is not None:
                try:
                    rest = work(item)
                except Exception as error:
                    self._fail(error)
                else:
                    if rest is not None and not self._rests.hand_over(rest):
                        break
        finally:
            self._rests.close()
            self._finisher.join()
        if self._finisher_error is not None:
            raise self._finisher_error

    def _finish(self) -> None:
        try:
            while (rest := self._rests.take()) is not None:
                try:
                    rest()
                except Exception as error:
                    self._fail(error)
        except BaseException as error:
            self._finisher_error = error
            self._mailbox.close()
        finally:
            _leave(self._rests)


def _leave(mailbox: Mailbox[Item]) -> None:
    """Whatever ended the taker: asking once more says that no item is at work, so that nobody waits
    for it for ever.
    """
    mailbox.close()
    mailbox.take()
