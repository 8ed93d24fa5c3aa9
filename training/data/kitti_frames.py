"""Which pictures of the KITTI drives belong to a set: all of a folder, or those of a split file."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from depth_estimation_ros.errors import DatasetError, ParameterError

DRIVE = r"(?P<date>\d{4}_\d\d_\d\d)/(?P<drive>\d{4}_\d\d_\d\d_drive_\d{4}_\w+)"
# BTS, AdaBins, ZoeDepth: picture, depth or None, focal length. Monodepth: picture, its pair.
BY_PICTURE = re.compile(
    DRIVE + r"/image_0(?P<camera>[23])/data/(?P<number>\d+)\.(png|jpg)(?P<rest>.*)"
)
# Monodepth2: drive, number, l(eft) or r(ight).
BY_NUMBER = re.compile(DRIVE + r"\s+(?P<number>\d+)\s+(?P<side>[lr])\s*$")


@dataclass(frozen=True, order=True)
class KittiFrame:
    """A picture of the raw data: ``date/drive/image_0C/data/NNNNNNNNNN.png``."""

    drive: str
    camera: int
    number: int

    @property
    def date(self) -> str:
        return self.drive[:10]

    @property
    def name(self) -> str:
        return f"{self.drive}/image_{self.camera:02d}/{self.number:010d}"

    def pictures(self, raw: Path) -> Path:
        """The folder that holds the picture, below the folder ``raw`` of all dates."""
        return raw / self.date / self.drive / f"image_{self.camera:02d}" / "data"


@dataclass(frozen=True)
class SplitEntry:
    """A line of a split file; ``has_depth`` is None where the line does not say."""

    frame: KittiFrame
    has_depth: bool | None


def read_split_file(path: str | Path) -> list[SplitEntry]:
    """The frames of a split file, in its order, each once.

    Three forms of line are known:

    - ``date/drive/image_02/data/N.png DEPTH FOCAL`` (BTS; DEPTH may be ``None``),
    - ``date/drive/image_02/data/N.jpg date/drive/image_03/data/N.jpg`` (monodepth; left counts),
    - ``date/drive N l`` (monodepth2).

    Raises:
        DatasetError: no such file, no lines, or a line of another form, by its number.
    """
    path = Path(path)
    if not path.is_file():
        fix = "The Eigen split is in the repositories of BTS and monodepth2; name its file here."
        raise DatasetError(f"split file {path}", found="no file", fix=fix)
    lines = [(n, line) for n, line in enumerate(path.read_text().splitlines(), 1) if line.strip()]
    if not lines:
        raise DatasetError(f"split file {path}", found="no lines")
    entries = [_entry(line, f"{path}, line {number}") for number, line in lines]
    return list(dict.fromkeys(entries))


def _entry(line: str, where: str) -> SplitEntry:
    match = BY_PICTURE.search(line)
    if match:
        fields = match["rest"].split()
        named = fields[0] if fields else ""
        has_depth = None if not named or "/data/" in named else named != "None"
        frame = KittiFrame(match["drive"], int(match["camera"]), int(match["number"]))
        return SplitEntry(frame, has_depth)
    match = BY_NUMBER.search(line)
    if match:
        camera = 2 if match["side"] == "l" else 3
        return SplitEntry(KittiFrame(match["drive"], camera, int(match["number"])), None)
    expected = "'date/drive/image_02/data/N.png depth focal' or 'date/drive N l'"
    raise DatasetError(where, found=repr(line.strip()), expected=expected)


def check_cameras(cameras: Sequence[int]) -> tuple[int, ...]:
    """Raises ParameterError unless ``cameras`` are colour cameras of KITTI."""
    if not cameras or not set(cameras) <= {2, 3}:
        expected = "[2] (left colour), [3] (right colour) or [2, 3]"
        raise ParameterError("KITTI: cameras", found=cameras, expected=expected)
    return tuple(cameras)


def drives_below(folder: Path) -> list[Path]:
    """The folders named like drives directly in ``folder``, in order of name."""
    return sorted(p for p in folder.glob("????_??_??_drive_????_*") if p.is_dir())


def numbered_files(folder: Path) -> dict[int, Path]:
    """Files of ``folder`` whose names are numbers, by number; empty if there is no such folder."""
    if not folder.is_dir():
        return {}
    return {int(p.stem): p for p in sorted(folder.iterdir()) if p.stem.isdigit()}
