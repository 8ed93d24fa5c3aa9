"""Disks that fill while a recording is written."""

from __future__ import annotations

import errno
import os
import shutil
import sqlite3
from pathlib import Path

from depth_estimation_ros.errors import BagError

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_RESERVE_BYTES = 2 << 20
MARGIN_BYTES = 4 << 20
"""What must stay free to finish a file of messages: its last chunk twice and its index."""


class DiskFullError(BagError):
    """The disk has no room for more; what was written until then is a valid recording."""

    def __init__(self, path: Path, found: str) -> None:
        super().__init__(
            f"The disk is full under {path}",
            found=found,
            expected="room for more messages",
            fix="What was written until now is kept as a valid recording. Make room and go on "
            "where it ended, or write to another disk",
        )


def check_room(path: Path, needed: int) -> None:
    """Whether so many bytes are free on the disk of this folder.

    Raises:
        DiskFullError: they are not.
    """
    free = shutil.disk_usage(path).free
    if free < needed:
        raise DiskFullError(path, f"{free / 1e6:.1f} MB free, {needed / 1e6:.1f} MB needed")


def is_full(error: BaseException) -> bool:
    """Whether the error says that a file cannot grow: no room, over quota, over a limit."""
    if isinstance(error, sqlite3.OperationalError):
        return "disk is full" in str(error) or "disk I/O error" in str(error)
    return isinstance(error, OSError) and error.errno in _FULL


class Reserve:
    """Room on the disk that is given back when it is needed to finish a file.

    Args:
        path: of a file to be; where there is no room for it, there is no reserve.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            with path.open("wb") as file:
                os.posix_fallocate(file.fileno(), 0, _RESERVE_BYTES)
        except OSError:
            self.release()

    def release(self) -> None:
        """Gives the room back."""
        self._path.unlink(missing_ok=True)
