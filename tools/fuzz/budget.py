"""What a case may take, and what may come out of it."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from depth_estimation_ros.errors import DepthEstimationError

SECONDS = 1.0  # of the processor, so that a busy machine fails no case
HANG_SECONDS = 20.0  # of the processor, after which the process ends itself
MEGABYTES = 512  # of memory, beyond what the process had before the case
LONGEST_MESSAGE = 4000  # characters; a log is for people


@dataclass
class Tally:
    """What the cases of one target came to.

    Attributes:
        cases: how many ran.
        outcomes: how many were refused with each kind of error, or "good".
        slowest: seconds of the processor that one case took at most.
        megabytes: of memory that one case took at most.
    """

    cases: int = 0
    outcomes: dict[str, int] = field(default_factory=dict)
    slowest: float = 0.0
    megabytes: float = 0.0


class Budget:
    """Runs the cases of one target, and fails one that takes too much.

    Args:
        seconds: of the processor for one case; of a first case twice as much, as it imports.
    """

    def __init__(self, seconds: float = SECONDS) -> None:
        self.tally = Tally()
        self._seconds = seconds

    @contextmanager
    def case(self) -> Iterator[None]:
        """One case. Raises AssertionError if it took too long or too much memory."""
        tally = self.tally
        limit = self._seconds * (2 if tally.cases == 0 else 1)
        tally.cases += 1
        forget_peak()
        before = megabytes("VmRSS")
        signal.setitimer(signal.ITIMER_PROF, HANG_SECONDS)
        start = time.process_time()
        try:
            yield
        finally:
            taken = time.process_time() - start
            signal.setitimer(signal.ITIMER_PROF, 0.0)
        more = megabytes("VmHWM") - before
        tally.slowest, tally.megabytes = max(tally.slowest, taken), max(tally.megabytes, more)
        assert taken < limit, f"a case took {taken:.2f} s of the processor"
        assert more < MEGABYTES, f"a case took {more:.0f} MB"

    def refused_or(
        self, work: Callable[[], object], *allowed: type[DepthEstimationError]
    ) -> object | None:
        """The result of `work`; None if it raised one of these errors, with words for people."""
        try:
            result = work()
        except allowed as error:
            check_message(error)
            self.count(type(error).__name__)
            return None
        self.count("good")
        return result

    def count(self, outcome: str) -> None:
        """Another case that came to this."""
        self.tally.outcomes[outcome] = self.tally.outcomes.get(outcome, 0) + 1


def check_message(error: Exception) -> None:
    """It says something, in so many characters that a log can hold."""
    message = str(error)
    assert len(message) > 20, f"{error!r} says nothing"
    assert len(message) <= LONGEST_MESSAGE, f"a message of {len(message)} characters"
    message.encode()  # no lone surrogates, which no log can write


def megabytes(name: str) -> float:
    """Memory of this process: VmRSS, now, or VmHWM, the most since `forget_peak`."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(name):
            return float(line.split()[1]) / 1024
    return 0.0


def forget_peak() -> None:
    """Start VmHWM again (proc(5), clear_refs), so that a case shows what it took by itself."""
    with suppress(OSError):  # a kernel without it: the peak is that of all cases so far
        Path("/proc/self/clear_refs").write_text("5")
