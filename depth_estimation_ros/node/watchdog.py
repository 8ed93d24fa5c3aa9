"""A watchdog over the engine: a run of the network that takes too long is an engine failure.

The run is cancelled where the engine can do that, and fails with an EngineError. A thread that
hangs inside a library cannot be ended from outside: then the process ends, for `respawn`.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from depth_estimation_ros.engines import Cancellable, Engine
from depth_estimation_ros.errors import EngineError

POLL_S = 0.1
CANCEL_S = 2.0  # that a cancelled run has to return


class WatchedEngine:
    """An engine whose runs are limited in time; see `engines.Engine`.

    Args:
        engine: closed with this one.
        limit: returns the seconds that one run may take; 0 is no limit.
        on_stuck: called with a message, in the watchdog's thread, when a run cannot be cancelled;
            it should end the process.
    """

    def __init__(
        self,
        engine: Engine,
        limit: Callable[[], float],
        on_stuck: Callable[[str], object],
    ) -> None:
        self._engine = engine
        self._limit = limit
        self._on_stuck = on_stuck
        self._run: object | None = None  # identifies the present run
        self._error: EngineError | None = None
        self._returned, self._closed = threading.Event(), threading.Event()
        self.card = engine.card
        self.path = engine.path
        self._thread = threading.Thread(target=self._watch, name="depth_watchdog", daemon=True)
        self._thread.start()

    @property
    def max_batch(self) -> int | None:
        return self._engine.max_batch

    @property
    def description(self) -> str:
        return self._engine.description

    def infer(self, batch: npt.NDArray[np.generic]) -> npt.NDArray[np.float32]:
        """Run the network once: see `engines.Engine.infer`.

        Raises:
            EngineError: also when the run took longer than the limit.
        """
        self._run = object()
        try:
            result = self._engine.infer(batch)
        except EngineError as error:
            raise self._error or error from error
        finally:
            self._run = None
            self._returned.set()
        if self._error is not None:
            raise self._error
        return result

    def close(self) -> None:
        """Stop watching and close the engine. Calling it twice is harmless."""
        self._closed.set()
        self._thread.join()
        self._engine.close()

    def _watch(self) -> None:
        # Only time in which this process ran counts: one that was stopped (SIGSTOP, a debugger) has
        # not run the network all that time.
        watched, seconds, last = None, 0.0, time.monotonic()
        while not self._closed.wait(POLL_S):
            now = time.monotonic()
            step, last = min(now - last, 2 * POLL_S), now
            run, limit = self._run, self._limit()
            seconds = seconds + step if run is not None and run is watched else 0.0
            watched = run
            if 0 < limit < seconds:
                self._cancel(limit)
                return

    def _cancel(self, limit: float) -> None:
        self._returned.clear()
        self._error = EngineError(
            "the network hangs",
            found=f"no result within {limit:g} s",
            expected="one within the limit (parameter engine_timeout)",
        )
        if isinstance(self._engine, Cancellable):
            self._engine.break_off()
        if self._run is not None and not self._returned.wait(CANCEL_S):
            self._on_stuck(f"{self._error}. The run cannot be cancelled, so the process ends")


def end_process(exit_code: int = 1) -> None:
    """End this process while a thread hangs in a library, which an ordinary exit would wait for."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(exit_code)
