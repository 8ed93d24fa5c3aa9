"""Where one attempt at a job writes, so that it never mixes with an earlier one.

An attempt works in a folder of its own and moves the result to its place at the end. A later
attempt takes the folder of an earlier one away, by renaming it, before it goes on with what is in
it. So whoever still writes there, on a machine that was only believed dead, finds its folder gone;
and what it makes anew under the old name is never looked at.
"""

from __future__ import annotations

import os
import shutil
import uuid
from contextlib import suppress
from pathlib import Path

from depth_estimation_ros.apps.replay.summary import SUMMARY

PREFIX = "attempt-"


def begin(room: Path, output: Path) -> tuple[Path, bool]:
    """Takes over what there is of an output.

    Args:
        room: folder of the job, on the same filesystem as the output.
        output: the final place; what lies there is not finished.

    Returns:
        The path to write to, of the same name as the output, and whether something unfinished lies
        there to go on with.
    """
    mine = room / f"{PREFIX}{uuid.uuid4().hex[:12]}" / output.name
    mine.parent.mkdir(parents=True)
    for path in [output, *_earlier(room, output.name, mine.parent)]:
        # Gone: another attempt was quicker. It has the folder, and this one finds none.
        with suppress(FileNotFoundError):
            os.rename(path, mine)
            break
    _forget_others(room, mine.parent)
    if mine.exists() and not (mine / SUMMARY).exists():
        shutil.rmtree(mine)  # it was broken off before there was anything to go on with
    return mine, mine.exists()


def finish(mine: Path, output: Path) -> None:
    """Moves what the attempt wrote to its place; nothing where it wrote nothing.

    Raises:
        OSError: another attempt has taken it over, or was finished before.
    """
    if mine.exists():
        output.parent.mkdir(parents=True, exist_ok=True)
        os.rename(mine, output)
    with suppress(OSError):
        mine.parent.rmdir()


def _earlier(room: Path, name: str, mine: Path) -> list[Path]:
    """What other attempts left, what was written to last first."""
    found = [path for path in room.glob(f"{PREFIX}*/{name}") if path.parent != mine]
    return sorted(found, key=_last_write, reverse=True)


def _last_write(path: Path) -> float:
    newest = 0.0
    for file in [path, *path.rglob("*")]:
        with suppress(OSError):
            newest = max(newest, file.stat().st_mtime)
    return newest


def _forget_others(room: Path, mine: Path) -> None:
    for folder in room.glob(f"{PREFIX}*"):
        if folder != mine:
            shutil.rmtree(folder, ignore_errors=True)
