"""Files: written whole or not at all, their SHA-256, and the order of their names."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Give a hidden name next to `path` to write to, which becomes `path` if nothing was raised.

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
    """Return a hidden name of this process next to `path`, with the suffix that OpenCV needs."""
    return path.with_name(f".{path.stem}.{os.getpid()}.part{path.suffix}")


def natural_order(path: Path) -> tuple[list[Any], str]:
    """Return a key that sorts frame2 before frame10, whatever the case of letters."""
    pieces = re.split(r"(\d+)", path.name.casefold())  # text and digits in turn
    return [int(piece) if piece.isdecimal() else piece for piece in pieces], path.name


def sha256(*paths: Path) -> str:
    """Return the SHA-256 of the files' contents, one after the other, as 64 hexadecimal digits.

    Raises:
        OSError: a file cannot be read.
    """
    digest = hashlib.sha256()
    for path in paths:
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()
