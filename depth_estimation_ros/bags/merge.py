"""Joins finished recordings to one."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from depth_estimation_ros.bags.bag_files import storage_files
from depth_estimation_ros.bags.disk import DiskFullError, is_full
from depth_estimation_ros.bags.metadata import Split, is_compressed, write_metadata
from depth_estimation_ros.bags.split import ENDINGS
from depth_estimation_ros.errors import BagError


def merge_parts(out: str | Path, parts: Sequence[str | Path]) -> None:
    """Makes one recording whose files are those of the parts, in the order of their times.

    No message is written again: a file is a link to that of its part where the disk knows that,
    else a copy. The parts stay as they are.

    Args:
        out: directory, in which there is no recording yet.
        parts: finished recordings of `RecordingWriter`, all of one storage and compression.

    Raises:
        BagError: no parts, parts of several kinds, or a recording at `out` already.
        DiskFullError: no room for copies.
    """
    out = Path(out)
    if out.is_dir() and storage_files(out):
        raise BagError(f"The output {out}", found="a recording there already")
    splits = [Split.of(file) for part in parts for file in storage_files(Path(part))]
    kinds = {(split.path.suffix, is_compressed(split.path.parent)) for split in splits}
    if len(kinds) != 1:
        raise BagError(
            f"The parts of {out}",
            found=f"{len(parts)} recordings of {len(kinds)} kinds",
            expected="recordings of one storage and compression",
        )
    ((ending, compressed),) = kinds
    (storage,) = (storage for storage, suffix in ENDINGS.items() if suffix == ending)
    whole = [split for split in splits if split.message_count] or splits[:1]
    whole.sort(key=lambda split: split.start_ns)
    try:
        out.mkdir(parents=True, exist_ok=True)
        placed = []
        for number, split in enumerate(whole):
            path = out / f"{out.absolute().name}_{number}{ending}"
            _place(split.path, path)
            placed.append(replace(split, path=path))
        write_metadata(out, placed, storage, compressed)
    except OSError as error:
        if is_full(error):
            raise DiskFullError(out, str(error)) from error
        raise BagError(f"The output {out} cannot be written", found=str(error)) from error


def _place(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:  # another disk, or one without links
        shutil.copyfile(source, target)
