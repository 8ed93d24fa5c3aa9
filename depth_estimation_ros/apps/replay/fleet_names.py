"""What the outputs of several recordings are called."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

SUFFIXES = (".zstd", ".mcap", ".db3", ".bag")


def output_names(inputs: Sequence[Path]) -> list[str]:
    """A name for the output of each recording, no two alike: its own, without suffixes.

    Recordings of the same name are told apart by the folders above them (monday/run and
    tuesday/run become monday_run and tuesday_run), and where these do not help by numbers.

    Args:
        inputs: the recordings, each named once.
    """
    names = [_name(path, 0) for path in inputs]
    deepest = max((len(_parts(path)) for path in inputs), default=0)
    for level in range(1, deepest):
        counts = Counter(names)
        if max(counts.values()) == 1:
            break
        names = [
            _name(path, level) if counts[name] > 1 else name
            for path, name in zip(inputs, names, strict=True)
        ]
    return _numbered(names)


def each_once(inputs: Sequence[str | Path]) -> list[Path]:
    """The recordings without those that name the same file or folder again."""
    once: dict[Path, Path] = {}
    for path in map(Path, inputs):
        once.setdefault(path.expanduser().resolve(), path.expanduser())
    return list(once.values())


def _name(path: Path, level: int) -> str:
    """The recording's name behind those of so many folders above it."""
    *folders, name = _parts(path)
    while (stem := Path(name)).suffix in SUFFIXES:
        name = stem.stem
    # A leading point would hide the output.
    return "_".join([*folders[max(0, len(folders) - level) :], name]).lstrip(".") or "recording"


def _parts(path: Path) -> tuple[str, ...]:
    return Path(os.path.abspath(path)).parts[1:] or ("recording",)


def _numbered(names: list[str]) -> list[str]:
    taken: set[str] = set()
    result = []
    for name in names:
        number, unique = 2, name
        while unique in taken or (unique != name and unique in names):
            number, unique = number + 1, f"{name}_{number}"
        taken.add(unique)
        result.append(unique)
    return result
