"""The parts of the check on a GPU, one after the other; what one lacks does not stop the next."""

from __future__ import annotations

import dataclasses
import json
import platform
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import present
import pytest
from rich.console import Console
from rows import Row

from depth_estimation_ros.apps.build_engine import command as build_engine
from depth_estimation_ros.apps.demo.sources import BUNDLED_BAG

PRECISIONS = ("fp32", "fp16", "int8")
TESTS = Path(__file__).resolve().parents[2] / "test" / "gpu"


@dataclass
class Outcome:
    """What became of the parts, each written down as soon as it is known.

    Attributes:
        file: of one JSON object a line: parts with "verdict", and rows of times.
        console: told the same in words.
        end: of the check, by time.monotonic().
        lacking: parts that could not run, and why.
        wrong: parts that failed, and how.
    """

    file: Path
    console: Console
    end: float
    lacking: dict[str, str] = field(default_factory=dict)
    wrong: dict[str, str] = field(default_factory=dict)

    def right(self, part: str) -> None:
        """A part that ran and was right."""
        self._verdict(part, "right")

    def failed(self, part: str, how: str) -> None:
        """A part that ran and was wrong."""
        self.wrong[part] = how
        self._verdict(part, f"wrong: {how}")

    def lacks(self, part: str, why: str) -> None:
        """A part that could not run."""
        self.lacking[part] = why
        self._verdict(part, f"not run: {why}")

    def may_begin(self, part: str) -> bool:
        """Whether time is left for a part; if not, it is noted as lacking."""
        if time.monotonic() < self.end:
            return True
        self.lacks(part, "no time left, see --minutes")
        return False

    def write(self, **values: Any) -> None:
        """Appends a line to the file."""
        with self.file.open("a") as file:
            file.write(json.dumps(values) + "\n")

    def _verdict(self, part: str, verdict: str) -> None:
        self.write(part=part, verdict=verdict)
        self.console.print(f"{part}: {verdict}", soft_wrap=True, markup=False)


@dataclass(frozen=True)
class Wanted:
    """What is to be measured: see `check.py --help`."""

    batches: Sequence[int]
    rounds: int
    size: tuple[int, int]
    skip: Sequence[str]


def machine() -> str:
    """The computer and its GPU, as PyTorch names it."""
    if why := present.why_no_torch():
        return f"{platform.node()}: {why}"
    import torch

    return f"{platform.node()}: {torch.cuda.get_device_name(0)}, PyTorch {torch.__version__}"


def build_bundled(folder: Path, outcome: Outcome) -> None:
    """Builds the bundled model; build_engine compares its depth with ONNX Runtime's float32."""
    for precision in PRECISIONS:
        part = f"compact as an engine in {precision}"
        if why := present.why_no_tensorrt():
            outcome.lacks(part, why)
        elif outcome.may_begin(part):
            out = folder / f"bundled-{precision}.engine"
            line = ["--model", "compact", "--precision", precision, "--out", str(out)]
            if build_engine.main([*line, "--calibration", str(BUNDLED_BAG)]) == 0:
                outcome.right(part)
            else:
                outcome.failed(part, "see the message of build_engine above")


def run_tests(outcome: Outcome) -> None:
    """The tests marked gpu, a file at a time."""
    for name, title, why in (
        ("cuda", "tests of memory, threads and graphs", present.why_no_gpu()),
        ("engine", "tests of engines", present.why_no_tensorrt()),
        ("node", "tests of the node", present.why_no_tensorrt()),
    ):
        if why:
            outcome.lacks(title, why)
        elif outcome.may_begin(title):
            file = str(TESTS / f"test_gpu_{name}.py")
            code = pytest.main(["-q", "-m", "gpu", "-rs", "-p", "no:cacheprovider", file])
            if code == pytest.ExitCode.OK:
                outcome.right(title)
            else:
                outcome.failed(title, f"pytest ended with {code!r}")


def measure(wanted: Wanted, folder: Path, outcome: Outcome) -> Iterator[Row]:
    """The rows of the table; a part that fails is noted, and the next one goes on."""

    def engines() -> Iterator[Row]:
        from engine_rows import engine_rows

        return engine_rows(wanted, folder)

    def pytorch(compiled: bool) -> Iterator[Row]:
        from torch_rows import torch_rows

        return torch_rows("cuda", wanted.batches, wanted.rounds, wanted.size, compiled)

    parts: list[tuple[str, str, Callable[[], str], Callable[[], Iterator[Row]]]] = [
        ("tensorrt", "times of engines", present.why_no_tensorrt, engines),
        ("torch", "times of PyTorch", present.why_no_torch, lambda: pytorch(False)),
        ("torch", "times of torch.compile", present.why_no_torch, lambda: pytorch(True)),
    ]
    for part, title, why_not, rows in parts:
        if part in wanted.skip:
            continue
        if why := why_not():
            outcome.lacks(title, why)
        else:
            yield from _rows(title, rows, outcome)


def _rows(title: str, rows: Callable[[], Iterator[Row]], outcome: Outcome) -> Iterator[Row]:
    if not outcome.may_begin(title):
        return
    try:
        for row in rows():
            outcome.write(**dataclasses.asdict(row))
            outcome.console.print(
                f"{row.network} {row.runtime} {row.precision} x{row.batch}: "
                f"p50 {row.p50:.2f} ms, p99 {row.p99:.2f} ms"
            )
            yield row
            if not outcome.may_begin(f"more {title}"):
                return
    except Exception as error:  # what a GPU or a compiler may raise has no common base
        outcome.failed(title, f"{type(error).__name__}: {error}")
    else:
        outcome.right(title)
