"""The pinhole camera with distortion: intrinsics, pixel rays, and points from depth.

Pixel (u, v) means the centre of column u and row v, counted from 0; a camera looks along +Z with X
to the right and Y down (the optical frame of REP 103). Depth is in metres along Z (REP 118).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from depth_estimation_ros.errors import CalibrationError
from depth_estimation_ros.geometry.distortion import is_distorted, undistort
from depth_estimation_ros.utils.memory import iter_row_chunks

FloatImage = NDArray[np.float32]
Matrix = NDArray[np.float64]

_MIN_PX, _MAX_PX = 1e-6, 1e12  # far beyond any lens, also of an image scaled down


@dataclass(frozen=True, eq=False)
class CameraModel:
    """A pinhole camera with distortion, as in a CameraInfo, for one image size.

    K (3, 3) maps rays to pixels of the raw image, after the distortion D (n,) that
    ``distortion_model`` names; P (3, 4) maps points to pixels of the rectified image; R (3, 3)
    turns the raw camera into the rectified one. All float64 and read-only; K and P in pixels. An
    uncalibrated camera has K = 0.

    Raises:
        CalibrationError: a matrix of another size, not finite, or with fx > 0 but fy <= 0; focal
            lengths or a principal point beyond 1e-6 to 1e12 pixels.
    """

    width: int
    height: int
    K: Matrix
    D: Matrix = field(default_factory=lambda: np.zeros(0))
    distortion_model: str = ""
    R: Matrix = field(default_factory=lambda: np.eye(3))
    P: Matrix = field(default_factory=lambda: np.zeros((3, 4)))

    def __post_init__(self) -> None:
        for name, shape in (("K", (3, 3)), ("D", (-1,)), ("R", (3, 3)), ("P", (3, 4))):
            object.__setattr__(self, name, _matrix(name, getattr(self, name), shape))
        if self.is_calibrated and self.fy <= 0:
            raise CalibrationError(
                "CameraInfo.K has no focal length along y",
                found=f"fx = {self.fx:g}, fy = {self.fy:g}",
                expected="fy > 0",
                fix="Calibrate the camera, or publish K = 0 if it is not calibrated.",
            )
        if self.is_calibrated and not self._is_plausible():
            raise CalibrationError(
                "CameraInfo.K is not a valid pinhole matrix",
                found=f"fx = {self.fx:g}, fy = {self.fy:g}, cx = {self.cx:g}, cy = {self.cy:g}",
                expected=f"focal lengths of {_MIN_PX:g} to {_MAX_PX:g} pixels, and a "
                "principal point within 1e12 pixels",
                fix="Calibrate the camera, or publish K = 0 if it is not calibrated.",
            )

    @classmethod
    def from_intrinsics(
        cls, fx: float, fy: float, cx: float, cy: float, width: int, height: int
    ) -> CameraModel:
        """Create a camera without distortion; fx, fy, cx, cy in pixels."""
        K = np.array([[fx, 0.0, cx], [0.0, fy, cy], [0.0, 0.0, 1.0]])
        return cls(width, height, K, P=np.hstack([K, np.zeros((3, 1))]))

    @classmethod
    def from_hfov(cls, width: int, height: int, hfov_deg: float) -> CameraModel:
        """Create a camera from its horizontal field of view; the principal point is the center."""
        focal = width / (2.0 * math.tan(math.radians(hfov_deg) / 2.0))
        return cls.from_intrinsics(
            focal, focal, (width - 1) / 2.0, (height - 1) / 2.0, width, height
        )

    @property
    def fx(self) -> float:
        return float(self.K[0, 0])

    @property
    def fy(self) -> float:
        return float(self.K[1, 1])

    @property
    def cx(self) -> float:
        return float(self.K[0, 2])

    @property
    def cy(self) -> float:
        return float(self.K[1, 2])

    @property
    def is_calibrated(self) -> bool:
        """False if K = 0, by which a CameraInfo says "not calibrated"."""
        return bool(self.K[0, 0] > 0)

    def reduced(
        self,
        roi_x: int,
        roi_y: int,
        roi_width: int,
        roi_height: int,
        binning_x: int,
        binning_y: int,
    ) -> CameraModel:
        """Return the camera of the delivered image, where this one is of the full sensor.

        As in sensor_msgs/CameraInfo: the ROI is in full-resolution pixels, a ROI width or
        height of 0 is the full one, a binning of 0 is 1. The principal point moves and scales as
        in image_geometry (c' = (c - offset) / binning), so that all ROS nodes agree on the same
        CameraInfo.

        Raises:
            CalibrationError: the ROI does not lie inside the image.
        """
        binning_x, binning_y = max(binning_x, 1), max(binning_y, 1)
        roi_width, roi_height = roi_width or self.width, roi_height or self.height
        if roi_x + roi_width > self.width or roi_y + roi_height > self.height:
            raise CalibrationError(
                "CameraInfo.roi does not lie inside the image",
                found=f"{roi_width} x {roi_height} at ({roi_x}, {roi_y})",
                expected=f"a part of {self.width} x {self.height}",
                fix="width and height of a CameraInfo are those of the full sensor at calibration.",
            )
        change = np.array(
            [
                [1.0 / binning_x, 0.0, -roi_x / binning_x],
                [0.0, 1.0 / binning_y, -roi_y / binning_y],
                [0.0, 0.0, 1.0],
            ]
        )
        return self._changed(change, roi_width // binning_x, roi_height // binning_y)

    def scaled(self, width: int, height: int) -> CameraModel:
        """Return the camera of the image as cv2.resize scales it: by pixel centers, not corners.

        Raises:
            CalibrationError: this camera has no size (a CameraInfo left empty).
        """
        if self.width <= 0 or self.height <= 0:
            raise CalibrationError(
                "A camera without a size cannot be scaled",
                found=f"{self.width} x {self.height}",
                expected="width and height of the image in CameraInfo",
                fix="Fill in width and height where the CameraInfo is published.",
            )
        return _scaled(self, width, height)

    def rectified(self) -> CameraModel:
        """Return the camera of the rectified image, P, without distortion and rotation.

        P[0, 3] of a stereo pair stays in P; it is no part of a ray. Without P, K takes its place
        if there is no distortion.

        Raises:
            CalibrationError: P is empty and the image is distorted.
        """
        if self.P[0, 0] <= 0 and not is_distorted(self.distortion_model, self.D):
            return replace(self, P=np.hstack([self.K, np.zeros((3, 1))]), R=np.eye(3))
        if self.P[0, 0] <= 0:
            raise CalibrationError(
                "CameraInfo has no P, which describes the rectified image",
                found=f"P[0] = {self.P[0, 0]:g}",
                expected="a focal length above 0",
                fix="Publish P, or set image_is_rectified to false.",
            )
        return replace(
            self, K=self.P[:, :3], D=np.zeros(5), distortion_model="plumb_bob", R=np.eye(3)
        )

    def rays(self, stride: int = 1) -> FloatImage:
        """Return x / z and y / z of pixels 0, stride, 2 * stride, ... from K and D.

        (ceil(H / stride), ceil(W / stride), 2) float32, read-only; NaN where the distortion model
        has no inverse. Computed once for the same numbers, also in another instance. In memory all
        x come before all y, which makes ``deproject`` fast.

        Raises:
            CalibrationError: no calibration, or a distortion model that is not known.
        """
        if not self.is_calibrated or self.fy <= 0:
            raise CalibrationError(
                "The camera is not calibrated: CameraInfo.K is empty",
                found=f"fx = {self.fx:g}, fy = {self.fy:g}",
                expected="focal lengths above 0",
                fix="Calibrate the camera (camera_calibration) and publish the result.",
            )
        distorted = is_distorted(self.distortion_model, self.D)
        return _rays(
            self.width,
            self.height,
            stride,
            (self.fx, self.fy, self.cx, self.cy),
            self.distortion_model if distorted else "",
            tuple(self.D) if distorted else (),
        )

    def project(self, points: Matrix) -> Matrix:
        """Return pixels (N, 2), column and row, of points (N, 3) in the optical frame, by K and D.

        NaN behind the camera, and where the distortion model would fold a point from outside the
        field of view back into the image.

        Raises:
            CalibrationError: no calibration, or a distortion model that is not known.
        """
        with np.errstate(divide="ignore", invalid="ignore"):
            plane = points[:, :2] / np.where(points[:, 2:] > 0, points[:, 2:], np.nan)
        if is_distorted(self.distortion_model, self.D) and len(plane):
            ahead = np.column_stack([np.nan_to_num(plane), np.ones(len(plane))])
            still = np.zeros(3)
            if self.distortion_model == "equidistant":
                given = ahead[:, np.newaxis]
                bent, _ = cv2.fisheye.projectPoints(given, still, still, np.eye(3), self.D)
            else:
                bent, _ = cv2.projectPoints(ahead, still, still, np.eye(3), self.D)
            bent = np.asarray(bent, np.float64).reshape(-1, 2)
            distorted = np.asarray(np.where(np.isnan(plane), np.nan, bent), np.float64)
            pixels = distorted * (self.fx, self.fy) + (self.cx, self.cy)
            inside = ((pixels > -1) & (pixels < (self.width, self.height))).all(axis=1)
            x, y = undistort(
                distorted[inside, 0], distorted[inside, 1], self.distortion_model, self.D
            )
            moved = np.abs(np.column_stack([x, y]) - plane[inside]).max(axis=1)
            folded = ~(moved < 1e-3 * (1 + np.abs(plane[inside]).max(axis=1)))
            pixels[np.flatnonzero(inside)[folded]] = np.nan
            return pixels
        return np.asarray(plane * (self.fx, self.fy) + (self.cx, self.cy), np.float64)

    def _is_plausible(self) -> bool:
        """Return whether scaling and rays stay within the range of floats."""
        lengths, centre = np.array([self.fx, self.fy]), np.array([self.cx, self.cy])
        return bool(
            (lengths >= _MIN_PX).all()
            and (lengths <= _MAX_PX).all()
            and (np.abs(centre) <= _MAX_PX).all()
        )

    def _changed(self, change: Matrix, width: int, height: int) -> CameraModel:
        # D and R act on rays, before K and P: a change of pixels leaves them as they are.
        K, P = self.K.copy(), self.P.copy()
        # Some drivers leave the last row empty; it takes part in the change.
        if self.is_calibrated:
            K[2] = 0.0, 0.0, 1.0
        if P[0, 0] > 0:
            P[2] = 0.0, 0.0, 1.0, 0.0
        return replace(self, width=width, height=height, K=change @ K, P=change @ P)


def deproject(depth: FloatImage, rays: FloatImage) -> FloatImage:
    """Return points (H, W, 3) float32 metres of depth (H, W) along Z and rays (H, W, 2).

    A depth that is not finite (unknown, beyond range, too close) or a ray without a value gives a
    point that is NaN in x, y and z.

    Raises:
        CalibrationError: depth and rays differ in size.
    """
    points = np.empty((*depth.shape, 3), np.float32)
    for rows, planes in deprojected_rows(depth, rays):
        cv2.merge(planes, dst=points[rows])
    return points


def deprojected_rows(
    depth: FloatImage, rays: FloatImage
) -> Iterator[tuple[slice, tuple[FloatImage, FloatImage, FloatImage]]]:
    """Yield the points of `deproject` some rows at a time: the rows, and their x, y and z.

    The three are contiguous, may share memory with the depth, and are overwritten by the next ones.

    Raises:
        CalibrationError: depth and rays differ in size.
    """
    if depth.shape != rays.shape[:2]:
        raise CalibrationError(
            "Rays and depth differ in size",
            found=f"rays {rays.shape[1]} x {rays.shape[0]}",
            expected=f"{depth.shape[1]} x {depth.shape[0]}",
            fix="Scale the CameraModel to the size of the depth first.",
        )
    buffers: tuple[FloatImage, ...] = ()
    for rows in iter_row_chunks(*depth.shape):
        z = np.ascontiguousarray(depth[rows], dtype=np.float32)
        ray_x, ray_y = (np.ascontiguousarray(rays[rows, :, axis]) for axis in (0, 1))
        if not buffers:
            buffers = tuple(np.empty_like(z) for _ in range(3))
        x, y, known = (plane[: len(z)] for plane in buffers)
        cv2.multiply(ray_x, z, dst=x)
        # A sum is finite only if all that went into it is: much faster than to mask each pixel.
        if not math.isfinite(cv2.sumElems(x)[0]):
            # 0 * a + b is b where a is finite and NaN elsewhere: faster than a mask of booleans.
            cv2.scaleAdd(x, 0.0, z, dst=known)
            z = known
            cv2.multiply(ray_x, z, dst=x)
        cv2.multiply(ray_y, z, dst=y)
        yield rows, (x, y, z)


@lru_cache(maxsize=32)  # the sizes of a node's cameras repeat
def _scaled(camera: CameraModel, width: int, height: int) -> CameraModel:
    sx, sy = width / camera.width, height / camera.height
    change = np.array([[sx, 0.0, 0.5 * sx - 0.5], [0.0, sy, 0.5 * sy - 0.5], [0.0, 0.0, 1.0]])
    return camera._changed(change, width, height)


@lru_cache(maxsize=4)
def _rays(
    width: int,
    height: int,
    stride: int,
    intrinsics: tuple[float, float, float, float],
    distortion_model: str,
    coefficients: tuple[float, ...],
) -> FloatImage:
    fx, fy, cx, cy = intrinsics
    columns = (np.arange(0, width, stride) - cx) / fx
    lines = (np.arange(0, height, stride) - cy) / fy
    rays = np.empty((2, len(lines), len(columns)), np.float32)
    for rows in iter_row_chunks(*rays.shape[1:]):
        x, y = np.meshgrid(columns, lines[rows])
        if distortion_model:
            x, y = undistort(x, y, distortion_model, np.array(coefficients))
        rays[:, rows] = x, y
    rays.flags.writeable = False
    return rays.transpose(1, 2, 0)


def _matrix(name: str, values: object, shape: tuple[int, ...]) -> Matrix:
    matrix = np.array(values, dtype=np.float64)
    expected = math.prod(shape)
    if expected > 0 and matrix.size != expected:
        raise CalibrationError(
            f"CameraInfo.{name} has the wrong size",
            found=f"{matrix.size} numbers",
            expected=f"{expected} numbers",
        )
    if not np.isfinite(matrix).all():
        raise CalibrationError(
            f"CameraInfo.{name} is not finite",
            found=matrix.ravel().tolist(),
            expected="numbers",
            fix="Repeat the calibration, or publish K = 0 if the camera is not calibrated.",
        )
    matrix = matrix.reshape(shape)
    matrix.flags.writeable = False
    return matrix
