"""Freed memory stays in the process, for all threads: no page is paid for twice."""

from __future__ import annotations

import platform
import re
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from depth_estimation_ros.utils import memory

ROOT = Path(__file__).resolve().parents[2]
FRAMES = """
from depth_estimation_ros.utils.memory import keep_freed_memory
assert keep_freed_memory()
import os, resource, threading
import numpy as np

def frames(count):
    for _ in range(count):
        cloud, depth = np.empty(4_900_000, np.uint8), np.empty(1_200_000, np.uint8)
        cloud[:], depth[:] = 1, 1
"""

PAGE_FAULTS = """
def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

def work():
    frames(3)
    before = faults()
    frames(50)
    print(faults() - before)

work()
worker = threading.Thread(target=work)
worker.start()
worker.join()
"""

THREADS = """
def in_ram():
    return int(open("/proc/self/statm").read().split()[1])

def wait():
    note = np.ones(2000, np.uint8)
    over.wait()

def in_a_thread(work, *arguments):
    thread = threading.Thread(target=work, args=arguments, daemon=True)
    thread.start()
    return thread

over = threading.Event()
for _ in range(8 * os.cpu_count()):  # so many that none of their heaps is ever free
    in_a_thread(wait)
in_a_thread(frames, 3).join()
before = in_ram()
for _ in range(20):
    in_a_thread(frames, 3).join()
print(in_ram() - before)
over.set()
"""
PAGES_OF_ONE_FRAME = 6_100_000 // 4096
HEAP_BYTES = 64 * 1024 * 1024  # that glibc reserves for a heap of threads, at a multiple of as many


def numbers_of(program: str) -> list[int]:
    result = subprocess.run(
        [sys.executable, "-c", FRAMES + program],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).resolve().parents[2],
    )
    return [int(word) for word in result.stdout.split()]


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="mallopt is glibc's")
def test_the_same_blocks_again_cost_no_page_faults() -> None:
    main, worker = numbers_of(PAGE_FAULTS)
    assert main < PAGES_OF_ONE_FRAME
    assert worker < PAGES_OF_ONE_FRAME


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="mallopt is glibc's")
def test_threads_that_come_and_go_keep_no_frame_each() -> None:
    (grown,) = numbers_of(THREADS)
    assert grown < 2 * PAGES_OF_ONE_FRAME


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="mallopt is glibc's")
def test_all_threads_of_the_node_share_one_heap(node: Any, tester: Any) -> None:
    tester.bring(node, "active")
    assert len(list(Path(f"/proc/{node.process.pid}/task").iterdir())) > 10
    assert heaps_of_threads(node.process.pid) == 0


def heaps_of_threads(pid: int) -> int:
    """How many heaps a process has beside its first: reserved as a whole, and used in part."""
    maps = Path(f"/proc/{pid}/maps").read_text()
    unnamed = re.findall(r"^(\w+)-(\w+) (rw-|---)p 0+ 00:00 0 *$", maps, re.MULTILINE)
    areas = [(int(first, 16), int(end, 16), access) for first, end, access in unnamed]
    return sum(
        (used, reserved) == ("rw-", "---") and first % HEAP_BYTES == 0 == first + HEAP_BYTES - end
        for (first, _, used), (_, end, reserved) in pairwise(areas)
    )


def test_another_c_library_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory.ctypes, "CDLL", lambda name: object())
    assert memory.keep_freed_memory() is False


def test_the_peak_is_this_programs_own_and_not_of_the_one_that_started_it() -> None:
    child = "from depth_estimation_ros.utils.memory import peak_memory_mb; print(peak_memory_mb())"
    parent = (
        "import numpy, subprocess, sys\n"
        "large = numpy.ones(50_000_000)\n"  # 400 MB
        "from depth_estimation_ros.utils.memory import peak_memory_mb\n"
        "print(peak_memory_mb(), flush=True)\n"
        f"subprocess.run([sys.executable, '-c', {child!r}], check=True)"
    )
    done = subprocess.run(
        [sys.executable, "-c", parent], capture_output=True, text=True, check=True, cwd=ROOT
    )
    large, small = map(float, done.stdout.split())
    assert large > 400 > 200 > small > 5
