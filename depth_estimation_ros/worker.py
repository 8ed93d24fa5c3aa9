"""One thread that owns the engine, behind a mailbox that keeps only the newest frame.

A camera is often faster than the network. Frames must not queue up: then each would wait longer
than the one before. So there is one slot, and a newer frame takes the place of one not yet begun.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import AbstractContextManager
from typing import Generic, TypeVar

Item = TypeVar("Item")


class Mailbox(Generic[Item]):
    """A slot for one item between one thread that puts and one that takes."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._item: Item | None = None
        self._busy = False
        self._closed = False

    def put(self, item: Item) -> bool:
        """Leave ``item`` for the taker; True if it took the place of one not yet taken."""
        with self._changed:
            replaced = self._item is not None
            self._item = item
            self._changed.notify_all()
        return replaced

    def take(self) -> Item | None:
        """Wait for an item; None once the mailbox is closed.

        Asking for the next item says that the work on the last one is done.
        """
        with self._changed:
            self._busy = False
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._closed or self._item is not None)
            if self._closed:
                return None
            item, self._item = self._item, None
            self._busy = True
        return item

    def discard(self) -> bool:
        """Throw away a waiting item; True if one waited."""
        with self._changed:
            waited = self._item is not None
            self._item = None
        return waited

    def drain(self) -> bool:
        """Throw away a waiting item and wait until the one at work is done; True if one waited."""
        with self._changed:
            waited = self.discard()
            self._changed.wait_for(lambda: not self._busy)
        return waited

    def close(self) -> None:
        """Let the taker end; a waiting item is thrown away."""
        with self._changed:
            self._closed = True
            self._item = None
            self._changed.notify_all()


class Worker(Generic[Item]):
    """Runs a session in a thread of its own: it opens, works on items, and closes, all there.

    GPU contexts belong to the thread that made them, which is why no other thread may open or
    close the engine.

    Args:
        session: makes a context manager that yields the function to call with each item.
        on_failure: called in the worker's thread with whatever Exception that function raises. The
            session stays open, unless on_failure raises too: then the worker ends, and what is
            submitted is never worked on.
    """

    def __init__(
        self,
        session: Callable[[], AbstractContextManager[Callable[[Item], None]]],
        on_failure: Callable[[Exception], None],
    ) -> None:
        self._session = session
        self._on_failure = on_failure
        self._mailbox: Mailbox[Item] = Mailbox()
        self._opened: Future[None] = Future()
        self._thread = threading.Thread(target=self._run, name="depth_worker", daemon=True)

    def start(self) -> None:
        """Wait until the session is open; raises what opening it raised."""
        self._thread.start()
        self._opened.result()

    def submit(self, item: Item) -> bool:
        """Hand over the newest item; True if an older one, not yet begun, was thrown away."""
        return self._mailbox.put(item)

    def discard(self) -> bool:
        """Throw away a waiting item, at once; True if there was one."""
        return self._mailbox.discard()

    def drain(self) -> bool:
        """Return when no item is waiting or at work; True if a waiting one was thrown away."""
        return self._mailbox.drain()

    def stop(self) -> None:
        """End the thread after the item at work; the session is closed when this returns."""
        self._mailbox.close()
        self._thread.join()

    def _run(self) -> None:
        try:
            with self._session() as work:
                self._opened.set_result(None)
                while (item := self._mailbox.take()) is not None:
                    try:
                        work(item)
                    except Exception as error:
                        self._on_failure(error)
        except BaseException as error:
            if not self._opened.done():
                self._opened.set_exception(error)
            elif isinstance(error, Exception):
                self._on_failure(error)
            else:
                raise
        finally:
            # Whatever ended this thread: asking once more says that no item is at work, so that
            # nobody waits for it for ever.
            self._mailbox.close()
            self._mailbox.take()
