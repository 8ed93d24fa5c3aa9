"""Freed memory stays in the process: no page is paid for twice."""

from __future__ import annotations

import platform
import subprocess
import sys
from pathlib import Path

import pytest

from depth_estimation_ros import memory

PAGE_FAULTS = """
import resource, threading
import numpy as np
from depth_estimation_ros.memory import keep_freed_memory
assert keep_freed_memory()

def frames(count):
    for _ in range(count):
        cloud, depth = np.empty(4_900_000, np.uint8), np.empty(1_200_000, np.uint8)
        cloud[:], depth[:] = 1, 1

def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

def work():
    frames(3)
    before = faults()
    frames(50)
    print(faults() - before)

work()
worker = threading.Thread(target=work)  # threads have heaps of their own
worker.start()
worker.join()
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="mallopt is glibc's")
def test_the_same_blocks_again_cost_no_page_faults() -> None:
    result = subprocess.run(
        [sys.executable, "-c", PAGE_FAULTS],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).resolve().parent.parent,
    )
    pages_of_one_frame = 6_100_000 // 4096
    main, worker = map(int, result.stdout.split())
    assert main < pages_of_one_frame
    assert worker < pages_of_one_frame


def test_another_c_library_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory.ctypes, "CDLL", lambda name: object())
    assert memory.keep_freed_memory() is False
