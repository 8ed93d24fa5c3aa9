"""Whether all files of a data set have arrived: known before a run starts, not in its night."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from depth_estimation_ros.errors import DatasetError


def check_complete(named_by: str | Path, files: Sequence[Path], *, fix: str) -> None:
    """Whether each of ``files`` exists.

    Folders are listed once each, which takes a second where asking for 100,000 files one by one
    takes minutes on a network disk.

    Args:
        named_by: what says that these files exist: a list, or the folder of their counterparts.
        fix: where the data set is to be had.

    Raises:
        DatasetError: some or all are missing; with their number and the first of them.
    """
    present = {folder: _names(folder) for folder in {file.parent for file in files}}
    missing = [file for file in files if file.name not in present[file.parent]]
    if not missing:
        return
    if len(missing) == len(files):
        raise DatasetError(
            f"{named_by} names {len(files)} files and none of them is there",
            found=f"no {missing[0]}",
            fix=f"Is it in the right folder, and is the rest unpacked? {fix}",
        )
    raise DatasetError(
        f"The files that {named_by} names are not all there",
        found=f"{len(missing)} of {len(files)} missing, the first {missing[0]}",
        fix=f"The download or the unpacking was cut short: do it again. {fix}",
    )


def _names(folder: Path) -> set[str]:
    return {entry.name for entry in folder.iterdir()} if folder.is_dir() else set()
