"""Colour pictures on disk, and the check that depth belongs to them."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from depth_estimation_ros.errors import DatasetError


def read_rgb(path: str | Path, *, fix: str | None = None) -> npt.NDArray[np.uint8]:
    """``(H, W, 3)`` uint8 in the order red, green, blue; grey pictures get three equal channels.

    Args:
        fix: what the reader of an error can do, for instance where the data set is.

    Raises:
        DatasetError: no such file, or not a picture.
    """
    if not Path(path).is_file():
        raise DatasetError(f"picture {path}", found="no file", fix=fix)
    # Depth has no orientation tag, so a picture turned by its own would no longer lie on it.
    bgr = cv2.imread(str(path), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    if bgr is None:
        found = f"{Path(path).stat().st_size} bytes that are no picture"
        raise DatasetError(f"picture {path}", found=found, expected="a JPEG or PNG", fix=fix)
    return cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)  # type: ignore[return-value]


def check_same_size(rgb: npt.NDArray, depth: npt.NDArray, where: str | Path) -> None:
    """Raises DatasetError, naming ``where``, unless depth has a value for each pixel."""
    if rgb.shape[:2] != depth.shape[:2]:
        raise DatasetError(
            f"{where}: picture and depth differ in size",
            found=f"{rgb.shape[1]}x{rgb.shape[0]} and {depth.shape[1]}x{depth.shape[0]}",
            expected="one size",
        )
