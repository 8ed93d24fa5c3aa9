"""Notices a network that does not come back from a picture.

A thread that hangs inside a library cannot be ended from outside. So the one who is told leaves it,
and goes on with another; where the engine can be asked to break off its run, it is asked.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from depth_estimation_ros.engines import Cancellable, Engine

POLL_S = 0.1


class WatchedEngine:
    """An engine whose runs are timed from outside. Keeps to `engines.Engine`.

    Args:
        engine: that runs the network; closed with this one.
        limit: seconds that one run may take, asked again and again; 0 is for ever.
        on_hang: called once at most, in a thread of its own, with the limit that a run has
            exceeded; afterwards the run is asked to break off.
    """

    def __init__(
        self, engine: Engine, limit: Callable[[], float], on_hang: Callable[[float], None]
    ) -> None:
        self._engine = engine
        self._limit = limit
        self._on_hang = on_hang
        self._run: object | None = None  # stands for the present run
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="depth_watchdog", daemon=True)
        self._thread.start()
        self.card = engine.card

    @property
    def max_batch(self) -> int | None:
        return self._engine.max_batch

    @property
    def description(self) -> str:
        return self._engine.description

    def infer(self, batch: npt.NDArray[np.generic]) -> npt.NDArray[np.float32]:
        """Runs the network once: see `engines.Engine.infer`."""
        self._run = object()
        try:
            return self._engine.infer(batch)
        finally:
            self._run = None

    def close(self) -> None:
        """Ends the watch and closes the engine. Calling it twice is harmless."""
        self._closed.set()
        self._thread.join()
        self._engine.close()

    def _watch(self) -> None:
        # Seconds are those in which this process ran: one that was stopped (SIGSTOP, a debugger)
        # has not been at a picture all that time.
        watched, seconds, last = None, 0.0, time.monotonic()
        while not self._closed.wait(POLL_S):
            now = time.monotonic()
            step, last = min(now - last, 2 * POLL_S), now
            run, limit = self._run, self._limit()
            seconds = seconds + step if run is not None and run is watched else 0.0
            watched = run
            if 0 < limit < seconds:
                self._on_hang(limit)
                if isinstance(self._engine, Cancellable):
                    self._engine.break_off()
                return
