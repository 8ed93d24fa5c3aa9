"""PNG files that say in what unit they are."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

LARGEST = 65535
_HEADER_END = 33  # 8 bytes of signature, 25 of IHDR


def encode_png(picture: npt.NDArray[np.integer[Any]], texts: Mapping[str, str]) -> bytes:
    """A PNG with texts in it, which `exiftool` or `identify -verbose` show.

    Args:
        picture: (H, W) uint16, or (H, W, 3) uint8 RGB.
        texts: keyword, 1 to 79 letters, and value of each tEXt chunk (PNG, ISO 15948, 11.3.4.3);
            Latin-1.
    """
    if picture.ndim == 3:
        picture = np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), np.uint8)
    data = cv2.imencode(".png", picture)[1].tobytes()
    chunks = b"".join(_text_chunk(keyword, value) for keyword, value in texts.items())
    return data[:_HEADER_END] + chunks + data[_HEADER_END:]


def _text_chunk(keyword: str, value: str) -> bytes:
    text = b"tEXt" + keyword.encode("latin-1") + b"\x00" + value.encode("latin-1", "replace")
    return struct.pack(">I", len(text) - 4) + text + struct.pack(">I", zlib.crc32(text))


def to_units(
    depth: npt.NDArray[np.float32], units_per_metre: float
) -> tuple[npt.NDArray[np.uint16], int]:
    """Depth as 16-bit numbers, rounded; 0 is unknown, too near or too far.

    Args:
        depth: (H, W) float32 metres.
        units_per_metre: 1000 is millimetres, 256 the scale of KITTI.

    Returns:
        (H, W) uint16, and how many pixels have a finite depth that does not fit, and so became 0.
    """
    scaled = np.rint(depth.astype(np.float64) * units_per_metre)
    fits = (scaled > 0) & (scaled <= LARGEST)
    lost = np.isfinite(depth) & ~fits
    return np.where(fits, scaled, 0).astype(np.uint16), int(np.count_nonzero(lost))
