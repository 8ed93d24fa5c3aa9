"""Laser scans of KITTI, and their points as depth of a camera."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from depth_estimation_ros.errors import DatasetError


def read_scan(path: str | Path) -> npt.NDArray[np.float32]:
    """``(N, 4)`` float32: x forward, y left, z up in metres of the scanner, and reflectance.

    Raises:
        DatasetError: no such file, or not whole points of four float32.
    """
    expected = "points of four float32"
    if not Path(path).is_file():
        raise DatasetError(f"scan {path}", found="no file", expected=expected)
    values = np.fromfile(path, np.float32)
    if values.size == 0 or Path(path).stat().st_size % 16:
        found = f"{Path(path).stat().st_size} bytes"
        fix = "It was cut off on its way here: copy or unpack it again."
        raise DatasetError(f"scan {path}", found=found, expected=expected, fix=fix)
    return values.reshape(-1, 4)


def project(
    points: npt.NDArray, velo_to_image: npt.NDArray[np.float64], height: int, width: int
) -> npt.NDArray[np.float32]:
    """Depth along the camera's axis where a point falls on a pixel.

    A point X is seen at (u, v) = (a / w, b / w) with (a, b, w) = velo_to_image (X, 1); w is its
    depth (Geiger et al., "Vision meets Robotics: The KITTI Dataset", IJRR 2013, eq. 8). It marks
    the nearest pixel, whose centre is a whole number. Where several fall on one pixel the nearest
    point counts; those behind the camera are left out.

    Args:
        points: ``(N, 3)`` or more columns, metres in the scanner's frame.
        velo_to_image: ``(3, 4)``, of :class:`training.data.kitti_calibration.KittiCamera`.

    Returns:
        ``(height, width)`` float32 metres, NaN where no point falls.
    """
    image = points[:, :3].astype(np.float64) @ velo_to_image[:, :3].T + velo_to_image[:, 3]
    image = image[image[:, 2] > 0.0]
    depth = image[:, 2]
    u, v = np.floor(image[:, :2].T / depth + 0.5)
    inside = (u >= 0) & (u < width) & (v >= 0) & (v < height)
    nearest = np.full((height, width), np.inf, np.float32)
    pixels = v[inside].astype(np.intp), u[inside].astype(np.intp)
    np.minimum.at(nearest, pixels, depth[inside].astype(np.float32))
    nearest[np.isinf(nearest)] = np.nan
    return nearest
