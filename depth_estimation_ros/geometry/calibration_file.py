"""Calibration files, for images and bags without CameraInfo."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from depth_estimation_ros.errors import CalibrationError
from depth_estimation_ros.geometry.camera_model import CameraModel
from depth_estimation_ros.utils.schema import read_yaml

_MATRICES = {
    "camera_matrix": "K",
    "distortion_coefficients": "D",
    "rectification_matrix": "R",
    "projection_matrix": "P",
}
_OPTIONAL = ("distortion_coefficients", "rectification_matrix", "projection_matrix")


def read_calibration(path: str | Path) -> CameraModel:
    """Read the camera of a YAML file that camera_calibration and camera_info_manager write.

    Its fields: image_width, image_height (pixels), camera_matrix (3x3), and where they are given
    distortion_model, distortion_coefficients, rectification_matrix (3x3), projection_matrix (3x4);
    each matrix as ``{rows, cols, data}``. See
    https://docs.ros.org/en/rolling/p/camera_calibration_parsers.

    Raises:
        CalibrationError: no such file, not YAML, a missing field, or invalid numbers.
    """
    path = Path(path)
    try:
        fields = read_yaml(path)
        if not isinstance(fields, dict):
            raise ValueError("it has no fields")
        width, height = int(fields["image_width"]), int(fields["image_height"])
        if not (0 < width < 1 << 31 and 0 < height < 1 << 31):
            raise ValueError("image_width or image_height out of range")
        matrices = {
            short: [float(value) for value in _data(fields, name)]
            for name, short in _MATRICES.items()
            if name in fields or name not in _OPTIONAL
        }
        model = str(fields.get("distortion_model", "plumb_bob" if matrices.get("D") else ""))
    except KeyError as error:
        raise _error(path, f"no field {error}") from error
    except OSError as error:
        raise _error(path, error.strerror or str(error)) from error
    except (ValueError, TypeError, OverflowError, yaml.YAMLError) as error:
        raise _error(path, " ".join(str(error).split())) from error
    if "P" not in matrices:  # as for a camera without rectification
        k = matrices["K"]
        matrices["P"] = [*k[0:3], 0.0, *k[3:6], 0.0, *k[6:9], 0.0]
    try:
        return CameraModel(width, height, distortion_model=model, **matrices)  # type: ignore[arg-type]
    except CalibrationError as error:
        raise CalibrationError(f"The calibration {path}: {error}") from error


def _data(fields: dict[str, Any], name: str) -> list[Any]:
    matrix = fields[name]
    if not isinstance(matrix, dict) or not isinstance(matrix.get("data"), list):
        raise ValueError(f"{name} is not a matrix of rows, cols and data")
    return matrix["data"]


def _error(path: Path, found: str) -> CalibrationError:
    return CalibrationError(
        f"The calibration {path}",
        found=found,
        expected="a YAML file of camera_calibration with image_width, image_height and "
        "camera_matrix",
        fix="Calibrate with `ros2 run camera_calibration cameracalibrator`, or give the horizontal "
        "field of view instead",
    )
