"""The camera behind a picture: what turns its depth into true metres and into a cloud."""

from __future__ import annotations

from dataclasses import dataclass

from depth_estimation_ros.errors import CalibrationError
from depth_estimation_ros.estimation import EstimatorSettings
from depth_estimation_ros.geometry.camera_model import CameraModel
from depth_estimation_ros.media.images import Media, MediaFrame, focal_px

ASSUMED_HFOV_DEG = EstimatorSettings.assumed_hfov_deg
ASPECT_TOLERANCE = 0.01  # share by which a picture's shape may differ from the calibrated one


@dataclass(frozen=True)
class Lens:
    """What the user says of the camera, at most one of the three; else the pictures' own EXIF.

    Attributes:
        hfov_deg: horizontal field of view of the pictures as they are, degrees.
        focal_px: focal length, pixels of the pictures as they are.
        calibration: of the camera, at this or another size of the same shape.
    """

    hfov_deg: float | None = None
    focal_px: float | None = None
    calibration: CameraModel | None = None

    def camera(self, frame: MediaFrame) -> CameraModel | None:
        """The camera of a picture; None if nothing is known.

        Raises:
            CalibrationError: the calibration is of a picture of another shape.
        """
        height, width = frame.rgb.shape[:2]
        if self.calibration is not None:
            return _at_size(self.calibration, width, height)
        if self.hfov_deg is not None:
            return CameraModel.from_hfov(width, height, self.hfov_deg)
        focal = self.focal_px
        if focal is None and frame.focal_35mm is not None:
            focal = focal_px(frame.focal_35mm, width, height)
        if focal is None:
            return None
        x, y = (width - 1) / 2.0, (height - 1) / 2.0
        return CameraModel.from_intrinsics(focal, focal, x, y, width, height)

    def knows(self, media: Media) -> bool:
        """Whether `camera` knows one for every frame of an input."""
        return self._given != "" or media.has_focal_length

    def source(self, frame: MediaFrame) -> str:
        """Where the focal length of a frame comes from, in words."""
        if self._given:
            return self._given
        if frame.focal_35mm is not None:
            return f"EXIF of the picture, {frame.focal_35mm:g} mm of 35 mm film"
        return f"unknown, {ASSUMED_HFOV_DEG:g} degrees of horizontal view assumed"

    @property
    def _given(self) -> str:
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
