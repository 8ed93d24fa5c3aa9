"""The focal length that a camera or phone wrote into its JPEG."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from pathlib import Path

# Exif 2.32, CIPA DC-008: markers and tags.
_START, _SCAN, _APP1 = 0xD8, 0xDA, 0xE1
_EXIF_IFD, _FOCAL_IN_35MM = 0x8769, 0xA405
_SHORT, _LONG = 3, 4
_LARGEST_DIRECTORY = 1000  # entries; more is no directory
FILM_DIAGONAL_MM = math.hypot(36.0, 24.0)


def focal_in_35mm(path: Path) -> float | None:
    """The focal length of a JPEG file in millimetres of 35 mm film; None if it does not say.

    Only the first bytes are read. A broken file says nothing.
    """
    try:
        with path.open("rb") as file:
            head = file.read(1 << 17)
        return next((f for block in _exif_blocks(head) if (f := _focal(block))), None)
    except (OSError, struct.error):
        return None


def focal_px(millimetres: float, width: int, height: int) -> float:
    """Pixels of focal length of a picture whose lens is equivalent to this one on 35 mm film.

    Equivalent means the same diagonal field of view (CIPA DCG-001), so that it holds for pictures
    of 4:3 too.
    """
    return millimetres * math.hypot(width, height) / FILM_DIAGONAL_MM


def _exif_blocks(jpeg: bytes) -> Iterator[bytes]:
    """The TIFF structures in the APP1 segments of a JPEG."""
    at = 2 if jpeg[:2] == bytes((0xFF, _START)) else len(jpeg)
    while at + 4 <= len(jpeg) and jpeg[at] == 0xFF and jpeg[at + 1] != _SCAN:
        (size,) = struct.unpack_from(">H", jpeg, at + 2)
        segment = jpeg[at + 4 : at + 2 + size]
        if jpeg[at + 1] == _APP1 and segment.startswith(b"Exif\x00\x00"):
            yield segment[6:]
        at += 2 + size


def _focal(tiff: bytes) -> float | None:
    order = {b"II": "<", b"MM": ">"}.get(tiff[:2])
    if order is None:
        return None
    (first,) = struct.unpack_from(order + "I", tiff, 4)
    directory = _value(tiff, order, first, _EXIF_IFD)
    value = None if directory is None else _value(tiff, order, directory, _FOCAL_IN_35MM)
    return float(value) if value else None  # 0 is "unknown"


def _value(tiff: bytes, order: str, directory: int, wanted: int) -> int | None:
    """A whole number in a directory (IFD) of TIFF 6.0."""
    (count,) = struct.unpack_from(order + "H", tiff, directory)
    for entry in range(min(count, _LARGEST_DIRECTORY)):
        at = directory + 2 + 12 * entry
        tag, kind = struct.unpack_from(order + "HH", tiff, at)
        if tag == wanted and kind in (_SHORT, _LONG):
            return int(
                struct.unpack_from(order + ("H" if kind == _SHORT else "I"), tiff, at + 8)[0]
            )
    return None
