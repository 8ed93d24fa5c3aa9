"""Files that stay open, one handle a process."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class PerProcess(Generic[T]):
    """What ``make`` gives, made when first asked for, and again in each process that asks.

    A worker of a data loader that is forked shares the position in an open file with its parent
    and its brothers, so each reads where another has moved to; one that is spawned cannot be given
    an open file at all.
    """

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._owner = -1
        self._value: T | None = None

    def __call__(self) -> T:
        if self._value is None or self._owner != os.getpid():
            self._value, self._owner = self._make(), os.getpid()
        return self._value

    def __getstate__(self) -> dict[str, Any]:
        return {"_make": self._make, "_owner": -1, "_value": None}
