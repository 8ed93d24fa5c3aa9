"""Cameras of KITTI: what they see, and where the laser scanner is."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from depth_estimation_ros.errors import DatasetError

Intrinsics = tuple[float, float, float, float]
RAW_FIX = (
    "Each day has a calibration of its own (2011_09_26_calib.zip and so on) at "
    "https://www.cvlibs.net/datasets/kitti/raw_data.php"
)
OBJECT_FIX = (
    "The calibration (data_object_calib.zip) is at "
    "https://www.cvlibs.net/datasets/kitti/eval_object.php?obj_benchmark=3d"
)


@dataclass(frozen=True)
class KittiCamera:
    """One rectified camera.

    Attributes:
        intrinsics: (fx, fy, cx, cy), pixels; the centre of the first pixel is (0, 0).
        velo_to_image: ``(3, 4)`` float64, from metres in the scanner's frame to pixels times depth.
    """

    intrinsics: Intrinsics
    velo_to_image: npt.NDArray[np.float64]


def raw_intrinsics(day: Path, camera: int) -> Intrinsics:
    """Of camera 2 (left colour) or 3 (right colour), from ``day``/calib_cam_to_cam.txt."""
    return _intrinsics(_projection_of_raw(day, camera))


def raw_camera(day: Path, camera: int) -> KittiCamera:
    """A camera of the raw data: ``day`` holds calib_cam_to_cam.txt and calib_velo_to_cam.txt.

    Raises:
        DatasetError: a file or a matrix in it is missing.
    """
    projection = _projection_of_raw(day, camera)
    rectify = _matrix(day / "calib_cam_to_cam.txt", "R_rect_00", (3, 3), RAW_FIX)
    rotation = _matrix(day / "calib_velo_to_cam.txt", "R", (3, 3), RAW_FIX)
    shift = _matrix(day / "calib_velo_to_cam.txt", "T", (3, 1), RAW_FIX)
    return _camera(projection, rectify, np.hstack([rotation, shift]))


def object_camera(file: Path, camera: int = 2) -> KittiCamera:
    """A camera of the object benchmark: ``file`` is calib/NNNNNN.txt.

    Raises:
        DatasetError: the file or a matrix in it is missing.
    """
    projection = _matrix(file, f"P{camera}", (3, 4), OBJECT_FIX)
    rectify = _matrix(file, "R0_rect", (3, 3), OBJECT_FIX)
    return _camera(projection, rectify, _matrix(file, "Tr_velo_to_cam", (3, 4), OBJECT_FIX))


def object_intrinsics(file: Path, camera: int = 2) -> Intrinsics:
    """As :func:`object_camera`, without the scanner."""
    return _intrinsics(_matrix(file, f"P{camera}", (3, 4), OBJECT_FIX))


def _projection_of_raw(day: Path, camera: int) -> npt.NDArray[np.float64]:
    return _matrix(day / "calib_cam_to_cam.txt", f"P_rect_{camera:02d}", (3, 4), RAW_FIX)


def _camera(
    projection: npt.NDArray, rectify: npt.NDArray, velo_to_camera: npt.NDArray
) -> KittiCamera:
    velo_to_rectified = np.eye(4)
    velo_to_rectified[:3] = rectify @ velo_to_camera
    return KittiCamera(_intrinsics(projection), projection @ velo_to_rectified)


def _intrinsics(projection: npt.NDArray) -> Intrinsics:
    fx, fy, cx, cy = projection[[0, 1, 0, 1], [0, 1, 2, 2]]
    return float(fx), float(fy), float(cx), float(cy)


def _matrix(file: Path, key: str, shape: tuple[int, int], fix: str) -> npt.NDArray[np.float64]:
    if not file.is_file():
        raise DatasetError(f"calibration {file}", found="no file", fix=fix)
    for line in file.read_text().splitlines():
        name, _, values = line.partition(":")
        if name.strip() != key:
            continue
        try:
            return np.array([float(value) for value in values.split()]).reshape(shape)
        except ValueError as error:
            expected = f"{shape[0] * shape[1]} numbers"
            found = repr(values.strip())
            raise DatasetError(f"{file}: {key}", found=found, expected=expected, fix=fix) from error
    raise DatasetError(f"{file} has no {key}", expected=f"a line '{key}: ...'", fix=fix)
