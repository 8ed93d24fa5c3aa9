"""The parts of the check on a GPU, one after the other; what one lacks does not stop the next."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import present
import pytest
from rich.console import Console
from rows import Row


@dataclass
class Outcome:
    """What became of the parts.

    Attributes:
        lacking: parts that could not run, and why.
        wrong: parts that failed, and how.
    """

    lacking: dict[str, str] = field(default_factory=dict)
    wrong: dict[str, str] = field(default_factory=dict)


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


def run_tests(outcome: Outcome) -> None:
    """The tests marked gpu."""
    for part, why in (
        ("tests of memory, threads and graphs", present.why_no_gpu()),
        ("tests of engines", present.why_no_tensorrt()),
    ):
        if why:
            outcome.lacking[part] = why
    if not present.why_no_gpu():
        here = str(Path(__file__).resolve().parents[2] / "test" / "gpu")
        code = pytest.main(["-q", "-m", "gpu", "-rs", "-p", "no:cacheprovider", here])
        if code != pytest.ExitCode.OK:
            outcome.wrong["tests"] = f"pytest ended with {code!r}"


def measure(wanted: Wanted, folder: Path, outcome: Outcome, console: Console) -> Iterator[Row]:
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
            outcome.lacking[title] = why
            continue
        try:
            for row in rows():
                # Said at once, so that a check that is cut off leaves what it measured.
                console.print(
                    f"{row.network} {row.runtime} {row.precision} x{row.batch}: "
                    f"p50 {row.p50:.2f} ms, p99 {row.p99:.2f} ms"
                )
                yield row
        except Exception as error:  # what a GPU or a compiler may raise has no common base
            outcome.wrong[title] = f"{type(error).__name__}: {error}"
