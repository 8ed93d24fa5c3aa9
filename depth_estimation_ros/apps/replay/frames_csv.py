"""frames.csv: one row for each image, written before its messages are.

So after a kill the table knows of every message in the recording, and a later run can go on where
the recording ends.
"""

from __future__ import annotations

import csv
import io
import os
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from depth_estimation_ros.bags import DiskFullError
from depth_estimation_ros.bags.writer import is_full

FRAMES = "frames.csv"
SAMPLE_STRIDE = 4  # rows and columns; percentiles of 20,000 pixels are within 1 % of those of all


@dataclass(frozen=True)
class FrameRow:
    """One image; empty text where there is nothing.

    Attributes:
        image_topic: of the camera.
        stamp_ns: of the image's header.
        time_ns: of its recording.
        status: ok, or bad if it gave no depth.
        engine_ms: inside the engine; of a batch, the share of this image.
        total_ms: for decoding, depth and making the messages; without waiting and writing.
        depth_p5, depth_median, depth_p95: metres, of the finite depth.
        valid_share: of pixels with finite depth.
        scale: of the depth, where --scale-from or --camera-height measured one.
        outputs: which messages came of it, with + between them: depth+camera_info.
        why: there is no depth.
    """

    image_topic: str
    stamp_ns: int
    time_ns: int
    status: Literal["ok", "bad"]
    engine_ms: float | str = ""
    total_ms: float | str = ""
    depth_p5: float | str = ""
    depth_median: float | str = ""
    depth_p95: float | str = ""
    valid_share: float | str = ""
    scale: float | str = ""
    outputs: str = ""
    why: str = ""


COLUMNS = tuple(field.name for field in fields(FrameRow))


class FrameTable:
    """Appends rows to OUT/frames.csv; each is in the file when `append` returns.

    Args:
        output: directory of the result.
    """

    def __init__(self, output: Path) -> None:
        self._path = output / FRAMES

    def __enter__(self) -> FrameTable:
        self._file = self._path.open("ab", buffering=0)
        if self._file.tell() == 0:
            self._write((",".join(COLUMNS) + "\n").encode())
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()

    def append(self, row: FrameRow) -> None:
        """Raise DiskFullError or OSError."""
        text = io.StringIO()
        # One line a row, also where an error has several.
        values = [" ".join(str(value).splitlines()) for value in asdict(row).values()]
        csv.writer(text, lineterminator="\n").writerow(values)
        self._write(text.getvalue().encode())

    def _write(self, line: bytes) -> None:
        try:
            written = self._file.write(line)
        except OSError as error:
            if not is_full(error):
                raise
            raise DiskFullError(self._path, str(error)) from error
        if written != len(line):
            raise DiskFullError(self._path, "no room for a line")


def read_rows(output: Path) -> Iterator[FrameRow]:
    """The rows of OUT/frames.csv; nothing if there is none. A half-written last one is left out."""
    return (row for row, _ in _rows_and_ends(output / FRAMES))


def keep_finished(
    output: Path, written: Mapping[str, int], topics: Mapping[str, Mapping[str, str]]
) -> tuple[int, Counter[str]]:
    """Shorten the table to the images of which every message is in the recording.

    Args:
        output: directory of the result.
        written: messages of each topic in the recording.
        topics: for each camera's image topic, the topics of its outputs.

    Returns:
        How many images are finished, and for each topic how many messages of those that follow
        are in the recording nevertheless.
    """
    left = Counter(written)
    finished = end = 0
    for row, row_end in _rows_and_ends(output / FRAMES):
        names = row.outputs.split("+") if row.outputs else []
        needed = Counter(topics[row.image_topic][name] for name in names)
        if any(left[topic] < count for topic, count in needed.items()):
            break
        left -= needed
        finished, end = finished + 1, row_end
    if finished:
        os.truncate(output / FRAMES, end)  # needs no room on a disk that is full
    else:
        (output / FRAMES).unlink(missing_ok=True)
    return finished, left


def depth_columns(depth: npt.NDArray[np.float32]) -> dict[str, Any]:
    """depth_p5, depth_median, depth_p95 and valid_share of (H, W) metres, from a sample."""
    sample = depth[::SAMPLE_STRIDE, ::SAMPLE_STRIDE]
    finite = sample[np.isfinite(sample)]
    columns = {"valid_share": round(finite.size / sample.size, 4)}
    if finite.size:
        p5, median, p95 = np.percentile(finite, (5, 50, 95))
        columns |= {
            "depth_p5": round(float(p5), 4),
            "depth_median": round(float(median), 4),
            "depth_p95": round(float(p95), 4),
        }
    return columns


def _rows_and_ends(path: Path) -> Iterator[tuple[FrameRow, int]]:
    """Each whole row, and the place in the file where it ends."""
    if not path.exists():
        return
    with path.open("rb") as file:
        end = len(file.readline())
        for line in file:
            end += len(line)
            if not line.endswith(b"\n"):  # broken off, perhaps in the midst of a letter
                return
            values = next(csv.reader([line.decode()]), [])
            if len(values) != len(COLUMNS):
                return
            fields_of_row: dict[str, Any] = dict(zip(COLUMNS, values, strict=True))
            for name in ("stamp_ns", "time_ns"):
                fields_of_row[name] = int(fields_of_row[name])
            yield FrameRow(**fields_of_row), end
