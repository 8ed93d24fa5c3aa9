"""Child processes that tell what they do, and that never stay behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from queue import Queue
from typing import Any

from depth_estimation_ros.apps.demo.events import parse

STOP_TIMEOUT_S = 10.0

# `python -m` would take the package from the working directory if that is some checkout; the
# children shall run the very package that started them.
ROOT = Path(__file__).resolve().parents[3]
RUN_MODULE = (
    "import runpy, sys; sys.path[0] = sys.argv.pop(1); "
    "runpy.run_module(sys.argv.pop(1), run_name='__main__', alter_sys=True)"
)


class Child:
    """A Python module run in a process of its own; its log is a file.

    Args:
        name: for its events.
        module: run as `python -m` would.
        arguments: of the module.
        environment: of the process.
        log: file for standard error, and for lines of standard output that are no events.
        events: where the module's events go; the last one is {"event": "exit", "code": ...}.
    """

    def __init__(
        self,
        name: str,
        module: str,
        arguments: Sequence[str],
        environment: Mapping[str, str],
        log: Path,
        events: Queue[tuple[str, dict[str, Any]]],
    ) -> None:
        self.name = name
        self._log_path = log
        self._log = log.open("w", encoding="utf-8", errors="replace")
        self._process = subprocess.Popen(
            [sys.executable, "-c", RUN_MODULE, str(ROOT), module, *arguments],
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
            errors="replace",
            # Ctrl-C in the terminal is for the session alone, which stops its children in order.
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read, args=(events,), daemon=True)
        self._reader.start()

    def stop(self) -> None:
        """Interrupt the process, and kill it if that does not end it in time."""
        if self._process.poll() is None:
            self._signal(signal.SIGINT)
            try:
                self._process.wait(STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                self._signal(signal.SIGKILL)
                self._process.wait()
        self._reader.join()
        self._log.close()

    def last_lines(self, count: int = 12) -> str:
        """The end of the log."""
        return "\n".join(self._log_path.read_text("utf-8", "replace").splitlines()[-count:])

    def _signal(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError):  # it may have ended by itself just now
            os.killpg(self._process.pid, number)

    def _read(self, events: Queue[tuple[str, dict[str, Any]]]) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            event = parse(line)
            if event is None:
                self._log.write(line)
                self._log.flush()
            else:
                events.put((self.name, event))
        events.put((self.name, {"event": "exit", "code": self._process.wait()}))
