"""Colour images on disk, and the check that depth belongs to them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from depth_estimation_ros.errors import DatasetError


def read_rgb(path: str | Path, *, fix: str | None = None) -> npt.NDArray[np.uint8]:
    """``(H, W, 3)`` uint8 in the order red, green, blue; grey images get three equal channels.

    Args:
        fix: what the reader of an error can do, for instance where the data set is.

    Raises:
        DatasetError: no such file, or not an image.
    """
    if not Path(path).is_file():
        raise DatasetError(f"image {path}", found="no file", fix=fix)
    # Depth has no orientation tag, so an image turned by its own would no longer lie on it.
    bgr = cv2.imread(str(path), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    if bgr is None:
        found = f"{Path(path).stat().st_size} bytes that are no image"
        raise DatasetError(f"image {path}", found=found, expected="a JPEG or PNG", fix=fix)
    return cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)  # type: ignore[return-value]


def check_same_size(rgb: npt.NDArray, depth: npt.NDArray, where: str | Path) -> None:
    """Raises DatasetError, naming ``where``, unless depth has a value for each pixel."""
    if rgb.shape[:2] != depth.shape[:2]:
        raise DatasetError(
            f"{where}: image and depth differ in size",
            found=f"{rgb.shape[1]}x{rgb.shape[0]} and {depth.shape[1]}x{depth.shape[0]}",
            expected="one size",
        )


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
        DatasetError: no such file, not an image, not one channel of 16 bits.
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
        raise DatasetError(f"depth image {path}", found="no file", expected=expected, fix=fix)
    raw = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if raw is None:
        found = f"{Path(path).stat().st_size} bytes that are no image"
        raise DatasetError(f"depth image {path}", found=found, expected=expected, fix=fix)
    if raw.dtype != np.dtype(f"uint{bits}") or raw.ndim != 2:
        channels = 1 if raw.ndim == 2 else raw.shape[2]
        found = f"{8 * raw.itemsize} bits, {channels} channel{'s' if channels > 1 else ''}"
        raise DatasetError(f"depth image {path}", found=found, expected=expected, fix=fix)
    return raw


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
