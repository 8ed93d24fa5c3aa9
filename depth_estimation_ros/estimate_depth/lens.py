"""The camera behind a picture: what turns its depth into true metres and into a cloud."""

from __future__ import annotations

from dataclasses import dataclass

from depth_estimation_ros.errors import CalibrationError
from depth_estimation_ros.geometry import CameraModel

ASPECT_TOLERANCE = 0.01  # share by which a picture's shape may differ from the calibrated one


@dataclass(frozen=True)
class Lens:
    """What the user says of the camera; at most one of the three.

    Attributes:
        hfov_deg: horizontal field of view of the pictures as they are, degrees.
        focal_px: focal length, pixels of the pictures as they are.
        calibration: of the camera, at this or another size of the same shape.
    """

    hfov_deg: float | None = None
    focal_px: float | None = None
    calibration: CameraModel | None = None

    def camera(self, width: int, height: int) -> CameraModel | None:
        """The camera of a picture of this size; None if nothing is known.

        Raises:
            CalibrationError: the calibration is of a picture of another shape.
        """
        if self.calibration is not None:
            return _at_size(self.calibration, width, height)
        if self.focal_px is not None:
            focal, x, y = self.focal_px, (width - 1) / 2.0, (height - 1) / 2.0
            return CameraModel.from_intrinsics(focal, focal, x, y, width, height)
        if self.hfov_deg is not None:
            return CameraModel.from_hfov(width, height, self.hfov_deg)
        return None

    @property
    def source(self) -> str:
        """Where the focal length comes from, in words; empty if nowhere."""
        if self.calibration is not None:
            return "the calibration (--calibration)"
        if self.focal_px is not None:
            return f"--focal-px {self.focal_px:g}"
        return "" if self.hfov_deg is None else f"--hfov {self.hfov_deg:g}"


def _at_size(calibrated: CameraModel, width: int, height: int) -> CameraModel:
    shape = calibrated.width * height / (calibrated.height * width)
    if abs(shape - 1.0) > ASPECT_TOLERANCE:
        raise CalibrationError(
            "The calibration is of a picture of another shape",
            found=f"{width} x {height}",
            expected=f"{calibrated.width} x {calibrated.height}, or that smaller or larger",
            fix="Give the calibration of this camera in this mode, or --hfov",
        )
    return calibrated.scaled(width, height)
