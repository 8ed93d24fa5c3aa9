"""Results that a fleet is to replace are kept until there are new ones."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from depth_estimation_ros.apps.replay.summary import SUMMARY

ASIDE = ".replaced"  # no recording's name begins with a point


@contextmanager
def replacing(outputs: Sequence[Path], board: Path) -> Iterator[None]:
    """Puts earlier results aside; where nothing new was begun, they are in their place afterwards.

    A model that cannot be opened or a recording that is gone thus costs no result.

    Args:
        outputs: of the recordings; what is there has been checked to be a result.
        board: folder of the board; what an earlier run left there is forgotten.

    Raises:
        OSError: the folder cannot be written.
    """
    _put_back(outputs, board)  # of a run that was killed
    shutil.rmtree(board, ignore_errors=True)
    (board / ASIDE).mkdir(parents=True)
    for output in outputs:
        with suppress(FileNotFoundError):
            output.rename(board / ASIDE / output.name)
    try:
        yield
    finally:
        _put_back(outputs, board)
        shutil.rmtree(board / ASIDE, ignore_errors=True)


def _put_back(outputs: Sequence[Path], board: Path) -> None:
    for output in outputs:
        kept = board / ASIDE / output.name
        begun = output.exists() or any((board / output.name).rglob(SUMMARY))
        if os.path.lexists(kept) and not begun:
            kept.rename(output)
