"""Depth kept as whole numbers in a PNG."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from depth_estimation_ros.errors import DatasetError


def read_depth_png(
    path: str | Path,
    *,
    metres_per_unit: float,
    infinite_value: int | None = None,
    fix: str | None = None,
) -> npt.NDArray[np.float32]:
    """Depth of a 16-bit PNG in which 0 means not measured.

    Args:
        metres_per_unit: 0.001 for millimetres, 1/256 for KITTI, 1/5000 for TUM.
        infinite_value: the value that means beyond range, if there is one.
        fix: what the reader of an error can do, for instance where the data set is.

    Returns:
        ``(H, W)`` float32 metres; NaN = not measured, +Inf = beyond range.

    Raises:
        DatasetError: no such file, not a picture, not one channel of 16 bits.
    """
    raw = read_depth_values(path, bits=16, fix=fix)
    depth = raw.astype(np.float32) * np.float32(metres_per_unit)
    depth[raw == 0] = np.nan
    if infinite_value is not None:
        depth[raw == infinite_value] = np.inf
    return depth


def read_depth_values(path: str | Path, *, bits: int, fix: str | None = None) -> npt.NDArray:
    """The numbers of a one-channel PNG as they are stored.

    The number of bits is checked, never converted: 16-bit depth that was once read or written
    with 8 bits keeps its shape in a viewer and is wrong by a factor.

    Returns:
        ``(H, W)`` uint8 or uint16, as ``bits`` says.

    Raises:
        DatasetError: as for :func:`read_depth_png`.
    """
    expected = f"a PNG of {bits} bits and one channel"
    if not Path(path).is_file():
        raise DatasetError(f"depth picture {path}", found="no file", expected=expected, fix=fix)
    raw = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if raw is None:
        found = f"{Path(path).stat().st_size} bytes that are no picture"
        raise DatasetError(f"depth picture {path}", found=found, expected=expected, fix=fix)
    if raw.dtype != np.dtype(f"uint{bits}") or raw.ndim != 2:
        channels = 1 if raw.ndim == 2 else raw.shape[2]
        found = f"{8 * raw.itemsize} bits, {channels} channel{'s' if channels > 1 else ''}"
        raise DatasetError(f"depth picture {path}", found=found, expected=expected, fix=fix)
    return raw
