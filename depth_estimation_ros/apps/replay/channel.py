"""A bounded queue from one thread to the next: the faster one waits, so memory stays bounded."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from typing import Generic, TypeVar

Item = TypeVar("Item")


class Cancelled(Exception):
    """Nobody takes items any more."""


class Channel(Generic[Item]):
    """One thread puts items, one iterates over them.

    Args:
        size: items that may wait.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._items: deque[Item] = deque()
        self._changed = threading.Condition()
        self._closed = self._cancelled = False
        self._error: BaseException | None = None

    def put(self, item: Item) -> None:
        """Waits for room. Raises Cancelled if nobody takes items any more."""
        with self._changed:
            self._changed.wait_for(lambda: self._cancelled or len(self._items) < self._size)
            if self._cancelled:
                raise Cancelled
            self._items.append(item)
            self._changed.notify_all()

    def close(self, error: BaseException | None = None) -> None:
        """No more items will come; the one who takes them gets the error after the last."""
        with self._changed:
            self._closed, self._error = True, error
            self._changed.notify_all()

    def cancel(self) -> None:
        """No more items will be taken."""
        with self._changed:
            self._cancelled = True
            self._items.clear()
            self._changed.notify_all()

    def __iter__(self) -> Iterator[Item]:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._closed or self._cancelled or self._items)
                if not self._items:
                    if self._error is not None:
                        raise self._error
                    return
                item = self._items.popleft()
                self._changed.notify_all()
            yield item


@contextmanager
def filling(
    channel: Channel[Item], make: Callable[[], Generator[Item, None, None]], name: str
) -> Iterator[None]:
    """A thread puts into the channel what a generator gives, until the block is left.

    Args:
        channel: closed when the generator ends, with what it raised.
        make: called in the thread; the generator is closed there too.
        name: of the thread.
    """

    def work() -> None:
        try:
            items = make()
            try:
                for item in items:
                    channel.put(item)
            finally:
                items.close()
        except Cancelled:
            pass
        except BaseException as error:
            channel.close(error)
        else:
            channel.close()

    thread = threading.Thread(target=work, name=name, daemon=True)
    thread.start()
    try:
        yield
    finally:
        channel.cancel()
        thread.join()
