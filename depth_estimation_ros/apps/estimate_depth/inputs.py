"""The inputs of a run: their camera, which frames are used, and what is written of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from depth_estimation_ros.apps.estimate_depth.files import Destination
from depth_estimation_ros.errors import CalibrationError, MediaError
from depth_estimation_ros.estimation import EstimatorSettings
from depth_estimation_ros.geometry.camera_model import CameraModel
from depth_estimation_ros.media.images import Media, MediaFrame, focal_px

ASSUMED_HFOV_DEG = EstimatorSettings.assumed_hfov_deg
ASPECT_TOLERANCE = 0.01  # relative difference between the shapes of image and calibration
IMAGE_KINDS = ("color", "depth16")
VIDEO_KINDS = ("side-by-side",)


@dataclass(frozen=True)
class Lens:
    """What the user says of the camera, at most one of the three; else the EXIF of the images.

    Attributes:
        hfov_deg: horizontal field of view of the images as they are, degrees.
        focal_px: focal length, pixels of the images as they are.
        calibration: of the camera, at this or another size of the same shape.
    """

    hfov_deg: float | None = None
    focal_px: float | None = None
    calibration: CameraModel | None = None

    def camera(self, frame: MediaFrame) -> CameraModel | None:
        """Return the camera of an image; None if nothing is known.

        Raises:
            CalibrationError: the calibration is of an image of another shape.
        """
        height, width = frame.rgb.shape[:2]
        if self.calibration is not None:
            return _scale_to(self.calibration, width, height)
        if self.hfov_deg is not None:
            return CameraModel.from_hfov(width, height, self.hfov_deg)
        focal = self.focal_px
        if focal is None and frame.focal_35mm is not None:
            focal = focal_px(frame.focal_35mm, width, height)
        if focal is None:
            return None
        x, y = (width - 1) / 2.0, (height - 1) / 2.0
        return CameraModel.from_intrinsics(focal, focal, x, y, width, height)

    def is_known(self, media: Media) -> bool:
        """Return whether `camera` has one for every frame of an input."""
        return self._given != "" or media.has_focal_length

    def source(self, frame: MediaFrame) -> str:
        """Return where the focal length of a frame comes from, in words."""
        if self._given:
            return self._given
        if frame.focal_35mm is not None:
            return f"EXIF of the image, {frame.focal_35mm:g} mm of 35 mm film"
        return f"unknown, {ASSUMED_HFOV_DEG:g} degrees of horizontal view assumed"

    @property
    def _given(self) -> str:
        if self.calibration is not None:
            return "the calibration (--calibration)"
        if self.focal_px is not None:
            return f"--focal-px {self.focal_px:g}"
        return "" if self.hfov_deg is None else f"--hfov {self.hfov_deg:g}"


def _scale_to(calibration: CameraModel, width: int, height: int) -> CameraModel:
    shape = calibration.width * height / (calibration.height * width)
    if abs(shape - 1.0) > ASPECT_TOLERANCE:
        raise CalibrationError(
            "The calibration is of an image of another shape",
            found=f"{width} x {height}",
            expected=f"{calibration.width} x {calibration.height}, or that smaller or larger",
            fix="Give the calibration of this camera in this mode, or --hfov",
        )
    return calibration.scaled(width, height)


@dataclass(frozen=True)
class Task:
    """One input, and what is to be written of it.

    Attributes:
        kinds: of files to write; see `files.SAVED`.
        max_frames: at most that many; None is all.
        every: only every n-th frame.
    """

    media: Media
    destination: Destination
    kinds: Sequence[str]
    max_frames: int | None
    every: int

    @property
    def count(self) -> int | None:
        """The number of frames as far as known."""
        if self.media.count is None:
            return self.max_frames
        count = -(-self.media.count // self.every)
        return count if self.max_frames is None else min(count, self.max_frames)

    def frames(self, unreadable: list[str]) -> Iterator[MediaFrame]:
        """Yield the frames to use; why an input ends with an error goes to `unreadable`."""
        stop = None if self.max_frames is None else self.max_frames * self.every
        try:
            yield from islice(self.media.frames(), 0, stop, self.every)
        except MediaError as error:
            unreadable.append(str(error))


def kinds_for(media: Media, wanted: Sequence[str] | None) -> Sequence[str]:
    """Return what is written of an input: what the user asked for, or the default of its kind."""
    if wanted:
        return list(dict.fromkeys(wanted))
    return IMAGE_KINDS if media.kind in ("image", "folder") else VIDEO_KINDS
