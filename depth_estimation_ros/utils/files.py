"""Files that appear under their name only when they are whole."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Gives a hidden name beside `path` to write to, which becomes `path` if nothing was raised.

    An earlier file at `path` is replaced; if something was raised, it stays and the hidden one
    goes.
    """
    unfinished = partial_name(path)
    try:
        yield unfinished
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def partial_name(path: Path) -> Path:
    """A hidden name of this process beside `path`, with its suffix, by which OpenCV goes."""
    return path.with_name(f".{path.stem}.{os.getpid()}.part{path.suffix}")
