"""What a build is doing: bars in a terminal, a line now and then in a log."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Any, Protocol

from depth_estimation_ros.engines.tensorrt.api import TensorRT

logger = logging.getLogger(__name__)


class Progress(Protocol):
    """Told by TensorRT, from any of its threads, what it does. Phases are nested."""

    def start(self, phase: str, parent: str | None, steps: int) -> None:
        """A phase of so many steps begins."""
        ...

    def step(self, phase: str, done: int) -> None:
        """So many steps of a phase are done."""
        ...

    def finish(self, phase: str) -> None:
        """A phase has ended."""
        ...


class LogProgress:
    """A line when it begins, and then one every `every` seconds.

    Args:
        say: takes a line.
        every: seconds between lines.
    """

    def __init__(self, say: Callable[[str], object], every: float = 10.0) -> None:
        self._say = say
        self._every = every
        self._steps: dict[str, int] = {}
        self._began = self._said = time.monotonic()

    def start(self, phase: str, parent: str | None, steps: int) -> None:
        self._steps[phase] = steps

    def step(self, phase: str, done: int) -> None:
        now = time.monotonic()
        if now - self._said >= self._every:
            self._said = now
            self._say(
                f"building the engine for {now - self._began:.0f} s: "
                f"{phase} {done}/{self._steps.get(phase, done)}"
            )

    def finish(self, phase: str) -> None:
        self._steps.pop(phase, None)


class BarProgress:
    """One bar of a rich.progress.Progress for each phase that is under way."""

    def __init__(self, bars: Any) -> None:
        self._bars = bars
        self._tasks: dict[str, tuple[Any, int]] = {}  # the bar, and how deep it is nested
        self._totals: dict[str, int] = {}

    def start(self, phase: str, parent: str | None, steps: int) -> None:
        depth = self._tasks[parent][1] + 1 if parent in self._tasks else 0
        task = self._bars.add_task("  " * depth + phase, total=steps)
        self._tasks[phase] = (task, depth)
        self._totals[phase] = steps

    def step(self, phase: str, done: int) -> None:
        if phase in self._tasks:
            self._bars.update(self._tasks[phase][0], completed=done)

    def finish(self, phase: str) -> None:
        task, depth = self._tasks.pop(phase, (None, 0))
        if task is None:
            return
        if depth > 0:
            self._bars.remove_task(task)
        else:  # TensorRT does not tell of its last step
            self._bars.update(task, completed=self._totals.pop(phase))


def make_monitor(api: TensorRT, progress: Progress, cancelled: Callable[[], bool]) -> Any:
    """An IProgressMonitor that tells `progress`, and ends the build when `cancelled` says so."""
    base = api.module.IProgressMonitor
    lock = threading.Lock()

    def tell(what: Callable[..., None], *arguments: Any) -> None:
        # An exception would travel through TensorRT's C++ and could end the process.
        try:
            with lock:
                what(*arguments)
        except Exception:
            logger.exception("progress cannot be shown")

    class Monitor(base):  # type: ignore[misc, valid-type]
        def __init__(self) -> None:
            base.__init__(self)

        def phase_start(self, name: str, parent: str | None, steps: int) -> None:
            tell(progress.start, name, parent, steps)

        def step_complete(self, name: str, step: int) -> bool:
            tell(progress.step, name, step + 1)
            return not cancelled()

        def phase_finish(self, name: str) -> None:
            tell(progress.finish, name)

    return Monitor()
