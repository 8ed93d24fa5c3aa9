"""What a process holds, second by second, and whether it grows."""

from __future__ import annotations

import re
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

LIMITS = {"rss_mb": 1.0, "private_mb": 1.0}  # MB a minute over the second half
# How many more than before. A participant that was killed stays mapped until its lease is over, so
# files of /dev/shm come and go; one left behind each round would be ten in 20 minutes.
LONGEST_GAP_S = 10.0  # between two samples: what was not looked at may have been anything
STEADY = {"threads": 0.0, "handles": 0.0, "shm_files": 2.0}
_SHM = re.compile(r"/dev/shm/(\S+)")


@dataclass
class Samples:
    """Columns of one length; `seconds` since the start.

    Attributes:
        seconds: when.
        rss_mb: memory in RAM, 10^6 bytes, the pages shared with other processes included.
        private_mb: of these, the process's own.
        threads: how many.
        handles: open files, sockets and pipes.
        shm_files: files of /dev/shm that are mapped.
    """

    seconds: list[float] = field(default_factory=list)
    rss_mb: list[float] = field(default_factory=list)
    private_mb: list[float] = field(default_factory=list)
    threads: list[float] = field(default_factory=list)
    handles: list[float] = field(default_factory=list)
    shm_files: list[float] = field(default_factory=list)

    def take(self, pid: int, seconds: float) -> None:
        """Add one row; OSError if the process is gone."""
        process = Path("/proc") / str(pid)
        text = (process / "status").read_text()
        fields = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
        row = {
            "seconds": seconds,
            "rss_mb": int(fields["VmRSS"].split()[0]) * 1024 / 1e6,
            "private_mb": int(fields["RssAnon"].split()[0]) * 1024 / 1e6,
            "threads": int(fields["Threads"]),
            "handles": len(list((process / "fd").iterdir())),
            "shm_files": len(shared_files(pid)),
        }
        for name, value in row.items():
            getattr(self, name).append(value)


class Sampler:
    """Takes samples of a process in a thread of its own, once a second."""

    def __init__(self, pid: int) -> None:
        self.samples = Samples()
        self._pid = pid
        self._start = time.monotonic()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def stop(self) -> Samples:
        """All samples, with one of the end if the process is still there."""
        self._over.set()
        self._thread.join()
        with suppress(OSError):
            self.samples.take(self._pid, time.monotonic() - self._start)
        return self.samples

    def _run(self) -> None:
        while not self._over.wait(1.0):
            try:
                self.samples.take(self._pid, time.monotonic() - self._start)
            except OSError:
                return


def shared_files(pid: int) -> set[str]:
    """Names of the files of /dev/shm that a process has mapped; empty if it is gone."""
    try:
        return set(_SHM.findall((Path("/proc") / str(pid) / "maps").read_text()))
    except OSError:
        return set()


def slope(seconds: list[float], values: list[float]) -> float:
    """Growth a minute over the second half: the median of the slopes between all pairs.

    Theil and Sen's estimator: up to 29 % of the samples may be anything, as they are while a fault
    lasts.
    """
    half = [(at, value) for at, value in zip(seconds, values, strict=True) if at > seconds[-1] / 2]
    at, value = np.array(half).T
    first, second = np.triu_indices(len(at), 1)
    return float(60.0 * np.median((value[second] - value[first]) / (at[second] - at[first])))


def growth(seconds: list[float], values: list[float]) -> float:
    """The median of the last quarter less that of the second: what comes and goes is no growth."""
    at, value = np.array(seconds) / seconds[-1], np.array(values)
    return float(np.median(value[at > 0.75]) - np.median(value[(at > 0.25) & (at <= 0.5)]))


def verdicts(samples: Samples) -> list[tuple[str, float, float]]:
    """What was measured: a name, the value and its limit."""
    found = [
        (f"{name} a minute, second half", slope(samples.seconds, getattr(samples, name)), limit)
        for name, limit in LIMITS.items()
    ]
    gap = float(np.max(np.diff([0.0, *samples.seconds])))
    found.append(("longest time without a sample, s", gap, LONGEST_GAP_S))
    return found + [
        (f"{name} more than before", growth(samples.seconds, getattr(samples, name)), limit)
        for name, limit in STEADY.items()
    ]
