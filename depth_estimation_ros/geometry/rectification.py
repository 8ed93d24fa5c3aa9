"""Rectify images: move the pixels of a raw image to where P of its CameraInfo expects them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from depth_estimation_ros.geometry.camera_model import CameraModel
from depth_estimation_ros.geometry.distortion import (
    is_distorted,
    max_radius,
    opencv_coefficients,
)


@dataclass(frozen=True, eq=False)
class Rectification:
    """The way from the raw images of a camera to rectified ones.

    Attributes:
        camera: of the rectified image: P, without distortion and rotation.
        visible: (H, W) bool, the pixels that the raw image shows; the others repeat its border.
        maps: for cv2.remap, in fixed point; None if the raw image is rectified already.
    """

    camera: CameraModel
    visible: NDArray[np.bool_]
    maps: tuple[NDArray[np.integer[Any]], NDArray[np.integer[Any]]] | None

    def apply(self, rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return the rectified image of a raw one (H, W, 3)."""
        if self.maps is None:
            return rgb
        # The border is repeated because networks take black for an object.
        rectified = cv2.remap(rgb, *self.maps, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        return np.asarray(rectified, np.uint8)

    def visible_at(self, height: int, width: int) -> NDArray[np.bool_]:
        """Return `visible` at the size of the depth image."""
        if self.visible.shape == (height, width):
            return self.visible
        mask = self.visible.view(np.uint8)
        return cv2.resize(mask, (width, height), interpolation=cv2.INTER_NEAREST).astype(bool)


@lru_cache(maxsize=16)  # `messages.camera_model` returns the same instance for the same numbers
def rectification(camera: CameraModel) -> Rectification:
    """Compute the rectification of a raw camera. Without P, K takes its place.

    Raises:
        CalibrationError: no calibration, or a distortion model that is not known.
    """
    if camera.P[0, 0] <= 0:
        camera = replace(camera, P=np.hstack([camera.K, np.zeros((3, 1))]))
    if not camera.R.any():  # as drivers of single cameras leave it
        camera = replace(camera, R=np.eye(3))
    rectified = camera.rectified()
    rays = rectified.rays().astype(np.float64)
    size = (camera.width, camera.height)
    distorted = is_distorted(camera.distortion_model, camera.D)
    if not distorted and np.allclose(camera.R, np.eye(3)) and np.allclose(rectified.K, camera.K):
        return Rectification(rectified, np.ones(size[::-1], np.bool_), None)
    # Both functions of OpenCV project ray by ray, and know neither a fold nor what is behind.
    model = camera.distortion_model if distorted else "plumb_bob"
    D = opencv_coefficients(model, camera.D)
    create = (
        cv2.fisheye.initUndistortRectifyMap
        if model == "equidistant"
        else cv2.initUndistortRectifyMap
    )
    columns, rows = create(camera.K, D, camera.R, rectified.K, size, cv2.CV_32FC1)
    x, y, z = np.moveaxis(np.dstack([rays, np.ones(rays.shape[:2])]) @ camera.R, 2, 0)
    with np.errstate(all="ignore"):
        visible = (z > 0) & (np.hypot(x / z, y / z) <= max_radius(model, D))
    visible &= (columns >= -0.5) & (columns <= camera.width - 0.5)
    visible &= (rows >= -0.5) & (rows <= camera.height - 0.5)
    first, second = cv2.convertMaps(columns, rows, cv2.CV_16SC2)
    return Rectification(
        rectified, visible, (np.asarray(first, np.int16), np.asarray(second, np.uint16))
    )
