"""Cameras and points for the tests of geometry."""

import cv2
import numpy as np

from depth_estimation_ros.geometry.camera_model import CameraModel

CAMERA = CameraModel.from_intrinsics(100.0, 110.0, 33.25, 22.5, 64, 48)


def pixel_grid(width, height):
    """(H, W) columns and rows, float64."""
    return np.meshgrid(np.arange(width, dtype=np.float64), np.arange(height, dtype=np.float64))


def project(points, matrix):
    """Pixels (N, 2) of points (N, 3) by K or P, without distortion."""
    if matrix.shape == (3, 4):
        points = np.hstack([points, np.ones((len(points), 1))])
    pixels = points @ matrix.T
    return pixels[:, :2] / pixels[:, 2:]


def points_in_view(camera, count=200, seed=0):
    """(N, 3) points before an undistorted camera, their pixels spread over the image."""
    rng = np.random.default_rng(seed)
    z = rng.uniform(0.5, 10.0, count)
    u, v = rng.uniform(0, camera.width, count), rng.uniform(0, camera.height, count)
    return np.stack([(u - camera.cx) / camera.fx * z, (v - camera.cy) / camera.fy * z, z], axis=1)


def tum_camera(distortion_model="plumb_bob", D=(0.2624, -0.9531, -0.0054, 0.0026, 1.1633)):
    """The calibration of TUM RGB-D freiburg1, whose distortion is strong."""
    K = [517.3, 0, 318.6, 0, 516.5, 255.3, 0, 0, 1]
    return CameraModel(640, 480, K, list(D), distortion_model)


def project_distorted(rays, camera):
    """(H, W, 2) pixels of rays (H, W, 2) by OpenCV's forward model."""
    points = np.dstack([rays, np.ones(rays.shape[:2])]).reshape(-1, 1, 3).astype(np.float64)
    zero = np.zeros(3)
    if camera.distortion_model == "equidistant":
        pixels, _ = cv2.fisheye.projectPoints(points, zero, zero, camera.K, camera.D)
    else:
        pixels, _ = cv2.projectPoints(points, zero, zero, camera.K, camera.D)
    return pixels.reshape(rays.shape)
