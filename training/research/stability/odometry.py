"""The motion of a camera that recorded pictures and depth, when nobody wrote it down."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from depth_estimation_ros.geometry.camera_model import CameraModel, deproject
from training.research.stability.motion import Depth, Matrix

_FEATURES = 600
_BACK_PX = 0.5  # a feature tracked forth and back must end so near to where it began
_INLIER_PX = 1.5
_FEWEST = 40


def estimate_motion(
    before: npt.NDArray[np.uint8],
    now: npt.NDArray[np.uint8],
    truth: Depth,
    camera: CameraModel,
) -> Matrix | None:
    """Takes points of the second frame to the first, (4, 4); None where too little can be tracked.

    Corners of the second picture are tracked into the first (Lucas-Kanade, checked backwards). With
    their measured depth they are points in space, and the pose from which the first camera sees
    them where they were tracked is the motion (perspective-n-point with RANSAC, then refined on the
    inliers). The estimate under test plays no part in it. What moves by itself is an outlier, as
    long as it is the smaller part of the picture.

    Args:
        before, now: (H, W, 3) uint8 RGB.
        truth: (H, W) measured depth of the second frame, metres.
        camera: of both.
    """
    first, second = (cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY) for rgb in (before, now))
    known = np.isfinite(truth).astype(np.uint8)
    corners = cv2.goodFeaturesToTrack(second, _FEATURES, 0.01, 7, mask=known)
    if corners is None or len(corners) < _FEWEST:
        return None
    tracked, found, _ = cv2.calcOpticalFlowPyrLK(second, first, corners, corners.copy())
    back, returned, _ = cv2.calcOpticalFlowPyrLK(first, second, tracked, corners.copy())
    astray = np.linalg.norm((back - corners).reshape(-1, 2), axis=1)
    kept = (found.ravel() > 0) & (returned.ravel() > 0) & (astray < _BACK_PX)
    places = corners.reshape(-1, 2)[kept]
    columns, rows = np.rint(places).astype(np.intp).T
    points = deproject(truth, camera.rays())[rows, columns].astype(np.float64)
    if len(points) < _FEWEST:
        return None
    lens = camera.D if camera.D.size else np.zeros(5)
    targets = tracked.reshape(-1, 2)[kept].astype(np.float64)
    cv2.setRNGSeed(0)  # RANSAC draws from it
    solved, turn, shift, inliers = cv2.solvePnPRansac(
        points, targets, camera.K, lens, reprojectionError=_INLIER_PX, iterationsCount=300
    )
    if not solved or inliers is None or len(inliers) < _FEWEST:
        return None
    inside = inliers.ravel()
    turn, shift = cv2.solvePnPRefineLM(points[inside], targets[inside], camera.K, lens, turn, shift)
    motion = np.eye(4)
    motion[:3, :3], motion[:3, 3] = cv2.Rodrigues(turn)[0], shift.ravel()
    return motion
