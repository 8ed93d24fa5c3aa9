"""Noise against all that comes from outside: 500 of the cases that `make fuzz` has 50000 of."""

from __future__ import annotations

import importlib
import re
import subprocess
import sys
import time
from importlib.util import find_spec
from mmap import mmap
from pathlib import Path
from types import ModuleType

import pytest

from depth_estimation_ros.errors import ImageError

FUZZ = Path(__file__).resolve().parents[2] / "tools" / "fuzz" / "run.py"
NEEDS_ROS = {"rclpy", "parameters"}


def targets() -> list[str]:
    everything = ["images", "compressed", "onnx", "cards", "sidecars", "files"]
    return everything + (sorted(NEEDS_ROS) if find_spec("rclpy") else [])


def test_three_hundred_cases_of_noise_end_in_an_answer_or_in_words() -> None:
    pytest.importorskip("hypothesis")
    only = [word for name in targets() for word in ("--only", name)]
    done = subprocess.run(
        [sys.executable, str(FUZZ), "--cases", "300", *only],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    cases = re.search(r"^(\d+) cases; all good$", done.stdout, re.MULTILINE)
    assert cases is not None
    assert int(cases[1]) >= 300


@pytest.fixture
def budget(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(FUZZ.parent)
    return importlib.import_module("budget")


def compute(seconds: float) -> None:
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass


def test_a_case_that_takes_long_fails(budget: ModuleType) -> None:
    watch = budget.Budget(seconds=0.02)
    with pytest.raises(AssertionError, match="of the processor"), watch.case():
        compute(0.1)


def test_a_case_that_takes_memory_fails(
    budget: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(budget, "MEGABYTES", 50)
    watch = budget.Budget(seconds=60)
    with pytest.raises(AssertionError, match=r"a case took \d+ MB"), watch.case():
        # Of its own, as the memory of earlier tests may be used again.
        mmap(-1, 100_000_000).write(bytes(1) * 100_000_000)


def test_an_error_that_is_not_the_packages_own_comes_out(budget: ModuleType) -> None:
    watch = budget.Budget()
    with pytest.raises(ZeroDivisionError):
        watch.refused_or(lambda: 1 // 0, ImageError)
    with pytest.raises(AssertionError, match="says nothing"):
        budget.check_message(ImageError("no"))
